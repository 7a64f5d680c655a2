"""Zero-shot evaluation of tagging in many languages. Works without fairseq."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from adapt.artefacts.embedding import Embedding
from adapt.artefacts.resources import locate
from pretrain.artefacts.body import Body
from pretrain.base.environment import environment
from pretrain.base.errors import UserError
from pretrain.base.files import atomic_folder, refuse_existing, write_json
from tasks.encoding import resolve_max_length
from tasks.evaluate import (
    MAX_TOKENS,
    aligned,
    body_record,
    cells_of,
    check_labels,
    embedding_record,
    evaluation_device,
    in_turn,
    most_probable,
)
from tasks.heads.model import TaskModel, task_of, with_drawn_head
from tasks.tagging.data import Sentences
from tasks.tagging.features import Windows, encode_sentences
from tasks.tagging.scores import figures
from tasks.tagging.tasks import TaggingTask, with_labels


@torch.inference_mode()
def predict(model: TaskModel, windows: Windows, head: str, max_tokens: int = MAX_TOKENS,
            description: str | None = None) -> NDArray[np.int64]:
    """Index of the most probable label of every word [N], in the order of the words of all sentences.

    Args:
        max_tokens: padded tokens of a batch: decides about memory and speed, not about the result.
        description: text of the progress bar; none where None.

    Raises:
        UserError: outputs that are not finite.
    """
    found: list[NDArray[np.int64]] = [np.zeros(0, dtype=np.int64)] * len(windows)
    for indices, best_BT in most_probable(model, windows.tokens, head, max_tokens, description, "win"):
        for best_T, index in zip(best_BT, indices, strict=True):
            found[index] = best_T[windows.columns[index]]
    return np.concatenate(found)


def tag(model: TaskModel, head: str, embedding: Embedding, sentences: Sentences, labels: Sequence[str], max_length: int,
        max_tokens: int = MAX_TOKENS, description: str | None = None) -> tuple[list[list[str]], Windows]:
    """The predicted tags of each sentence by name, and the windows they came from.

    Args:
        labels: in the order of the head's outputs.
    """
    windows = encode_sentences(embedding.tokenizer, sentences.sentences, max_length, embedding.language)
    names = [labels[index] for index in predict(model, windows, head, max_tokens, description)]
    ends = np.cumsum([len(item.words) for item in sentences]).tolist()
    return [names[end - len(item.words):end] for end, item in zip(ends, sentences, strict=True)], windows


def prepare(body: Body, place: str | Path, task: TaggingTask, untrained_head: bool) -> tuple[Body, TaggingTask]:
    """The body with the head that is to be scored, and the task with that head's labels.

    Raises:
        UserError: no head, one of another task, or one with other labels than the task has.
    """
    if untrained_head:
        if not task.labels and (body.task or {}).get("name") == task.name:
            task = _labelled(task, task_of(body)["labels"])
        if not task.labels:
            raise UserError(f"--untrained-head: {task.name} has no labels of its own; name a body that was fine-tuned on it")
        return with_drawn_head(body, {"name": task.name, "head": task.heads[0], "labels": list(task.labels)}, 1), task
    trained = task_of(body, task.name)["labels"]
    if not task.labels:
        return body, _labelled(task, trained)
    check_labels(place, trained, task)
    return body, task


def _labelled(task: TaggingTask, labels: Sequence[str]) -> TaggingTask:
    found = with_labels(task, labels=labels)
    assert isinstance(found, TaggingTask)
    return found


def evaluate_tagging(body: str | Path, embeddings: Sequence[str | Path], task: TaggingTask, data: str | Path, split: str,
                     output: str | Path, *, device: str = "auto", max_tokens: int = MAX_TOKENS, max_length: int = 0,
                     precision: str = "fp32", untrained_head: bool = False, overwrite: bool = False,
                     quiet: bool = False) -> list[dict[str, Any]]:
    """Scores a task body in the language of each embedding and writes records and predictions.

    `OUTPUT/TASK/SPLIT-CODE.tsv` holds the predicted tags, one a line, an empty line after each sentence, as XTREME reads
    them; `OUTPUT/TASK/SPLIT-CODE.json` the record of that cell; `OUTPUT/results.json` all records.

    Args:
        split: read from `data` in each embedding's own language.
        max_length: tokens of a window; 0: all positions of the body.
        untrained_head: score the body under a head that was never trained: a baseline.

    Returns:
        One record per embedding, in the order given: what `tasks.tagging.scores.figures` gives, and for accuracy that of
        the training data's most frequent tag (`majority`).

    Raises:
        UserError: existing output, wrong artefact, missing, malformed or stripped data.
    """
    refuse_existing(output, overwrite)
    target = evaluation_device(device, precision, max_tokens)
    loaded, task = prepare(Body.load(locate(body, "body")), body, task, untrained_head)
    record = task_of(loaded)
    max_length = resolve_max_length(max_length, loaded.config.max_positions)
    cells = cells_of(task.read, embeddings, data, split)
    records: list[dict[str, Any]] = []
    with atomic_folder(output, overwrite) as folder:
        (folder / task.name).mkdir()
        for cell, embedding, model in in_turn(loaded, cells, target, precision):
            predicted, windows = tag(model, task.name, embedding, cell.data, record["labels"], max_length, max_tokens,
                                     None if quiet else f"{task.name} {split} {cell.language}")
            stem = f"{task.name}/{split}-{cell.language}"
            write_tags(folder / f"{stem}.tsv", predicted)
            gold = cell.data.named(task.labels)
            result = {
                **figures(gold, predicted, task.metric), **_baselines(gold, task, record), "task": task.name,
                "version": task.version, "split": split, "language": cell.language, "metric": task.metric,
                "seed": loaded.made.get("seed"), "body": body_record(body, loaded),
                "embedding": embedding_record(cell.path, embedding),
                "head": {"kind": record["head"], "trained_on": None if untrained_head else record["name"]},
                "data": {"files": cell.data.files, "sha256": cell.data.sha256(), "dropped": cell.data.dropped},
                "max_length": max_length, "windows": len(windows), "unread_words": windows.unread, "precision": precision,
                "device": str(target), "predictions": f"{stem}.tsv", "software": environment(),
            }
            write_json(folder / f"{stem}.json", result)
            records.append(result)
        write_json(folder / "results.json", records)
    return records


def _baselines(gold: Sequence[Sequence[str]], task: TaggingTask, record: dict[str, Any]) -> dict[str, Any]:
    """Accuracy of a uniform guess (`chance`, a share) and of the most frequent tag of the training data (percent).

    Nothing for F1: the most frequent tag is `O`, whose F1 is 0, or finds one word long entities only.
    """
    if task.metric != "accuracy":
        return {}
    result: dict[str, Any] = {"chance": 1 / len(task.labels)}
    if common := record.get("majority"):
        words = [tag for tags in gold for tag in tags]
        result["majority"] = {"tag": common, "accuracy": 100 * sum(tag == common for tag in words) / len(words)}
    return result


def write_tags(path: Path, sentences: Sequence[Sequence[str]]) -> None:
    """One tag a line, an empty line after each sentence."""
    path.write_text("".join("".join(f"{tag}\n" for tag in tags) + "\n" for tags in sentences), encoding="utf-8")


def table(records: Sequence[dict[str, Any]]) -> str:
    """The scores as text, in percent: F1, precision and recall of entities, or accuracy beside the most frequent tag's."""
    entities = records[0]["metric"] == "f1"
    majority = any("majority" in record for record in records)
    names = ["F1", "precision", "recall"] if entities else ["accuracy", *(["most frequent tag"] if majority else [])]
    rows = [["language", "split", *names, "sentences", "words"]]
    for record in records:
        more = [f"{record['entities'][key]:.1f}" for key in ("precision", "recall")] if entities else \
            [f"{record['majority']['accuracy']:.1f}"] if majority else []
        rows.append([record["language"], record["split"], f"{100 * record['score']:.1f} ± {100 * record['standard_error']:.1f}",
                     *more, f"{record['n']:,}", f"{record['words']:,}"])
    if len(records) > 1:
        mean = 100 * sum(record["score"] for record in records) / len(records)
        rows.append([f"mean of {len(records)}", records[0]["split"], f"{mean:.1f}", *[""] * (len(rows[0]) - 3)])
    return aligned(rows)
