"""Zero-shot evaluation of question answering: many languages, and for MLQA all pairs of context and question language.

Works without fairseq. Everything is written in the official layouts, so the official scorers can be run on it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adapt.artefacts.assemble import swap
from adapt.artefacts.embedding import Embedding
from adapt.artefacts.resources import locate
from adapt.text.tokenizer import Tokenizer
from pretrain.artefacts.body import Body
from pretrain.base.environment import environment
from pretrain.base.errors import UserError, unknown
from pretrain.base.files import atomic_folder, refuse_existing, write_json
from tasks.encoding import separators_of
from tasks.evaluate import MAX_TOKENS, aligned, body_record, by_language, embedding_record, evaluation_device
from tasks.heads.model import TaskModel, task_model
from tasks.qa.data import Question, Questions
from tasks.qa.features import Windows, WindowSettings, encode_questions
from tasks.qa.model import check_both, qa_record, swap_pair, untrained
from tasks.qa.predict import LONGEST_ANSWER, N_BEST, Prediction, merge, predict_windows
from tasks.qa.predictions import write_predictions
from tasks.qa.scores import score, score_each, score_squad2
from tasks.qa.tasks import QATask

PAIRS = ("same", "all")


@dataclass
class Cell:
    """One evaluation before it is computed: contexts in one language, questions in the same or another."""

    context: str
    question: str
    data: Questions

    @property
    def name(self) -> str:
        """As files are called: the language, or MLQA's name of a mixed pair."""
        return self.context if self.context == self.question else f"context-{self.context}-question-{self.question}"


def answer(model: TaskModel, head: str, tokenizer: Tokenizer, questions: Sequence[Question], settings: WindowSettings, *,
           question_tokenizer: Tokenizer | None = None, max_tokens: int = MAX_TOKENS, limit: int = LONGEST_ANSWER,
           description: str | None = None) -> tuple[dict[str, Prediction], Windows]:
    """The prediction for each question by id, and the windows it came from.

    Args:
        head: name of the model's head.
        question_tokenizer: where the model holds two embeddings (`tasks.qa.model.swap_pair`).
        limit: longest answer in tokens.
    """
    windows = encode_questions(tokenizer, questions, settings, question_tokenizer)
    found = predict_windows(model, windows, head, max_tokens, limit, N_BEST, description)
    null_is_odds = bool(getattr(model.heads[head], "null_is_odds"))  # noqa: B009 (mypy: heads hold plain modules)
    return {questions[number].id: one for number, one in merge(windows, found, null_is_odds)}, windows


def figures(task: QATask, questions: Sequence[Question], predictions: dict[str, Prediction], language: str,
            threshold: float = 1.0) -> dict[str, Any]:
    """The scores of predictions: the official figures in percent, `score` (F1 as a share), its standard error, and n."""
    texts = {key: prediction.text(threshold) for key, prediction in predictions.items()}
    if task.unanswerable:
        best = {key: prediction.best for key, prediction in predictions.items()}
        odds = {key: prediction.no_answer for key, prediction in predictions.items()}
        result = {**score_squad2(questions, best, odds, threshold, language), "no_answer_threshold": threshold}
    else:
        result = score(questions, texts, task.name, language)
    shares = [f1 for _, f1 in score_each(questions, texts, task.name, language).values()]
    mean, count = sum(shares) / len(shares), len(shares)
    error = math.sqrt(sum((share - mean) ** 2 for share in shares) / max(1, count - 1) / count)
    return {"score": mean, "standard_error": error, "n": count,
            "interval_95": [max(0.0, mean - 1.959964 * error), min(1.0, mean + 1.959964 * error)], **result}


def first_span(windows: Windows, questions: Sequence[Question], tokens: int) -> dict[str, str]:
    """A baseline that reads nothing: the first `tokens` tokens of every context."""
    return {item.id: context.slice(0, min(tokens, len(context)) - 1).strip() if len(context) else ""
            for item, context in zip(questions, windows.contexts, strict=True)}


def _cells(task: QATask, paths: dict[str, Path], data: str | Path, split: str, pairs: str) -> list[Cell]:
    """Reads the questions of every cell before anything is computed."""
    if pairs == "same":
        return [Cell(code, code, task.read(data, split, code)) for code in paths]
    if not task.pairs:
        raise UserError(f"--pairs all: only mlqa has questions and contexts in different languages, not {task.name}")
    return [Cell(context, question, task.read(data, split, context, question_language=question))
            for context in paths for question in paths]


def evaluate_qa(body: str | Path, embeddings: Sequence[str | Path], task: QATask, data: str | Path, split: str,
                output: str | Path, *, pairs: str = "same", device: str = "auto", max_tokens: int = MAX_TOKENS,
                max_length: int = 0, stride: int = 0, max_question: int = 0, max_answer: int = LONGEST_ANSWER,
                precision: str = "fp32", untrained_head: bool = False, overwrite: bool = False,
                quiet: bool = False) -> list[dict[str, Any]]:
    """Scores a task body in the languages of the embeddings.

    In `OUTPUT/TASK/`, where NAME is a language or `context-X-question-Y`: `SPLIT-NAME.json` holds the predictions in the
    official layout (question id -> text), `SPLIT-NAME.nbest.json` the best answers of each question with character
    offsets and probabilities, `SPLIT-NAME.record.json` the record; for SQuAD 2.0 also `SPLIT-NAME.no-answer.json` and
    `SPLIT-NAME.non-empty.json`, from which the official scorer finds its best thresholds. `OUTPUT/results.json` holds all
    records.

    Args:
        pairs: `same`: contexts and questions in each embedding's language; `all`: every pair of them (MLQA).
        max_length, stride, max_question: windows, see `WindowSettings`; 0: as the body was fine-tuned.
        max_answer: longest answer in tokens.
        untrained_head: score the body under a head that was never trained: a baseline.

    Returns:
        One record per cell.

    Raises:
        UserError: existing output, wrong artefact, missing or stripped data.
    """
    refuse_existing(output, overwrite)
    target = evaluation_device(device, precision, max_tokens)
    if pairs not in PAIRS:
        raise unknown("pairs", pairs, PAIRS)
    if max_answer < 1:
        raise UserError(f"--max-answer-tokens {max_answer}: expected at least 1")
    loaded = Body.load(locate(body, "body"))
    if untrained_head:
        loaded = untrained(loaded)
    record = qa_record(loaded)
    trained = record["windows"]
    length, step, asked = (given or (0 if max_length and name != "max_length" else trained.get(name, 0)) for name, given in (
        ("max_length", max_length), ("stride", stride), ("max_question", max_question)))
    settings = WindowSettings.fit(loaded.config.max_positions, length, step, asked, separators_of(loaded.config))
    paths = by_language(embeddings)
    cells = _cells(task, paths, data, split, pairs)
    threshold = float(record.get("no_answer_threshold", 1.0 if not task.unanswerable else 0.5))
    known_embeddings = {code: Embedding.load(path) for code, path in paths.items()}
    model: TaskModel | None = None
    records: list[dict[str, Any]] = []
    with atomic_folder(output, overwrite) as folder:
        (folder / task.name).mkdir()
        for cell in cells:
            contexts, asked = known_embeddings[cell.context], known_embeddings[cell.question]
            if model is None:
                model = task_model(loaded, contexts, target, precision)
            check_both(loaded, contexts, asked)
            if cell.context == cell.question:
                swap(model, contexts)
            else:
                swap_pair(model, contexts, asked)
            questions = cell.data.questions
            predictions, windows = answer(
                model, record["name"], contexts.tokenizer, questions, settings, max_tokens=max_tokens, limit=max_answer,
                question_tokenizer=None if cell.context == cell.question else asked.tokenizer,
                description=None if quiet else f"{task.name} {split} {cell.name}")
            stem = f"{task.name}/{split}-{cell.name}"
            write_cell(folder / stem, predictions, threshold, task.unanswerable)
            baseline = score(questions, first_span(windows, questions, record["answer_tokens"]), task.name, cell.context)
            result = {
                **figures(task, questions, predictions, cell.context, threshold), "task": task.name,
                "version": task.version, "split": split, "language": cell.context, "question_language": cell.question,
                "metric": task.metric, "seed": loaded.made.get("seed"),
                "first_span": {"exact_match": baseline["exact_match"], "f1": baseline["f1"], "tokens": record["answer_tokens"]},
                "body": body_record(body, loaded), "embedding": embedding_record(paths[cell.context], contexts),
                "question_embedding": embedding_record(paths[cell.question], asked),
                "head": {"kind": record["head"], "trained_on": None if untrained_head else record["name"]},
                "data": {"files": cell.data.files, "sha256": cell.data.sha256(), "misaligned": len(cell.data.misaligned)},
                "windows": {**settings.record(), "count": len(windows), "cut_questions": windows.cut_questions},
                "max_answer_tokens": max_answer, "precision": precision, "device": str(target),
                "predictions": f"{stem}.json", "software": environment(),
            }
            write_json(folder / f"{stem}.record.json", result)
            records.append(result)
        write_json(folder / "results.json", records)
    return records


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
