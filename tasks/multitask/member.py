"""A task of a mixture, with all that training and scoring ask of a task."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from adapt.artefacts.embedding import Embedding
from pretrain.artefacts.body import Body
from pretrain.base.errors import UserError, unknown
from tasks.definition import Definition
from tasks.distillation.student import Distillation, Lesson, read_training
from tasks.family import Examples, Inputs, Training
from tasks.multitask.recipe import Entry, Mixture
from tasks.reading.subset import Subset
from tasks.registry import get_task
from tasks.settings import FinetuneSettings
from tasks.training import training_of


@dataclass
class Member:
    """One task of a mixture; it has what a fairseq task of this task alone has, so that the families' data sets and losses serve.

    Attributes:
        cfg: `data` and `seed`.
        head: kind of its head.
        family: how it takes part in training.
        distillation: how it learns from a teacher; None: from hard labels.
        lesson: what that teacher says of its training examples; `learn` or its data set brings it.
        datasets: fairseq's data sets, by their names there.
    """

    definition: Definition
    entry: Entry
    head: str
    inputs: Inputs
    family: Training
    embedding: Embedding
    language: str
    subset: Subset
    cfg: SimpleNamespace
    distillation: Distillation | None = None
    lesson: Lesson | None = None
    datasets: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.definition.name

    @property
    def labels(self) -> list[str]:
        """What its head puts out, as its body records it."""
        return list(self.family.record()["labels"])

    @property
    def loss(self) -> str:
        """Name of what its head is trained with."""
        return self.entry.loss or self.definition.losses[0]

    @property
    def dropout(self) -> float | None:
        """Of its head; None: the body's."""
        return None if self.entry.dropout < 0 else self.entry.dropout

    def train(self) -> Examples:
        """The examples that it is trained on."""
        return self.subset.of(read_training(self.definition, self.entry.data, self.language, self.entry.train_files,
                                            self.distillation))

    def learn(self, train: Examples) -> None:
        """Asks the teacher, if there is one, about the training examples."""
        if self.distillation is not None:
            self.lesson = self.distillation.learn(self.definition, train, self.language, self.head)

    def dev(self) -> Examples:
        """The examples that judge its checkpoints."""
        return self.definition.read(self.entry.data, self.entry.dev_split, self.language, self.entry.dev_files)


def members_of(mixture: Mixture, body: Body, embedding: Embedding, seed: int, language: str = "") -> dict[str, Member]:
    """The tasks of a mixture on a body, by name, in its order.

    Raises:
        UserError: an unknown task, head or metric, lengths that the body does not allow, a split that may not choose.
    """
    return {name: _member(name, entry, body, embedding, seed, language) for name, entry in mixture.tasks.items()}


def _member(name: str, entry: Entry, body: Body, embedding: Embedding, seed: int, language: str) -> Member:
    if entry.dev_split in ("train", "test"):
        raise UserError(f"tasks.{name}.dev_split: {entry.dev_split}: the split that chooses the checkpoint says nothing about it "
                        "any more; choose on dev")
    definition = get_task(name).with_labels(entry.labels).with_metric(entry.metric)
    if entry.loss and entry.loss not in definition.losses:
        raise unknown(f"loss of {name}", entry.loss, definition.losses)
    asked = FinetuneSettings(body="", data=entry.data, output="", head=entry.head, max_length=entry.max_length,
                             stride=entry.stride, max_question=entry.max_question, teacher=entry.teacher, alpha=entry.alpha)
    family = training_of(definition, body, asked)
    inputs = definition.inputs(body.config, entry.max_length, entry.stride, entry.max_question)
    return Member(definition, entry, entry.head or definition.heads[0], inputs, family, embedding, language or embedding.language,
                  Subset(limit=entry.limit, seed=seed), SimpleNamespace(data=entry.data, seed=seed),
                  Distillation.of(entry, lambda key: f"tasks.{name}.{key}"))
