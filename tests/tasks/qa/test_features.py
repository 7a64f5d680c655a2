"""Questions as windows: layout, coverage, ownership of tokens, targets, two vocabularies, odd texts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapt.text.tokenizer import Tokenizer
from pretrain.base.errors import UserError
from pretrain.base.vocabulary import BOS, EOS, PAD
from tasks.qa import features as qa_features
from tasks.qa.data import Answer, Question
from tasks.qa.features import Windows, WindowSettings, encode_questions, most_context, window_starts
from tasks.qa.spans import TokenizedText, tokenize

from .qa_tools import question, tokenizer

SMALL = WindowSettings(max_length=24, stride=5, max_question=8)
WIDE = WindowSettings(max_length=200, stride=50, max_question=30)
LONG = "the red river runs to the sea near the old bridge and Mara sold seven grey horses in 1821 to the mill"


def encode(*items: Question, using: WindowSettings = SMALL, targets: bool = True) -> Windows:
    return encode_questions(tokenizer(), items, using, targets=targets)


def target_texts(windows: Windows) -> list[str | None]:
    """What each window's target stands for; None for a target of 0 and 0."""
    texts: list[str | None] = []
    for row in range(len(windows)):
        first, last = (windows.targets[row] - windows.context_at[row] + windows.offset[row]).tolist()
        none = windows.targets[row].tolist() == [0, 0]
        texts.append(None if none else windows.contexts[windows.question[row]].slice(first, last))
    return texts


def brute_owner(starts: list[int], room: int, length: int, token: int) -> int:
    """The rule of Devlin et al. 2019 in whole numbers: 100 * the smaller side's context + the window's length."""
    scores = []
    for start in starts:
        end = min(start + room, length) - 1
        scores.append(100 * min(token - start, end - token) + end - start + 1 if start <= token <= end else -1)
    return scores.index(max(scores))


# --- layout -------------------------------------------------------------------------------------------------------------


def test_layout_of_a_short_context() -> None:
    item = question("the red river runs", asked="who sold it?")
    windows = encode(item, using=WIDE)
    asked, context = tokenizer().encode(item.question), tokenizer().encode(item.context)
    assert [ids.tolist() for ids in windows.tokens] == [[BOS, *asked, EOS, EOS, *context, EOS]]
    assert windows.tokens[0].dtype == np.int32
    assert windows.sizes.tolist() == [len(asked) + len(context) + 4]
    assert windows.context_at.tolist() == [len(asked) + 3]
    assert (windows.offset.tolist(), windows.count.tolist()) == ([0], [len(context)])
    assert windows.best.tolist() == [[len(asked) + 3, len(asked) + 3 + len(context)]]
    assert windows.cut_questions == 0


def test_every_window_repeats_the_question_and_says_where_its_context_lies() -> None:
    windows = encode(question(LONG, asked="who sold it?"))
    asked = tokenizer().encode("who sold it?")[:8]
    context = tokenizer().encode(LONG)
    assert len(windows) > 3
    for ids, at, offset, count in zip(windows.tokens, windows.context_at, windows.offset, windows.count, strict=True):
        assert ids.tolist() == [BOS, *asked, EOS, EOS, *context[offset:offset + count], EOS]
        assert ids[at] == context[offset]
    assert windows.offset.tolist() == [5 * number for number in range(len(windows))]


@settings(max_examples=60, deadline=None)
@given(words=st.lists(st.sampled_from(LONG.split()), max_size=40), asked=st.lists(st.sampled_from(LONG.split()), max_size=6),
       data=st.data())
def test_windows_keep_to_their_length_and_leave_no_token_out(words: list[str], asked: list[str], data: st.DataObject) -> None:
    using = WindowSettings.fit(64, data.draw(st.integers(12, 64)), 0, data.draw(st.integers(1, 5)))
    using = WindowSettings(using.max_length, data.draw(st.integers(1, using.max_length - 4 - using.max_question)),
                           using.max_question)
    windows = encode(question(" ".join(words), asked=" ".join(asked)), using=using)
    assert max(windows.sizes) <= using.max_length
    assert windows.sizes.tolist() == [len(ids) for ids in windows.tokens]
    context = windows.contexts[0]
    covered = [token for start, count in zip(windows.offset, windows.count, strict=True) for token in range(start, start + count)]
    assert set(covered) == set(range(len(context)))
    owned = [token for row in range(len(windows)) for token in range(*(windows.best[row] - windows.context_at[row]
                                                                       + windows.offset[row]).tolist())]
    assert owned == list(range(len(context)))  # each once, and in order
    for row in range(len(windows)):
        held = windows.context_at[row] + windows.count[row]
        assert windows.context_at[row] <= windows.best[row, 0] <= windows.best[row, 1] <= held


# --- who owns a token ---------------------------------------------------------------------------------------------------


@settings(max_examples=300, deadline=None)
@given(length=st.integers(1, 700), room=st.integers(2, 378), data=st.data())
def test_a_token_belongs_to_the_window_that_shows_most_around_it(length: int, room: int, data: st.DataObject) -> None:
    stride = data.draw(st.integers(max(1, room // 6), room))
    starts = window_starts(length, room, stride)
    owned = most_context(starts, room, length).tolist()
    owner = [next(window for window, (low, high) in enumerate(owned) if low <= token < high) for token in range(length)]
    assert owner == [brute_owner(starts, room, length, token) for token in range(length)]
    assert sum(high - low for low, high in owned) == length


def test_equal_claims_to_a_token_are_not_decided_by_rounding() -> None:
    """The second window is 100 tokens shorter and shows one token more on the right: equal, so the first one keeps them."""
    assert most_context([0, 101], 261, 262).tolist() == [[0, 261], [261, 262]]


@pytest.mark.parametrize(("length", "starts"), [(0, [0]), (9, [0]), (10, [0]), (11, [0, 4]), (14, [0, 4]), (15, [0, 4, 8])])
def test_the_last_window_is_the_first_that_reaches_the_end(length: int, starts: list[int]) -> None:
    assert window_starts(length, 10, 4) == starts


def test_windows_of_each_question_stand_together() -> None:
    windows = encode(question(LONG, name="a"), question("the sea", name="b"), question(LONG, name="c"))
    many = len(encode(question(LONG)))
    assert windows.of_questions().tolist() == [0, many, many + 1, 2 * many + 1]
    assert windows.question.tolist() == [0] * many + [1] + [2] * many


# --- settings -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("positions", "expected"), [(512, (384, 128, 64)), (384, (384, 128, 64)), (64, (64, 20, 20)),
                                                     (7, (7, 1, 1))])
def test_default_settings_are_berts_or_what_fits(positions: int, expected: tuple[int, int, int]) -> None:
    fitted = WindowSettings.fit(positions)
    assert (fitted.max_length, fitted.stride, fitted.max_question) == expected


@settings(max_examples=200, deadline=None)
@given(positions=st.integers(7, 600))
def test_default_settings_always_leave_room(positions: int) -> None:
    fitted = WindowSettings.fit(positions)
    assert fitted.max_length <= positions
    assert 1 <= fitted.stride <= fitted.max_length - 4 - fitted.max_question


def test_settings_that_are_given_are_kept() -> None:
    assert WindowSettings.fit(512, 200, 50, 30) == WindowSettings(200, 50, 30)
    assert WindowSettings.fit(512, 20, 10, 6) == WindowSettings(20, 10, 6)  # the longest step there is


@pytest.mark.parametrize(("given_settings", "message"), [
    ((65, 0, 0), "--max-length 65 exceeds the body's 64 positions"),
    ((6, 0, 0), "no room is left for a context"),
    ((20, 0, 15), "--max-length 20 with --max-question 15: no room is left for a context"),
    ((20, 11, 6), "--stride 11: expected 1 to 10"),
    ((0, -1, 0), "--stride -1: expected 1 to 40"),
    ((0, 0, -2), "--max-question -2"),
    ((-3, 0, 0), "--max-length -3"),
])
def test_wrong_settings_are_named(given_settings: tuple[int, int, int], message: str) -> None:
    with pytest.raises(UserError) as error:
        WindowSettings.fit(64, *given_settings)
    assert message in str(error.value) and "\n" not in str(error.value)


# --- questions ----------------------------------------------------------------------------------------------------------


def test_a_long_question_is_cut_at_its_end_and_counted() -> None:
    asked = "who sold seven grey horses near the old bridge to the mill?"
    windows = encode(question("the sea", asked=asked), question("the sea", asked="who?"))
    assert windows.cut_questions == 1
    assert windows.tokens[0].tolist()[:10] == [BOS, *tokenizer().encode(asked)[:8], EOS]


def test_a_question_of_just_the_allowed_length_is_not_cut() -> None:
    item = question("the sea", asked="who sold?")
    length = len(tokenizer().encode(item.question))
    assert [encode(item, using=WindowSettings(60, 9, allowed)).cut_questions for allowed in (length, length - 1)] == [0, 1]


def test_a_shorter_question_leaves_its_room_to_the_context() -> None:
    short, long = encode(question(LONG, asked="who?")), encode(question(LONG, asked=LONG))
    assert short.sizes[0] == long.sizes[0] == SMALL.max_length
    assert short.count[0] == SMALL.max_length - 4 - len(tokenizer().encode("who?")) > long.count[0]


def test_equal_contexts_are_tokenized_once(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def counted(tokens_of: Tokenizer, text: str) -> TokenizedText:
        seen.append(text)
        return tokenize(tokens_of, text)

    monkeypatch.setattr(qa_features, "tokenize", counted)
    windows = encode(question(LONG), question("the sea"), question("".join(list(LONG))))
    assert seen == [LONG, "the sea"]
    assert windows.contexts[0] is windows.contexts[2]


# --- targets ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", ["the red", "sold", "1821", "rey h", "mill", "sea near"])
def test_targets_are_the_answers_tokens_where_a_window_holds_them_all(answer: str) -> None:
    windows = encode(question(LONG, answer))
    texts = target_texts(windows)
    start = LONG.find(answer)
    span = windows.contexts[0].tokens_of(start, start + len(answer))
    assert span is not None
    held = [low <= span[0] and span[1] < low + count for low, count in zip(windows.offset, windows.count, strict=True)]
    assert [text is not None for text in texts] == held and any(held)
    assert {text for text in texts if text is not None} <= {windows.contexts[0].slice(*span)}
    assert answer in windows.contexts[0].slice(*span)
    assert windows.unplaced == []


def test_targets_of_an_answer_on_token_borders_are_exactly_the_answer() -> None:
    assert set(target_texts(encode(question(LONG, "Mara")))) == {None, "Mara"}


def test_an_answer_longer_than_any_window_has_no_target_but_is_placed() -> None:
    windows = encode(question(LONG, LONG[:90]))
    assert not windows.targets.any() and windows.unplaced == []


def test_an_impossible_question_has_no_target_and_counts_as_placed() -> None:
    windows = encode(question(LONG))
    assert windows.targets.tolist() == [[0, 0]] * len(windows) and windows.unplaced == []


def test_the_stated_occurrence_is_the_target_not_the_first() -> None:
    windows = encode(question("the sea, the mill", "the", start=9), using=WIDE)
    first, last = (windows.targets[0] - windows.context_at[0]).tolist()
    assert windows.contexts[0].characters_of(first, last) == (9, 12)


@pytest.mark.parametrize(("stated", "found"), [(0, 2), (9, 2), (12, 16), (17, 16), (27, 25)])
def test_an_answer_beside_its_offset_is_found_at_the_nearest_occurrence(stated: int, found: int) -> None:
    context = "a sea and thing sea then sea"
    assert [place for place in range(len(context)) if context.startswith("sea", place)] == [2, 16, 25]
    windows = encode(question(context, "sea", start=stated), using=WIDE)
    first, last = (windows.targets[0] - windows.context_at[0]).tolist()
    assert windows.contexts[0].characters_of(first, last) == (found, found + 3)


def test_an_answer_that_stands_nowhere_is_reported_and_its_question_kept() -> None:
    windows = encode(question("the sea", "river", start=0), question("the sea", "sea"), question("the sea"))
    assert windows.unplaced == [0]
    assert windows.question.tolist() == [0, 1, 2]
    assert target_texts(windows) == [None, "sea", None]


def test_the_first_answer_that_stands_in_the_context_counts() -> None:
    item = Question("q", "who?", "the red river", (Answer("blue", 4), Answer("red", 4), Answer("the", 0)))
    assert target_texts(encode(item, using=WIDE)) == ["red"]


def test_without_targets_nothing_is_reported() -> None:
    windows = encode(question("the sea", "river", start=0), targets=False)
    assert windows.unplaced == [] and windows.targets.shape == (0, 2)


# --- what may be chosen -------------------------------------------------------------------------------------------------


def test_search_allows_context_and_the_first_column_alone() -> None:
    windows = encode(question(LONG), question("the sea"))
    rows = np.array([len(windows) - 1, 1])
    search, (tokens, full) = windows.search(rows, 7, 3), windows.batch(rows)
    assert search.allowed.shape == search.starts.shape == tokens.shape and not full
    for row, number in enumerate(rows.tolist()):
        at, count = int(windows.context_at[number]), int(windows.count[number])
        assert search.allowed[row].nonzero()[:, 0].tolist() == [0, *range(at, at + count)]
        assert search.starts[row].nonzero()[:, 0].tolist() == list(range(*windows.best[number].tolist()))
        assert tokens[row, : windows.sizes[number]].tolist() == windows.tokens[number].tolist()
        assert tokens[row, windows.sizes[number]:].eq(PAD).all()
    assert (search.limit, search.count) == (7, 3)


def test_a_batch_of_equal_lengths_is_full() -> None:
    assert encode(question(LONG)).batch(np.array([0, 1]))[1]


# --- two vocabularies ---------------------------------------------------------------------------------------------------


def test_with_a_second_tokenizer_the_question_moves_up_and_the_context_stays() -> None:
    shift = len(tokenizer("en"))
    windows = encode_questions(tokenizer("en"), [question("the red river", "red", asked="кто продал?")], WIDE, tokenizer("ru"),
                               targets=True)
    asked = [number + shift for number in tokenizer("ru").encode("кто продал?")]
    assert windows.tokens[0].tolist() == [BOS + shift, *asked, EOS + shift, EOS, *tokenizer("en").encode("the red river"), EOS]
    assert max(windows.tokens[0]) < shift + len(tokenizer("ru"))
    assert target_texts(windows) == ["red"]


def test_a_second_tokenizer_changes_nothing_but_question_ids() -> None:
    items = [question(LONG, "Mara"), question("the sea", "sea")]
    one, two = (encode_questions(tokenizer(), items, SMALL, second, targets=True) for second in (None, tokenizer()))
    for name in ("sizes", "question", "context_at", "offset", "count", "best", "targets"):
        assert np.array_equal(getattr(one, name), getattr(two, name)), name
    shift = len(tokenizer())
    for row, (plain, moved) in enumerate(zip(one.tokens, two.tokens, strict=True)):
        border = one.context_at[row] - 1
        assert (moved[:border] - plain[:border]).tolist() == [shift] * border
        assert moved[border:].tolist() == plain[border:].tolist()


# --- scripts and odd texts ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("context", "answer"), [
    ("น้ำไหลลงสู่ทะเลที่เมืองเก่า", "ทะเล"),
    ("น้ำไหลลงสู่ทะเลที่เมืองเก่า", "น้ำ"),
    ("红色的河流入大海，马拉在老桥边建了磨坊。", "老桥边"),
    ("红色的河流入大海，马拉在老桥边建了磨坊。", "磨坊"),
    ("النَّهْرُ الأَحْمَرُ يَجْرِي إِلَى البَحْرِ", "البَحْرِ"),
    ("النَّهْرُ الأَحْمَرُ يَجْرِي إِلَى البَحْرِ", "الأَحْمَرُ"),
    ("cafe\u0301 👩‍👩‍👧 ½ ﬁsh", "👩‍👩‍👧"),
    ("cafe\u0301 👩‍👩‍👧 ½ ﬁsh", "cafe\u0301"),
])
def test_targets_in_every_script_cover_the_answer_and_stay_in_its_word(context: str, answer: str) -> None:
    windows = encode_questions(tokenizer("mixed"), [question(context, answer)], WIDE, targets=True)
    (text,) = target_texts(windows)
    assert text is not None and answer in text
    # the smallest token span that covers the answer: without its first or last token something would be missing
    first, last = (windows.targets[0] - windows.context_at[0] + windows.offset[0]).tolist()
    start = context.find(answer)
    whole = windows.contexts[0]
    assert whole.ends[first] > start and whole.starts[last] < start + len(answer)


@pytest.mark.parametrize("context", ["", " ", "\u3000\n", "\u200b", "\ufeff", "a", "☃", "\u0301", "  the  sea  ", "</s> <pad>"])
@pytest.mark.parametrize("asked", ["", " ", "who?", "<s>"])
def test_odd_texts_make_one_window_that_holds_no_foreign_special(context: str, asked: str) -> None:
    windows = encode_questions(tokenizer(), [question(context, asked=asked)], WIDE, targets=True)
    assert len(windows) == 1 and windows.of_questions().tolist() == [0, 1]
    (ids,) = windows.tokens
    assert ids[0] == BOS and np.flatnonzero(ids == EOS).tolist() == [
        windows.context_at[0] - 2, windows.context_at[0] - 1, len(ids) - 1]
    assert not (ids == PAD).any()
    assert windows.best[0].tolist() == [windows.context_at[0], windows.context_at[0] + windows.count[0]]
    search = windows.search(np.array([0]), 30, 20)
    assert int(search.starts.sum()) == windows.count[0] == int(search.allowed.sum()) - 1


def test_no_questions_make_no_windows() -> None:
    windows = encode()
    assert len(windows) == 0 and windows.of_questions().tolist() == [0]
    assert windows.targets.shape == (0, 2) and windows.best.shape == (0, 2)
