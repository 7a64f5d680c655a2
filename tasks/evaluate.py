"""Zero-shot evaluation: one task body in memory, the embeddings of many languages swapped in place (docs/artefacts.md).

Works without fairseq.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from adapt.artefacts.assemble import check_compatible, swap
from adapt.artefacts.embedding import Embedding
from adapt.artefacts.resources import locate
from adapt.text.windows import MAX_TOKENS, batched
from pretrain.artefacts.body import Body
from pretrain.artefacts.tensors import fingerprint
from pretrain.base.environment import environment
from pretrain.base.errors import UserError, unknown
from pretrain.base.files import atomic_folder, read_object, refuse_existing, write_json
from pretrain.choices import PRECISIONS
from tasks.definition import Task, standard_error, wilson_interval
from tasks.encoding import Encoded, encode_examples, resolve_max_length, separators_of
from tasks.heads.model import TaskModel, task_model, task_of
from tasks.registry import get_task

if TYPE_CHECKING:
    from tasks.tagging.tasks import TaggingTask

DEVICES = ("auto", "cpu", "cuda")


def choose_device(name: str = "auto") -> torch.device:
    """`auto` takes a GPU where there is one.

    Raises:
        UserError: unknown name, or CUDA asked for and absent.
    """
    kind, _, index = name.partition(":")
    if kind not in DEVICES or (index and not index.isdigit()):
        raise unknown("device", name, DEVICES)
    if kind == "cuda" and not torch.cuda.is_available():
        raise UserError("--device cuda: no CUDA device is visible; use --device cpu")
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def most_probable(model: TaskModel, tokens: Sequence[NDArray[np.int32]], task: str, max_tokens: int,
                  description: str | None, unit: str) -> Iterator[tuple[list[int], NDArray[np.int64]]]:
    """Numbers of a batch's inputs with the most probable label of each, [B], or of each of their tokens, [B, T].

    Raises:
        UserError: outputs that are not finite.
    """
    device = model.encoder.embed_tokens.weight.device
    for indices, tokens_BT, full in batched(tokens, device, max_tokens, description, unit):
        logits = model(tokens_BT, full=full, task=task)
        if not bool(torch.isfinite(logits).all()):
            raise UserError("the model's outputs are NaN or infinite; try --precision fp32, else the body or the "
                            "embedding diverged in training")
        yield indices, logits.argmax(-1).cpu().numpy()


@torch.inference_mode()
def predict(model: TaskModel, encoded: Encoded, task: str, max_tokens: int = MAX_TOKENS,
            description: str | None = None) -> NDArray[np.int64]:
    """Index of the most probable label of each input [N], in the order of the inputs.

    Args:
        max_tokens: padded tokens of a batch: decides about memory and speed, not about the result.
        description: text of the progress bar; none where None.
    """
    result = np.empty(len(encoded), dtype=np.int64)
    for indices, best_B in most_probable(model, encoded.tokens, task, max_tokens, description, "ex"):
        result[indices] = best_B
    return result


def evaluation_device(device: str, precision: str, max_tokens: int) -> torch.device:
    """The device of an evaluation whose arithmetic and batches can be had.

    Raises:
        UserError: an unknown device or precision, or batches of no tokens.
    """
    target = choose_device(device)
    if precision not in PRECISIONS:
        raise unknown("precision", precision, PRECISIONS)
    if max_tokens < 1:
        raise UserError(f"--max-tokens {max_tokens}: expected at least 1")
    return target


def check_labels(place: str | Path, trained: Sequence[str], task: Task | TaggingTask) -> None:
    """Refuses a task body whose head has other labels than the task."""
    if sorted(trained) != sorted(task.labels):
        raise UserError(f"{place}: was trained on the labels {trained}, {task.name} {task.version} has {list(task.labels)}; "
                        "finetune it anew")


Data = TypeVar("Data")


@dataclass
class Cell(Generic[Data]):
    """One language of an evaluation before it is computed."""

    path: Path
    language: str
    data: Data


def embedding_language(path: Path) -> str:
    """The language of an embedding, from its record alone."""
    return read_object(path / "embedding.json", "the record of an embedding (embedding.json)").language()


def by_language(embeddings: Sequence[str | Path]) -> dict[str, Path]:
    """Language -> folder of each embedding, in the order given.

    Raises:
        UserError: none, two of one language, or a folder that is no embedding.
    """
    paths: dict[str, Path] = {}
    for given in embeddings:
        path = locate(given, "embedding")
        code = embedding_language(path)
        if code in paths:
            raise UserError(f"{paths[code]} and {path} are both embeddings of {code!r}; give each an --output of its own")
        paths[code] = path
    if not paths:
        raise UserError("--embedding is missing: name at least one embedding")
    return paths


def cells_of(read: Callable[[str | Path, str, str], Data], embeddings: Sequence[str | Path], data: str | Path,
             split: str) -> list[Cell[Data]]:
    """Checks every embedding's record and reads every language's examples before anything is computed."""
    return [Cell(path, language, read(data, split, language)) for language, path in by_language(embeddings).items()]


def in_turn(body: Body, cells: Sequence[Cell[Data]], device: torch.device,
            precision: str) -> Iterator[tuple[Cell[Data], Embedding, TaskModel]]:
    """One model in memory, with the embedding of each cell in its place when that cell's turn comes.

    Raises:
        UserError: an embedding of another lineage.
    """
    model: TaskModel | None = None
    for cell in cells:
        embedding = Embedding.load(cell.path)
        if model is None:
            model = task_model(body, embedding, device, precision)
        else:
            check_compatible(body, embedding)
            swap(model, embedding)
        yield cell, embedding, model


def evaluate(body: str | Path, embeddings: Sequence[str | Path], task: str | Task, data: str | Path, split: str,
             output: str | Path, *, device: str = "auto", max_tokens: int = MAX_TOKENS, max_length: int = 0,
             precision: str = "fp32", overwrite: bool = False, quiet: bool = False) -> list[dict[str, Any]]:
    """Scores a task body in the language of each embedding and writes records and predictions.

    `OUTPUT/TASK/SPLIT-CODE.tsv` holds the predicted label names, one a line in file order, as XTREME reads them;
    `OUTPUT/TASK/SPLIT-CODE.json` the record of that cell; `OUTPUT/results.json` all records.

    Args:
        split: read from `data` in each embedding's own language.
        max_tokens: padded tokens of a batch.
        max_length: longest input in tokens; 0: all positions of the body.

    Returns:
        One record per embedding, in the order given.

    Raises:
        UserError: existing output, wrong artefact, missing or stripped data.
    """
    refuse_existing(output, overwrite)
    definition = get_task(task) if isinstance(task, str) else task
    if not isinstance(definition, Task):
        raise TypeError(f"{definition.name} is no classification task: see tasks.qa.evaluate")
    task = definition.name
    target = evaluation_device(device, precision, max_tokens)
    loaded_body = Body.load(locate(body, "body"))
    trained = task_of(loaded_body, task)
    check_labels(body, trained["labels"], definition)
    max_length = resolve_max_length(max_length, loaded_body.config.max_positions)
    cells = cells_of(definition.read, embeddings, data, split)
    records: list[dict[str, Any]] = []
    with atomic_folder(output, overwrite) as folder:
        (folder / task).mkdir()
        for cell, embedding, model in in_turn(loaded_body, cells, target, precision):
            encoded = encode_examples(embedding.tokenizer, cell.data.examples, max_length, separators_of(loaded_body.config))
            predicted = predict(model, encoded, task, max_tokens, None if quiet else f"{task} {split} {cell.language}")
            names = [trained["labels"][index] for index in predicted]
            gold = [definition.labels[item.label] for item in cell.data.examples if item.label is not None]
            stem = folder / task / f"{split}-{cell.language}"
            stem.with_name(stem.name + ".tsv").write_text("".join(f"{name}\n" for name in names), encoding="utf-8")
            record = {
                **score(names, gold), "task": task, "version": definition.version, "split": split,
                "language": cell.language, "metric": definition.metric, "chance": definition.chance,
                "seed": loaded_body.made.get("seed"), "body": body_record(body, loaded_body),
                "embedding": embedding_record(cell.path, embedding),
                "data": {"files": cell.data.files, "sha256": cell.data.sha256(), "dropped": cell.data.dropped},
                "max_length": max_length, "truncated": encoded.truncated, "precision": precision,
                "device": str(target), "predictions": f"{task}/{split}-{cell.language}.tsv", "software": environment(),
            }
            write_json(stem.with_name(stem.name + ".json"), record)
            records.append(record)
        write_json(folder / "results.json", records)
    return records


def body_record(path: str | Path, body: Body) -> dict[str, Any]:
    """What a result says about its body: where it is, what it is, what it descends from, and its own dev score."""
    return {"path": str(path), "fingerprint": body.fingerprint, "lineage": body.lineage, "seed": body.made.get("seed"),
            "updates": body.made.get("updates"), "dev": (body.task or {}).get("dev"),
            "body_fingerprint": body.made.get("body_fingerprint"), "body_made": body.made.get("body_made") or body.made}


def embedding_record(path: Path, embedding: Embedding) -> dict[str, Any]:
    """What a result says about an embedding."""
    return {"path": str(path), "fingerprint": fingerprint(embedding.tensors), "lineage": embedding.lineage,
            "tokenizer_sha256": embedding.tokenizer.sha256, "made": embedding.made}


def score(predicted: Sequence[str], gold: Sequence[str]) -> dict[str, Any]:
    """Accuracy, its standard error and 95 % interval (Wilson), and how often each label was predicted and is right."""
    correct = sum(p == g for p, g in zip(predicted, gold, strict=True))
    count = len(gold)
    share = correct / count
    return {
        "score": share, "n": count, "correct": correct, "standard_error": standard_error(share, count),
        "interval_95": list(wilson_interval(share, count)),
        "predicted_labels": {name: sum(p == name for p in predicted) for name in sorted({*gold, *predicted})},
        "gold_labels": {name: sum(g == name for g in gold) for name in sorted({*gold, *predicted})},
    }


def table(records: Sequence[dict[str, Any]]) -> str:
    """The scores as text: language, split, accuracy ± standard error, n, chance."""
    rows = [("language", "split", str(records[0]["metric"]), "n", "chance")]
    for record in records:
        rows.append((record["language"], record["split"], f"{record['score']:.3f} ± {record['standard_error']:.3f}",
                     f"{record['n']:,}", f"{record['chance']:.3f}"))
    if len(records) > 1:
        mean = sum(record["score"] for record in records) / len(records)
        rows.append((f"mean of {len(records)}", records[0]["split"], f"{mean:.3f}", "", ""))
    return aligned(rows, left=3)


def aligned(rows: Sequence[Sequence[str]], left: int = 2) -> str:
    """Rows of cells as lines with straight columns, the first `left` of them flush left."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join("  ".join(cell.ljust(width) if column < left else cell.rjust(width)
                               for column, (cell, width) in enumerate(zip(row, widths, strict=True))).rstrip() for row in rows)
