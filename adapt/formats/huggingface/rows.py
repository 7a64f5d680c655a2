"""Which row of a model's token table belongs to which piece: its vocabulary files -> our order of ids."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adapt.formats.huggingface.folder import OWN_MODEL
from adapt.text.tokenizer import Tokenizer
from adapt.text.tokenizer.reading import settings_beside
from adapt.text.tokenizer.roles import ROLES, name_of
from pretrain.base.errors import UserError
from pretrain.base.files import read_json

SENTENCEPIECE = ("tokenizer.model", "spiece.model", "sentencepiece.bpe.model")
CONTINUES = "##"
"""WordPiece's mark of a piece that continues a word; SentencePiece marks those that begin one."""
BEGINS = "\u2581"


@dataclass(frozen=True)
class Rows:
    """A model's vocabulary.

    Attributes:
        model: its SentencePiece model, where it has one.
        rows: piece -> row; its special tokens stand under our names.
        assumed: no file says the numbers; they are SentencePiece's own, and right only if they fill the table.
    """

    model: Path | None
    rows: dict[str, int]
    assumed: bool = False

    def for_pieces(self, symbols: list[str]) -> dict[str, int]:
        """Rows of SentencePiece pieces in a WordPiece vocabulary, by writing: `▁word` and `word`, `ing` and `##ing`.

        A piece that WordPiece knows only at the beginning of a word (a Chinese character) takes that row.
        """
        found = {}
        for symbol in symbols:
            for name in ((symbol[1:],) if symbol.startswith(BEGINS) else (CONTINUES + symbol, symbol)):
                if name in self.rows and name not in ROLES:
                    found[symbol] = self.rows[name]
                    break
        return {**found, **{role: self.rows[role] for role in ROLES}}


def read_rows(folder: Path) -> Rows:
    """The vocabulary of a model folder.

    `tokenizer.json` numbers the pieces, else `vocab.txt`, else the SentencePiece model with `added_tokens.json`; an export of
    relexify without `tokenizer.json` has our numbers.

    Raises:
        UserError: there is none of them, or it does not say which rows the special tokens have.
    """
    model = next((folder / name for name in SENTENCEPIECE if (folder / name).is_file()), None)
    if (folder / OWN_MODEL).is_file():
        symbols = Tokenizer.load(folder / OWN_MODEL).vocabulary.ids
        if (folder / "tokenizer.json").is_file():
            written = _of_tokenizer_json(folder / "tokenizer.json")
            return Rows(folder / OWN_MODEL, {symbol: written[symbol] for symbol in symbols if symbol in written})
        return Rows(folder / OWN_MODEL, dict(symbols))
    assumed = False
    if (folder / "tokenizer.json").is_file():
        rows = _of_tokenizer_json(folder / "tokenizer.json")
    elif (folder / "vocab.txt").is_file():
        lines = (folder / "vocab.txt").read_text(encoding="utf-8").split("\n")
        rows = {piece: row for row, piece in enumerate(lines) if piece}
    elif model is not None:
        rows, assumed = _of_sentencepiece(model), True
    else:
        raise UserError(f"{folder}: no vocabulary (tokenizer.json, vocab.txt or {SENTENCEPIECE[1]}), so that nobody can say "
                        "which row is which piece; add the tokenizer's files, or take the body alone with --body-only")
    added = folder / "added_tokens.json"
    if added.is_file():
        rows = {**rows, **{str(piece): int(row) for piece, row in read_json(added).items()}}
    return Rows(model, _with_roles(folder, rows), assumed)


def _of_tokenizer_json(path: Path) -> dict[str, int]:
    content = read_json(path, "a tokenizer of the `tokenizers` library")
    try:
        vocabulary = content["model"]["vocab"]
        if isinstance(vocabulary, dict):
            rows = {str(piece): int(row) for piece, row in vocabulary.items()}
        else:
            rows = {str(piece): row for row, (piece, _) in enumerate(vocabulary)}
        return {**rows, **{str(token["content"]): int(token["id"]) for token in content.get("added_tokens") or []}}
    except (KeyError, TypeError, ValueError):
        raise UserError(f"{path}: expected model.vocab with the pieces, found another layout; save the tokenizer again "
                        "with transformers' save_pretrained") from None


def _of_sentencepiece(path: Path) -> dict[str, int]:
    import sentencepiece

    model: Any = sentencepiece.SentencePieceProcessor(model_proto=Tokenizer.load(path).model)
    return {model.id_to_piece(row): row for row in range(model.get_piece_size())}


def _with_roles(folder: Path, rows: dict[str, int]) -> dict[str, int]:
    """Puts the special tokens under our names; whatever else had such a name is left out."""
    settings = settings_beside(folder / "tokenizer.json")
    roles = {}
    for ours, (keys, usual) in ROLES.items():
        said = [settings[key] for key in keys if key in settings]
        names = [name_of(token) for token in said] + list(usual)
        row = next((rows[name] for name in names if name in rows), None)
        if row is None:
            raise UserError(f"{folder}: no row for {ours} (looked for {', '.join(dict.fromkeys(names))}); name it as "
                            f"{keys[0]} in tokenizer_config.json, or take the body alone with --body-only")
        roles[ours] = row
    return {**{piece: row for piece, row in rows.items() if piece not in ROLES}, **roles}
