"""A `tokenizer.json` of the `tokenizers` library: WordPiece, BPE over bytes or characters, Unigram.

The file says which token is which of our special tokens under a key of our own, `relexify`; `reading` puts it there.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from adapt.text.tokenizer.kind import WORD_BOUNDARY, trim
from adapt.text.tokenizer.roles import OWN_KEY, with_roles
from pretrain.base.errors import UserError
from pretrain.base.vocabulary import BOS, EOS, MASK_SYMBOL, PAD, SPECIALS, UNK

if TYPE_CHECKING:
    from numpy.typing import NDArray

MASK = -1
ROLES = {"<s>": BOS, "<pad>": PAD, "</s>": EOS, "<unk>": UNK, MASK_SYMBOL: MASK}
BYTE_BOUNDARY = "Ġ"
"""The byte of a space, as byte-level BPE writes it."""


class JsonModel:
    """See `Kind`.

    Attributes:
        library: the library's own object.
    """

    file_name = "tokenizer.json"
    size_name = "tokenizer_json_size"

    def __init__(self, content: bytes, name: str):
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # our processes are parallel; threads and forks do not mix
        import tokenizers

        try:
            settings = json.loads(content)
            if not isinstance(settings, dict) or not isinstance(settings.get("model"), dict):
                raise ValueError("it has no `model`")
            if OWN_KEY not in settings:
                settings = with_roles(settings)
                content = json.dumps(settings, ensure_ascii=False, separators=(",", ":")).encode()
            roles: dict[str, str | None] = settings.pop(OWN_KEY)
            if set(roles) != set(ROLES):
                raise ValueError(f"`{OWN_KEY}` does not name {', '.join(ROLES)}")
            self.library: Any = tokenizers.Tokenizer.from_str(json.dumps(settings))
        except UserError:
            raise
        except Exception as error:  # the library raises plain Exception for whatever it does not understand
            raise UserError(f"{name}: expected a {self.file_name} of the tokenizers library, got one that it does not read "
                            f"({(str(error).splitlines() or ['damaged'])[0]}); save the tokenizer again") from None
        self.content = content
        self.library.no_truncation()
        self.library.no_padding()
        self.library.encode_special_tokens = True  # "[MASK]" in somebody's text is text
        ids: dict[str, int] = self.library.get_vocab(with_added_tokens=True)
        self.size = max(ids.values(), default=-1) + 1
        self.roles = {ids[token]: ROLES[role] for role, token in roles.items() if token in ids}
        taken = {*SPECIALS, MASK_SYMBOL}  # MPNet has both "<unk>" and "[UNK]"; what is no role under such a name is left out
        self.pieces = {index: piece for piece, index in ids.items() if index not in self.roles and piece not in taken}
        if not self.pieces:
            raise UserError(f"{name}: expected a tokenizer, got one without a piece; save the tokenizer again")
        self._model = settings["model"]
        self._bytes = '"ByteLevel"' in json.dumps([settings.get(part) for part in ("normalizer", "pre_tokenizer", "decoder")])

    def encode(self, texts: Sequence[str]) -> list[NDArray[Any]]:
        return [np.asarray(found.ids, dtype=np.int64)
                for found in self.library.encode_batch_fast(list(texts), add_special_tokens=False)]

    def encode_words(self, words: Sequence[str]) -> list[NDArray[Any]]:
        return self.encode([self._space + word for word in words])

    @cached_property
    def _space(self) -> str:
        """What must stand before a lone word so that it is read as inside a text."""
        alone, after = self.encode(["a", " a"])
        return "" if np.array_equal(alone, after) else " "

    def encode_with_offsets(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        found = self.library.encode(text, add_special_tokens=False)
        spans = [trim(text, start, end) for start, end in found.offsets]
        return list(found.ids), spans

    def encode_after_mask(self, text: str) -> list[int]:
        if self._space or not (self._bytes or self._metaspace):  # no word boundary is put in front
            return list(self.library.encode(text, add_special_tokens=False).ids)
        found, spans = self.encode_with_offsets(self._stranger + text)
        return [token for token, (start, end) in zip(found, spans, strict=True) if start > 0 or end > 1]

    @cached_property
    def _metaspace(self) -> bool:
        return any(piece.startswith(WORD_BOUNDARY) for piece in self.pieces.values())

    @cached_property
    def _stranger(self) -> str:
        """A character of Unicode's private use that stands in no piece."""
        letters = set().union(*self.pieces.values())
        return next(chr(code) for code in range(0xE000, 0xF900) if chr(code) not in letters)

    def decode(self, ids: Sequence[int]) -> str:
        text = str(self.library.decode(list(ids), skip_special_tokens=False))
        if self._bytes and not self._space:
            text = text.removeprefix(" ")
        return text.removeprefix(self._prefix) if ids and self._continues(self.pieces.get(ids[0], "")) else text

    @property
    def _prefix(self) -> str:
        """WordPiece's mark of a piece that continues a word."""
        return str(self._model.get("continuing_subword_prefix") or "") if self._model.get("type") == "WordPiece" else ""

    def spelling(self, piece: str) -> str:
        if self._prefix:
            return piece.removeprefix(self._prefix) if self._continues(piece) else WORD_BOUNDARY + piece
        if self._bytes:
            begins = WORD_BOUNDARY if piece.startswith(BYTE_BOUNDARY) else ""
            return begins + _of_bytes(piece.removeprefix(BYTE_BOUNDARY))
        return piece

    def written(self, spelling: str) -> str:
        text = spelling.removeprefix(WORD_BOUNDARY)
        if self._prefix:
            return text if text != spelling else self._prefix + text
        if self._bytes:
            letters = {byte: letter for letter, byte in byte_letters().items()}
            return BYTE_BOUNDARY * (text != spelling) + "".join(letters[byte] for byte in text.encode())
        return spelling

    def _continues(self, piece: str) -> bool:
        return bool(self._prefix) and piece.startswith(self._prefix) and len(piece) > len(self._prefix)

    def continuing(self, piece: str) -> str:
        if self._prefix:
            return piece if self._continues(piece) or self._alone(piece[0]) else self._prefix + piece
        return piece.removeprefix(BYTE_BOUNDARY if self._bytes else WORD_BOUNDARY)

    def _alone(self, character: str) -> bool:
        """Whether a character is always a word of its own (BERT's Chinese characters and punctuation)."""
        if character not in self._known_alone:
            written = f"a{character}"
            if self.library.normalizer is not None:
                written = self.library.normalizer.normalize_str(written)
            if self.library.pre_tokenizer is not None:
                self._known_alone[character] = len(self.library.pre_tokenizer.pre_tokenize_str(written)) > 1
        return self._known_alone.setdefault(character, False)

    @cached_property
    def _known_alone(self) -> dict[str, bool]:
        return {}


@cache
def byte_letters() -> dict[str, int]:
    """The letter that byte-level BPE writes for each byte: printable ones as they are, the others from U+0100 on
    (Radford et al. 2019, GPT-2)."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in set(plain)]
    return {**{chr(byte): byte for byte in plain}, **{chr(256 + n): byte for n, byte in enumerate(others)}}


def _of_bytes(piece: str) -> str:
    """The text of a byte-level piece; bytes that are no whole characters as `<0xE4>`, one after the other."""
    letters = byte_letters()
    if any(letter not in letters for letter in piece):
        return piece  # an added token
    data = bytes(letters[letter] for letter in piece)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return "".join(f"<0x{byte:02X}>" for byte in data)
