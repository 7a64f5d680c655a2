"""What initialisers read of the prepared text of the new language."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from functools import cache

import numpy as np
from numpy.typing import NDArray

from adapt.initialise import Request
from pretrain.base.errors import UserError
from pretrain.data import MappedTokens


@cache
def _word() -> re.Pattern[str]:
    """What a word looks like. To `re` the vowel signs of Devanagari, Thai, Tamil, Arabic … are no letters, and no word there is
    whole without them; to look for them in all of Unicode takes 25 ms, which only those who read words should wait."""
    marks = "".join(chr(point) for point in range(0x300, 0x20000) if unicodedata.category(chr(point)).startswith("M"))
    letters = rf"\w[\w{re.escape(marks)}\u200c\u200d]*"
    return re.compile(rf"{letters}(?:[’'\-]{letters})*")


def prepared(request: Request) -> MappedTokens:
    """The training text in pieces.

    Raises:
        UserError: there is no prepared text.
    """
    if request.data is None:
        raise UserError("this initialiser reads the prepared text of the new language: name it with --data")
    return MappedTokens(request.data / "train")


def piece_counts(request: Request) -> NDArray[np.int64]:
    """How often each piece occurs in the prepared text [V]."""
    return np.bincount(prepared(request).tokens, minlength=request.shape[0]).astype(np.int64)


def lines(request: Request) -> Iterator[str]:
    """The prepared text again as text, an item at a time."""
    text = prepared(request)
    return (request.tokenizer.decode(text[item]) for item in range(len(text)))


def words_of(texts: Iterable[str]) -> Iterator[list[str]]:
    """The words of each text: letters with their marks, digits and what joins them, as they are written."""
    return (_word().findall(text) for text in texts)


def numbered(sequences: Iterable[list[str]], most: int, fewest: int, length: int,
             ) -> tuple[list[str], NDArray[np.int64], list[NDArray[np.int64]]]:
    """(words by descending count, their counts, the sequences as numbers of words, -1 for a word that is not among them).

    Args:
        most: how many words are kept.
        fewest: how often a word must occur.
        length: words after which no further sequence is read.
    """
    first: dict[str, int] = {}
    kept: list[NDArray[np.int64]] = []
    read = 0
    for words in sequences:
        kept.append(np.array([first.setdefault(word, len(first)) for word in words], dtype=np.int64))
        if (read := read + len(words)) >= length:
            break
    counts = np.bincount(np.concatenate([*kept, np.empty(0, dtype=np.int64)]), minlength=len(first))
    order = np.argsort(-counts, kind="stable")[:most]
    order = order[counts[order] >= fewest]
    place = np.full(len(first), -1, dtype=np.int64)
    place[order] = np.arange(len(order))
    names = list(first)
    return [names[number] for number in order], counts[order], [place[words] for words in kept]
