"""What a classification task is: one label for one or two texts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from pretrain.base.errors import UserError, unknown
from tasks.classification.examples import Available, Loaded, Reader
from tasks.classification.examples import Example as Example  # here too, where tasks of one's own look for it
from tasks.definition import PLACEHOLDER_ROWS, Definition, missing_data


@dataclass(frozen=True, kw_only=True)
class ClassificationTask(Definition):
    """A classification task. The order of `labels` is part of it and never depends on a file (docs/artefacts.md).

    Attributes:
        labels: in the order of the head's outputs.
        reader: makes the examples from files, see `Reader`.
        available: names the languages that a folder holds, see `Available`.
        metric: one of `tasks.classification.metrics.METRICS`.
        further: of the same, recorded beside it.
        bodies_of: other tasks whose bodies do this one without training for it.
        read_as: their labels that this task calls otherwise -> its own; several may be read as one.
        pair: every example is two texts; a `Table` as the reader says it by itself.
    """

    labels: tuple[str, ...]
    reader: Reader
    available: Available
    heads: tuple[str, ...] = ("classification", "linear", "san")
    metric: str = "accuracy"
    further: tuple[str, ...] = ()
    bodies_of: tuple[str, ...] = ()
    read_as: tuple[tuple[str, str], ...] = ()
    pair: bool = False
    criterion: str = "modular_classification"
    trainer = "tasks.trainer.classification"
    parts = "tasks.classification.parts"
    losses = ("cross-entropy", "mse")

    @property
    def outputs(self) -> int:
        return len(self.labels)

    @property
    def chance(self) -> float | None:
        """What a uniform guess, which knows nothing, is expected to score: its share of accuracy, and no correlation. None for
        any other metric: what a guess scores in F1 depends on how frequent the labels are."""
        return {"accuracy": 1 / len(self.labels), "matthews": 0.0}.get(self.metric)

    def read(self, data: str | Path, split: str, language: str, files: Sequence[str | Path] = ()) -> Loaded:
        """The labelled examples, see `Definition.read`; labels that were stripped are an error too."""
        loaded = self.reader(str(data), split, self.check(split, language), [str(file) for file in files])
        check_labels(loaded, self, split)
        return loaded

    def unlabelled(self, data: str | Path, split: str, language: str, files: Sequence[str | Path] = ()) -> Loaded:
        """As `read`, of a split whose labels were never published."""
        return self.reader(str(data), split, self.check(split, language), [str(file) for file in files])

    def missing(self, data: str, split: str, language: str, tried: Sequence[str]) -> UserError:
        """The error for a language whose file is not there, see `missing_data`."""
        shown = [*tried[:4], "…"] if len(tried) > 4 else tried
        return missing_data(self.name, data, split, language, self.available(data, split), shown)

    def with_metric(self, name: str = "") -> Self:
        known = dict.fromkeys((self.metric, *self.further, "accuracy"))
        if name and name not in known:
            raise unknown(f"metric of {self.name}", name, known)
        return replace(self, metric=name or self.metric)


def check_labels(loaded: Loaded, task: ClassificationTask, split: str) -> None:
    """Refuses examples that cannot be trained on or scored: none at all, or labels missing or all the same."""
    where = ", ".join(loaded.files)
    if not loaded.examples:
        raise UserError(f"{where}: no examples for {split}; the file is empty or holds other languages only")
    counts = Counter(item.label for item in loaded.examples)
    if None in counts:
        first = next(item.id for item in loaded.examples if item.label is None)
        raise UserError(f"{where}: {counts[None]:,} of {len(loaded):,} rows have no label (first: id {first}); if the "
                        f"labels of this {split} file were stripped, take the official file, which has them")
    if len(counts) == 1 and len(loaded) >= PLACEHOLDER_ROWS:
        only = task.labels[loaded.examples[0].label or 0]
        raise UserError(f"{where}: all {len(loaded):,} labels are {only!r}; the labels of this {split} file were "
                        "stripped and replaced by a placeholder, as in XTREME's test files: take the official file")
