"""Characters <-> tokens: exact on piece borders, else the smallest covering span, in every script."""

from __future__ import annotations

import io
import random
from functools import cache

import pytest
import sentencepiece
from hypothesis import given, settings
from hypothesis import strategies as st

from adapt.text.tokenizer import Tokenizer
from tasks.qa.spans import TokenizedText, tokenize

ALPHABETS = {
    "Latin": "abcdeéïñßäaeiou e\u0301" + "ﬁ",
    "Cyrillic": "абвгдежзийклмнопрст ё",
    "Arabic": "ابتثجحخدذرزسشصضطظعغ\u064e\u0651\u0640 لا",
    "Devanagari": "अआइईकखगघचछजझटठ\u093e\u093f\u0940\u094d\u0902 ।",
    "Thai": "กขคฆงจฉชซฌญ\u0e31\u0e34\u0e35\u0e48\u0e49เแโ ๆ",
    "Han": "的一是不了人我在有他这中大来上国。，",
    "Kana": "あいうえおカキクケコ゛ｶﾞー。",
    "mixed": "ab абв ابت กขเ\u0e34 कि的一 é1２３%🙂👩‍👩‍👧\u200d\u200b\u3000\t½℃",
}
RULES = ("nmt_nfkc", "nmt_nfkc_cf", "identity")


@cache
def tokenizer(rule: str, fallback: bool = False) -> Tokenizer:
    rng = random.Random(0)
    lines = ["".join(rng.choices(letters, k=rng.randint(5, 60))) for letters in ALPHABETS.values() for _ in range(150)]
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines), model_writer=model, vocab_size=420, character_coverage=0.98 if fallback else 1.0,
        normalization_rule_name=rule, byte_fallback=fallback, hard_vocab_limit=False, minloglevel=2)
    return Tokenizer(model.getvalue(), rule)


def texts(letters: str) -> st.SearchStrategy[str]:
    return st.text(st.sampled_from(letters), min_size=1, max_size=60)


def check(text: TokenizedText, start: int, end: int) -> None:
    """The property itself, by brute force over all token spans."""
    found = text.tokens_of(start, end)
    borders = [(s, e) for s, e in zip(text.starts.tolist(), text.ends.tolist(), strict=True) if s < e]
    touched = [c for c in range(start, end) if any(s <= c < e for s, e in borders)]
    if found is None:
        assert not touched
        return
    got = text.characters_of(*found)
    covering = [(s, e) for s, _ in borders for _, e in borders if s <= touched[0] and touched[-1] < e]
    assert got == min(covering, key=lambda span: span[1] - span[0])
    assert text.slice(*found) == text.text[got[0]:got[1]]
    if start in {s for s, _ in borders} and end in {e for _, e in borders}:
        assert got == (start, end)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("script", ALPHABETS)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_span_comes_back_as_the_smallest_covering_one(script: str, rule: str, data: st.DataObject) -> None:
    text = tokenize(tokenizer(rule), data.draw(texts(ALPHABETS[script])))
    start = data.draw(st.integers(0, len(text.text) - 1))
    check(text, start, data.draw(st.integers(start + 1, len(text.text))))


@pytest.mark.parametrize("fallback", [False, True])
@settings(max_examples=150, deadline=None)
@given(string=st.text(min_size=1, max_size=30), data=st.data())
def test_any_unicode_text_works(fallback: bool, string: str, data: st.DataObject) -> None:
    text = tokenize(tokenizer("nmt_nfkc", fallback), string)
    start = data.draw(st.integers(0, len(string) - 1))
    check(text, start, data.draw(st.integers(start + 1, len(string))))


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("script", ALPHABETS)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_a_span_on_piece_borders_round_trips(script: str, rule: str, data: st.DataObject) -> None:
    text = tokenize(tokenizer(rule), data.draw(texts(ALPHABETS[script])))
    solid = [i for i in range(len(text)) if text.starts[i] < text.ends[i]]
    if not solid:
        return
    first = data.draw(st.sampled_from(solid))
    last = data.draw(st.sampled_from([i for i in solid if i >= first]))
    span = text.characters_of(first, last)
    again = text.tokens_of(*span)
    assert again is not None and text.characters_of(*again) == span


def test_tokens_cover_every_character_that_is_no_space() -> None:
    string = "Tā ﬁnance 2½ कि น้ำ 👩‍👩‍👧 的一"
    text = tokenize(tokenizer("nmt_nfkc"), string)
    covered = {c for s, e in zip(text.starts, text.ends, strict=True) for c in range(s, e)}
    assert covered == {i for i, c in enumerate(string) if not c.isspace()}
    assert all(a <= b for a, b in zip(text.starts, text.starts[1:], strict=False))
    assert all(a <= b for a, b in zip(text.ends, text.ends[1:], strict=False))


def test_white_space_belongs_to_no_token() -> None:
    text = tokenize(tokenizer("nmt_nfkc"), "ab   cd")
    assert text.tokens_of(2, 5) is None
    found = text.tokens_of(0, 7)
    assert found is not None and text.slice(*found) == "ab   cd"
