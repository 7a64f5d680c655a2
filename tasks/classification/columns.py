"""Tables of labelled texts, as the published data sets come: a declaration says which columns hold what, one reader reads them.

Tab-separated files are read without quoting, as GLUE's, SNLI's and PAWS' are meant to be: a quote is a character of the text.
Also JSON lines, the parquet files of a hub data set's folder, all text also compressed; the hub itself where the user names it.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pretrain.base.errors import UserError, unknown
from pretrain.base.files import require_file, require_folder
from pretrain.base.opening import read_lines
from pretrain.base.records import parse_json
from tasks.classification.task import Example, Loaded
from tasks.definition import missing_data, only_file

logger = logging.getLogger(__name__)

HUB = "hf:"
ENDINGS = (".tsv", ".txt", ".jsonl")
PACKED = ("", ".gz", ".xz", ".zst")
SPLITS = ("train", "dev", "test")
"""What most data sets have."""
HUB_SPLITS = {"train": "train", "dev": "validation", "test": "test"}


@dataclass(frozen=True)
class Table:
    """Where a task's texts and labels stand, and what its files are called.

    Attributes:
        first, second: names of the columns of the texts, of which the first that a file has counts; no `second` for one text.
        gold: names of the column of the label, or of the value of a regression.
        identifier: names of the column of the id; rows are numbered where there is none.
        words: label as it may stand in a file -> index; empty for a regression.
        span: least and greatest value of a regression.
        headless: names of the columns of a file that has no header.
        folder: that the official archive keeps the files in, below or instead of `data`.
        stems: split -> names of English files without ending.
        hub: configuration on the hub; empty: one for each language.
        hub_splits: split -> its name on the hub.
        cut: rows of too few columns or without a text are left out and counted: the published file has such.
        groups: columns that say which categories an example belongs to: the column itself where its cell is not empty, and each
            of the cell's values (between semicolons).
    """

    name: str
    first: tuple[str, ...]
    second: tuple[str, ...] = ()
    gold: tuple[str, ...] = ("label",)
    identifier: tuple[str, ...] = ("id", "idx", "index", "pairID")
    words: Mapping[str, int] = field(default_factory=dict)
    span: tuple[float, float] = (0.0, 1.0)
    headless: tuple[str, ...] = ()
    folder: str = ""
    stems: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    hub: str = ""
    hub_splits: Mapping[str, str] = field(default_factory=lambda: HUB_SPLITS)
    cut: bool = False
    groups: tuple[str, ...] = ()

    def __call__(self, data: str, split: str, language: str, files: Sequence[str] = ()) -> Loaded:
        """The examples of a split in a language, those without a label too; see `tasks.classification.task.Reader`."""
        if files:
            parts = [self.read_file(path) for path in files]
        elif data.startswith(HUB):
            parts = [self.read_hub(data, split, language)]
        else:
            parts = [self.read_file(self.find(data, split, language))]
        if len(parts) == 1:
            return parts[0]
        return Loaded([item for part in parts for item in part.examples], [name for part in parts for name in part.files],
                      sum(part.dropped for part in parts))

    def candidates(self, split: str, language: str) -> list[list[str]]:
        """File-name patterns in which a split of a language is looked for; earlier groups win."""
        groups = [[f"{split}-{language}{ending}{packed}" for ending in ENDINGS for packed in PACKED]]
        if language == "en":
            for stem in self.stems.get(split, (split,)):
                names = [f"{stem}{ending}{packed}" for ending in ENDINGS for packed in PACKED]
                groups += [[f"{self.folder}/{name}" for name in names]] if self.folder else []
                groups.append(names)
        if self.hub_splits.get(split):
            groups.append([f"{self.hub or language}/{self.hub_splits[split]}-*.parquet"])
        return groups

    def find(self, data: str, split: str, language: str) -> Path:
        """The file of a split in a language.

        Raises:
            UserError: there is none, or several that fit equally well.
        """
        groups = self.candidates(split, language)
        found = only_file(require_folder(data, "a folder with the task's files"), groups, split, language)
        if found is None:
            raise missing_data(self.name, data, split, language, self.available(data, split), [group[0] for group in groups])
        return found

    def available(self, data: str, split: str) -> list[str]:
        """Languages that a folder holds this split in, judged by the names of its files."""
        folder = Path(data)
        names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
        endings = tuple(f"{ending}{packed}" for ending in ENDINGS for packed in PACKED)
        found = {name.removeprefix(f"{split}-").split(".")[0] for name in names
                 if name.startswith(f"{split}-") and name.endswith(endings)}
        english = [pattern for group in self.candidates(split, "en") for pattern in group]
        if folder.is_dir() and any(next(folder.glob(pattern), None) for pattern in english):
            found.add("en")
        return sorted(found)

    def read_file(self, path: str | Path) -> Loaded:
        """One file of any of the forms.

        Raises:
            UserError: with file and line: wrong columns, unknown label, empty text, damaged file.
        """
        path = require_file(path, f"a file of {self.name} (.tsv, .jsonl or .parquet)")
        return self.examples(_rows(path, self), str(path))

    def read_hub(self, given: str, split: str, language: str) -> Loaded:
        """`hf:NAME` or `hf:NAME@REVISION` through `datasets`: the one place that may reach the network."""
        import datasets

        name, _, revision = given.removeprefix(HUB).partition("@")
        if split not in self.hub_splits:
            raise unknown(f"split of {self.name} on the hub", split, self.hub_splits)
        part, configuration = self.hub_splits[split], self.hub or language
        try:
            table = datasets.load_dataset(name, configuration, split=part, revision=revision or None)
        except (OSError, ValueError, RuntimeError) as error:
            raise UserError(f"{HUB}{name}: could not load {part!r} of {configuration!r} from the hub: {error}") from None
        place = f"{HUB}{name}/{configuration}/{part}"
        return self.examples(((f"{place}:{number}", dict(row)) for number, row in enumerate(table, 1)), place)

    def examples(self, rows: Iterator[tuple[str, Mapping[str, Any]]], place: str) -> Loaded:
        """Examples of rows by column name; `place` names the whole, what stands with each row names that."""
        found: list[Example] = []
        groups: dict[str, list[int]] = {}
        short = disagreed = seen = 0
        unsure: set[int] = set()
        columns: tuple[str, str, str, str] | None = None
        for where, row in rows:
            columns = columns or self.columns(row, where)
            first, second, gold, identifier = columns
            seen += 1
            missing = next((name for name in (first, second, gold) if name and row.get(name) is None), None)
            if self.cut and (missing or not all(str(row[name]).strip() for name in filter(None, (first, second)))):
                short += 1
                continue
            if missing:
                raise UserError(f"{where}: no {missing!r}; the line is cut short, or the field is empty")
            if gold and self.words and str(row[gold]).strip() == "-":
                disagreed += 1
                continue
            label, value = self._gold(row[gold], where) if gold else (None, None)
            if gold and self.words and str(row[gold]).strip() == "-1":
                unsure.add(len(found))
            for column in self.groups:
                for part in filter(None, map(str.strip, str(row.get(column) or "").split(";"))):
                    for group in (column, f"{column}: {part}"):
                        if groups.setdefault(group, [])[-1:] != [len(found)]:
                            groups[group].append(len(found))
            found.append(Example(str(row.get(identifier) if identifier else seen - 1), _text(row[first], where, first),
                                 _text(row[second], where, second) if second else None, label, value))
        if 0 < len(unsure) < len(found):  # beside labels the hub's -1 is what files write as -; alone it is an unpublished label
            disagreed += len(unsure)
            found = [item for number, item in enumerate(found) if number not in unsure]
        if short:
            logger.warning(f"{place}: {short:,} of {seen:,} rows have too few columns or no text, as the published file has "
                           "some, and were left out")
        if disagreed:
            if disagreed == seen:
                raise UserError(f"{place}: none of the {seen:,} rows has a gold label; take the official file, which has them")
            logger.warning(f"{place}: {disagreed:,} of {seen:,} rows have no gold label (annotators did not agree) and were left "
                           "out")
        return Loaded(found, [place], short + disagreed, groups)

    def columns(self, row: Mapping[str, Any], where: str) -> tuple[str, str, str, str]:
        """The names of first text, second text, label and id in a file, by its first row; empty where it has none.

        Raises:
            UserError: a text is not among them.
        """
        first, second, gold, identifier = (next((name for name in names if name in row), "")
                                           for names in (self.first, self.second, self.gold, self.identifier))
        if not first or (self.second and not second):
            wanted = " and ".join(" or ".join(map(repr, names)) for names in (self.first, self.second) if names)
            found = ", ".join(repr(str(name)[:40]) for name in list(row)[:16])
            raise UserError(f"{where}: wrong columns: found {found}; expected {wanted}, and {self.gold[0]!r}")
        return first, second, gold, identifier

    def _gold(self, given: Any, where: str) -> tuple[int | None, float | None]:
        """Index of a label, or value of a regression; none where it is empty or the hub's -1."""
        text = str(given).strip()
        if text == "" or (self.words and text == "-1") or given == -1:
            return None, None
        if self.words:
            if text not in self.words:
                raise UserError(f"{where}: unknown label {text!r}; expected {', '.join(self.words)}")
            return self.words[text], None
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        low, high = self.span
        if not low <= value <= high:
            raise UserError(f"{where}: {self.gold[0]} is {text[:40]!r}; expected a number from {low:g} to {high:g}")
        return None, value


def labels_as(names: Sequence[str], *others: Sequence[str]) -> dict[str, int]:
    """Label as it may stand in a file -> index: its name, its number, and further names in the same order."""
    return {word: index for index, name in enumerate(names) for word in (name, str(index), *(other[index] for other in others))}


def _text(value: Any, where: str, name: str) -> str:
    text = value.strip() if isinstance(value, str) else ""
    if not text:
        raise UserError(f"{where}: {name} is {value!r}; expected a text")
    return text


def _rows(path: Path, table: Table) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """(place, row by column name) of a file; the form follows from its name, else from its first line."""
    if path.suffix == ".parquet":
        yield from _parquet(path)
        return
    columns: list[str] = list(table.headless)
    known = {*table.first, *table.second, *table.gold}
    objects: bool | None = None
    for number, line in read_lines(path):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        if objects is None:
            objects = line.lstrip().startswith("{")
            header = [cell.strip() for cell in line.split("\t")]
            if not objects and (known & {*header} or not columns):
                columns = header
                continue
        if objects:
            yield where, _object(line, where)
            continue
        cells = line.split("\t")
        if len(cells) > len(columns):
            raise UserError(f"{where}: {len(cells)} columns, expected {len(columns)}; a text holds a tab, or two lines ran "
                            "together")
        yield where, dict(zip(columns, cells, strict=False))


def _object(line: str, where: str) -> Mapping[str, Any]:
    try:
        row = parse_json(line, where, "one JSON object a line")
    except json.JSONDecodeError as error:
        raise UserError(f"{where}: expected one JSON object a line, got {line[:40]!r} ({error.msg})") from None
    if not isinstance(row, dict):
        raise UserError(f"{where}: expected a JSON object, got {type(row).__name__}")
    return row


def _parquet(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Rows of a parquet file; labels are the numbers that the hub gives them."""
    import pyarrow
    from pyarrow import parquet

    number = 0
    try:
        for batch in parquet.ParquetFile(path).iter_batches():
            for row in batch.to_pylist():
                number += 1
                yield f"{path}:{number}", row
    except (pyarrow.ArrowException, OSError) as error:
        raise UserError(f"{path}: not a parquet file that can be read ({str(error).splitlines()[0]})") from None
