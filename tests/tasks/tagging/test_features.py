"""Every word has one column of its own; windows lose nothing; words stand as they do in the language's text."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapt.text.tokenizer import WORD_BOUNDARY, Tokenizer, train_tokenizer
from pretrain.base.errors import UserError
from pretrain.base.vocabulary import BOS, EOS, UNK
from tasks.tagging.data import Sentence
from tasks.tagging.features import encode_sentences, pieces_of_words

from ..qa.qa_tools import tokenizer

ALPHABET = "abdegilmnorstuvMw0128?, 红色的河流入大海马тเที่ن\u200b\u00ad́"
SENTENCES = st.lists(st.lists(st.text(ALPHABET, min_size=1, max_size=9), min_size=1, max_size=12), min_size=1, max_size=4)


def sentence(*words: str) -> Sentence:
    return Sentence(words, (0,) * len(words))


def pieces(tok: Tokenizer, language: str, *words: str) -> tuple[list[str], list[str]]:
    """All pieces of a sentence, and those in the words' columns."""
    ((ids, heads),), _ = pieces_of_words(tok, [sentence(*words)], language)
    symbols = [tok.vocabulary.symbols[index] for index in ids]
    return symbols, [symbols[head] for head in heads]


@settings(deadline=None)
@given(SENTENCES, st.sampled_from(["en", "zh"]), st.integers(4, 12))
def test_every_word_is_predicted_once_and_in_order(texts: list[list[str]], language: str, max_length: int) -> None:
    tok = tokenizer("mixed")
    items = [sentence(*words) for words in texts]
    windows = encode_sentences(tok, items, max_length, language)
    whole, _ = pieces_of_words(tok, items, language)
    assert windows.first[0] == 0 and windows.first[-1] == len(windows)
    for number, (item, (ids, heads)) in enumerate(zip(items, whole, strict=True)):
        own = range(windows.first[number], windows.first[number + 1])
        read = np.concatenate([windows.tokens[window][windows.columns[window]] for window in own])
        assert len(heads) == len(set(heads.tolist())) == len(item.words)
        assert read.tolist() == ids[heads].tolist()
    for tokens, size, columns in zip(windows.tokens, windows.sizes, windows.columns, strict=True):
        assert len(tokens) == size <= max_length and (tokens[0], tokens[-1]) == (BOS, EOS)
        assert len(columns) and columns.min() >= 1 and columns.max() <= size - 2


@settings(deadline=None)
@given(st.lists(st.text("abdegilmnorstuvMw0128?,", min_size=1, max_size=9), min_size=1, max_size=12))
def test_words_between_spaces_have_the_pieces_of_the_sentence(words: list[str]) -> None:
    tok = tokenizer("en")
    ((ids, _),), unread = pieces_of_words(tok, [sentence(*words)], "en")
    assert ids.tolist() == tok.encode(" ".join(words)) and not unread


def test_long_sentences_keep_context_on_both_sides() -> None:
    tok = tokenizer("en")
    item = sentence(*["sea"] * 40)
    ((ids, _),), _ = pieces_of_words(tok, [item], "en")
    windows = encode_sentences(tok, [item], 22, "en")
    assert len(windows) > 2 and sum(map(len, windows.columns)) == 40
    for number, columns in enumerate(windows.columns):
        assert number == 0 or columns[0] > 5
        assert number == len(windows) - 1 or columns[-1] < windows.sizes[number] - 6
    assert len(ids) > 22


def test_a_sentence_that_fits_is_one_window() -> None:
    tok = tokenizer("en")
    item = sentence("the", "red", "river")
    length = len(tok.encode("the red river"))
    assert len(encode_sentences(tok, [item], length + 2, "en")) == 1
    assert len(encode_sentences(tok, [item], length + 1, "en")) == 2


def test_words_without_spaces_stand_side_by_side() -> None:
    tok = Tokenizer(train_tokenizer(["红色的河流入大海", "大海流入河", "海大 河"] * 4, 40, character_coverage=1.0))
    spaced, _ = pieces(tok, "en", "红", "大", "海")
    joined, heads = pieces(tok, "zh", "红", "大", "海")
    assert sum(piece.startswith(WORD_BOUNDARY) for piece in spaced) == 3
    assert not any(piece.startswith(WORD_BOUNDARY) for piece in joined[1 + (joined[0] == WORD_BOUNDARY):])
    assert [head.lstrip(WORD_BOUNDARY) for head in heads] == ["红", "大", "海"]
    assert pieces(tok, "zh-Latn", "红", "大", "海")[0] == spaced


def test_a_lone_boundary_is_no_words_column() -> None:
    tok = Tokenizer(train_tokenizer(["ab ba bab abba"] * 4 + ["abc"], 12, character_coverage=1.0))
    symbols, heads = pieces(tok, "en", "c", "ab")
    assert symbols[:2] == [WORD_BOUNDARY, "c"] and heads[0] == "c"


@pytest.mark.parametrize("language", ["en", "zh"])
def test_words_of_which_nothing_is_left_are_unknown(language: str) -> None:
    tok = tokenizer("mixed")
    assert tok.encode("\u200b") == []
    ((ids, heads),), unread = pieces_of_words(tok, [sentence("the", "\u200b", "red")], language)
    assert unread == 1 and ids[heads[1]] == UNK
    assert encode_sentences(tok, [sentence("\u200b")], 4, language).tokens[0].tolist() == [BOS, UNK, EOS]


def test_inputs_without_room_are_refused() -> None:
    with pytest.raises(UserError, match=r"--max-length 3: expected at least 4"):
        encode_sentences(tokenizer("en"), [sentence("sea")], 3, "en")
