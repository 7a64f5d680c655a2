"""Regression in fairseq's trainer: a value an example, squared error, Pearson's correlation on the dev split."""

import logging
import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from fairseq.criterions import register_criterion
from fairseq.dataclass import FairseqDataclass
from fairseq.logging import metrics
from torch.nn import functional as F

from tasks.encoding import encode_examples
from tasks.trainer.classification import ExampleDataset
from tasks.trainer.criterion import FamilyCriterion
from tasks.trainer.data import lesson_of, read_split

logger = logging.getLogger(__name__)

SUMS = ("n", "x", "y", "xx", "yy", "xy")
"""Of gold x and prediction y: all that a correlation needs, summable over batches and processes."""
LOSSES: dict[str, Callable[..., torch.Tensor]] = {"mse": F.mse_loss, "mae": F.l1_loss}


def load(task: Any, split: str, files: list[str], training: bool) -> ExampleDataset:
    """The data set of one split of a regression, for the fairseq task that asks for it."""
    loaded = read_split(task, split, files, training)
    encoded = encode_examples(task.embedding.tokenizer, loaded.examples, task.inputs.max_length, task.inputs.separators)
    logger.info(f"{', '.join(loaded.files)}: {len(encoded):,} examples of {task.definition.name} {split} in "
                f"{task.language}; {encoded.truncated:,} cut to {task.inputs.max_length} tokens")
    values = [float(item.value or 0) for item in loaded.examples]  # without one a teacher alone speaks
    return ExampleDataset(encoded, values, task.cfg.seed, training, lesson_of(task, loaded, training))


def _pearson(prefix: str, meters: Any) -> float:
    """Of all batches so far, in percent; 0 where gold or predictions are constant."""
    n, x, y, xx, yy, xy = (float(meters[f"_{prefix}{name}"].sum) for name in SUMS)
    spread = (n * xx - x * x) * (n * yy - y * y)
    return round(100 * (n * xy - x * y) / math.sqrt(spread), 3) if spread > 0 else 0.0


@register_criterion("modular_regression", dataclass=FairseqDataclass)
class ModularRegression(FamilyCriterion):
    """Squared or absolute error, summed over the examples; logged as their mean, in validation with Pearson's correlation in
    percent."""

    def forward(self, model: Any, sample: dict[str, Any], reduce: bool = True) -> tuple[Any, int, dict[str, Any]]:
        values = model(sample["tokens"], full=sample["full"], task=self.task.definition.name)[:, 0]
        gold = sample["labels"].to(values.dtype)
        hard = partial(LOSSES[self.loss], values, gold, reduction="sum")
        loss = self.task.lesson.total(hard, values, sample["teacher"]) if "teacher" in sample else hard()
        logging_output = {"loss": loss.detach(), "sample_size": sample["nsentences"], "ntokens": sample["ntokens"],
                          "nsentences": sample["nsentences"]}
        if not model.training:
            x, y = sample["labels"].double(), values.detach().double()
            sums = (len(x), x.sum(), y.sum(), (x * x).sum(), (y * y).sum(), (x * y).sum())
            logging_output.update({name: float(value) for name, value in zip(SUMS, sums, strict=True)})
        return loss, sample["nsentences"], logging_output

    def sums(self, training: bool) -> tuple[str, ...]:
        return ("loss", "sample_size", *(() if training else SUMS))

    @classmethod
    def reduce_metrics(cls, logging_outputs: list[dict[str, Any]], prefix: str = "") -> None:
        count = float(sum(log.get("sample_size", 0) for log in logging_outputs))
        if not count:
            return
        metrics.log_scalar(f"{prefix}loss", float(sum(log.get("loss", 0) for log in logging_outputs)) / count, count, round=4)
        if all(SUMS[0] in log for log in logging_outputs):  # a function of sums is no mean over batches
            for name in SUMS:
                metrics.log_scalar_sum(f"_{prefix}{name}", float(sum(log[name] for log in logging_outputs)))
            metrics.log_derived(f"{prefix}pearson", partial(_pearson, prefix))
