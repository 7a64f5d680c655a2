"""What `Tokenizer` asks of the file behind it. Ids here are the file's own, not those of this project."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from numpy.typing import NDArray

WORD_BOUNDARY = "\u2581"
"""SentencePiece's mark of the beginning of a word."""


class Kind(Protocol):
    """A tokenizer's file, read.

    Attributes:
        file_name: what the file is called in an artefact.
        size_name: what a record calls its number of ids.
        content: its bytes, as they are saved.
        size: one more than its largest id.
        pieces: id -> piece of what becomes a row of its own: neither special tokens nor the unknown one.
        roles: id -> our id, of its special tokens (0-3, and -1 for the mask).
    """

    file_name: str
    size_name: str
    content: bytes
    size: int
    pieces: dict[int, str]
    roles: dict[int, int]

    def encode(self, texts: Sequence[str]) -> list[NDArray[Any]]:
        """Ids of each text, without special tokens; special tokens written in a text are text."""

    def encode_with_offsets(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        """Ids, and the characters `[start, end)` of `text` that each stands for, white space at its ends left out."""

    def encode_after_mask(self, text: str) -> list[int]:
        """Ids of a text that stands right behind a hidden piece."""

    def encode_words(self, words: Sequence[str]) -> list[NDArray[Any]]:
        """Ids of each word as it stands inside a text, behind a space."""

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids."""

    def spelling(self, piece: str) -> str:
        """A piece as SentencePiece would write it: its text, with `WORD_BOUNDARY` in front where it begins a word."""

    def written(self, spelling: str) -> str:
        """The inverse of `spelling`: how the file writes a piece."""

    def continuing(self, piece: str) -> str:
        """The piece that writes the same inside a word; the piece itself where there is no other way to write it."""


UNSEEN = frozenset("\u200b\u200c\u200e\u200f\ufeff\u061c")
"""What SentencePiece's nmt_nfkc reads as a space, or as nothing, and `str.isspace` does not: zero-width space and non-joiner,
marks of direction, the byte order mark."""


def _white(character: str) -> bool:
    return character.isspace() or character in UNSEEN


def trim(text: str, start: int, end: int) -> tuple[int, int]:
    """A span without the white space at its ends, as SentencePiece understands white space."""
    while start < end and _white(text[start]):
        start += 1
    while start < end and _white(text[end - 1]):
        end -= 1
    return start, end
