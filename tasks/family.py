"""What differs between task families when a body is adapted: inputs, head record, dev score."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from pretrain.base.errors import UserError, unknown
from tasks.definition import Definition, Loaded, Task, standard_error
from tasks.encoding import resolve_max_length, separators_of
from tasks.qa.data import Questions
from tasks.qa.features import WindowSettings, encode_questions
from tasks.qa.tasks import QATask
from tasks.tagging.data import Sentences, majority
from tasks.tagging.tasks import TaggingTask

if TYPE_CHECKING:
    from adapt.artefacts.embedding import Embedding
    from pretrain.artefacts.body import Body
    from tasks.heads.model import TaskModel
    from tasks.settings import FinetuneSettings


class Family(Protocol):
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


def family_of(task: Definition, body: Body, settings: FinetuneSettings) -> Family:
    """The family of a task, with its settings checked.

    Raises:
        UserError: an unknown head, or lengths that the body does not allow.
    """
    head = settings.head or task.heads[0]
    if head not in task.heads:
        raise unknown(f"head for {task.name}", head, task.heads)
    if "train" not in task.splits:
        raise UserError(f"{task.name} has no training split; train on squad or squad2 and evaluate the result on {task.name}")
    positions = body.config.max_positions
    if isinstance(task, QATask):
        windows = WindowSettings.fit(positions, settings.max_length, settings.stride, settings.max_question,
                                     separators_of(body.config))
        return QuestionAnswering(task, head, windows)
    if settings.stride or settings.max_question:
        raise UserError(f"--stride and --max-question belong to question answering, not to {task.name}; leave them out")
    if isinstance(task, TaggingTask):
        return Tagging(task, head, resolve_max_length(settings.max_length, positions))
    assert isinstance(task, Task)
    return Classification(task, head, resolve_max_length(settings.max_length, positions))

logger = logging.getLogger(__name__)


@dataclass
class Classification:
    """One label for one or two texts."""

    task: Task
    head: str
    max_length: int

    def items(self, train: Loaded, embedding: Embedding) -> int:
        return len(train)

    def made(self) -> dict[str, Any]:
        return {"max_length": self.max_length}

    def record(self) -> dict[str, Any]:
        return {"head": self.head, "labels": list(self.task.labels)}

    def dev_score(self, model: TaskModel, embedding: Embedding, dev: Loaded) -> dict[str, Any]:
        from tasks.encoding import encode_examples
        from tasks.evaluate import predict

        encoded = encode_examples(embedding.tokenizer, dev.examples, self.max_length, separators_of(model.encoder.config))
        predicted = predict(model, encoded, self.task.name)
        share = sum(int(p) == item.label for p, item in zip(predicted, dev.examples, strict=True)) / len(dev)
        majority = Counter(item.label for item in dev.examples).most_common(1)[0][1] / len(dev)
        return {"score": share, "n": len(dev), "standard_error": standard_error(share, len(dev)),
                "baseline": {"score": majority, "what": "the most frequent label"}}

    def learned(self) -> dict[str, Any]:
        return {}


@dataclass
class QuestionAnswering:
    """A span of the context for each question."""

    task: QATask
    head: str
    windows: WindowSettings
    answer_tokens: int = 0
    threshold: float = 1.0
    counts: dict[str, int] = field(default_factory=dict)

    def items(self, train: Questions, embedding: Embedding) -> int:
        import numpy as np

        windows = encode_questions(embedding.tokenizer, train.questions, self.windows, targets=True)
        kept = ~np.isin(windows.question, windows.unplaced)
        if not kept.any():
            raise UserError(f"{', '.join(train.files)}: no question has its answer in its context; nothing can be learned")
        if windows.unplaced:
            first = train.questions[windows.unplaced[0]].id
            logger.warning(f"{', '.join(train.files)}: {len(windows.unplaced):,} of {len(train):,} questions are left out of the "
                           f"training: none of their answers stands in the context (first: id {first})")
        lengths = np.diff(windows.targets, axis=1)[windows.targets[:, 0] > 0] + 1
        # how long a usual answer is: what the first-span baseline guesses
        self.answer_tokens = int(np.median(lengths)) if len(lengths) else 1
        self.counts = {"train_windows": int(kept.sum()), "train_windows_with_answer": len(lengths),
                       "train_questions_unplaced": len(windows.unplaced), "train_questions_misaligned": len(train.misaligned),
                       "train_questions_cut": windows.cut_questions}
        return int(kept.sum())

    def made(self) -> dict[str, Any]:
        return {**self.windows.record(), **self.counts}

    def record(self) -> dict[str, Any]:
        return {"head": self.head, "labels": [], "windows": self.windows.record(), "answer_tokens": self.answer_tokens}

    def dev_score(self, model: TaskModel, embedding: Embedding, dev: Questions) -> dict[str, Any]:
        from tasks.qa.evaluate import answer, figures, first_span
        from tasks.qa.scores import score, score_squad2

        predictions, windows = answer(model, self.task.name, embedding.tokenizer, dev.questions, self.windows)
        if self.task.unanswerable:
            texts = {key: prediction.best for key, prediction in predictions.items()}
            odds = {key: prediction.no_answer for key, prediction in predictions.items()}
            self.threshold = score_squad2(dev.questions, texts, odds)["best_f1_thresh"]
            share = sum(not item.answers for item in dev.questions) / len(dev)
            baseline = {"score": share, "what": "no answer to any question"}
        else:
            guessed = first_span(windows, dev.questions, self.answer_tokens)
            f1 = score(dev.questions, guessed, self.task.name, embedding.language)["f1"]
            baseline = {"score": f1 / 100, "what": f"the first {self.answer_tokens} tokens of every context"}
        return {**figures(self.task, dev.questions, predictions, embedding.language, self.threshold), "baseline": baseline}

    def learned(self) -> dict[str, Any]:
        return {"no_answer_threshold": self.threshold} if self.task.unanswerable else {}


@dataclass
class Tagging:
    """A label for each word."""

    task: TaggingTask
    head: str
    max_length: int
    majority: str = ""
    words: int = 0

    def items(self, train: Sentences, embedding: Embedding) -> int:
        self.majority = majority(train, self.task.labels)
        self.words = train.words
        return len(train)

    def made(self) -> dict[str, Any]:
        return {"max_length": self.max_length, "train_words": self.words}

    def record(self) -> dict[str, Any]:
        return {"head": self.head, "labels": list(self.task.labels), "majority": self.majority}

    def dev_score(self, model: TaskModel, embedding: Embedding, dev: Sentences) -> dict[str, Any]:
        from tasks.tagging.evaluate import tag
        from tasks.tagging.scores import figures

        predicted, _ = tag(model, self.task.name, embedding, dev, self.task.labels, self.max_length)
        gold = dev.named(self.task.labels)
        constant = figures(gold, [[self.majority] * len(tags) for tags in gold], self.task.metric)
        return {**figures(gold, predicted, self.task.metric),
                "baseline": {"score": constant["score"], "what": f"{self.majority}, the most frequent tag, everywhere"}}

    def learned(self) -> dict[str, Any]:
        return {}
