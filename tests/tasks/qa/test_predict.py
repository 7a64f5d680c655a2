"""From candidates to answers: merging windows, slices of the text, n-best lists, "no answer", batches."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pretrain.base.errors import UserError
from tasks.heads.model import task_model
from tasks.heads.span import Candidates
from tasks.qa.family import answer
from tasks.qa.features import Windows, WindowSettings, encode_questions
from tasks.qa.predict import Prediction, Span, merge, predict_windows, sigmoid, with_probabilities

from .qa_tools import body_for, embedding_for, question, tokenizer

INF = math.inf
SMALL = WindowSettings(max_length=28, stride=6, max_question=8)
LONG = "the red river runs to the sea near the old bridge and Mara sold seven grey horses in 1821"
SCRIPTS = ("น้ำไหลลงสู่ทะเลที่เมืองเก่า", "红色的河流入大海，马拉在老桥边建了磨坊。", "النَّهْرُ الأَحْمَرُ يَجْرِي إِلَى البَحْرِ",
           "  cafe\u0301 👩‍👩‍👧   ½ ﬁsh  ")
QUESTIONS = [question(LONG, "Mara", asked="who sold it?", name="a"), question("the sea", "sea", asked="the mill?", name="b"),
             question(LONG, "1821", asked="the red river?", name="c"), question("", asked="who?", name="d")]
HEADS = ("span", "joint_span")


def windows_of(*contexts: str, name: str = "en") -> Windows:
    return encode_questions(tokenizer(name), [question(context, asked="who?") for context in contexts], SMALL)


def candidates(windows: Windows, spans: list[list[tuple[float, int, int]]], null: list[float] | None = None) -> Candidates:
    """Candidates by hand: for each window (score, first, last), numbers of tokens of the whole context."""
    width = max(len(row) for row in spans)
    score = torch.full((len(spans), width), -INF)
    first, last = torch.zeros(2, len(spans), width, dtype=torch.int64)
    for row, given_spans in enumerate(spans):
        move = int(windows.context_at[row] - windows.offset[row])
        for place, (value, start, end) in enumerate(given_spans):
            score[row, place], first[row, place], last[row, place] = value, start + move, end + move
    return Candidates(score, first, last, torch.tensor(null or [0.0] * len(spans)))


def only(windows: Windows, found: Candidates, null_is_odds: bool = False, count: int = 20) -> Prediction:
    ((number, prediction),) = merge(windows, found, null_is_odds, count)
    assert number == 0
    return prediction


def model_for(head: str) -> Any:
    body = body_for(head)
    return task_model(body, embedding_for(body))


# --- merging windows ----------------------------------------------------------------------------------------------------


def test_the_best_span_of_all_windows_is_the_answer() -> None:
    windows = windows_of(LONG)
    assert len(windows) > 3
    spans = [[(-3.0 - row, int(windows.offset[row]), int(windows.offset[row]) + 1)] for row in range(len(windows))]
    third = int(windows.offset[2])
    spans[2] = [(-1.0, third + 1, third + 3), (-9.0, third, third)]
    prediction = only(windows, candidates(windows, spans))
    assert prediction.best == windows.contexts[0].slice(third + 1, third + 3)
    assert [span.score for span in prediction.spans] == sorted((value for row in spans for value, _, _ in row), reverse=True)


def test_a_span_that_two_windows_see_is_one_answer_with_its_better_score() -> None:
    windows = windows_of(LONG)
    at = int(windows.offset[1]) + 1
    spans: list[list[tuple[float, int, int]]] = [[] for _ in range(len(windows))]
    spans[0], spans[1] = [(-4.0, at, at + 2), (-5.0, at, at)], [(-2.0, at, at + 2)]
    prediction = only(windows, candidates(windows, spans))
    context = windows.contexts[0]
    assert [(span.start, span.end) for span in prediction.spans] == [context.characters_of(at, at + 2),
                                                                     context.characters_of(at, at)]
    assert [span.score for span in prediction.spans] == [-2.0, -5.0]
    assert prediction.spans[0].probability == pytest.approx(1 / (1 + math.exp(-3)))


def test_word_boundaries_beside_a_span_make_no_second_answer() -> None:
    """A token without characters at its start changes nothing of the text: one answer, and a boundary alone is none."""
    windows = windows_of("the Zoo")
    context = windows.contexts[0]
    bare = [token for token in range(len(context)) if context.starts[token] == context.ends[token]]
    assert bare, "the tokenizer should write a word boundary alone before a rare letter"
    at = bare[0]
    prediction = only(windows, candidates(windows, [[(-1.0, at, at), (-2.0, at, at + 1), (-3.0, at + 1, at + 1)]]))
    assert [(span.text, span.score) for span in prediction.spans] == [(context.slice(at + 1, at + 1), -2.0)]


def test_the_same_words_at_two_places_are_two_answers() -> None:
    windows = encode_questions(tokenizer(), [question("sea sea", asked="who?")], SMALL)
    context = windows.contexts[0]
    places = [context.tokens_of(start, start + 3) for start in (0, 4)]
    spans = [(-1.0 - number, *place) for number, place in enumerate(places) if place is not None]
    assert [(span.text, span.start) for span in only(windows, candidates(windows, [spans])).spans] == [("sea", 0), ("sea", 4)]


@settings(max_examples=80, deadline=None)
@given(context=st.sampled_from([LONG, *SCRIPTS]), count=st.integers(1, 8), data=st.data())
def test_answers_are_slices_without_repetition_best_first(context: str, count: int, data: st.DataObject) -> None:
    windows = windows_of(context, name="en" if context == LONG else "mixed")
    spans: list[list[tuple[float, int, int]]] = []
    for offset, held in zip(windows.offset.tolist(), windows.count.tolist(), strict=True):
        token = st.integers(offset, offset + held - 1)
        pair = st.tuples(token, token).map(lambda ends: (min(ends), max(ends)))
        score = st.sampled_from([-0.5, -1.0, -2.0, -7.5])
        spans.append([(data.draw(score), *data.draw(pair)) for _ in range(data.draw(st.integers(0, 4)))])
    if not any(spans):
        return
    found = only(windows, candidates(windows, spans), count=count).spans
    best: dict[tuple[int, int], float] = {}
    for value, first, last in (span for row in spans for span in row):
        start, end = windows.contexts[0].characters_of(first, last)
        if text := context[start:end].strip():
            start = context.index(text, start)
            best[start, start + len(text)] = max(value, best.get((start, start + len(text)), -INF))
    assert all(span.text == context[span.start:span.end] and span.text == span.text.strip() != "" for span in found)
    assert [span.score for span in found] == sorted(best.values(), reverse=True)[:count]
    places = [(span.start, span.end) for span in found]
    assert len(set(places)) == len(places) == min(count, len(best))
    assert all(best[place] == span.score for place, span in zip(places, found, strict=True))
    if found:
        assert sum(span.probability for span in found) == pytest.approx(1)
        assert [span.probability for span in found] == sorted((span.probability for span in found), reverse=True)


def test_rows_choose_whole_questions() -> None:
    windows = windows_of(LONG, "the sea", LONG, "a mill")
    borders = windows.of_questions()
    every = [[(-1.0 - row % 7, int(windows.offset[row]), int(windows.offset[row]))] for row in range(len(windows))]
    null = [-float(row % 5) for row in range(len(windows))]
    found = candidates(windows, every, null)
    rows = np.concatenate([np.arange(borders[1], borders[2]), np.arange(borders[2], borders[3])])
    some = Candidates(found.score[rows], found.first[rows], found.last[rows], found.null[rows])
    whole = dict(merge(windows, found, False))
    assert list(whole) == [0, 1, 2, 3]
    assert dict(merge(windows, some, False, rows=rows)) == {number: whole[number] for number in (1, 2)}


def test_questions_without_windows_give_no_predictions() -> None:
    windows = windows_of("the sea")
    nothing = torch.zeros(0, 1)
    found = Candidates(nothing, nothing.long(), nothing.long(), torch.zeros(0))
    assert list(merge(windows, found, False, rows=np.zeros(0, dtype=np.int64))) == []


# --- no answer ----------------------------------------------------------------------------------------------------------


def test_null_spans_compare_with_the_best_span_and_all_windows_must_agree() -> None:
    windows = windows_of(LONG)
    spans = [[(-6.0, int(at), int(at))] for at in windows.offset]
    spans[1] = [(-2.0, int(windows.offset[1]), int(windows.offset[1]) + 1)]
    sure = [-0.01] * len(windows)
    assert only(windows, candidates(windows, spans, sure)).no_answer == pytest.approx(1 / (1 + math.exp(-1.99)), rel=1e-5)
    sure[3] = -7.0  # one window doubts it, and not the one with the best span
    assert only(windows, candidates(windows, spans, sure)).no_answer == pytest.approx(1 / (1 + math.exp(5)), rel=1e-5)


def test_null_odds_stand_for_themselves_and_all_windows_must_agree() -> None:
    windows = windows_of(LONG)
    spans = [[(-6.0, int(at), int(at))] for at in windows.offset]
    sure = [3.0] * len(windows)
    assert only(windows, candidates(windows, spans, sure), True).no_answer == pytest.approx(1 / (1 + math.exp(-3)), rel=1e-5)
    sure[2] = -1.0
    assert only(windows, candidates(windows, spans, sure), True).no_answer == pytest.approx(1 / (1 + math.exp(1)), rel=1e-5)


def test_a_threshold_decides_between_the_answer_and_none() -> None:
    prediction = Prediction((Span("the sea", 0, 7, -1.0, 1.0),), 0.6)
    assert [prediction.text(), prediction.text(0.6), prediction.text(0.59)] == ["the sea", "the sea", ""]
    assert prediction.best == "the sea" and Prediction((), 0.1).best == ""


@pytest.mark.parametrize("null_is_odds", [False, True])
def test_where_nothing_can_be_chosen_the_answer_is_empty(null_is_odds: bool) -> None:
    windows = windows_of("")
    prediction = only(windows, candidates(windows, [[(-INF, 0, 0)]], [0.0]), null_is_odds)
    assert prediction.spans == () and prediction.best == "" and 0 <= prediction.no_answer <= 1


def test_probabilities_of_extreme_scores_stay_probabilities() -> None:
    assert [sigmoid(odds) for odds in (0.0, 1e4, -1e4, INF, -INF)] == [0.5, 1.0, 0.0, 1.0, 0.0]
    assert sigmoid(2.0) == pytest.approx(1 - sigmoid(-2.0))
    spans = with_probabilities([Span("a", 0, 1, -2000.0), Span("b", 1, 2, -2001.0)])
    assert [span.probability for span in spans] == pytest.approx([1 / (1 + math.exp(-1)), 1 / (1 + math.exp(1))])


# --- whole models -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("head", HEADS)
def test_every_question_is_answered_from_its_own_context(head: str) -> None:
    predictions, windows = answer(model_for(head), "squad", tokenizer(), QUESTIONS, SMALL)
    assert list(predictions) == ["a", "b", "c", "d"] and len(windows) > 8
    for item in QUESTIONS[:3]:
        spans = predictions[item.id].spans
        assert 0 < len(spans) <= 20
        assert all(item.context[span.start:span.end] == span.text for span in spans)
    assert predictions["d"].spans == ()


@pytest.mark.parametrize("head", HEADS)
def test_the_batch_budget_changes_no_prediction(head: str) -> None:
    model = model_for(head)
    one, _ = answer(model, "squad", tokenizer(), QUESTIONS, SMALL, max_tokens=1)
    for max_tokens in (60, 100_000):
        other, _ = answer(model, "squad", tokenizer(), QUESTIONS, SMALL, max_tokens=max_tokens)
        assert list(one) == list(other)
        for key, prediction in one.items():
            assert [(s.start, s.end) for s in prediction.spans] == [(s.start, s.end) for s in other[key].spans]
            assert [s.score for s in prediction.spans] == pytest.approx([s.score for s in other[key].spans], rel=1e-5, abs=1e-4)
            assert prediction.no_answer == pytest.approx(other[key].no_answer, rel=1e-5, abs=1e-4)


@pytest.mark.parametrize("head", HEADS)
def test_candidates_come_in_the_windows_order(head: str) -> None:
    """Batches go longest first; their results must not."""
    model = model_for(head)
    windows = encode_questions(tokenizer(), QUESTIONS, SMALL)
    found = predict_windows(model, windows, "squad", 60, 30, 4)
    for row in range(len(windows)):
        index = np.array([row])
        alone: Any = model.spans(windows.batch(index)[0], "squad", full=True, search=windows.search(index, 30, 4)).candidates
        kept = alone.score.size(1)
        torch.testing.assert_close(found.score[row, :kept], alone.score[0], rtol=1e-5, atol=1e-4)
        assert found.score[row, kept:].eq(-INF).all()
        torch.testing.assert_close(found.null[row], alone.null[0], rtol=1e-5, atol=1e-4)
        possible = alone.score[0] > -INF
        # the same spans in the same order, but for two whose scores differ by rounding alone
        spans, scores = list(zip(alone.first[0].tolist(), alone.last[0].tolist(), strict=True)), alone.score[0].tolist()
        for place in possible.nonzero().flatten().tolist():
            span = (int(found.first[row, place]), int(found.last[row, place]))
            assert scores[spans.index(span)] == pytest.approx(scores[place], rel=1e-5, abs=1e-4) if span in spans else \
                scores[place] == pytest.approx(min(score for score in scores if score > -INF), rel=1e-5, abs=1e-4)


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("limit", [1, 3])
def test_no_answer_is_longer_than_the_limit(head: str, limit: int) -> None:
    windows = encode_questions(tokenizer(), QUESTIONS, SMALL)
    found = predict_windows(model_for(head), windows, "squad", 4000, limit)
    real = found.score > -INF
    lengths = (found.last - found.first + 1)[real]
    assert int(lengths.min()) == 1 and int(lengths.max()) == limit


@pytest.mark.parametrize("head", HEADS)
def test_every_answer_starts_where_its_window_shows_most_context(head: str) -> None:
    windows = encode_questions(tokenizer(), QUESTIONS, SMALL)
    found = predict_windows(model_for(head), windows, "squad", 4000)
    for row in range(len(windows)):
        real = found.score[row] > -INF
        low, high = windows.best[row].tolist()
        assert all(low <= first < high for first in found.first[row][real].tolist())
        held = int(windows.context_at[row] + windows.count[row])
        assert all(last < held for last in found.last[row][real].tolist())


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("value", [math.nan, INF])
def test_a_diverged_model_is_an_error_of_one_line(head: str, value: float) -> None:
    model = model_for(head)
    with torch.no_grad():
        model.encoder.layers[1].ffn_out.weight[0, 0] = value
    windows = encode_questions(tokenizer(), QUESTIONS[:1], SMALL)
    with pytest.raises(UserError, match=r"outputs are NaN or infinite; try --precision fp32") as error:
        predict_windows(model, windows, "squad", 4000)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("name", "value"), [("start.weight", math.nan), ("end.weight", math.nan), ("answer.bias", math.nan),
                                             ("answer.bias", INF)])
def test_a_diverged_part_of_the_joint_head_is_an_error(name: str, value: float) -> None:
    model = model_for("joint_span")
    with torch.no_grad():
        model.heads["squad"].get_parameter(name).fill_(value)
    with pytest.raises(UserError, match=r"NaN or infinite"):
        predict_windows(model, encode_questions(tokenizer(), QUESTIONS[:1], SMALL), "squad", 4000)
