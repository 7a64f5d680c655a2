"""The class that all code uses: ids are a bijection with the pieces, whichever kind of file is behind them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from adapt.text.tokenizer.json_model import JsonModel
from adapt.text.tokenizer.kind import WORD_BOUNDARY, Kind
from adapt.text.tokenizer.reading import read_foreign
from adapt.text.tokenizer.sentencepiece_model import SentencePieceModel
from pretrain.base.errors import UserError
from pretrain.base.files import atomic_file, require_file
from pretrain.base.vocabulary import MASK_SYMBOL, UNK, Vocabulary

if TYPE_CHECKING:
    from numpy.typing import NDArray

MODEL_NAME = SentencePieceModel.file_name
JSON_NAME = JsonModel.file_name


class Tokenizer:
    """Text to token ids and back.

    Specials are 0-3, then the file's pieces in its order, `<mask>` last.

    Args:
        model: the bytes of a SentencePiece model, or of a `tokenizer.json`.
        name: what error messages call it (its path).

    Attributes:
        model: the bytes that artefacts hold.
        file_name: what the file is called there.
        size_name: what records call `file_size`.
        vocabulary: the pieces with their ids.
        sha256: hash of `model`.
        file_size: ids as the file counts them, its own special tokens included.
        file_ids: for each of our ids the file's, -1 where it has none (`<pad>` of many) [V].
    """

    def __init__(self, model: bytes, name: str = "the tokenizer"):
        kind: Kind = JsonModel(model, name) if model.lstrip()[:1] == b"{" else SentencePieceModel(model, name)
        self._kind = kind
        self.model = kind.content
        self.name = name
        self.file_name = kind.file_name
        self.file_size = kind.size
        self.size_name = kind.size_name
        self.sha256 = hashlib.sha256(self.model).hexdigest()
        order = sorted(kind.pieces)
        try:
            self.vocabulary = Vocabulary([kind.pieces[index] for index in order])
        except UserError as error:
            raise UserError(f"{name}: {error}") from None
        self._ours: NDArray[np.int32] = np.full(kind.size, UNK, dtype=np.int32)
        self._ours[order] = np.arange(UNK + 1, UNK + 1 + len(order), dtype=np.int32)
        self.file_ids: NDArray[np.int64] = np.full(len(self.vocabulary), -1, dtype=np.int64)
        self.file_ids[UNK + 1:-1] = order
        for index, role in kind.roles.items():  # not into _ours: a special token that text itself gives is no special token
            self.file_ids[role % len(self.vocabulary)] = index

    def __len__(self) -> int:
        """V: the number of token ids, `<mask>` included."""
        return len(self.vocabulary)

    def sentencepiece(self) -> Any:
        """The library's processor.

        Raises:
            UserError: this is a `tokenizer.json`.
        """
        if not isinstance(self._kind, SentencePieceModel):
            raise UserError(f"{self.name}: expected a SentencePiece model, got a {JSON_NAME}; other tokenizers are "
                            "exported without conversion (--no-tokenizer)")
        return self._kind.processor

    @classmethod
    def load(cls, path: str | Path) -> Tokenizer:
        """Reads a tokenizer.

        Args:
            path: a file, or a folder that holds it (prepared text, an embedding module, another's model). Read are
                `tokenizer.model`, `tokenizer.json`, and what is turned into the latter: BERT's `vocab.txt`, GPT-2's
                `encoder.json` or `vocab.json` with the merges beside it.

        Raises:
            UserError: there is none, or it is none of these.
        """
        path = Path(path)
        if path.is_dir():
            names = (MODEL_NAME, JSON_NAME, "vocab.txt", "encoder.json", "vocab.json")
            path = next((path / name for name in names if (path / name).is_file()), path / MODEL_NAME)
        require_file(path, f"a SentencePiece model ({MODEL_NAME}) or a {JSON_NAME}")
        return cls(read_foreign(path), str(path))

    def save(self, path: str | Path) -> None:
        """Writes the file, byte for byte as `model` has it."""
        with atomic_file(path) as temporary:
            temporary.write_bytes(self.model)

    def save_in(self, folder: str | Path) -> Path:
        """Writes the file under its name into a folder; returns its path."""
        path = Path(folder) / self.file_name
        self.save(path)
        return path

    def __reduce__(self) -> tuple[type[Tokenizer], tuple[bytes, str]]:
        return type(self), (self.model, self.name)  # the model's bytes: its C++ object does not pickle everywhere

    def encode_flat(self, texts: Sequence[str]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """Token ids of all texts end to end, and how many each text has; without `<s>` and `</s>`."""
        return self._flat(self._kind.encode(texts))

    def _flat(self, arrays: list[NDArray[Any]]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        lengths = np.fromiter(map(len, arrays), dtype=np.int64, count=len(arrays))
        return self._ours[np.concatenate(arrays)] if arrays else np.zeros(0, dtype=np.int32), lengths

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text, without `<s>` and `</s>`; what the model does not know is `<unk>`."""
        return _parts(*self.encode_flat(texts))

    def encode(self, text: str) -> list[int]:
        """Token ids of one text, without `<s>` and `</s>`."""
        return self.encode_batch([text])[0]

    def encode_words(self, words: Sequence[str]) -> list[list[int]]:
        """Token ids of each word as it stands inside a text, behind a space."""
        return _parts(*self._flat(self._kind.encode_words(words)))

    def encode_with_offsets(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        """Token ids, and for each the `[start, end)` characters of `text` that it stands for.

        Offsets count code points of the original string, so `text[start:end]` is the token's own writing, whatever
        normalisation did to it. White space around a token is left out; a token that is only a word boundary gets an
        empty span. Several tokens made from one character (bytes, ligatures) all get that character's span.
        """
        ids, spans = self._kind.encode_with_offsets(text)
        return self._ours[np.asarray(ids, dtype=np.int64)].tolist(), spans

    def encode_with_masks(self, text: str) -> list[int]:
        """Token ids of a text in which every literal `<mask>` is one hidden piece.

        What stands around a mask is encoded as it is beside the hidden piece: white space before a mask belongs to that
        piece, as its word boundary; what follows a mask without white space goes on with the word. A text whose piece is
        replaced by `<mask>` therefore gives that text's ids with the piece hidden. Cases that cannot be written: a hidden
        piece after a space whose word boundary is a token of its own; and, with WordPiece, a hidden beginning of a word
        (what follows is then read as a word of its own, as BERT reads it).
        """
        first, *rest = text.split(MASK_SYMBOL)
        ids = self.encode(first.rstrip() if rest else first)
        for number, part in enumerate(rest, 1):
            ids.append(self.vocabulary.mask)
            found = self._kind.encode_after_mask(part if number == len(rest) else part.rstrip())
            ids += self._ours[np.asarray(found, dtype=np.int64)].tolist()
        return ids

    def decode(self, ids: Iterable[int]) -> str:
        """The text of token ids; `<s>`, `<pad>`, `</s>` and `<mask>` have none.

        Raises:
            UserError: an id outside the vocabulary.
        """
        given = np.fromiter(ids, dtype=np.int64)
        if given.size and not 0 <= given.min() <= given.max() < len(self):
            raise UserError(f"token ids {given.min()} to {given.max()}: expected 0 to {len(self) - 1}; "
                            "were they made with another tokenizer?")
        kept = self.file_ids[given[(given >= UNK) & (given < self.vocabulary.mask)]]
        return self._kind.decode(kept[kept >= 0].tolist())

    @cached_property
    def spellings(self) -> list[str]:
        """All symbols as SentencePiece would write them, so that two tokenizers of any kind can be compared [V]: the text of
        the piece, `WORD_BOUNDARY` in front where it begins a word."""
        symbols = list(self.vocabulary.symbols)
        symbols[UNK + 1:-1] = map(self._kind.spelling, self.vocabulary.pieces)
        return symbols

    def written(self, spelling: str) -> str:
        """How the file writes a piece that is spelled as SentencePiece would write it."""
        return self._kind.written(spelling)

    @cached_property
    def boundary(self) -> int:
        """Id of the piece that is only a word boundary; -1 where there is none."""
        return next((index for index, written in enumerate(self.spellings) if written == WORD_BOUNDARY), -1)

    @cached_property
    def inside(self) -> dict[int, int]:
        """Of each piece that begins a word, the one that writes the same inside a word, where there is one."""
        known = self.vocabulary.ids
        found = ((piece, self._kind.continuing(piece)) for piece in self.vocabulary.pieces)
        return {known[piece]: known[other] for piece, other in found if other != piece and other in known}


def _parts(ids: NDArray[np.int32], lengths: NDArray[np.int64]) -> list[list[int]]:
    return [part.tolist() for part in np.split(ids, np.cumsum(lengths)[:-1])] if len(lengths) else []
