"""Whether a folder of prepared text is what its record says."""

from __future__ import annotations

from pathlib import Path

from adapt.text.tokenizer import Tokenizer
from pretrain.base.errors import UserError
from pretrain.base.files import read_object, require_file, sha256_file
from pretrain.base.records import Record
from pretrain.base.vocabulary import Vocabulary
from pretrain.data import MappedTokens

SPLITS = ("train", "valid")
FILES = ("dict.txt", *(f"{split}.{ending}" for split in SPLITS for ending in ("bin", "idx")))
"""Besides the tokenizer."""
_AGAIN = "the files were changed or mixed up: copy the folder again, or prepare the text again"


def verify_prepared(path: str | Path) -> Record:
    """The record of prepared text, after every promise of it was checked.

    Checked are: the SHA-256 of each file; that the tokenizer is the recorded one, and `dict.txt` numbers its pieces; of each
    split that index and data fit each other, that all ids are in the vocabulary, and the numbers of documents and tokens.

    Raises:
        UserError: what the record lacks, or the first file that is not as it says.
    """
    path = Path(path)
    record = read_object(path / "prepare.json", "the record of prepared text (prepare.json)")
    record.language()
    hashes, vocabulary, splits = (record.table(key) for key in ("files", "vocabulary", "splits"))
    tokenizer = Tokenizer.load(path)
    for name in (tokenizer.file_name, *FILES):
        got, expected = sha256_file(require_file(path / name, f"a file of prepared text ({name})")), hashes.text(name)
        if got != expected:
            raise UserError(f"{path / name}: has SHA-256 {got[:12]}, prepare.json says {expected[:12]}; {_AGAIN}")
    expected = vocabulary.text("tokenizer_sha256")
    if tokenizer.sha256 != expected:
        raise UserError(f"{path / tokenizer.file_name}: has SHA-256 {tokenizer.sha256[:12]}, the vocabulary in prepare.json has "
                        f"{expected[:12]}; {_AGAIN}")
    rows = len(tokenizer.vocabulary)
    if vocabulary.integer("size") != rows or Vocabulary.load(path / "dict.txt").symbols != tokenizer.vocabulary.symbols:
        raise UserError(f"{path / 'dict.txt'}: does not number the {rows:,} pieces of {tokenizer.file_name}; {_AGAIN}")
    for split in SPLITS:
        tokens, figures = MappedTokens(path / split), splits.table(split)
        tokens.check_ids(rows)
        for what, count in (("documents", len(tokens)), ("tokens", len(tokens.tokens))):
            if figures.integer(what) != count:
                raise UserError(f"{path / split}.bin: holds {count:,} {what}, prepare.json says {figures[what]:,}; {_AGAIN}")
    return record
