"""Character spans of the original text as token spans, and back.

Everything follows SentencePiece's own offsets into the original string, so it holds in every script and under every
normalisation rule: no whitespace words, no decoding back to text.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from adapt.text.tokenizer import Tokenizer


@dataclass(frozen=True)
class TokenizedText:
    """A text as tokens that know their place.

    Attributes:
        text: the original string.
        ids: token ids [T], int32, without specials.
        starts: first character of each token [T], code points of `text`.
        ends: one past its last character [T]; equal to its start for a token that stands for a word boundary only.
    """

    text: str
    ids: NDArray[np.int32]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.ids)

    def tokens_of(self, start: int, end: int) -> tuple[int, int] | None:
        """First and last token of the smallest token span that covers the characters `[start, end)`.

        White space at the ends belongs to no token and is left out; None where no token stands for any of the characters.
        """
        # starts and ends never fall, so both ends are found by bisection; tokens without characters cover nothing
        first = int(np.searchsorted(self.ends, start, side="right"))
        while first < len(self) and self.starts[first] == self.ends[first]:
            first += 1
        last = int(np.searchsorted(self.starts, end, side="left")) - 1
        while last >= 0 and self.starts[last] == self.ends[last]:
            last -= 1
        return (first, last) if first <= last else None

    def characters_of(self, first: int, last: int) -> tuple[int, int]:
        """The characters `[start, end)` from the first to the last of these tokens."""
        return int(self.starts[first]), int(self.ends[last])

    def slice(self, first: int, last: int) -> str:
        """What the tokens from `first` to `last` stand for, in the text's own writing."""
        start, end = self.characters_of(first, last)
        return self.text[start:end]


def tokenize(tokenizer: Tokenizer, text: str) -> TokenizedText:
    """Tokenizes a text and keeps every token's place in it."""
    ids, spans = tokenizer.encode_with_offsets(text)
    places = np.array(spans, dtype=np.int64).reshape(-1, 2)
    return TokenizedText(text, np.array(ids, dtype=np.int32), places[:, 0].copy(), places[:, 1].copy())
