"""A language's tokenizer: a SentencePiece model seen through the token ids of this project (docs/artefacts.md).

The ids are a bijection with the model's pieces: specials 0-3, then the pieces in the model's order without its
control and unknown pieces, `<mask>` last. A piece's id comes from an array indexed by the SentencePiece id, so no
string is looked up while text is encoded.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from adapt.text.sampling import hash_keys
from pretrain.base.errors import UserError
from pretrain.base.files import atomic_file, require_file
from pretrain.base.vocabulary import BOS, EOS, MASK_SYMBOL, PAD, UNK, Vocabulary

if TYPE_CHECKING:
    from numpy.typing import NDArray

MODEL_NAME = "tokenizer.model"
MODEL_TYPES = ("unigram", "bpe")

# Unigram training sums floats per thread, so the model depends on how many threads share the sum, but not on when
# they run. The count is therefore a constant of the format, never the number of cores.
TRAINING_THREADS = 16
# Longer lines are cut for training only: SentencePiece drops lines above its limit, which would lose whole documents.
LONGEST_TRAINING_LINE = 50_000
WORD_BOUNDARY = "\u2581"


class Tokenizer:
    """Text to token ids and back.

    Args:
        model: the bytes of a SentencePiece model file.
        name: what error messages call it (its path).

    Attributes:
        vocabulary: the pieces with their ids.
        sha256: hash of the model file.
        sp_size: pieces as SentencePiece counts them, control pieces included.
    """

    def __init__(self, model: bytes, name: str = "the tokenizer"):
        import sentencepiece

        self.model = model
        self.name = name
        self.sha256 = hashlib.sha256(model).hexdigest()
        try:
            self._sp: Any = sentencepiece.SentencePieceProcessor(model_proto=model)
            size = self._sp.get_piece_size()
        except (RuntimeError, TypeError, ValueError):
            size = 0
        if not size:
            raise UserError(f"{name}: expected a SentencePiece model, got {len(model)} bytes that are none; "
                            f"pass a {MODEL_NAME} that SentencePiece or `relexify prepare` wrote")
        roles = {"<s>": BOS, "<pad>": PAD, "</s>": EOS}
        pieces: list[str] = []
        self._from_sp: NDArray[np.int32] = np.full(size, UNK, dtype=np.int32)
        for index in range(size):
            piece = self._sp.id_to_piece(index)
            if self._sp.is_control(index):
                self._from_sp[index] = roles.get(piece, UNK)
            elif not self._sp.is_unknown(index):
                self._from_sp[index] = len(roles) + 1 + len(pieces)
                pieces.append(piece)
        self.vocabulary = Vocabulary(pieces)
        self._to_sp: NDArray[np.int32] = np.full(len(self.vocabulary), -1, dtype=np.int32)
        self._to_sp[UNK] = self._sp.unk_id()
        self.sp_size = int(size)
        own = self._from_sp > UNK
        self._to_sp[self._from_sp[own]] = np.flatnonzero(own)

    def __len__(self) -> int:
        """V: the number of token ids, `<mask>` included."""
        return len(self.vocabulary)

    @classmethod
    def load(cls, path: str | Path) -> Tokenizer:
        """Reads a model file, or `tokenizer.model` of a prepared folder or an embedding module."""
        path = Path(path)
        if path.is_dir():
            path = path / MODEL_NAME
        return cls(require_file(path, "a SentencePiece model").read_bytes(), str(path))

    def save(self, path: str | Path) -> None:
        """Writes the model file, byte for byte as it was read."""
        with atomic_file(path) as temporary:
            temporary.write_bytes(self.model)

    def __reduce__(self) -> tuple[type[Tokenizer], tuple[bytes, str]]:
        return type(self), (self.model, self.name)  # the model's bytes: its C++ object does not pickle everywhere

    def encode_flat(self, texts: Sequence[str]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """Token ids of all texts end to end, and how many each text has; without `<s>` and `</s>`."""
        # One thread: the callers run in parallel over processes, which is faster than SentencePiece's own threads
        arrays = self._sp.encode(list(texts), return_type="numpy", num_threads=1)
        lengths = np.fromiter(map(len, arrays), dtype=np.int64, count=len(arrays))
        return self._from_sp[np.concatenate(arrays)] if arrays else np.zeros(0, dtype=np.int32), lengths

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text, without `<s>` and `</s>`; what the model does not know is `<unk>`."""
        ids, lengths = self.encode_flat(texts)
        return [part.tolist() for part in np.split(ids, np.cumsum(lengths)[:-1])] if len(lengths) else []

    def encode(self, text: str) -> list[int]:
        """Token ids of one text, without `<s>` and `</s>`."""
        return self.encode_batch([text])[0]

    def encode_with_offsets(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        """Token ids, and for each the `[start, end)` characters of `text` that it stands for.

        Offsets count code points of the original string, so `text[start:end]` is the token's own writing, whatever
        normalisation did to it. White space around a token is left out; a token that is only a word boundary gets an
        empty span. Several tokens made from one character (byte fallback, ligatures) all get that character's span.
        """
        mapping = self._sp.encode(text, return_type="offset_mapping")
        spans: list[tuple[int, int]] = []
        following = (len(text), len(text))
        for piece, (start, end) in zip(reversed(mapping["pieces"]), reversed(mapping["offsets"]), strict=True):
            while start < end and text[start].isspace():
                start += 1
            while start < end and text[end - 1].isspace():
                end -= 1
            if start == end and piece != WORD_BOUNDARY and following[0] <= start < following[1]:
                start, end = following  # SentencePiece gives the whole character to its last piece only
            following = (start, end)
            spans.append(following)
        return self._from_sp[np.asarray(mapping["ids"], dtype=np.int64)].tolist(), spans[::-1]

    def encode_with_masks(self, text: str) -> list[int]:
        """Token ids of a text in which every literal `<mask>` is one hidden piece.

        What stands around a mask is encoded as it is beside the hidden piece: white space before a mask belongs to that
        piece, as its word boundary; what follows a mask without white space goes on with the word. A text whose piece is
        replaced by `<mask>` therefore gives that text's ids with the piece hidden. One case cannot be written: a hidden
        piece after a space whose word boundary is a token of its own.
        """
        first, *rest = text.split(MASK_SYMBOL)
        ids = self.encode(first.rstrip() if rest else first)
        for number, part in enumerate(rest, 1):
            # A letter that no piece holds takes the hidden piece's place, so that SentencePiece puts no word boundary there
            found, spans = self.encode_with_offsets(self._stranger + (part if number == len(rest) else part.rstrip()))
            ids.append(self.vocabulary.mask)
            # an unknown letter right after the stranger shares its <unk>, which then ends further on
            ids += [token for token, (start, end) in zip(found, spans, strict=True) if start > 0 or end > 1]
        return ids

    @cached_property
    def _stranger(self) -> str:
        """A character of Unicode's private use that stands in no piece."""
        letters = set().union(*self.vocabulary.pieces)
        return next(chr(code) for code in range(0xE000, 0xF900) if chr(code) not in letters)

    def decode(self, ids: Iterable[int]) -> str:
        """The text of token ids; `<s>`, `<pad>`, `</s>` and `<mask>` have none.

        Raises:
            UserError: an id outside the vocabulary.
        """
        given = np.fromiter(ids, dtype=np.int64)
        if given.size and not 0 <= given.min() <= given.max() < len(self):
            raise UserError(f"token ids {given.min()} to {given.max()}: expected 0 to {len(self) - 1}; "
                            "were they made with another tokenizer?")
        kept = self._to_sp[given]
        return self._sp.decode(kept[kept >= 0].tolist())


def _sample(lines: Iterable[str], characters: int, seed: int) -> list[str]:
    """At most about `characters` characters of lines, drawn by `seed` over all of them, in their order.

    The lines with the smallest keys are kept, and a line's key depends on the seed and its number alone.
    """
    kept: list[tuple[int, int, str]] = []
    total, start, threshold = 0, 0, None

    def prune() -> None:
        nonlocal total, threshold
        kept.sort()
        total = 0
        for place, (key, _, line) in enumerate(kept):
            total += len(line)
            if total >= characters:
                del kept[place + 1:]
                threshold = key
                return

    stream = iter(lines)
    while batch := list(islice(stream, 1 << 15)):
        keys = hash_keys(seed, "tokenizer", np.arange(start, start + len(batch)))
        chosen = np.arange(len(batch)) if threshold is None else np.flatnonzero(keys <= np.uint64(threshold))
        for place in chosen.tolist():
            kept.append((int(keys[place]), start + place, batch[place]))
            total += len(batch[place])
        start += len(batch)
        if total > characters * 3 // 2:
            prune()
    if total > characters:
        prune()
    return [line for _, line in sorted((number, line) for _, number, line in kept)]


def _pieces_of_lines(lines: Iterable[str]) -> Iterator[str]:
    for line in lines:
        if len(line) <= LONGEST_TRAINING_LINE:
            yield line
        else:
            yield from (line[i:i + LONGEST_TRAINING_LINE] for i in range(0, len(line), LONGEST_TRAINING_LINE))


def train_tokenizer(texts: Iterable[str], vocab_size: int, *, model_type: str = "unigram", byte_fallback: bool = False,
                    character_coverage: float = 0.9998, seed: int = 1, characters: int = 50_000_000) -> bytes:
    """Trains a SentencePiece model and returns the bytes of its file: the same for the same texts and settings.

    Args:
        texts: lines of text.
        vocab_size: pieces of the model, its three control pieces included (as the paper counts its 50,000). A text
            that does not hold so many gives a smaller model: compare `get_piece_size`.
        model_type: `unigram` or `bpe`.
        byte_fallback: write characters that are not in the vocabulary as UTF-8 bytes rather than `<unk>`.
        character_coverage: the share of the text's characters that get pieces of their own.
        seed: draws the sample of lines.
        characters: how much text is learned from, at most; a larger text is sampled.

    Raises:
        UserError: no text, or a vocabulary smaller than the text's alphabet.
    """
    import sentencepiece

    if model_type not in MODEL_TYPES:
        raise UserError(f"unknown tokenizer type {model_type!r} (known: {', '.join(MODEL_TYPES)})")
    if not 0 < character_coverage <= 1:
        raise UserError(f"character coverage {character_coverage}: expected a share above 0 and at most 1")
    if vocab_size < 5:
        raise UserError(f"vocabulary size {vocab_size}: expected at least 5 pieces; 50000 is the paper's size")
    sample = _sample(_pieces_of_lines(texts), characters, seed)
    if not sample:
        raise UserError("the tokenizer has no text to learn from; pass files that hold text")
    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(sample), model_writer=model, vocab_size=vocab_size, model_type=model_type,
            byte_fallback=byte_fallback, character_coverage=character_coverage, hard_vocab_limit=False,
            max_sentence_length=4 * LONGEST_TRAINING_LINE + 4, num_threads=TRAINING_THREADS, minloglevel=2)
    except RuntimeError as error:
        smallest = re.search(r"smaller than required_chars\. \d+ vs (\d+)", str(error))
        if smallest:
            raise UserError(f"vocabulary size {vocab_size} is smaller than the text's alphabet; "
                            f"pass at least --vocab-size {smallest[1]}, or a lower --character-coverage") from None
        raise UserError(f"SentencePiece could not learn a vocabulary of {vocab_size} from {len(sample)} lines: "
                        f"{str(error).strip() or 'no reason given'}; give it more text") from error
    return model.getvalue()
