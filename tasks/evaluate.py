"""Zero-shot evaluation: one task body in memory, the embeddings of many languages swapped in place (docs/artefacts.md).

One loop for every family; what differs is asked of the task (`Definition.evaluation`). Works without fairseq.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from adapt.artefacts.assemble import check_compatible, swap, swap_side_by_side
from adapt.artefacts.embedding import Embedding
from adapt.artefacts.resources import locate
from adapt.text.windows import MAX_TOKENS
from pretrain.artefacts.body import Body
from pretrain.artefacts.tensors import fingerprint
from pretrain.base.environment import environment
from pretrain.base.errors import UserError, unknown
from pretrain.base.files import atomic_folder, read_object, write_json
from pretrain.base.outputs import makes
from pretrain.choices import PRECISIONS
from tasks.definition import Definition
from tasks.family import Evaluation, EvaluationOptions, Examples
from tasks.heads.model import TaskModel, task_model
from tasks.heads.several import body_for, heads_for, without_heads
from tasks.predict import choose_device
from tasks.registry import get_task
from tasks.tables import aligned

FACTS = ("task", "version", "split", "language", "question_language", "metric", "chance", "seed", "first_span", "body",
         "embedding", "question_embedding", "head", "data", "max_length", "truncated", "windows", "unread_words",
         "max_answer_tokens", "precision", "device", "predictions", "software")
"""The order of what a record says besides scores; a family's further facts follow."""


@dataclass
class EvaluationCell:
    """One language of an evaluation, or a pair of them (contexts, questions), before it is computed."""

    languages: tuple[str, ...]
    paths: tuple[Path, ...]
    data: Examples
    separate: bool = False

    @property
    def name(self) -> str:
        """As files are called: the language, MLQA's name of a mixed pair, or both languages of a task that reads them apart."""
        if self.separate:
            return "-".join(self.languages)
        context, *asked = self.languages
        return f"context-{context}-question-{asked[0]}" if asked else context


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


def in_turn(body: Body, cells: Sequence[EvaluationCell], device: torch.device,
            precision: str) -> Iterator[tuple[EvaluationCell, list[Embedding], TaskModel]]:
    """One model in memory, with the embeddings of each cell in their place when that cell's turn comes.

    Raises:
        UserError: an embedding of another lineage.
    """
    model: TaskModel | None = None
    loaded: dict[Path, Embedding] = {}
    for number, cell in enumerate(cells):
        for path in cell.paths:
            if path not in loaded:
                loaded[path] = Embedding.load(path)
        embeddings = [loaded[path] for path in cell.paths]
        if model is None:
            model = task_model(body, embeddings[0], device, precision, headless=cell.separate)
        for embedding in embeddings:
            check_compatible(body, embedding)
        if len(embeddings) == 1 or cell.separate:
            swap(model, embeddings[0])
        else:
            swap_side_by_side(model, *embeddings)
        yield cell, embeddings, model
        later = {path for other in cells[number + 1:] for path in other.paths}
        loaded = {path: embedding for path, embedding in loaded.items() if path in later}


@makes("scores")
def evaluate(body: str | Path, embeddings: Sequence[str | Path], task: str | Definition, data: str | Path, split: str,
             output: str | Path, *, device: str = "auto", max_tokens: int = MAX_TOKENS, precision: str = "fp32",
             overwrite: bool = False, quiet: bool = False, **options: Any) -> list[dict[str, Any]]:
    """Scores a task body in the language of each embedding and writes records and predictions.

    In `OUTPUT/TASK/` stand each cell's predictions and record, under the names that its family gives them (`Evaluation.write`);
    `OUTPUT/results.json` holds all records.

    Args:
        split: read from `data` in each embedding's own language.
        max_tokens: padded tokens of a batch.
        options: of `tasks.family.EvaluationOptions`.

    Returns:
        One record per cell, in the order of the embeddings.

    Raises:
        UserError: existing output, wrong artefact, missing or stripped data, options that the task has no use for.
    """
    definition = get_task(task) if isinstance(task, str) else task
    target = evaluation_device(device, precision, max_tokens)
    scored = _Scored(body, Body.load(locate(body, "body")), by_language(embeddings), split, target, precision, max_tokens, quiet,
                     EvaluationOptions(**options))
    prepared = scored.cells(definition, data)
    with atomic_folder(output, overwrite) as folder:
        records = scored.records(*prepared, folder)
        write_json(folder / "results.json", records)
    return records


@makes("scores")
def evaluate_all(body: str | Path, embeddings: Sequence[str | Path], data: Mapping[str, str], split: str, output: str | Path, *,
                 device: str = "auto", max_tokens: int = MAX_TOKENS, precision: str = "fp32", overwrite: bool = False,
                 quiet: bool = False, **options: Any) -> list[dict[str, Any]]:
    """Scores a body on several tasks, each through its own head: `evaluate` with one output, `results.json` holds all records.

    Args:
        data: task -> folder with its files.

    Raises:
        UserError: as `evaluate`; everything is read before anything is scored.
    """
    target = evaluation_device(device, precision, max_tokens)
    scored = _Scored(body, Body.load(locate(body, "body")), by_language(embeddings), split, target, precision, max_tokens, quiet,
                     EvaluationOptions(**options))
    prepared = [scored.cells(get_task(name), place) for name, place in data.items()]
    with atomic_folder(output, overwrite) as folder:
        records = [record for one in prepared for record in scored.records(*one, folder)]
        write_json(folder / "results.json", records)
    return records


@dataclass
class _Scored:
    """A body, the embeddings and how they are scored, whatever the task."""

    place: str | Path
    body: Body
    paths: dict[str, Path]
    split: str
    device: torch.device
    precision: str
    max_tokens: int
    quiet: bool
    options: EvaluationOptions

    def cells(self, definition: Definition, data: str | Path) -> tuple[Definition, Evaluation, list[EvaluationCell]]:
        """How the body is scored on a task, and what on: all of it read."""
        chosen = (body_for(self.body, heads_for(definition), str(self.place)) if definition.needs_head
                  else without_heads(self.body))
        family = definition.evaluation(chosen, str(self.place), self.options)
        separate = bool(getattr(family, "separate", False))
        return definition, family, [
            EvaluationCell(languages, tuple(self.paths[code] for code in languages), family.read(data, self.split, languages),
                           separate) for languages in family.cells(tuple(self.paths))]

    def records(self, definition: Definition, family: Evaluation, cells: Sequence[EvaluationCell],
                folder: Path) -> list[dict[str, Any]]:
        """Scores the cells and writes their predictions and records below a folder."""
        name = definition.name
        (folder / name).mkdir()
        found = []
        for cell, used, model in in_turn(family.body, cells, self.device, self.precision):
            predicted = family.predict(model, used, cell.data, self.max_tokens,
                                       None if self.quiet else f"{name} {self.split} {cell.name}")
            stem = f"{name}/{self.split}-{cell.name}"
            family.write(folder / stem, predicted)
            facts = {
                "task": name, "version": definition.version, "split": self.split, "language": cell.languages[0],
                "metric": definition.metric, "seed": family.body.made.get("seed"), "body": body_record(self.place, family.body),
                "embedding": embedding_record(cell.paths[0], used[0]), "precision": self.precision, "device": str(self.device),
                "predictions": f"{stem}{family.ending}", "software": environment(),
                **family.facts(cell.data, predicted, cell.languages),
            }
            if "question_language" in facts:
                facts["question_embedding"] = embedding_record(cell.paths[-1], used[-1])
            known = {key: facts[key] for key in FACTS if key in facts}
            record = {**family.score(cell.data, predicted, cell.languages[0]), **known, **facts}
            write_json(folder / f"{stem}{family.record_ending}", record)
            found.append(record)
        return found


def row_table(records: Sequence[dict[str, Any]]) -> str:
    """Records of several tasks as one table: a line a language (or pair), a column a task, and the mean of the tasks that it has.

    Scores are shares, each in the task's own metric.
    """
    tasks = list(dict.fromkeys((record["task"], record["metric"]) for record in records))
    lines = [["language", "split", *(f"{task} {metric}" for task, metric in tasks), "mean"]]
    by_language: dict[tuple[str, str], dict[str, float]] = {}
    for record in records:
        asked = record.get("question_language", record["language"])
        name = record["language"] if asked == record["language"] else f"{record['language']}, {asked}"
        by_language.setdefault((name, record["split"]), {})[record["task"]] = record["score"]
    for (name, split), scores in by_language.items():
        lines.append([name, split, *(f"{scores[task]:.3f}" if task in scores else "–" for task, _ in tasks),
                      f"{sum(scores.values()) / len(scores):.3f}"])
    return aligned(lines, left=2)


def body_record(path: str | Path, body: Body) -> dict[str, Any]:
    """What a result says about its body: where it is, what it is, what it descends from, and its own dev score.

    `stages`: of a body that learned in several trainings or several tasks at once, these trainings in their order.
    `learned_with`: of one that learned with adapted embeddings, language -> how each came about.
    `embedding_language`: of the embedding that it learned with, where its examples were said to be in another language.
    """
    chain = [body.made]
    while chain[-1].get("stage") in ("finetune", "multitask") and chain[-1].get("body_made"):
        chain.append(chain[-1]["body_made"])
    stages = [str(made["stage"]) for made in reversed(chain) if made.get("stage") in ("finetune", "multitask")]
    own = body.made.get("languages") or {body.made.get("embedding_language"): body.made}
    adapted = {code: one["embedding_adapted"] for code, one in own.items() if "embedding_adapted" in one}
    dev, read_with = (body.task or {}).get("dev"), body.made.get("embedding_language")
    other = isinstance(dev, dict) and read_with not in (None, dev.get("language"))
    return {"path": str(path), "fingerprint": body.fingerprint, "lineage": body.lineage, "seed": body.made.get("seed"),
            "updates": body.made.get("updates"), "dev": dev,
            **({"embedding_language": read_with} if other else {}),
            **({"stages": stages} if len(stages) > 1 or "multitask" in stages else {}),
            **({"learned_with": adapted} if adapted else {}),
            "body_fingerprint": chain[max(0, len(chain) - 2)].get("body_fingerprint"), "body_made": chain[-1]}


def embedding_record(path: Path, embedding: Embedding) -> dict[str, Any]:
    """What a result says about an embedding."""
    return {"path": str(path), "fingerprint": fingerprint(embedding.tensors), "lineage": embedding.lineage,
            "tokenizer_sha256": embedding.tokenizer.sha256, "made": embedding.made}
