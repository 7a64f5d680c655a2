"""A file of teachers' outputs: a row an example in Parquet, and a header that says what it is (docs/distillation.md).

The header is JSON in the file's key-value metadata, under `relexify`. Rows are found by `key`, a hash of the texts that the
student reads; so neither the order of the rows nor the names of files matter.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pretrain.base.errors import UserError
from pretrain.base.files import atomic_file, require_file
from pretrain.base.records import Record, parse_json

FORMAT, VERSION = "relexify-teacher", 1
HEADER = b"relexify"
"""Key of the header in the file's metadata."""
CLASSES, VALUE, SPANS, WORDS = "classes", "value", "spans", "words"
FORMS: dict[str, tuple[str, ...]] = {
    CLASSES: ("logits", "probabilities"),
    VALUE: ("values",),
    SPANS: ("start_at", "start_logits", "end_at", "end_logits"),
    WORDS: ("logits", "probabilities"),
}
"""What a row holds -> its columns, each a list: of every class or candidate (`classes`), of one value (`value`), of the
characters of a context at which an answer may begin and end (`spans`), or of every class of each word, the words of a sentence
one after another (`words`)."""
PLACES = ("start_at", "end_at")
"""Columns of whole numbers."""


@dataclass
class SoftLabels:
    """What teachers say of some examples.

    Attributes:
        header: what the file is, see docs/distillation.md.
        ids: of the examples, as their file names them.
        keys: see `key_of`.
        columns: of each column the list of every row.
    """

    header: dict[str, Any]
    ids: list[str]
    keys: list[str]
    columns: dict[str, list[NDArray[Any]]]

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def teachers(self) -> list[dict[str, Any]]:
        """The record of each teacher."""
        return list(self.header["teachers"])


def key_of(*texts: str | None) -> str:
    """The key of an example: a hash of its texts, in their order."""
    return hashlib.sha256(json.dumps(texts, ensure_ascii=False).encode("utf-8", "surrogatepass")).hexdigest()[:32]


def write(labels: SoftLabels, path: str | Path) -> None:
    """Writes the file, whole or not at all."""
    import pyarrow
    from pyarrow import parquet

    table = {"id": pyarrow.array(labels.ids, pyarrow.string()), "key": pyarrow.array(labels.keys, pyarrow.string())}
    for name, rows in labels.columns.items():
        kind = np.dtype(np.int32 if name in PLACES else np.float32)
        ends = np.concatenate([[0], np.cumsum([len(row) for row in rows])])
        values = np.concatenate([np.zeros(0, kind), *rows]).astype(kind)
        table[name] = pyarrow.LargeListArray.from_arrays(pyarrow.array(ends, pyarrow.int64()), pyarrow.array(values))
    header = {"format": FORMAT, "version": VERSION, **labels.header}
    made = pyarrow.table(table).replace_schema_metadata({HEADER: json.dumps(header, ensure_ascii=False)})
    with atomic_file(path) as temporary:
        parquet.write_table(made, temporary, compression="zstd")


def read_header(path: str | Path) -> Record:
    """The header of a file.

    Raises:
        UserError: no such file, another kind of file, or a version that this relexify does not read.
    """
    import pyarrow
    from pyarrow import parquet

    path = require_file(path, "a file of teachers' outputs (.parquet, as relexify teach writes it)")
    try:
        metadata = parquet.read_schema(path).metadata or {}
    except (pyarrow.ArrowException, OSError) as error:
        raise UserError(f"{path}: expected a file of teachers' outputs in Parquet, which this is not or no longer "
                        f"({str(error).splitlines()[0][:100]}); make it with relexify teach") from None
    if HEADER not in metadata:
        raise UserError(f"{path}: is Parquet, but not of relexify teach: it has no header {HEADER.decode()!r}")
    try:
        content = parse_json(metadata[HEADER].decode("utf-8"), path, "the header of a file of teachers' outputs")
    except ValueError:
        content = None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise UserError(f"{path}: expected the header of a file of teachers' outputs, found another; make it with relexify teach")
    header = Record(content, path)
    if header.get("version") != VERSION:
        raise UserError(f"{path}: version {header.get('version')!r}, this relexify reads {VERSION}; update relexify")
    for name in ("task", "average", "split", "language"):
        header.text(name)
    if header.text("form") not in FORMS:
        raise header.wrong("form", f"one of {', '.join(FORMS)}")
    header.texts("labels")
    if not header.number("temperature") > 0:
        raise header.wrong("temperature", "a number above 0")
    for name in ("data", "read"):
        header.table(name).text("sha256")
        header.table(name).texts("files")
    for one in header.tables("teachers"):
        one.text("fingerprint")
    return header


def read(path: str | Path) -> SoftLabels:
    """A whole file, checked.

    Raises:
        UserError: see `read_header`; missing columns, rows of another length than the labels, values that are not finite, with
            the number of the row.
    """
    import pyarrow
    from pyarrow import parquet

    header = read_header(path)
    names = FORMS[header["form"]]
    try:
        table = parquet.ParquetFile(path).read()
        columns = {name: _lists(table.column(name), name) for name in names}
        ids, keys = (table.column(name).to_pylist() for name in ("id", "key"))
    except KeyError as error:
        raise UserError(f"{path}: expected the columns id, key, {', '.join(names)}; {str(error.args[0])[:80]}") from None
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise UserError(f"{path}: the file of teachers' outputs is damaged ({str(error).splitlines()[0][:100]}); make it anew "
                        "with relexify teach") from None
    if not all(isinstance(one, str) for one in (*ids, *keys)):
        raise UserError(f"{path}: expected texts in the columns id and key; make it anew with relexify teach")
    found = SoftLabels(header, ids, keys, columns)
    _check(found, path)
    return found


def _lists(column: Any, name: str) -> list[NDArray[Any]]:
    """The list of every row."""
    import pyarrow

    kind = pyarrow.int32() if name in PLACES else pyarrow.float32()
    array = column.cast(pyarrow.large_list(kind)).combine_chunks()
    if array.null_count or array.flatten().null_count:
        raise ValueError(f"{name} has empty cells")
    values, ends = array.flatten().to_numpy(), np.asarray(array.offsets)
    return np.split(values, (ends[1:-1] - ends[0])) if len(array) else []


def _check(found: SoftLabels, path: str | Path) -> None:
    """Refuses rows that no teacher wrote."""
    header, columns = found.header, found.columns
    for name, rows in columns.items():
        flat = np.concatenate([np.zeros(0), *rows])
        if not np.isfinite(flat).all():
            number = next(place for place, row in enumerate(rows) if not np.isfinite(row).all())
            raise UserError(f"{path}: row {number + 1}: {name} holds NaN or an infinity; make it anew with relexify teach")
    pairs = [("start_at", "start_logits"), ("end_at", "end_logits")] if header["form"] == SPANS else []
    for at, name in pairs:
        wrong = next((place for place, (one, other) in enumerate(zip(columns[at], columns[name], strict=True))
                      if len(one) != len(other)), None)
        if wrong is not None:
            raise UserError(f"{path}: row {wrong + 1}: {len(columns[at][wrong])} {at} and {len(columns[name][wrong])} {name}")
    if header["form"] == SPANS:
        return
    outputs, words = len(header["labels"]), header["form"] == WORDS
    for name, rows in columns.items():
        sizes = [len(row) for row in columns["logits"]] if words else [outputs] * len(rows)
        wrong = next((place for place, (row, size) in enumerate(zip(rows, sizes, strict=True))
                      if len(row) != size or not outputs or len(row) % outputs), None)
        if wrong is not None:
            raise UserError(f"{path}: row {wrong + 1}: {len(rows[wrong])} {name}, the header has {outputs} labels"
                            f"{' for each word' if words else ''} ({', '.join(header['labels'])})")
    if header["form"] in (CLASSES, WORDS):
        shares = [row.reshape(-1, outputs).sum(1, dtype=np.float64) for row in columns["probabilities"]]
        wrong = next((place for place, sums in enumerate(shares) if (abs(sums - 1) > 1e-3).any()), None)
        if wrong is not None:
            apart = shares[wrong][np.argmax(abs(shares[wrong] - 1))]
            whose = " of a word" if words else ""
            raise UserError(f"{path}: row {wrong + 1}: the probabilities{whose} sum to {apart:.4g}, not to 1")
        below = next((place for place, row in enumerate(columns["probabilities"]) if (row < 0).any()), None)
        if below is not None:
            raise UserError(f"{path}: row {below + 1}: a probability is below 0")


def refuse_other(path: str | Path, overwrite: bool) -> None:
    """Refuses to write over a file that is no file of teachers' outputs."""
    if overwrite and Path(path).is_file():
        try:
            read_header(path)
        except UserError as error:
            raise UserError(f"{path}: --overwrite replaces files of teachers' outputs only, and this is none; name another "
                            f"--output ({error})") from None
