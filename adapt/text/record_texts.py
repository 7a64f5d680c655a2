"""The texts of records: JSON lines, parquet, and data sets of the hub.

A record's text becomes the lines of one document. A record whose text is null is an error, or is left out and counted where the
user says so (`skip_empty`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pretrain.base.errors import UserError, nearest
from pretrain.base.records import parse_json, value_kind

_AS_LINES = "; make it JSON lines, for example with `jq -c '.[]'`"


@dataclass
class RecordTexts:
    """How texts are taken out of records.

    Args:
        field: the field that holds the text; `a.b` is the field `b` of the object in `a` where no field is called `a.b`.
        skip_empty: leave out records whose text is null or empty.
        settable: whether the command has options for both, as errors then advise.

    Attributes:
        skipped: records left out so far.
    """

    field: str
    skip_empty: bool = False
    settable: bool = True
    skipped: int = 0

    def lines(self, text: Any, where: str) -> list[str]:
        """The lines of a record's text; none where there is no text and such records are left out.

        Raises:
            UserError: not a text, or one that holds NUL or half of a surrogate pair, which no file of text can hold.
        """
        if self.skip_empty and (text is None or (isinstance(text, str) and not text.strip())):
            self.skipped += 1
            return []
        if not isinstance(text, str):
            advice = "leave such records out with --skip-empty" if text is None else "name another field with --text-field"
            inner = f", as --text-field {self.field}.{next(iter(text))}" if isinstance(text, dict) and text else ""
            if not self.settable:
                advice, inner = "take such records out, or give plain text", ""
            raise UserError(f"{where}: expected text in the field {self.field!r}, got {value_kind(text)}; {advice}{inner}")
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise UserError(f"{where}: the field {self.field!r} holds {error.object[error.start]!r}, half of a surrogate pair; "
                            "expected valid Unicode") from None
        if "\0" in text:
            raise UserError(f"{where}: the field {self.field!r} holds a NUL character, which is never text; take it out")
        return [stripped for line in text.split("\n") if (stripped := line.strip())]

    def of(self, record: Any, where: str) -> list[str]:
        """The lines of a record's text.

        Raises:
            UserError: the record is no object, or has no such field.
        """
        if not isinstance(record, dict):
            raise UserError(f"{where}: expected a record like {{\"{self.field}\": \"...\"}}, got {value_kind(record)}")
        value, left = record, self.field
        while left:
            if left in value:
                return self.lines(value[left], where)
            name, _, left = left.partition(".")
            inner = value.get(name)
            if inner is None and name in value and left:
                return self.lines(None, where)
            if not left or not isinstance(inner, dict):
                found = ", ".join(map(repr, list(value)[:16])) or "no fields"
                at = "" if value is record else f" in {self.field.removesuffix('.' + name)!r}" if not left else ""
                wanted = self.field if value is record else name
                raise UserError(f"{where}: expected the field {wanted!r}{at}, got {found}{nearest(wanted, map(str, value))}; "
                                + ("name it with --text-field" if self.settable else "rename it, or give plain text"))
            value = inner
        raise UserError(f"--text-field {self.field!r}: expected a name, or names with dots between them, as doc.text")

    def json(self, groups: Iterable[list[str]], path: Path) -> Iterator[list[str]]:
        """Documents of JSON lines."""
        number = 0
        for lines in groups:
            for line in lines:
                number += 1
                if not line or line.isspace():
                    continue
                where = f"{path}:{number}"
                try:
                    record = parse_json(line, where, "one JSON record on each line")
                except json.JSONDecodeError as error:
                    spread = number == 1 and line[:1] in "[{" and error.pos >= len(line.rstrip())
                    raise UserError(f"{where}: expected one JSON record on each line, got {line[:40]!r} ({error.msg})"
                                    f"{_AS_LINES if spread else ''}") from None
                if number == 1 and isinstance(record, list):
                    raise UserError(f"{where}: expected one JSON record on each line, got a list{_AS_LINES}")
                if document := self.of(record, where):
                    yield document

    def parquet(self, path: Path, moved: Callable[[float], None]) -> Iterator[list[str]]:
        """Documents of a parquet file; `moved` is told what share of it has been read."""
        try:
            import pyarrow
            import pyarrow.parquet
        except ImportError:
            raise UserError(f"{path}: reading parquet needs pyarrow; run `pip install pyarrow`") from None
        number = 0
        try:
            with pyarrow.parquet.ParquetFile(path) as table:
                names, rows = table.schema_arrow.names, max(1, table.metadata.num_rows)
                column = self.field if self.field in names else self.field.partition(".")[0]
                if column not in names:
                    self.of(dict.fromkeys(names), str(path))
                for batch in table.iter_batches(batch_size=1024, columns=[column]):
                    for value in batch.column(0).to_pylist():
                        number += 1
                        if document := self.of({column: value}, f"{path}, row {number}"):
                            yield document
                    moved(number / rows)
        except (pyarrow.ArrowException, OSError) as error:
            raise UserError(f"{path}: the parquet data is damaged after row {number} "
                            f"({str(error).splitlines()[0]}); fetch the file again") from None

    def hub(self, name: str) -> Iterator[list[str]]:
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
        before = datasets.logging.get_verbosity()
        datasets.logging.set_verbosity(datasets.logging.CRITICAL)  # what it logs beside its exception is said below, in one line
        try:
            yield from self._stream(datasets, parts[0], config, split, f"hf:{name}")
        finally:
            datasets.logging.set_verbosity(before)

    def _stream(self, datasets: Any, source: str, config: str | None, split: str, name: str) -> Iterator[list[str]]:
        try:
            data = datasets.load_dataset(source, config, split=split, streaming=True)
        except Exception as error:  # `datasets` raises its own, fsspec's and requests' errors alike
            raise UserError(f"{name}: datasets could not open it ({_reason(error)}); "
                            "check the name, the config, the split and the network") from error
        number, records = 0, iter(data)
        while True:
            try:
                record = next(records)
            except StopIteration:
                return
            except Exception as error:
                advice = "its shards have different columns: read those that hold the text alone" \
                    if "column names" in str(error) else "fetch it again, or name files of your own"
                raise UserError(f"{name}: datasets could not read on after record {number}, in {_shard(data)} ({_reason(error)})"
                                f"; {advice}") from error
            number += 1
            try:
                document = self.of(record, f"{name}:{number}")
            except UserError as error:
                raise UserError(f"{error} (in {_shard(data)})") from None
            if document:
                yield document


def _reason(error: Exception) -> str:
    """An exception of another library on one line."""
    return " ".join(str(error).split())[:200] or type(error).__name__


def _shard(data: Any) -> str:
    """The shard that a streamed data set stands in: its number and, where `datasets` tells it, its file."""
    try:
        state, number = data.state_dict(), None
        while isinstance(state, dict) and number is None:
            number, state = state.get("shard_idx"), state.get("examples_iterable")
        if number is None:
            return "a shard that datasets does not name"
        count = getattr(data, "num_shards", None)
        number = min(number, count - 1) if count else number
        files = getattr(getattr(data, "_ex_iterable", None), "kwargs", {}).get("original_files") or []
        file = f" ({files[number]})" if number < len(files) and isinstance(files[number], str) else ""
        return f"shard {number + 1}" + (f" of {count}" if count else "") + file
    except Exception:  # another version of `datasets`; the reading error matters more
        return "a shard that datasets does not name"
