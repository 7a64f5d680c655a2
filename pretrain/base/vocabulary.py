"""Token ids: specials 0-3, then the SentencePiece pieces in their order, `<mask>` last (docs/artefacts.md).

The layout is fairseq's own (`dict.txt` plus the mask symbol that masked-LM tasks append), so either side reads
the other's files. Ids of `<s> <pad> </s> <unk>` are the same in every language; `<mask>` is always the last row.
"""

from __future__ import annotations

from pathlib import Path

from pretrain.base.errors import UserError
from pretrain.base.files import atomic_file, require_file

BOS, PAD, EOS, UNK = 0, 1, 2, 3
SPECIALS = ("<s>", "<pad>", "</s>", "<unk>")
MASK_SYMBOL = "<mask>"


class Vocabulary:
    """A fixed list of pieces with its ids.

    Args:
        pieces: the symbols between the four specials and `<mask>`, in id order.
        counts: how often each piece was seen (written into dict.txt as fairseq does); ones where unknown.
    """

    def __init__(self, pieces: list[str], counts: list[int] | None = None):
        self.pieces = list(pieces)
        self.counts = list(counts) if counts is not None else [1] * len(self.pieces)
        self.symbols = [*SPECIALS, *self.pieces, MASK_SYMBOL]
        self.ids = {symbol: index for index, symbol in enumerate(self.symbols)}
        if len(self.ids) != len(self.symbols):
            seen: set[str] = set()
            twice = next(s for s in self.symbols if s in seen or seen.add(s))  # type: ignore[func-returns-value]
            raise UserError(f"the vocabulary holds {twice!r} twice; ids must be a bijection with the tokenizer")

    def __len__(self) -> int:
        return len(self.symbols)

    @property
    def mask(self) -> int:
        """Id of `<mask>`: the last row."""
        return len(self.symbols) - 1

    def special_ids(self) -> dict[str, int]:
        """The five special tokens and their ids, as artefacts record them."""
        return {**{symbol: index for index, symbol in enumerate(SPECIALS)}, MASK_SYMBOL: self.mask}

    def save(self, path: str | Path) -> None:
        """Writes fairseq's `dict.txt`: a line `piece count` for each piece, without specials and mask."""
        with atomic_file(path) as temporary:
            lines = (f"{piece} {count}\n" for piece, count in zip(self.pieces, self.counts, strict=True))
            temporary.write_text("".join(lines), encoding="utf-8")

    @classmethod
    def load(cls, path: str | Path) -> Vocabulary:
        """Reads a `dict.txt` of ours or of fairseq-preprocess.

        Raises:
            UserError: not UTF-8, a line without a count, or a symbol that stands twice.
        """
        path = require_file(path, "a fairseq dictionary (dict.txt)")
        pieces: list[str] = []
        counts: list[int] = []
        try:
            text = path.read_text(encoding="utf-8-sig")
        except UnicodeDecodeError as error:
            raise UserError(f"{path}: expected a fairseq dictionary in UTF-8, got byte {error.object[error.start]:#x} at byte "
                            f"{error.start}; prepare the text again") from None
        for number, line in enumerate(text.split("\n"), 1):
            if not line:
                continue
            piece, _, count = line.removesuffix(" #fairseq:overwrite").rpartition(" ")
            if not piece or not (count.isascii() and count.isdigit() and len(count) < 19):
                raise UserError(f"{path}:{number}: expected 'piece count', got {line!r}; is this a fairseq dict.txt?")
            if piece in SPECIALS or piece == MASK_SYMBOL:
                continue  # written by fairseq with the overwrite flag; specials have fixed ids here
            pieces.append(piece)
            counts.append(int(count))
        return cls(pieces, counts)
