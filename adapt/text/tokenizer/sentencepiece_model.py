"""A SentencePiece model (`tokenizer.model`)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from adapt.text.tokenizer.kind import WORD_BOUNDARY, trim
from pretrain.base.errors import UserError
from pretrain.base.vocabulary import BOS, EOS, PAD, UNK

if TYPE_CHECKING:
    from numpy.typing import NDArray


class SentencePieceModel:
    """See `Kind`. A piece's id comes from an array indexed by SentencePiece's, so no string is looked up while encoding.

    Attributes:
        processor: the library's own object.
    """

    file_name = "tokenizer.model"
    size_name = "sentencepiece_size"

    def __init__(self, content: bytes, name: str):
        import sentencepiece

        self.content = content
        try:
            self.processor: Any = sentencepiece.SentencePieceProcessor(model_proto=content)
            self.size = int(self.processor.get_piece_size()) if content else 0  # without a model it writes to stderr
        except (RuntimeError, TypeError, ValueError):
            self.size = 0
        if not self.size:
            raise UserError(f"{name}: expected a SentencePiece model, got {len(content)} bytes that are none; "
                            f"pass a {self.file_name} that SentencePiece or `relexify prepare` wrote")
        named = {"<s>": BOS, "<pad>": PAD, "</s>": EOS}
        self.pieces: dict[int, str] = {}
        self.roles: dict[int, int] = {}
        for index in range(self.size):
            piece = self.processor.id_to_piece(index)
            if self.processor.is_control(index):
                if piece in named:
                    self.roles[index] = named[piece]
            elif self.processor.is_unknown(index):
                self.roles[index] = UNK
            else:
                self.pieces[index] = piece

    def encode(self, texts: Sequence[str]) -> list[NDArray[Any]]:
        # One thread: the callers run in parallel over processes, which is faster than SentencePiece's own threads
        return self.processor.encode(list(texts), return_type="numpy", num_threads=1)

    def encode_words(self, words: Sequence[str]) -> list[NDArray[Any]]:
        if self._prefixed:
            return self.encode(words)
        return [np.array(self.encode_after_mask(" " + word), dtype=np.int64) for word in words]

    @cached_property
    def _prefixed(self) -> bool:
        """Whether a text's beginning is read as if a space stood before it (SentencePiece's add_dummy_prefix)."""
        return bool(self.processor.encode("a", out_type=str)[0].startswith(WORD_BOUNDARY))

    def encode_with_offsets(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        mapping = self.processor.encode(text, return_type="offset_mapping")
        spans: list[tuple[int, int]] = []
        following = (len(text), len(text))
        for piece, (start, end) in zip(reversed(mapping["pieces"]), reversed(mapping["offsets"]), strict=True):
            start, end = trim(text, start, end)
            if start == end and piece != WORD_BOUNDARY and following[0] <= start < following[1]:
                start, end = following  # SentencePiece gives the whole character to its last piece only
            following = (start, end)
            spans.append(following)
        return [int(index) for index in mapping["ids"]], spans[::-1]

    def encode_after_mask(self, text: str) -> list[int]:
        # A letter that no piece holds takes the hidden piece's place, so that SentencePiece puts no word boundary there
        found, spans = self.encode_with_offsets(self._stranger + text)
        # an unknown letter right after the stranger shares its <unk>, which then ends further on
        return [token for token, (start, end) in zip(found, spans, strict=True) if start > 0 or end > 1]

    @cached_property
    def _stranger(self) -> str:
        """A character of Unicode's private use that stands in no piece."""
        letters = set().union(*self.pieces.values())
        return next(chr(code) for code in range(0xE000, 0xF900) if chr(code) not in letters)

    def decode(self, ids: Sequence[int]) -> str:
        return str(self.processor.decode(list(ids)))

    def spelling(self, piece: str) -> str:
        return piece

    def written(self, spelling: str) -> str:
        return spelling

    def continuing(self, piece: str) -> str:
        return piece.removeprefix(WORD_BOUNDARY)
