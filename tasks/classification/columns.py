"""Tables of labelled texts, as the published data sets come: which columns hold what is declared, one reader reads."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pretrain.base.errors import UserError
from tasks.classification.examples import Example, Loaded
from tasks.reading.files import Files, Row

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Table(Files):
    """Where a task's texts and labels stand, and what its files are called (see `Files`).

    Attributes:
        first, second: names of the columns of the texts, of which the first that a file has counts; no `second` for one text.
        gold: names of the column of the label, or of the value of a regression.
        identifier: names of the column of the id; rows are numbered where there is none.
        words: label as it may stand in a file -> index; empty for a regression.
        span: least and greatest value of a regression.
        cut: rows of too few columns or without a text are left out and counted: the published file has such.
        groups: columns that say which categories an example belongs to: the column itself where its cell is not empty, and each
            of the cell's values (between semicolons).
    """

    first: tuple[str, ...]
    second: tuple[str, ...] = ()
    gold: tuple[str, ...] = ("label",)
    identifier: tuple[str, ...] = ("id", "idx", "index", "pairID")
    words: Mapping[str, int] = field(default_factory=dict)
    span: tuple[float, float] = (0.0, 1.0)
    cut: bool = False
    groups: tuple[str, ...] = ()

    def known(self) -> set[str]:
        return {*self.first, *self.second, *self.gold}

    def __call__(self, data: str, split: str, language: str, files: Sequence[str] = ()) -> Loaded:
        """The examples of a split in a language, those without a label too; see `tasks.classification.task.Reader`."""
        parts = [self.examples(rows, place) for place, rows in self.parts(data, split, language, files)]
        if len(parts) == 1:
            return parts[0]
        return Loaded([item for part in parts for item in part.examples], [name for part in parts for name in part.files],
                      sum(part.dropped for part in parts))

    def read_file(self, path: str | Path) -> Loaded:
        """One file of any of the forms.

        Raises:
            UserError: with file and line: wrong columns, unknown label, empty text, damaged file.
        """
        return self.examples(self.rows(path), str(path))

    def examples(self, rows: Iterator[Row], place: str) -> Loaded:
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
