"""Multiple choice in fairseq's trainer: cross entropy of the softmax over an item's candidates."""

import logging
import math
from functools import partial
from typing import Any

import numpy as np
import torch
from fairseq.criterions import register_criterion
from fairseq.dataclass import FairseqDataclass
from fairseq.logging import metrics
from torch.nn import functional as F

from tasks.choice.family import encode
from tasks.distillation.student import UNLABELLED, Lesson
from tasks.encoding import Encoded, pad
from tasks.trainer.criterion import FamilyCriterion
from tasks.trainer.data import ItemDataset, lesson_of, read_split

logger = logging.getLogger(__name__)


class ChoiceDataset(ItemDataset):
    """Encoded candidates of one split, K an item, with the number of the right one [N]. An item's size is its longest
    candidate's.

    Args:
        encoded: those of an item beside each other [N * K].
    """

    def __init__(self, encoded: Encoded, labels: list[int], candidates: int, seed: int, shuffle: bool,
                 lesson: Lesson | None = None):
        super().__init__(encoded.sizes.reshape(-1, candidates).max(1), seed, shuffle)
        self.encoded, self.candidates = encoded, candidates
        self.labels = np.array(labels)
        self.teacher = None if lesson is None else lesson.targets()

    def collater(self, samples: list[int]) -> dict[str, Any]:
        """Tokens [B * K, T], labels [B]."""
        if not samples:
            return {}
        indices = np.array(samples, dtype=np.int64)
        rows = (indices[:, None] * self.candidates + np.arange(self.candidates)).ravel()
        lengths = self.encoded.sizes[rows]
        return {"id": torch.from_numpy(indices), "tokens": pad([self.encoded.tokens[row] for row in rows]),
                "labels": torch.from_numpy(self.labels[indices]), "full": bool((lengths == lengths[0]).all()),
                "ntokens": int(lengths.sum()), "nsentences": len(samples),
                **({} if self.teacher is None else {"teacher": self.teacher[indices]})}


def load(task: Any, split: str, files: list[str], training: bool) -> ChoiceDataset:
    """The data set of one split of a multiple-choice task, for the fairseq task that asks for it."""
    loaded = read_split(task, split, files, training)
    encoded = encode(task.embedding.tokenizer, loaded.items, task.inputs.max_length, task.inputs.separators)
    logger.info(f"{', '.join(loaded.files)}: {len(loaded):,} items of {task.definition.name} {split} in {task.language}; "
                f"{encoded.truncated:,} candidates cut to {task.inputs.max_length} tokens")
    labels = [UNLABELLED if item.label is None else item.label for item in loaded.items]
    return ChoiceDataset(encoded, labels, task.definition.candidates, task.cfg.seed, training, lesson_of(task, loaded, training))


@register_criterion("modular_choice", dataclass=FairseqDataclass)
class ModularChoice(FamilyCriterion):
    """Cross entropy over the candidates, summed over the items; logged in bits, with accuracy in percent."""

    def forward(self, model: Any, sample: dict[str, Any], reduce: bool = True) -> tuple[Any, int, dict[str, Any]]:
        outputs = model(sample["tokens"], full=sample["full"], task=self.task.definition.name)
        labels = sample["labels"]
        logits_BK = outputs.view(len(labels), -1)
        hard = partial(F.cross_entropy, logits_BK, labels, reduction="sum")
        loss = self.task.lesson.total(hard, logits_BK, sample["teacher"]) if "teacher" in sample else hard()
        return loss, sample["nsentences"], {
            "loss": loss.detach(), "n_correct": logits_BK.detach().argmax(-1).eq(labels).sum(),
            "sample_size": sample["nsentences"], "ntokens": sample["ntokens"], "nsentences": sample["nsentences"]}

    def sums(self, training: bool) -> tuple[str, ...]:
        return ("loss", "n_correct", "sample_size")

    @classmethod
    def reduce_metrics(cls, logging_outputs: list[dict[str, Any]], prefix: str = "") -> None:
        total = {key: float(sum(log.get(key, 0) for log in logging_outputs)) for key in ("loss", "sample_size", "n_correct")}
        count = total["sample_size"]
        if count:
            metrics.log_scalar(f"{prefix}loss", total["loss"] / count / math.log(2), count, round=4)
            metrics.log_scalar(f"{prefix}accuracy", 100 * total["n_correct"] / count, count, round=3)
