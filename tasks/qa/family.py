"""Question answering in task adaptation and evaluation: a span of the context for each question.

Evaluation covers many languages, and for MLQA all pairs of context and question language. Everything is written in the official
layouts, so the official scorers can be run on it.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from adapt.text.tokenizer import Tokenizer
from adapt.text.windows import MAX_TOKENS
from pretrain.artefacts.body import Body
from pretrain.base.errors import UserError, unknown
from pretrain.base.files import write_json
from tasks.definition import Z_95
from tasks.family import DRAWN_HEADS, LONGEST_ANSWER, QUESTIONS, EvaluationOptions
from tasks.heads.model import TaskModel
from tasks.qa.data import Question, Questions
from tasks.qa.features import Windows, WindowSettings, encode_questions, left_out
from tasks.qa.model import qa_record, untrained
from tasks.qa.predict import N_BEST, Prediction, merge, predict_windows
from tasks.qa.predictions import read_predictions, write_predictions
from tasks.qa.scores import score, score_each, score_squad2
from tasks.tables import aligned

if TYPE_CHECKING:
    from adapt.artefacts.embedding import Embedding
    from tasks.qa.task import QATask

logger = logging.getLogger(__name__)

PAIRS = ("same", "all")


def answer(model: TaskModel, head: str, tokenizer: Tokenizer, questions: Sequence[Question], settings: WindowSettings, *,
           question_tokenizer: Tokenizer | None = None, max_tokens: int = MAX_TOKENS, limit: int = LONGEST_ANSWER,
           description: str | None = None) -> tuple[dict[str, Prediction], Windows]:
    """The prediction for each question by id, and the windows it came from.

    Args:
        head: name of the model's head.
        question_tokenizer: where the model holds two embeddings (`adapt.artefacts.assemble.swap_side_by_side`).
        limit: longest answer in tokens.
    """
    windows = encode_questions(tokenizer, questions, settings, question_tokenizer)
    found = predict_windows(model, windows, head, max_tokens, limit, N_BEST, description)
    null_is_odds = bool(getattr(model.heads[head], "null_is_odds"))  # noqa: B009 (mypy: heads hold plain modules)
    return {questions[number].id: one for number, one in merge(windows, found, null_is_odds)}, windows


def scores_of(task: QATask, questions: Sequence[Question], predictions: dict[str, Prediction], language: str,
            threshold: float = 1.0) -> dict[str, Any]:
    """The scores of predictions: the official figures in percent, `score` (F1 as a share), its standard error, and n."""
    texts = {key: prediction.text(threshold) for key, prediction in predictions.items()}
    if task.unanswerable:
        best = {key: prediction.best for key, prediction in predictions.items()}
        odds = {key: prediction.no_answer for key, prediction in predictions.items()}
        rules = task.rules(language)
        result = {**score_squad2(questions, best, odds, threshold, language, rules), "no_answer_threshold": threshold}
    else:
        result = score(questions, texts, task.rules(language), language)
    shares = [f1 for _, f1 in score_each(questions, texts, task.rules(language)).values()]
    mean, count = sum(shares) / len(shares), len(shares)
    error = math.sqrt(sum((share - mean) ** 2 for share in shares) / max(1, count - 1) / count)
    return {"score": mean, "standard_error": error, "n": count,
            "interval_95": [max(0.0, mean - Z_95 * error), min(1.0, mean + Z_95 * error)], **result}


def first_span(windows: Windows, questions: Sequence[Question], tokens: int) -> dict[str, str]:
    """A baseline that reads nothing: the first `tokens` tokens of every context."""
    return {item.id: context.slice(0, min(tokens, len(context)) - 1).strip() if len(context) else ""
            for item, context in zip(questions, windows.contexts, strict=True)}


@dataclass
class QATraining:
    """A span of the context for each question, in task adaptation."""

    task: QATask
    head: str
    windows: WindowSettings
    answer_tokens: int = 0
    threshold: float = 1.0
    gold: bool = True
    counts: dict[str, int] = field(default_factory=dict)

    def items(self, train: Questions, embedding: Embedding) -> int:
        windows = encode_questions(embedding.tokenizer, train.questions, self.windows, targets=True)
        kept = ~np.isin(windows.question, windows.unplaced if self.gold else [])
        if not kept.any():
            raise UserError(f"{', '.join(train.files)}: no question has its answer in its context; nothing can be learned")
        if windows.unplaced and self.gold:
            logger.warning(left_out(train.files, train.questions, windows))
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
        predictions, windows = answer(model, self.task.name, embedding.tokenizer, dev.questions, self.windows)
        rules = self.task.rules(embedding.language)
        if self.task.unanswerable:
            texts = {key: prediction.best for key, prediction in predictions.items()}
            odds = {key: prediction.no_answer for key, prediction in predictions.items()}
            self.threshold = score_squad2(dev.questions, texts, odds, rules=rules)["best_f1_thresh"]
            share = sum(not item.answers for item in dev.questions) / len(dev)
            baseline = {"score": share, "what": "no answer to any question"}
        else:
            guessed = first_span(windows, dev.questions, self.answer_tokens)
            f1 = score(dev.questions, guessed, rules, embedding.language)["f1"]
            baseline = {"score": f1 / 100, "what": f"the first {self.answer_tokens} tokens of every context"}
        return {**scores_of(self.task, dev.questions, predictions, embedding.language, self.threshold), "baseline": baseline}

    def learned(self) -> dict[str, Any]:
        return {"no_answer_threshold": self.threshold} if self.task.unanswerable else {}


@dataclass
class QAEvaluation:
    """A task body about to be scored; see `tasks.family.Evaluation`.

    A cell's files: `STEM.json`, the predictions in the official layout (question id -> text); `STEM.nbest.json`, the best answers
    of each question with character offsets and probabilities; `STEM.record.json`, the record; for SQuAD 2.0 also
    `STEM.no-answer.json` and `STEM.non-empty.json`, from which the official scorer finds its best thresholds.
    """

    task: QATask
    body: Body
    record: dict[str, Any]
    windows: WindowSettings
    options: EvaluationOptions
    threshold: float
    ending: ClassVar[str] = ".json"
    record_ending: ClassVar[str] = ".record.json"

    @classmethod
    def of(cls, task: QATask, body: Body, options: EvaluationOptions) -> QAEvaluation:
        """The evaluation that the options ask for; see `Definition.evaluation`."""
        options.only(task.name, QUESTIONS, DRAWN_HEADS)
        if options.pairs not in PAIRS:
            raise unknown("pairs", options.pairs, PAIRS)
        if options.max_answer < 1:
            raise UserError(f"--max-answer-tokens {options.max_answer}: expected at least 1")
        if options.pairs == "all" and not task.pairs:
            raise UserError(f"--pairs all: only mlqa has questions and contexts in different languages, not {task.name}")
        if options.untrained_head:
            body = untrained(body)
        record = qa_record(body)
        trained = record["windows"]
        lengths = [getattr(options, name) or (0 if options.max_length and name != "max_length" else trained.get(name, 0))
                   for name in ("max_length", "stride", "max_question")]
        threshold = float(record.get("no_answer_threshold", 1.0 if not task.unanswerable else 0.5))
        return cls(task, body, record, task.inputs(body.config, *lengths), options, threshold)

    def cells(self, languages: Sequence[str]) -> list[tuple[str, ...]]:
        if self.options.pairs == "same":
            return [(language,) for language in languages]
        return [(context,) if context == question else (context, question) for context in languages for question in languages]

    def read(self, data: str | Path, split: str, languages: tuple[str, ...]) -> Questions:
        return self.task.read(data, split, languages[0], question_language=languages[-1])

    def predict(self, model: TaskModel, embeddings: Sequence[Embedding], examples: Questions, max_tokens: int,
                description: str | None) -> tuple[dict[str, Prediction], Windows]:
        """The prediction for each question by id, and the windows it came from."""
        contexts, *asked = embeddings
        return answer(model, self.record["name"], contexts.tokenizer, examples.questions, self.windows, max_tokens=max_tokens,
                      limit=self.options.max_answer, question_tokenizer=asked[0].tokenizer if asked else None,
                      description=description)

    def write(self, stem: Path, predicted: tuple[dict[str, Prediction], Windows]) -> None:
        write_cell(stem, predicted[0], self.threshold, self.task.unanswerable)

    def score(self, examples: Questions, predicted: tuple[dict[str, Prediction], Windows], language: str) -> dict[str, Any]:
        return scores_of(self.task, examples.questions, predicted[0], language, self.threshold)

    def facts(self, examples: Questions, predicted: tuple[dict[str, Prediction], Windows],
              languages: tuple[str, ...]) -> dict[str, Any]:
        context, windows, tokens = languages[0], predicted[1], self.record["answer_tokens"]
        trained_on = None if self.options.untrained_head else self.record["name"]
        guessed = score(examples.questions, first_span(windows, examples.questions, tokens), self.task.rules(context), context)
        return {
            "question_language": languages[-1],
            "first_span": {"exact_match": guessed["exact_match"], "f1": guessed["f1"], "tokens": tokens},
            "head": {"kind": self.record["head"], "trained_on": trained_on},
            "data": {"files": examples.files, "sha256": examples.sha256(), "misaligned": len(examples.misaligned)},
            "windows": {**self.windows.record(), "count": len(windows), "cut_questions": windows.cut_questions},
            "max_answer_tokens": self.options.max_answer,
        }


def example_scores(task: QATask, file: Path, examples: Questions, language: str) -> NDArray[np.float64]:
    """F1 of each question [N] from a file of predictions; see `Definition.example_scores`."""
    pairs = score_each(examples.questions, read_predictions(file), task.rules(language))
    return np.array([f1 for _, f1 in pairs.values()])


def write_cell(stem: Path, predictions: dict[str, Prediction], threshold: float, unanswerable: bool) -> None:
    """Predictions, n-best lists and, where questions may have no answer, what the official scorer wants besides."""
    write_predictions(stem.with_name(f"{stem.name}.json"), {key: one.text(threshold) for key, one in predictions.items()})
    write_json(stem.with_name(f"{stem.name}.nbest.json"), {
        key: [{"text": span.text, "start": span.start, "end": span.end, "probability": round(span.probability, 6),
               "score": round(span.score, 6)} for span in one.spans] for key, one in predictions.items()})
    if unanswerable:
        write_json(stem.with_name(f"{stem.name}.no-answer.json"), {key: one.no_answer for key, one in predictions.items()})
        write_predictions(stem.with_name(f"{stem.name}.non-empty.json"), {key: one.best for key, one in predictions.items()})


def table(records: Sequence[dict[str, Any]]) -> str:
    """The scores as text: one line a language, or a square of F1 where questions are in other languages too."""
    if any(record["language"] != record["question_language"] for record in records):
        return _square(records)
    segmented = any("f1_segmented" in record for record in records)
    rows = [["language", "split", "exact match", "F1", *(["F1 segmented"] if segmented else []), "first span", "n"]]
    for record in records:
        extra = [f"{record['f1_segmented']:.1f}" if "f1_segmented" in record else ""] if segmented else []
        rows.append([record["language"], record["split"], f"{record['exact_match']:.1f}",
                     f"{record['f1']:.1f} ± {100 * record['standard_error']:.1f}", *extra, f"{record['first_span']['f1']:.1f}",
                     f"{record['n']:,}"])
    if len(records) > 1:
        means = [sum(record[key] for record in records) / len(records) for key in ("exact_match", "f1")]
        rows.append([f"mean of {len(records)}", records[0]["split"], *(f"{mean:.1f}" for mean in means),
                     *([""] if segmented else []), "", ""])
    return aligned(rows)


def _square(records: Sequence[dict[str, Any]]) -> str:
    codes = list(dict.fromkeys(record["language"] for record in records))
    f1 = {(record["language"], record["question_language"]): record["f1"] for record in records}
    rows = [["context \\ question", *codes]]
    rows += [[context, *(f"{f1[context, question]:.1f}" for question in codes)] for context in codes]
    mixed = [value for (context, question), value in f1.items() if context != question]
    same = [f1[code, code] for code in codes]
    return (f"F1, {records[0]['task']} {records[0]['split']}\n{aligned(rows)}\nmean of one language {sum(same) / len(same):.1f}, "
            f"of two {sum(mixed) / len(mixed):.1f}")
