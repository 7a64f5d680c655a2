"""What a classification task is: one label for one or two texts."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from pretrain.base.errors import UserError, unknown
from tasks.definition import PLACEHOLDER_ROWS, Definition, Inputs, missing_data

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pretrain.artefacts.body import Body
    from tasks.distillation.teaching import Teaching
    from tasks.family import Evaluation, EvaluationOptions, Predictor, Training


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

    def teaching(self) -> Teaching:
        from tasks.classification.teaching import ClassificationTeaching

        return ClassificationTeaching(self)

    def training(self, head: str, inputs: Inputs) -> Training:
        from tasks.classification.family import ClassificationTraining

        return ClassificationTraining(self, head, inputs.max_length)

    def evaluation(self, body: Body, place: str, options: EvaluationOptions) -> Evaluation:
        from tasks.classification.family import ClassificationEvaluation

        return ClassificationEvaluation.of(self, body, place, options)

    def predictor(self, body: Body) -> Predictor:
        from tasks.classification.labelling import Labeller
        from tasks.heads.model import task_of

        return Labeller(self.name, 2 if self.pair else texts_each(self.reader), task_of(body, self.name)["labels"])

    def table(self, records: Sequence[dict[str, Any]]) -> str:
        from tasks.classification.family import table

        return table(records)

    def example_scores(self, predictions: Path, examples: Loaded, language: str) -> NDArray[np.float64]:
        from tasks.classification.family import example_scores

        return example_scores(self, predictions, examples)


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
