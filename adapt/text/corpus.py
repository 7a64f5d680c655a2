"""Text inputs as a stream of documents: plain, gz, xz, zst, bz2, JSON lines, parquet, and data sets that the user names.

A document is a list of lines. It is streamed, so memory does not grow with the corpus. Only an input that is written
`hf:NAME` goes through `datasets` and may reach the network.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from pretrain.base.errors import UserError, nearest
from pretrain.base.files import require_file, sha256_file
from pretrain.base.opening import NAMES, Damaged, is_records, kind_of, refuse_no_text, unpacked
from pretrain.base.records import parse_json

DOCUMENT_MODES = ("auto", "line", "blank")
BLOCK = 1 << 20  # bytes of text read at a time; `auto` looks at the first block
LONGEST_LINE = 64 << 20  # bytes
LONGEST_DOCUMENT = 10_000_000  # characters; a longer one is cut, so that memory stays bounded and sizes fit in int32
_RECORDS = (".jsonl", ".ndjson", ".json")


LinesOf = Callable[[Any, str], list[str]]
"""(record, what errors call it) -> the lines of its text."""


class _Counted(io.RawIOBase):
    """A file that counts and hashes the bytes read from it."""

    def __init__(self, path: Path):
        self._file = open(path, "rb", buffering=0)  # noqa: SIM115 - closed by close()
        self.position = 0
        self.hash = hashlib.sha256()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count = self._file.readinto(buffer) or 0
        self.hash.update(memoryview(buffer)[:count])
        self.position += count
        return count

    def close(self) -> None:
        self._file.close()
        super().close()


@dataclass
class _Place:
    """Where a reader stands: the last line (or record) read."""

    line: int = 0


def _blocks(raw: _Counted, kind: str, path: Path) -> Iterator[bytes]:
    """Decompressed data in blocks of exactly BLOCK bytes but for the last, whatever the compression."""
    held = bytearray()
    for data in unpacked(io.BufferedReader(raw, BLOCK), kind, path):
        held += data
        while len(held) >= BLOCK:
            yield bytes(held[:BLOCK])
            del held[:BLOCK]
    if held:
        yield bytes(held)


def decode_utf8(data: bytes, path: Path | str, first_line: int = 1) -> str:
    """UTF-8 text; the UserError of any other names file, line and byte."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = first_line + data.count(b"\n", 0, error.start)
        column = error.start - data.rfind(b"\n", 0, error.start)
        raise UserError(f"{path}:{line}: expected UTF-8 text, found byte {data[error.start]:#04x} at byte {column} "
                        "of the line; convert the file, for example with `iconv -t UTF-8`") from None


def _line_groups(raw: _Counted, kind: str, path: Path, place: _Place) -> Iterator[list[str]]:
    """The lines of a file, many at a time; only `\\n` ends a line."""
    carry = b""
    first = True
    try:
        for block in _blocks(raw, kind, path):
            if first:
                refuse_no_text(block, path)
                first = False
            head, newline, tail = block.rpartition(b"\n")
            if not newline:
                carry += block
                if len(carry) > LONGEST_LINE:
                    raise UserError(f"{path}:{place.line + 1}: the line is longer than {LONGEST_LINE >> 20} MiB; "
                                    "expected text with line breaks")
                continue
            text = decode_utf8(carry + head, path, place.line + 1)
            carry = tail
            lines = (text.removeprefix("\ufeff") if place.line == 0 else text).split("\n")
            yield lines
            place.line += len(lines)
    except Damaged as error:
        raise UserError(f"{path}: the {NAMES[kind]} data is damaged or cut short after line {place.line} "
                        f"({error}); fetch or compress the file again") from None
    if carry:
        text = decode_utf8(carry, path, place.line + 1)
        yield [text.removeprefix("\ufeff") if place.line == 0 else text]
        place.line += 1


def _has_inner_blank(lines: Iterable[str]) -> bool:
    """Whether a blank line stands between two lines with text."""
    seen_text = seen_blank = False
    for line in lines:
        if line and not line.isspace():
            if seen_blank:
                return True
            seen_text = True
        else:
            seen_blank = seen_text
    return False


def _bounded(document: list[str]) -> Iterator[list[str]]:
    """A document, cut at line ends (or inside an endless line) where it is longer than LONGEST_DOCUMENT."""
    if sum(map(len, document)) <= LONGEST_DOCUMENT:
        yield document
        return
    part: list[str] = []
    size = 0
    for line in document:
        for start in range(0, len(line), LONGEST_DOCUMENT):
            piece = line[start:start + LONGEST_DOCUMENT]
            if part and size + len(piece) > LONGEST_DOCUMENT:
                yield part
                part, size = [], 0
            part.append(piece)
            size += len(piece)
    yield part


def _plain_documents(groups: Iterator[list[str]], mode: str) -> Iterator[list[str]]:
    document: list[str] = []
    size = 0
    for number, lines in enumerate(groups):
        if number == 0 and mode == "auto":
            mode = "blank" if _has_inner_blank(lines) else "line"
        for line in lines:
            line = line.strip()
            if mode == "line":
                if line:
                    yield [line]
            elif line:
                document.append(line)
                size += len(line)
                if size > LONGEST_DOCUMENT:
                    yield document
                    document, size = [], 0
            elif document:
                yield document
                document, size = [], 0
    if document:
        yield document


def _record_lines(text: Any, where: str, field: str) -> list[str]:
    """The lines of a record's text.

    Raises:
        UserError: not a string, or half of a surrogate pair, which no UTF-8 file can hold.
    """
    if not isinstance(text, str):
        advice = "leave such records out with --skip-empty" if text is None else "name another field with --text-field"
        raise UserError(f"{where}: expected text in the field {field!r}, got {type(text).__name__}; {advice}")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise UserError(f"{where}: the field {field!r} holds {error.object[error.start]!r}, half of a surrogate pair; "
                        "expected valid Unicode") from None
    return [stripped for line in text.split("\n") if (stripped := line.strip())]


def _field_of(record: Any, field: str, where: str) -> Any:
    if not isinstance(record, dict):
        raise UserError(f"{where}: expected a record like {{\"{field}\": \"...\"}}, got {type(record).__name__}")
    if field not in record and "." in field:  # `doc.text`: a field of the record in the field `doc`
        outer, _, inner = field.partition(".")
        if isinstance(record.get(outer), dict):
            return _field_of(record[outer], inner, where)
    if field not in record:
        raise UserError(f"{where}: expected the field {field!r}, got {', '.join(map(repr, record)) or 'no fields'}"
                        f"{nearest(field, map(str, record))}; name it with --text-field")
    return record[field]


def _json_documents(groups: Iterator[list[str]], path: Path, lines_of: LinesOf) -> Iterator[list[str]]:
    number = 0
    for lines in groups:
        for line in lines:
            number += 1
            if not line or line.isspace():
                continue
            try:
                record = parse_json(line, f"{path}:{number}", "one JSON record on each line")
            except json.JSONDecodeError as error:
                raise UserError(f"{path}:{number}: expected one JSON record on each line, got {line[:40]!r} "
                                f"({error.msg})") from None
            where = f"{path}:{number}"
            if document := lines_of(record, where):
                yield document


def _hub_documents(name: str, lines_of: LinesOf) -> Iterator[list[str]]:
    """Documents of `hf:NAME[:config[:split]]`, through `datasets`, streamed."""
    try:
        import datasets
    except ImportError:
        raise UserError(f"hf:{name}: reading it needs the datasets package; run `pip install datasets`") from None
    parts = name.split(":")
    if not parts[0] or len(parts) > 3:
        raise UserError(f"hf:{name}: expected hf:NAME, hf:NAME:CONFIG or hf:NAME:CONFIG:SPLIT")
    config = parts[1] if len(parts) > 1 and parts[1] else None
    split = parts[2] if len(parts) > 2 else "train"
    try:
        data = datasets.load_dataset(parts[0], config, split=split, streaming=True)
    except Exception as error:  # `datasets` raises its own, fsspec's and requests' errors alike
        raise UserError(f"hf:{name}: datasets could not open it ({str(error).splitlines()[0][:200]}); "
                        "check the name, the config, the split and the network") from error
    number = 0
    records = iter(data)
    while True:
        try:
            record = next(records)
        except StopIteration:
            return
        except Exception as error:  # a later shard that is damaged, gone, or has other columns
            raise UserError(f"hf:{name}: datasets could not read on after record {number} "
                            f"({str(error).splitlines()[0][:200] if str(error) else type(error).__name__}); a shard is damaged "
                            "or differs from the first: fetch the files and name them") from error
        number += 1
        where = f"hf:{name}:{number}"
        if document := lines_of(record, where):
            yield document


class Corpus:
    """Documents of several inputs, in their order; each iteration reads them anew.

    Args:
        texts: paths, or `hf:NAME[:config[:split]]`.
        documents: `line` (each line is a document), `blank` (blank lines stand between documents), or `auto`: for
            each file `blank` where the first MiB of its text has a blank line between lines with text. Records of
            JSON lines, parquet and data sets are documents as they are.
        text_field: the field of a record that holds its text.
        skip_empty: records whose text is null or empty are left out.

    Attributes:
        total_bytes: size of all input files, None where one is not a file.
        position: bytes read so far by the running iteration.
        skipped: records left out by the last iteration.
        sources: after an iteration, for each input its name, and for files the bytes and their SHA-256.

    Raises:
        UserError: a file that is missing, given twice, damaged, not UTF-8 or without text.
    """

    def __init__(self, texts: Sequence[str | Path], documents: str = "auto", text_field: str = "text",
                 skip_empty: bool = False):
        if documents not in DOCUMENT_MODES:
            raise UserError(f"unknown document mode {documents!r} (known: {', '.join(DOCUMENT_MODES)})")
        if not texts:
            raise UserError("no text was given; name at least one text file")
        self.texts = [str(text) for text in texts]
        self.documents = documents
        self.text_field = text_field
        self.skip_empty = skip_empty
        self.skipped = 0
        seen: set[str] = set()
        sizes: list[int] = []
        for text in self.texts:
            hub = text.startswith("hf:")
            path = text if hub else str(require_file(text, "a text file").resolve())
            if path in seen:
                raise UserError(f"{text}: the same input is given twice; name each input once")
            seen.add(path)
            if not hub:
                sizes.append(Path(text).stat().st_size)
        self.total_bytes = sum(sizes) if len(sizes) == len(self.texts) else None
        self.sources: list[dict[str, Any]] = []
        self._position: Callable[[], int] = lambda: 0

    @property
    def position(self) -> int:
        return self._position()

    def __iter__(self) -> Iterator[list[str]]:
        self.sources = []
        self.skipped = 0
        done = 0
        for text in self.texts:
            found = False
            for document in self._documents(text, done):
                found = True
                yield from _bounded(document)
            if not found:
                raise UserError(f"{text}: expected text, found none; the input is empty")
            done += self.sources[-1].get("bytes", 0)
            self._position = lambda done=done: done  # type: ignore[misc]

    def _documents(self, text: str, done: int) -> Iterator[list[str]]:
        if text.startswith("hf:"):
            yield from _hub_documents(text.removeprefix("hf:"), self._lines_of)
            self.sources.append({"name": text})
            return
        path = Path(text)
        kind = kind_of(path)
        if kind == "parquet":
            yield from self._parquet(path, done)
            return
        with _Counted(path) as raw:
            self._position = lambda: done + raw.position
            groups = _line_groups(raw, kind, path, _Place())
            first = next(groups, [])
            plain_name = path.name.lower().removesuffix("." + kind)
            groups = chain([first], groups)
            if plain_name.endswith(_RECORDS) or is_records(first):
                yield from _json_documents(groups, path, self._lines_of)
            else:
                yield from _plain_documents(groups, self.documents)
            self.sources.append({"name": path.name, "bytes": raw.position, "sha256": raw.hash.hexdigest()})

    def _lines_of(self, record: Any, where: str) -> list[str]:
        """The lines of a record's text; none of an empty one, where these are left out."""
        text = _field_of(record, self.text_field, where)
        if self.skip_empty and (text is None or (isinstance(text, str) and not text.strip())):
            self.skipped += 1
            return []
        return _record_lines(text, where, self.text_field)

    def _parquet(self, path: Path, done: int) -> Iterator[list[str]]:
        try:
            import pyarrow
            import pyarrow.parquet
        except ImportError:
            raise UserError(f"{path}: reading parquet needs pyarrow; run `pip install pyarrow`") from None
        size, number = path.stat().st_size, 0
        try:
            with pyarrow.parquet.ParquetFile(path) as table:
                names, rows = table.schema_arrow.names, max(1, table.metadata.num_rows)
                _field_of(dict.fromkeys(names), self.text_field, str(path))
                for batch in table.iter_batches(batch_size=1024, columns=[self.text_field]):
                    for text in batch.column(0).to_pylist():
                        number += 1
                        if document := self._lines_of({self.text_field: text}, f"{path}, row {number}"):
                            yield document
                    position = done + size * number // rows
                    self._position = lambda position=position: position  # type: ignore[misc]
        except (pyarrow.ArrowException, OSError) as error:
            raise UserError(f"{path}: the parquet data is damaged after row {number} "
                            f"({str(error).splitlines()[0]}); fetch the file again") from None
        self.sources.append({"name": path.name, "bytes": size, "sha256": sha256_file(path)})
