"""What a tagging task is: one label for each word.

The order of the labels is part of a task, never of a file (docs/artefacts.md). What differs is files, labels and the metric that
follows from them: F1 of whole entities where labels are `O`, `B-TYPE`, `I-TYPE`, else accuracy (`tasks.tagging.scores`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from pretrain.base.errors import UserError
from tasks.definition import Definition
from tasks.tagging.data import Sentences, check_sentences, read, read_labels, untagged

SPLITS = ("train", "dev", "test")
Reader = Callable[[str, str, str, Sequence[str]], Sentences]
"""(data, split, language, files) -> Sentences; `files`, where not empty, replace the search in `data`."""


def bio(types: Sequence[str]) -> tuple[str, ...]:
    """`O`, then `B-TYPE` and `I-TYPE` of each type."""
    return ("O", *(f"{mark}-{name}" for name in types for mark in "BI"))


@dataclass(frozen=True, kw_only=True)
class TaggingTask(Definition):
    """A tagging task.

    Attributes:
        labels: in the order of the head's outputs; none where the user names them (`with_labels`).
        layout: of the files: `tsv` (word, tab, tag) or `columns` (white space between them; word first, tag last).
        more_files: (split, language) -> further patterns of file names below the data folder, beside `SPLIT-CODE`.
        reader: reads what is in no known layout.
    """

    labels: tuple[str, ...]
    layout: str = "tsv"
    more_files: Callable[[str, str], list[list[str]]] = lambda split, language: []
    reader: Reader | None = None
    heads: tuple[str, ...] = ("tagging",)
    metric: str = "f1"
    criterion: str = "modular_tagging"
    trainer = "tasks.trainer.tagging"
    parts = "tasks.tagging.parts"

    def read(self, data: str | Path, split: str, language: str, files: Sequence[str | Path] = ()) -> Sentences:
        """The sentences of a split, see `Definition.read`; none is left out, stripped tags are an error."""
        if not self.labels:
            raise UserError(f"--labels is missing: {self.name} has no labels of its own; name a file with one label a line")
        code = self.check(split, language)
        named = [str(file) for file in files]
        if self.reader is None:
            return read(self, str(data), split, code, named)
        found = self.reader(str(data), split, code, named)
        check_sentences(found, self.labels, split)
        return found

    def unlabelled(self, data: str | Path, split: str, language: str, files: Sequence[str | Path] = ()) -> Sentences:
        """As `read`, of words that may lack their tags; none is read."""
        code = self.check(split, language)
        named = [str(file) for file in files]
        if self.reader is None:
            return read(self, str(data), split, code, named, gold=False)
        found = untagged(self.reader(str(data), split, code, named))
        check_sentences(found, self.labels, split)
        return found

    def with_labels(self, file: str = "", labels: Sequence[str] = ()) -> Self:
        if not file and not labels:
            return self
        if self.labels:
            return super().with_labels(file, labels)
        from tasks.tagging.scores import metric_of

        given = tuple(labels) or read_labels(file)
        return replace(self, labels=given, metric=metric_of(given))

    @property
    def outputs(self) -> int:
        return len(self.labels)
