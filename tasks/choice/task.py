"""What a multiple-choice task is: a row of a file becomes one input for each candidate, one of which is right.

Every candidate passes the same body and a head of one output; the softmax over the candidates' outputs is the answer (Devlin et
al. 2019, section 4.4, SWAG).
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pretrain.base.errors import UserError
from tasks.definition import PLACEHOLDER_ROWS, Definition, OneOutput
from tasks.reading.files import Files, Row

Option = tuple[str, str | None]
"""The one or two texts of a candidate's input."""


@dataclass(frozen=True)
class Choice:
    """One item.

    Attributes:
        id: as the file names it, else its number in the file.
        options: the input of each candidate.
        label: number of the right one; None where the file does not say.
    """

    id: str
    options: tuple[Option, ...]
    label: int | None


@dataclass
class Choices:
    """The items of one split in one language, in file order.

    Attributes:
        files: what was read.
        dropped: rows left out; none here.
        pairs: numbers of two items that are each other's mirror image: a system understands a pair where it is right on both.
    """

    items: list[Choice]
    files: list[str] = field(default_factory=list)
    dropped: int = 0
    pairs: list[tuple[int, int]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.items)

    def only(self, numbers: Sequence[int]) -> Choices:
        """The items of these numbers, in that order; pairs, which are numbers too, are left out."""
        return replace(self, items=[self.items[number] for number in numbers], pairs=[])

    def sha256(self) -> str:
        """Hash of texts and labels in order."""
        digest = hashlib.sha256()
        for item in self.items:
            digest.update(f"{item.options!r}\0{item.label}\n".encode())
        return digest.hexdigest()


Compose = Callable[[Mapping[str, str]], tuple[Option, ...]]
"""The texts of a row by column -> the input of each candidate."""


@dataclass(frozen=True, kw_only=True)
class ChoiceTask(OneOutput, Definition):
    """A multiple-choice task.

    Attributes:
        candidates: how many each item has.
        texts: columns that hold the texts of an item.
        compose: makes the candidates' inputs of them.
        gold: column of the number of the right candidate, from 0.
        identifier: columns that may name an item; the first that a file has counts.
        optional: of `texts` those that may be empty.
        paired: from the ids of the items of a file, numbers of those that mirror each other.
    """

    candidates: int
    texts: tuple[str, ...]
    compose: Compose
    files: Files
    gold: str = "label"
    identifier: tuple[str, ...] = ("id", "#id")
    optional: tuple[str, ...] = ()
    paired: Callable[[Sequence[str]], list[tuple[int, int]]] | None = None
    heads: tuple[str, ...] = ("classification", "linear")
    metric: str = "accuracy"
    criterion: str = "modular_choice"
    trainer = "tasks.trainer.choice"
    parts = "tasks.choice.parts"

    @property
    def chance(self) -> float:
        """Expected accuracy of a uniform guess."""
        return 1 / self.candidates

    def read(self, data: str | Path, split: str, language: str, files: Sequence[str | Path] = ()) -> Choices:
        """The items with their right candidates, see `Definition.read`; labels that were stripped are an error too."""
        found = self.unlabelled(data, split, language, files)
        self._check(found, split)
        return found

    def unlabelled(self, data: str | Path, split: str, language: str, files: Sequence[str | Path] = ()) -> Choices:
        """As `read`, of items whose right candidates may be unknown."""
        code = self.check(split, language)
        found = Choices([])
        for place, rows in self.files.parts(str(data), split, code, [str(file) for file in files]):
            items = list(self.items(rows))
            if self.paired:
                at = len(found)
                found.pairs += [(first + at, second + at) for first, second in self.paired([item.id for item in items])]
            found.items += items
            found.files.append(place)
        if not found.items:
            raise UserError(f"{', '.join(found.files)}: no items for {split}; the file is empty")
        return found

    def items(self, rows: Iterator[Row]) -> Iterator[Choice]:
        """Items of rows by column name.

        Raises:
            UserError: a missing column, an empty text, or a label that is no candidate's number.
        """
        for number, (where, row) in enumerate(rows):
            missing = [name for name in self.texts if name not in row]
            if missing:
                found = ", ".join(repr(str(name)[:40]) for name in list(row)[:16])
                raise UserError(
                    f"{where}: no column {missing[0]!r}: found {found}; expected {', '.join(self.texts)} and {self.gold}"
                )
            for name in self.texts:
                if not isinstance(row[name], str) or not (row[name].strip() or name in self.optional):
                    raise UserError(f"{where}: {name} is {row[name]!r}; expected a text")
            identifier = next((str(row[name]) for name in self.identifier if row.get(name) is not None), str(number))
            yield Choice(identifier, self.compose({name: row[name].strip() for name in self.texts}), self._label(row, where))

    def _label(self, row: Mapping[str, Any], where: str) -> int | None:
        text = str(row.get(self.gold, "")).strip()
        if text in ("", "-1"):
            return None
        if text not in map(str, range(self.candidates)):
            raise UserError(f"{where}: {self.gold} is {text[:40]!r}; expected a number from 0 to {self.candidates - 1}")
        return int(text)

    def _check(self, found: Choices, split: str) -> None:
        where = ", ".join(found.files)
        counts = Counter(item.label for item in found.items)
        if None in counts:
            first = next(item.id for item in found.items if item.label is None)
            raise UserError(
                f"{where}: {counts[None]:,} of {len(found):,} rows have no label (first: id {first}); take the official "
                "file, which has them"
            )
        if len(counts) == 1 and len(found) >= PLACEHOLDER_ROWS:
            raise UserError(f"{where}: all {len(found):,} labels are {next(iter(counts))}; the labels of this {split} file were "
                            "stripped and replaced by a placeholder: take the official file")
