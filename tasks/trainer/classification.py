"""Classification in fairseq's trainer: one label an example, cross entropy, the task's metric on the dev split."""

import logging
import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from fairseq.criterions import register_criterion
from fairseq.dataclass import FairseqDataclass
from fairseq.logging import metrics
from torch.nn import functional as F

from tasks.classification.metrics import confusion, get_metric
from tasks.distillation.student import UNLABELLED, Lesson
from tasks.encoding import Encoded, encode_examples, pad
from tasks.trainer.criterion import FamilyCriterion
from tasks.trainer.data import ItemDataset, lesson_of, read_split

logger = logging.getLogger(__name__)


class ExampleDataset(ItemDataset):
    """Encoded examples of one split with their labels, or the values of a regression [N], and what a teacher says of them."""

    def __init__(self, encoded: Encoded, labels: list[int] | list[float], seed: int, shuffle: bool, lesson: Lesson | None = None):
        super().__init__(encoded.sizes, seed, shuffle)
        self.encoded = encoded
        self.labels = np.array(labels)
        self.teacher = None if lesson is None else lesson.targets()

    def collater(self, samples: list[int]) -> dict[str, Any]:
        if not samples:
            return {}
        indices = np.array(samples, dtype=np.int64)
        lengths = self.sizes[indices]
        return {
            "id": torch.from_numpy(indices),
            "tokens": pad([self.encoded.tokens[index] for index in samples]),
            "labels": torch.from_numpy(self.labels[indices]),
            "full": bool((lengths == lengths[0]).all()),
            "ntokens": int(lengths.sum()),
            "nsentences": len(samples),
            **({} if self.teacher is None else {"teacher": self.teacher[indices]}),
        }


def load(task: Any, split: str, files: list[str], training: bool) -> ExampleDataset:
    """The data set of one split of a classification task, for the fairseq task that asks for it."""
    loaded = read_split(task, split, files, training)
    encoded = encode_examples(task.embedding.tokenizer, loaded.examples, task.inputs.max_length, task.inputs.separators)
    labels = [UNLABELLED if item.label is None else item.label for item in loaded.examples]
    logger.info(f"{', '.join(loaded.files)}: {len(encoded):,} examples of {task.definition.name} {split} in "
                f"{task.language}; {encoded.truncated:,} cut to {task.inputs.max_length} tokens")
    return ExampleDataset(encoded, labels, task.cfg.seed, training, lesson_of(task, loaded, training))


LOSSES: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "cross-entropy": lambda logits, labels: F.cross_entropy(logits, labels, reduction="sum"),
    "mse": lambda logits, labels: F.mse_loss(logits.softmax(-1), F.one_hot(labels, logits.shape[-1]).to(logits.dtype),
                                             reduction="sum"),
}
"""Of logits [B, C] and labels [B], summed over the examples. `mse`: squared error of the probabilities, Brier's score."""


CELL = "cell/"
"""Begins the names of a confusion matrix's cells in a log: they hold the metric too, so that logs are numbers alone."""


def _cells(metric: str, labels: int) -> list[str]:
    """Names of a confusion matrix's cells, row by row."""
    return [f"{CELL}{metric}/{gold}_{own}" for gold in range(labels) for own in range(labels)]


def _metric(name: str, labels: int, prefix: str, meters: Any) -> float:
    """The metric of all batches so far, in percent."""
    matrix = np.array([[int(meters[f"_{prefix}{gold}_{own}"].sum) for own in range(labels)] for gold in range(labels)])
    return round(100 * get_metric(name)(matrix), 3)


@register_criterion("modular_classification", dataclass=FairseqDataclass)
class ModularClassification(FamilyCriterion):
    """Cross entropy over the labels, or another of `LOSSES`; logged in bits (nats / ln 2), with accuracy in percent.

    In validation of a task with another metric also that one, from the confusion matrix of all batches.
    """

    def forward(self, model: Any, sample: dict[str, Any], reduce: bool = True) -> tuple[Any, int, dict[str, Any]]:
        logits = model(sample["tokens"], full=sample["full"], task=self.task.definition.name)
        labels = sample["labels"]
        hard = partial(LOSSES[self.loss], logits, labels)
        loss = self.task.lesson.total(hard, logits, sample["teacher"]) if "teacher" in sample else hard()
        logging_output = {
            "loss": loss.detach(),
            "n_correct": logits.detach().argmax(-1).eq(labels).sum(),
            "sample_size": sample["nsentences"],
            "ntokens": sample["ntokens"],
            "nsentences": sample["nsentences"],
        }
        definition = self.task.definition
        if definition.metric != "accuracy" and not model.training:
            matrix = confusion(labels.cpu().numpy(), logits.detach().argmax(-1).cpu().numpy(), definition.outputs)
            logging_output.update(zip(_cells(definition.metric, definition.outputs), matrix.ravel().tolist(), strict=True))
        return loss, sample["nsentences"], logging_output

    def sums(self, training: bool) -> tuple[str, ...]:
        definition = self.task.definition
        plain = training or definition.metric == "accuracy"
        return ("loss", "n_correct", "sample_size", *(() if plain else _cells(definition.metric, definition.outputs)))

    @classmethod
    def reduce_metrics(cls, logging_outputs: list[dict[str, Any]], prefix: str = "") -> None:
        total = {
            key: float(sum(log.get(key, 0) for log in logging_outputs)) for key in ("loss", "sample_size", "n_correct")
        }
        if not total["sample_size"]:
            return
        count = total["sample_size"]
        metrics.log_scalar(f"{prefix}loss", total["loss"] / count / math.log(2), count, round=4)
        metrics.log_scalar(f"{prefix}accuracy", 100 * total["n_correct"] / count, count, round=3)
        cells = [key for key in logging_outputs[0] if key.startswith(CELL)]
        if cells:  # a function of sums is no mean over batches
            for cell in cells:
                metrics.log_scalar_sum(f"_{prefix}{cell.rsplit('/', 1)[1]}", float(sum(log[cell] for log in logging_outputs)))
            name = cells[0].split("/")[1]
            metrics.log_derived(f"{prefix}{name}", partial(_metric, name, math.isqrt(len(cells)), prefix))
