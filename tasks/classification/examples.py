"""Examples of one or two texts, and how they are asked for."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace


@dataclass(frozen=True, slots=True)
class Example:
    """One item of a task.

    Attributes:
        id: as the file names it, else its number in the file.
        text_a: premise, or the only text.
        text_b: hypothesis; None for tasks on one text.
        label: index into the task's labels; None where the file has none.
        value: of a regression, in the file's unit; None where the task has labels or the file no value.
    """

    id: str
    text_a: str
    text_b: str | None
    label: int | None
    value: float | None = None


@dataclass
class Loaded:
    """The examples of one split in one language, in file order, and where they come from.

    Attributes:
        files: what was read.
        dropped: rows left out because their annotators did not agree on a label.
        groups: name of a category -> numbers of the examples that belong to it, where the file says so.
    """

    examples: list[Example]
    files: list[str] = field(default_factory=list)
    dropped: int = 0
    groups: dict[str, list[int]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.examples)

    def only(self, numbers: Sequence[int]) -> Loaded:
        """The examples of these numbers, in that order; categories, which are numbers too, are left out."""
        return replace(self, examples=[self.examples[number] for number in numbers], groups={})

    def sha256(self) -> str:
        """Hash of texts and labels in order: the same data has the same hash in every file format."""
        digest = hashlib.sha256()
        for item in self.examples:
            gold = item.label if item.value is None else item.value
            digest.update(f"{item.text_a}\0{item.text_b}\0{gold}\n".encode())
        return digest.hexdigest()


Reader = Callable[[str, str, str, Sequence[str]], Loaded]
"""(data, split, language, files) -> Loaded; `files`, where not empty, replace the search in `data`."""
Available = Callable[[str, str], list[str]]
"""(data, split) -> the languages that `data` holds this split in."""


def texts_each(reader: object) -> int:
    """How many texts an example of a reader has, 1 or 2; 0: it does not say."""
    second = getattr(reader, "second", None)
    return 0 if second is None else 1 + bool(second)
