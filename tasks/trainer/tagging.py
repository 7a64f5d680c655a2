"""Tagging in fairseq's trainer: sentences with all their windows, cross entropy over words, F1 of whole entities.

An item is a sentence, so that its entities can be counted in validation and summed over batches and processes.
"""

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

from tasks.distillation.student import Lesson
from tasks.encoding import pad
from tasks.tagging.data import Sentences
from tasks.tagging.features import Windows, encode_sentences
from tasks.tagging.scores import count_entities, precision_recall_f1
from tasks.trainer.criterion import FamilyCriterion
from tasks.trainer.data import ItemDataset, lesson_of, read_split

logger = logging.getLogger(__name__)

COUNTS = ("right", "predicted", "gold")
"""Entities, see `tasks.tagging.scores.count_entities`."""


class SentenceDataset(ItemDataset):
    """Sentences with all their windows and the tags of their words, and what a teacher says of these."""

    def __init__(self, windows: Windows, sentences: Sentences, seed: int, shuffle: bool, lesson: Lesson | None = None):
        self.windows, self.sentences = windows, sentences
        self.teacher = None if lesson is None else lesson.targets().split([len(item.words) for item in sentences])
        super().__init__(np.diff(np.concatenate([[0], windows.sizes.cumsum()])[windows.first]), seed, shuffle)

    def collater(self, samples: list[int]) -> dict[str, Any]:
        """Windows of the sentences [W, T]; `rows` and `columns` [N] of the words, in order, and their `labels` [N];
        with a teacher also what it says of them, `teacher` [N, C]."""
        if not samples:
            return {}
        windows = self.windows
        chosen = np.concatenate([np.arange(windows.first[n], windows.first[n + 1]) for n in samples])
        columns = [windows.columns[number] for number in chosen]
        lengths = windows.sizes[chosen]
        items = [self.sentences.sentences[number] for number in samples]
        labels = np.array([tag for item in items for tag in item.tags], dtype=np.int64)
        return {
            "id": torch.tensor(samples),
            "tokens": pad([windows.tokens[number] for number in chosen]),
            "rows": torch.from_numpy(np.repeat(np.arange(len(chosen)), [len(part) for part in columns])),
            "columns": torch.from_numpy(np.concatenate(columns)),
            "labels": torch.from_numpy(labels),
            "words": [len(item.words) for item in items],
            "full": bool((lengths == lengths[0]).all()),
            "ntokens": int(lengths.sum()),
            "nsentences": len(samples),
            **({} if self.teacher is None else {"teacher": torch.cat([self.teacher[number] for number in samples])}),
        }


def load(task: Any, split: str, files: list[str], training: bool) -> SentenceDataset:
    """The data set of one split of a tagging task, for the fairseq task that asks for it."""
    loaded = read_split(task, split, files, training)
    windows = encode_sentences(task.embedding.tokenizer, loaded.sentences, task.inputs.max_length, task.embedding.language)
    logger.info(f"{', '.join(loaded.files)}: {len(loaded):,} sentences, {loaded.words:,} words of {task.definition.name} {split} "
                f"in {task.language}; {len(windows):,} windows of at most {task.inputs.max_length} tokens; "
                f"{windows.unread:,} words gave no token and are <unk>")
    return SentenceDataset(windows, loaded, task.cfg.seed, training, lesson_of(task, loaded, training))


def _percent(place: int, prefix: str, meters: Any) -> float:
    """Precision, recall or F1 (0, 1, 2) of all batches so far, in percent."""
    return round(100 * precision_recall_f1(*(int(meters[f"_{prefix}{name}"].sum) for name in COUNTS))[place], 3)


@register_criterion("modular_tagging", dataclass=FairseqDataclass)
class ModularTagging(FamilyCriterion):
    """Cross entropy over the labels, summed over the words; logged in bits a word, with the accuracy of tags in percent.

    In validation of a task scored by F1 also precision, recall and F1 of whole entities. fairseq divides by the number of
    words of the whole update, so every word weighs the same however batches are cut. ELECTRA's code sums over a sentence's
    words and averages over sentences, which is the same gradient times the update's mean sentence length.
    """

    def forward(self, model: Any, sample: dict[str, Any], reduce: bool = True) -> tuple[Any, int, dict[str, Any]]:
        definition = self.task.definition
        logits = model(sample["tokens"], full=sample["full"], task=definition.name)[sample["rows"], sample["columns"]]
        labels = sample["labels"]
        hard = partial(F.cross_entropy, logits, labels, reduction="sum")
        loss = self.task.lesson.total(hard, logits, sample["teacher"]) if "teacher" in sample else hard()
        predicted = logits.detach().argmax(-1)
        logging_output = {"loss": loss.detach(), "n_correct": predicted.eq(labels).sum(), "sample_size": len(labels),
                          "ntokens": sample["ntokens"], "nsentences": sample["nsentences"]}
        if definition.metric == "f1" and not model.training:
            gold, own = (self._by_sentence(part.tolist(), sample["words"]) for part in (labels, predicted))
            counts = count_entities(gold, own).sum(0).tolist()
            logging_output.update(zip(COUNTS, counts, strict=True))
        return loss, len(labels), logging_output

    def sums(self, training: bool) -> tuple[str, ...]:
        plain = training or self.task.definition.metric != "f1"
        return ("loss", "n_correct", "sample_size", *(() if plain else COUNTS))

    def _by_sentence(self, flat: list[int], words: list[int]) -> list[list[str]]:
        names = [self.task.definition.labels[index] for index in flat]
        ends = np.cumsum(words).tolist()
        return [names[end - count:end] for end, count in zip(ends, words, strict=True)]

    @classmethod
    def reduce_metrics(cls, logging_outputs: list[dict[str, Any]], prefix: str = "") -> None:
        total = {key: float(sum(log.get(key, 0) for log in logging_outputs))
                 for key in ("loss", "sample_size", "n_correct", *COUNTS)}
        count = total["sample_size"]
        if not count:
            return
        metrics.log_scalar(f"{prefix}loss", total["loss"] / count / math.log(2), count, round=4)
        metrics.log_scalar(f"{prefix}accuracy", 100 * total["n_correct"] / count, count, round=3)
        if any("gold" in log for log in logging_outputs):  # a ratio of sums is no mean over batches
            for key in COUNTS:
                metrics.log_scalar_sum(f"_{prefix}{key}", total[key])
            for place, key in enumerate(("precision", "recall", "f1")):
                metrics.log_derived(f"{prefix}{key}", partial(_percent, place, prefix))
