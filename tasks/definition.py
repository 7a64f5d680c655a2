"""What a task is: a declaration that carries its family, and the registry of all tasks.

A family is a folder: `classification`, `choice`, `qa`, `tagging`. A task is one file there that registers a definition, and its
import in `load_all` (tasks/registry.py); docs/tasks.md shows one of each, also from outside this repository.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar, cast

from pretrain.base.errors import UserError, unknown
from pretrain.base.shards import chosen, fitting

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pretrain.artefacts.body import Body
    from pretrain.encoder import EncoderConfig
    from tasks.distillation.teaching import Teaching
    from tasks.family import Evaluation, EvaluationOptions, Examples, Inputs, Parts, Predictor, Training

PLACEHOLDER_ROWS = 20
"""From this many rows on, one single label means that the labels were stripped and replaced by a placeholder."""


@dataclass(frozen=True)
class Lengths:
    """Inputs that are cut, or cut into windows, to one length; `separators` stand between two texts."""

    max_length: int
    separators: int = 2


@dataclass(frozen=True)
class Definition(ABC):
    """A task, and how its family reads, trains, predicts, scores and records. Whoever fine-tunes, evaluates or reports asks here.

    Attributes:
        languages: of the published data; any other BCP-47 code works too where its files are there.
        splits: the names that the task's splits have.
        heads: kinds of heads that do it, the default first.
        metric: what chooses the best checkpoint on the dev split, under the name that the criterion logs it with.
        criterion: name of the fairseq criterion that trains it.
        trainer: module whose `load(task, split, files, training)` makes fairseq's data set of a split; only training imports it.
        parts: module of what the family does with a body, see `tasks.family.Parts`; naming and reading tasks does not import it.
    """

    name: str
    version: str
    languages: tuple[str, ...]
    splits: tuple[str, ...]
    heads: tuple[str, ...]
    metric: str
    criterion: str
    trainer: ClassVar[str]
    parts: ClassVar[str] = ""
    losses: ClassVar[tuple[str, ...]] = ("cross-entropy",)
    """What a mixture may train it with, the default first."""
    needs_head: ClassVar[bool] = True
    """Whether a body must have learned something to be scored on it."""
    train_instead: ClassVar[str] = "another task of its family"
    """What to train on where the task has no training split."""
    two_languages: ClassVar[bool] = False
    """Whether a score is of two languages, each read under its own embedding."""

    @abstractmethod
    def read(self, data: str | Path, split: str, language: str, files: Sequence[str | Path] = ()) -> Examples:
        """The examples of a split in a language.

        Args:
            data: folder with the task's files, or `hf:NAME` for a data set of the Hugging Face hub.
            files: read these instead of searching `data`.

        Raises:
            UserError: unknown split or language code, no file, or a file that is not what the task needs.
        """

    @property
    @abstractmethod
    def outputs(self) -> int:
        """Outputs of the head for each input or token: the number of labels; 0 where the kind of head alone decides."""

    def family(self) -> Parts:
        """What its family does with a body: the module `parts`, read when it is first asked for."""
        return cast("Parts", import_module(self.parts))

    def training(self, head: str, inputs: Any) -> Training:
        """How the task takes part in task adaptation.

        Args:
            head: kind of head, one of `heads`.
            inputs: what `inputs` gave.
        """
        return self.family().training(self, head, inputs)

    def evaluation(self, body: Body, place: str, options: EvaluationOptions) -> Evaluation:
        """How a task body is scored on the task.

        Args:
            place: the body as the user named it, for errors.

        Raises:
            UserError: no head, one of another task or with other labels, or options that the family has no use for.
        """
        return self.family().evaluation(self, body, place, options)

    def predictor(self, body: Body) -> Predictor:
        """What a body that was fine-tuned on this task says of inputs without gold."""
        return self.family().predictor(self, body)

    def teaching(self) -> Teaching:
        """How its bodies teach and learn from teachers (docs/distillation.md).

        Raises:
            UserError: the family does not.
        """
        found = getattr(self.family(), "teaching", None) if self.parts else None
        if found is None:
            raise UserError(f"{self.name}: teachers are for classification, regression, multiple choice, question answering and "
                            "tagging; docs/distillation.md")
        return cast("Teaching", found(self))

    def table(self, records: Sequence[dict[str, Any]]) -> str:
        """The records of an evaluation as text with straight columns."""
        return self.family().table(self, records)

    def example_scores(self, predictions: Path, examples: Any, language: str) -> NDArray[np.float64]:
        """The score of each example [N] from a file of predictions, in the order of the examples; of a score that is a ratio of
        sums over examples what each adds to the two sums [N, 2].

        Raises:
            UserError: predictions of other examples, or a metric that is no mean and no ratio of sums over examples.
        """
        return self.family().example_scores(self, predictions, examples, language)

    def unlabelled(self, data: str | Path, split: str, language: str, files: Sequence[str | Path] = ()) -> Examples:
        """As `read`, of examples that may lack their gold."""
        raise UserError(f"{self.name}: its files are not read without gold; give --alpha 1, or take another task")

    def inputs(self, shape: EncoderConfig, max_length: int = 0, stride: int = 0, max_question: int = 0) -> Inputs:
        """How inputs are made for a body of this shape; 0 chooses.

        Raises:
            UserError: lengths that the body does not allow, or settings that the family has no use for.
        """
        from tasks.encoding import resolve_max_length, separators_of

        if stride or max_question:
            raise UserError(f"--stride and --max-question belong to question answering, not to {self.name}; leave them out")
        return Lengths(resolve_max_length(max_length, shape.max_positions), separators_of(shape))

    def with_labels(self, file: str = "", labels: Sequence[str] = ()) -> Self:
        """The task with the labels that the user names: those of a file, one a line, or `labels` themselves; as it is without.

        Raises:
            UserError: a task that has labels of its own, or a file that is no list of labels.
        """
        if file or labels:
            raise UserError(f"--labels: {self.name} has labels of its own; leave it out, or take --task conll")
        return self

    def with_metric(self, name: str = "") -> Self:
        """The task judged by another of its metrics; as it is without.

        Raises:
            UserError: a metric that it has not.
        """
        if name and name != self.metric:
            raise unknown(f"metric of {self.name}", name, (self.metric,))
        return self

    def check(self, split: str, language: str) -> str:
        """The language code in its canonical form; UserError for an unknown split or a wrong code."""
        from pretrain.base.language import check_language

        if split not in self.splits:
            raise unknown(f"split of {self.name}", split, self.splits)
        return check_language(language)


def missing_data(task: str, data: str, split: str, language: str, known: Sequence[str], tried: Sequence[str],
                 wanted: str = "") -> UserError:
    """The error for a language whose file is not there: names what was looked for and what there is.

    Args:
        known: what `data` holds this split in.
        tried: names of files that were looked for.
        wanted: what to say is missing, where that is more than `language`.
    """
    akin = [code for code in known if code.split("-")[0] == language.split("-")[0]]
    hint = f", did you mean {akin[0]!r}?" if akin else ""
    have = f"there is {split} data in: {', '.join(known)}{hint}" if known else \
        f"that folder holds no {split} data of {task} at all"
    advice = "name the files with --train-file" if split == "train" else "check --data and the embedding's language"
    return UserError(f"{data}: no {split} data in {wanted or repr(language)} (looked for {', '.join(tried)}); {have}; {advice}")


def split_files(folder: Path, groups: Sequence[Sequence[str]], split: str, language: str) -> list[Path]:
    """The file of `folder` that fits a pattern of the first group of which any fits, or the parts of such a file in their order
    (`train-00000-of-00003.parquet` fits `train.parquet`); none without one.

    Raises:
        UserError: several fit that group that are not the parts of one, or parts are missing.
    """
    for patterns in groups:
        parts = chosen(folder, patterns)
        if parts is None:
            names = ", ".join(str(path.relative_to(folder)) for path in fitting(folder, patterns))
            advice = "name the right one with --train-file" if split == "train" else "keep one of them in that folder"
            raise UserError(f"{folder}: several files fit {split} in {language!r}: {names}; {advice}")
        if parts:
            return parts
    return []


REGISTRY: dict[str, Definition] = {}
AnyTask = TypeVar("AnyTask", bound=Definition)


def register(task: AnyTask) -> AnyTask:
    """Makes a task known by its name; a name can be taken once."""
    if task.name in REGISTRY:
        raise ValueError(f"task {task.name!r} is registered twice")
    REGISTRY[task.name] = task
    return task


def standard_error(share: float, count: int) -> float:
    """Standard error of an accuracy `share` over `count` independent items."""
    return math.sqrt(share * (1 - share) / count)


Z_95 = 1.959964
"""Two-sided 95 % quantile of the normal distribution, to the digits that recorded intervals were made with."""


def wilson_interval(share: float, count: int, z: float = Z_95) -> tuple[float, float]:
    """95 % interval of a share by Wilson's score method (Wilson 1927), which stays inside [0, 1]."""
    centre = share + z * z / (2 * count)
    spread = z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    scale = 1 + z * z / count
    return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)


OUTPUT = "score"
"""What a head's one output is called where others have labels."""


class OneOutput:
    """What tasks whose head has one output answer for it; it comes before `Definition` among a task's bases."""

    @property
    def outputs(self) -> int:
        return 1

    @property
    def labels(self) -> tuple[str, ...]:
        """The name of the one output, where others have labels."""
        return (OUTPUT,)
