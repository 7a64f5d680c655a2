"""Extractive question answering in fairseq's trainer: windows to train on, questions to validate on, the span loss.

A training item is a window. A validation item is a question with all its windows, so that exact match and F1 of whole
questions can be summed over batches and processes.
"""

import logging
import math
from typing import Any

import numpy as np
import torch
from fairseq.criterions import register_criterion
from fairseq.dataclass import FairseqDataclass
from fairseq.logging import metrics
from numpy.typing import NDArray

from tasks.distillation.student import Lesson
from tasks.family import LONGEST_ANSWER
from tasks.heads.span import SpanSearch
from tasks.qa.data import Question
from tasks.qa.features import Windows, WindowSettings, encode_questions, left_out
from tasks.qa.predict import merge
from tasks.qa.scores import score_answer
from tasks.qa.teaching import window_shares
from tasks.trainer.criterion import FamilyCriterion
from tasks.trainer.data import ItemDataset, lesson_of, read_split

logger = logging.getLogger(__name__)


class WindowDataset(ItemDataset):
    """Windows with the columns of their answers; those of questions without a place in the context are left out, unless a teacher
    alone speaks."""

    def __init__(self, windows: Windows, seed: int, lesson: Lesson | None = None):
        self.windows, self.lesson = windows, lesson
        alone = lesson is not None and lesson.asked.alpha == 0
        self.kept = np.arange(len(windows)) if alone else trainable(windows)
        super().__init__(windows.sizes[self.kept], seed, shuffle=True)

    def collater(self, samples: list[int]) -> dict[str, Any]:
        if not samples:
            return {}
        rows = self.kept[np.array(samples, dtype=np.int64)]
        batch = window_batch(self.windows, rows)
        if self.lesson is not None:
            batch["teacher"] = window_shares(self.windows, rows, self.lesson.columns, self.lesson.temperature)
        return batch


class QuestionDataset(ItemDataset):
    """Questions with all their windows."""

    def __init__(self, windows: Windows, questions: list[Question], seed: int):
        self.windows, self.questions = windows, questions
        self.borders = windows.of_questions()
        totals = np.concatenate([[0], windows.sizes.cumsum()])[self.borders]
        super().__init__(np.diff(totals), seed, shuffle=False)

    def collater(self, samples: list[int]) -> dict[str, Any]:
        if not samples:
            return {}
        numbers = np.sort(np.array(samples, dtype=np.int64))
        rows = np.concatenate([np.arange(self.borders[n], self.borders[n + 1]) for n in numbers])
        search = self.windows.search(rows, LONGEST_ANSWER, 1)
        return {**window_batch(self.windows, rows), "starts": search.starts, "rows": rows}


def window_batch(windows: Windows, rows: NDArray[np.int64]) -> dict[str, Any]:
    """One batch of windows as the criterion takes it."""
    tokens, full = windows.batch(rows)
    return {
        "id": torch.from_numpy(rows),
        "tokens": tokens,
        "targets": torch.from_numpy(windows.targets[rows]),
        "allowed": windows.search(rows, LONGEST_ANSWER, 1).allowed,
        "full": full,
        "ntokens": int(windows.sizes[rows].sum()),
        "nsentences": len(rows),
    }


def trainable(windows: Windows) -> NDArray[np.int64]:
    """Numbers of the windows whose question has an answer in its context, or is known to have none."""
    return np.flatnonzero(~np.isin(windows.question, windows.unplaced))


def load(task: Any, split: str, files: list[str], training: bool) -> ItemDataset:
    """The data set of one split of a question answering task, for the fairseq task that asks for it."""
    settings: WindowSettings = task.inputs
    loaded = read_split(task, split, files, training)
    windows = encode_questions(task.embedding.tokenizer, loaded.questions, settings, targets=True)
    logger.info(f"{', '.join(loaded.files)}: {len(loaded):,} questions of {task.definition.name} {split} in {task.language}, "
                f"{len(windows):,} windows of at most {settings.max_length} tokens, step {settings.stride}; "
                f"{windows.cut_questions:,} questions cut to {settings.max_question} tokens")
    lesson = lesson_of(task, loaded, training)
    if windows.unplaced and not (lesson is not None and lesson.asked.alpha == 0):
        logger.warning(left_out(loaded.files, loaded.questions, windows, training))
    if training:
        return WindowDataset(windows, task.cfg.seed, lesson)
    return QuestionDataset(windows, loaded.questions, task.cfg.seed)


@register_criterion("modular_span", dataclass=FairseqDataclass)
class ModularSpan(FamilyCriterion):
    """The head's own loss, summed over the windows; logged in bits. In validation also exact match and F1 in percent.

    Where "no answer" can be right, it is said from a probability of one half on; the threshold that is best on the dev
    split is searched for when training is over.
    """

    def forward(self, model: Any, sample: dict[str, Any], reduce: bool = True) -> tuple[Any, int, dict[str, Any]]:
        definition = self.task.definition
        search = SpanSearch(sample["allowed"], sample["starts"], LONGEST_ANSWER, 1) if "starts" in sample else None
        output = model(sample["tokens"], full=sample["full"], task=definition.name, targets=sample["targets"],
                       allowed=sample["allowed"], search=search)
        hard = output.loss.sum
        loss = self.task.lesson.total(hard, output.logits, sample["teacher"]) if "teacher" in sample else hard()
        logging_output = {"loss": loss.detach(), "sample_size": sample["nsentences"], "ntokens": sample["ntokens"],
                          "nsentences": sample["nsentences"], "questions": 0, "exact_match": 0.0, "f1": 0.0}
        if search is not None:
            odds = model_head(model, definition.name).null_is_odds
            logging_output.update(self._scores(sample["rows"], output.candidates, odds))
        return loss, sample["nsentences"], logging_output

    def sums(self, training: bool) -> tuple[str, ...]:
        return ("loss", "sample_size", "questions", "exact_match", "f1")

    def _scores(self, rows: Any, candidates: Any, null_is_odds: bool) -> dict[str, float]:
        data = self.task.datasets["valid"]
        rules = self.task.definition.rules(self.task.language)
        threshold = 0.5 if self.task.definition.unanswerable else 1.0
        totals = {"questions": 0.0, "exact_match": 0.0, "f1": 0.0}
        for number, prediction in merge(data.windows, candidates.cpu(), null_is_odds, 1, np.asarray(rows)):
            item = data.questions[number]
            golds = [answer.text for answer in item.answers] or [""]
            exact, f1 = score_answer(prediction.text(threshold), golds, rules)
            totals["questions"] += 1
            totals["exact_match"] += 100 * exact
            totals["f1"] += 100 * f1
        return totals

    @classmethod
    def reduce_metrics(cls, logging_outputs: list[dict[str, Any]], prefix: str = "") -> None:
        keys = ("loss", "sample_size", "questions", "exact_match", "f1")
        total = {key: float(sum(log.get(key, 0) for log in logging_outputs)) for key in keys}
        if total["sample_size"]:
            metrics.log_scalar(f"{prefix}loss", total["loss"] / total["sample_size"] / math.log(2), total["sample_size"], round=4)
        if total["questions"]:
            for key in ("exact_match", "f1"):
                metrics.log_scalar(f"{prefix}{key}", total[key] / total["questions"], total["questions"], round=3)


def model_head(model: Any, task: str) -> Any:
    """The head of a task, also where the model is wrapped for several processes."""
    return getattr(model, "module", model).heads[task]
