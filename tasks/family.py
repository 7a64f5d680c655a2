"""How a task family takes part in task adaptation and in evaluation; `Definition.training` and `.evaluation` make its parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self

from pretrain.base.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from adapt.artefacts.embedding import Embedding
    from pretrain.artefacts.body import Body
    from tasks.heads.model import TaskModel

LONGEST_ANSWER = 30
"""BERT's setting: most tokens of an answer."""


class Examples(Protocol):
    """What every family's examples of one split say about themselves."""

    files: list[str]
    dropped: int

    def __len__(self) -> int: ...

    def sha256(self) -> str: ...

    def only(self, numbers: Sequence[int]) -> Self:
        """The examples of these numbers, in that order."""


class Inputs(Protocol):
    """How examples become inputs of a model."""

    @property
    def max_length(self) -> int:
        """Longest input in tokens."""


class Training(Protocol):
    """How a family takes part in task adaptation."""

    def items(self, train: Any, embedding: Embedding) -> int:
        """Training items of an epoch."""

    def made(self) -> dict[str, Any]:
        """How inputs were made, for the body's `made` record."""

    def record(self) -> dict[str, Any]:
        """What is needed to rebuild the head and its inputs, for the body's `task` record."""

    def dev_score(self, model: TaskModel, embedding: Embedding, dev: Any) -> dict[str, Any]:
        """`score` (a share), `standard_error`, `n` and further figures of the dev split that chose the checkpoint.

        `baseline` says what reading nothing scores there (`score`, a share) and how (`what`): runs are judged by it.
        """

    def learned(self) -> dict[str, Any]:
        """What `dev_score` has chosen on that split, for the body's `task` record."""


RETRIEVAL, QUESTIONS, DRAWN_HEADS = "retrieval", "question answering", "question answering and tagging"
BELONGING = {RETRIEVAL: ("layer", "neighbours"), QUESTIONS: ("pairs", "stride", "max_question", "max_answer"),
             DRAWN_HEADS: ("untrained_head",)}
"""Families -> the options of an evaluation that are theirs alone."""


@dataclass
class HeadTraining:
    """What families do alike in task adaptation that cut their inputs to a length and learn one head."""

    task: Any
    head: str
    max_length: int

    def items(self, train: Any, embedding: Embedding) -> int:
        return len(train)

    def made(self) -> dict[str, Any]:
        return {"max_length": self.max_length}

    def record(self) -> dict[str, Any]:
        return {"head": self.head, "labels": list(self.task.labels)}

    def learned(self) -> dict[str, Any]:
        return {}


class OneLanguage:
    """What families do alike in evaluation that score each language by itself."""

    task: Any
    ending: ClassVar[str] = ".tsv"
    record_ending: ClassVar[str] = ".json"

    def cells(self, languages: Sequence[str]) -> list[tuple[str, ...]]:
        return [(language,) for language in languages]

    def read(self, data: str | Path, split: str, languages: tuple[str, ...]) -> Any:
        return self.task.read(data, split, languages[0])


@dataclass(frozen=True)
class EvaluationOptions:
    """What the families' evaluations can be told; a family refuses what it has no use for (`refuse`).

    Attributes:
        max_length, stride, max_question: inputs, see `Definition.inputs`; 0: as the body was fine-tuned, or all its positions.
        max_answer: longest answer in tokens.
        pairs: `same`: contexts and questions in each embedding's language; `all`: every pair of them.
        untrained_head: score the body under a head that was never trained: a baseline.
        layer: retrieval: whose states are a sentence's vector, 1 the first, -1 the last.
        neighbours: retrieval: how many nearest make the margin.
    """

    max_length: int = 0
    stride: int = 0
    max_question: int = 0
    max_answer: int = LONGEST_ANSWER
    pairs: str = "same"
    untrained_head: bool = False
    layer: int = -1
    neighbours: int = 10

    def only(self, task: str, *families: str) -> None:
        """Raises UserError where an option was set that belongs to other families than these."""
        for family, names in BELONGING.items():
            if family not in families:
                self.refuse(task, *names, belong_to=family)

    def refuse(self, task: str, *names: str, belong_to: str = "question answering") -> None:
        """Raises UserError where one of these options was set."""
        defaults = {field.name: field.default for field in fields(self)}
        if any(getattr(self, name) != defaults[name] for name in names):
            flags = ["--" + {"max_answer": "max_answer_tokens"}.get(name, name).replace("_", "-") for name in names]
            listed = " and ".join(filter(None, [", ".join(flags[:-1]), flags[-1]]))
            verb = "belongs" if len(flags) == 1 else "belong"
            raise UserError(f"{listed} {verb} to {belong_to}, not to {task}; leave {'it' if len(flags) == 1 else 'them'} out")


class Evaluation(Protocol):
    """A task body about to be scored on a task, in any language.

    Attributes:
        body: with the head that is scored.
        ending: of the files of predictions.
        record_ending: of the files of records.
    """

    body: Body
    ending: ClassVar[str]
    record_ending: ClassVar[str]

    def cells(self, languages: Sequence[str]) -> list[tuple[str, ...]]:
        """What is scored: each language alone, or pairs of them (contexts, questions)."""

    def read(self, data: str | Path, split: str, languages: tuple[str, ...]) -> Examples:
        """The examples of a cell."""

    def predict(self, model: TaskModel, embeddings: Sequence[Embedding], examples: Any, max_tokens: int,
                description: str | None) -> Any:
        """Predictions on the examples of a cell, in the family's own form.

        Args:
            model: with the cell's embeddings in place: one, or two (the first reads contexts).
            max_tokens: padded tokens of a batch.
            description: text of the progress bar; none where None.
        """

    def write(self, stem: Path, predicted: Any) -> None:
        """Writes the files of a cell, `stem` and an ending each; `stem` + `ending` holds the predictions."""

    def score(self, examples: Any, predicted: Any, language: str) -> dict[str, Any]:
        """`score` (a share), `standard_error`, `interval_95`, `n` and the family's further figures."""

    def facts(self, examples: Any, predicted: Any, languages: tuple[str, ...]) -> dict[str, Any]:
        """What else the record says: inputs, baselines, `data`."""


class Predictor(Protocol):
    """What a task body says of inputs without gold."""

    @property
    def columns(self) -> tuple[tuple[str, ...], ...]:
        """The sets of keys that a row may have, in the order of a table's columns."""

    def predict(self, model: TaskModel, embedding: Embedding, rows: Sequence[Mapping[str, Any]],
                max_tokens: int) -> list[dict[str, Any]]:
        """A prediction for each row, in their order, of numbers, texts and lists.

        Args:
            model: with the embedding in place.
            max_tokens: padded tokens of a batch.
        """


class Parts(Protocol):
    """The module of a family: what its tasks do with a body. A family that teaches has `teaching(task) -> Teaching` too
    (tasks/distillation/teaching.py)."""

    def training(self, task: Any, head: str, inputs: Any) -> Training:
        """See `Definition.training`, and so on."""

    def evaluation(self, task: Any, body: Body, place: str, options: EvaluationOptions) -> Evaluation: ...

    def predictor(self, task: Any, body: Body) -> Predictor: ...

    def table(self, task: Any, records: Sequence[dict[str, Any]]) -> str: ...

    def example_scores(self, task: Any, predictions: Path, examples: Any, language: str) -> NDArray[np.float64]: ...
