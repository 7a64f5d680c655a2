"""Classification in task adaptation and evaluation: one label for one or two texts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from adapt.text.windows import MAX_TOKENS
from pretrain.base.errors import UserError
from tasks.classification.metrics import accuracy, confusion, get_metric
from tasks.definition import standard_error, wilson_interval
from tasks.encoding import Encoded, encode_examples, separators_of
from tasks.family import HeadTraining, OneLanguage
from tasks.heads.model import TaskModel, check_trained_labels, task_of
from tasks.predict import most_probable
from tasks.statistics import bootstrap_counts
from tasks.tables import aligned

if TYPE_CHECKING:
    from adapt.artefacts.embedding import Embedding
    from pretrain.artefacts.body import Body
    from tasks.classification.examples import Loaded
    from tasks.classification.task import ClassificationTask
    from tasks.family import EvaluationOptions


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


@dataclass
class ClassificationTraining(HeadTraining):
    """One label for one or two texts, in task adaptation."""

    task: ClassificationTask

    def items(self, train: Loaded, embedding: Embedding) -> int:
        for name in (self.task.metric, *self.task.further):
            get_metric(name)  # known before anything is trained
        return super().items(train, embedding)

    def dev_score(self, model: TaskModel, embedding: Embedding, dev: Loaded) -> dict[str, Any]:
        encoded = encode_examples(embedding.tokenizer, dev.examples, self.max_length, separators_of(model.encoder.config))
        predicted = predict(model, encoded, self.task.name)
        gold = [item.label for item in dev.examples if item.label is not None]
        common = Counter(gold).most_common(1)[0][0]
        matrix = confusion(np.array(gold), predicted, len(self.task.labels))
        constant = confusion(np.array(gold), np.full(len(gold), common), len(self.task.labels))
        metric = get_metric(self.task.metric)
        share = metric(matrix)
        error = standard_error(share, len(dev)) if metric is accuracy else bootstrap_counts(matrix, metric).error
        return {"score": share, "n": len(dev), "standard_error": error,
                "baseline": {"score": metric(constant), "what": "the most frequent label"}}


@dataclass
class ClassificationEvaluation(OneLanguage):
    """A task body about to be scored; see `tasks.family.Evaluation`.

    A cell's files: `STEM.tsv`, the predicted label names, one a line in file order, as XTREME reads them; `STEM.json`, the
    record.
    """

    task: ClassificationTask
    body: Body
    head: str
    labels: list[str]
    max_length: int

    @classmethod
    def of(cls, task: ClassificationTask, body: Body, place: str, options: EvaluationOptions) -> ClassificationEvaluation:
        """The evaluation that the options ask for; see `Definition.evaluation`."""
        options.only(task.name)
        record = task_of(body)
        if record["name"] not in task.bodies_of:
            record = task_of(body, task.name)
        read_as = dict(task.read_as) if record["name"] != task.name else {}
        labels = [read_as.get(label, label) for label in record["labels"]]
        check_trained_labels(place, labels if not read_as else list(dict.fromkeys(labels)), task)
        for name in (task.metric, *task.further):
            get_metric(name)
        return cls(task, body, record["name"], labels, task.inputs(body.config, options.max_length).max_length)

    def predict(self, model: TaskModel, embeddings: Sequence[Embedding], examples: Loaded, max_tokens: int,
                description: str | None) -> tuple[list[str], Encoded]:
        """The predicted label names, and the inputs they are of."""
        encoded = encode_examples(embeddings[0].tokenizer, examples.examples, self.max_length,
                                  separators_of(self.body.config))
        return [self.labels[index] for index in predict(model, encoded, self.head, max_tokens, description)], encoded

    def write(self, stem: Path, predicted: tuple[list[str], Encoded]) -> None:
        lines = "".join(f"{name}\n" for name in predicted[0])
        stem.with_name(stem.name + self.ending).write_text(lines, encoding="utf-8")

    def score(self, examples: Loaded, predicted: tuple[list[str], Encoded], language: str) -> dict[str, Any]:
        gold = [self.task.labels[item.label] for item in examples.examples if item.label is not None]
        found = score(predicted[0], gold, self.task)
        if examples.groups:
            found["by_category"] = by_category(predicted[0], gold, examples.groups, self.task)
        return found

    def facts(self, examples: Loaded, predicted: tuple[list[str], Encoded], languages: tuple[str, ...]) -> dict[str, Any]:
        kind = (self.body.task or {})["head"]
        usual = kind == "classification" and self.head == self.task.name
        named = {} if usual else {"head": {"kind": kind, "trained_on": self.head}}
        known = {} if self.task.chance is None else {"chance": self.task.chance}
        return {**known, **named,
                "data": {"files": examples.files, "sha256": examples.sha256(), "dropped": examples.dropped},
                "max_length": self.max_length, "truncated": predicted[1].truncated}


def score(predicted: Sequence[str], gold: Sequence[str], task: ClassificationTask) -> dict[str, Any]:
    """The task's metric, its standard error and 95 % interval, and how often each label was predicted and is right.

    Accuracy has Wilson's interval and the count of right predictions; any other metric resamples the examples, and the accuracy
    stands beside it.
    """
    names = sorted({*gold, *predicted})
    counted: dict[str, Any] = {
        "predicted_labels": {name: sum(p == name for p in predicted) for name in names},
        "gold_labels": {name: sum(g == name for g in gold) for name in names}}
    correct = sum(p == g for p, g in zip(predicted, gold, strict=True))
    count = len(gold)
    metric = get_metric(task.metric)
    order = {name: index for index, name in enumerate(task.labels)}
    matrix = confusion(np.array([order[name] for name in gold]), np.array([order[name] for name in predicted]), len(order))
    if task.further:
        counted["further"] = {name: get_metric(name)(matrix) for name in task.further}
    if metric is accuracy:
        share = correct / count
        return {"score": share, "n": count, "correct": correct, "standard_error": standard_error(share, count),
                "interval_95": list(wilson_interval(share, count)), **counted}
    estimate = bootstrap_counts(matrix, metric)
    return {"score": estimate.value, "n": count, "standard_error": estimate.error, "interval_95": [estimate.low, estimate.high],
            "accuracy": correct / count, "confusion": matrix.tolist(), **counted}


def by_category(predicted: Sequence[str], gold: Sequence[str], groups: Mapping[str, Sequence[int]],
                task: ClassificationTask) -> dict[str, dict[str, Any]]:
    """The task's metric on the examples of each category by itself, and how many they are."""
    order = {name: index for index, name in enumerate(task.labels)}
    found = {}
    for name, numbers in groups.items():
        right, said = (np.array([order[names[n]] for n in numbers]) for names in (gold, predicted))
        matrix = confusion(right, said, len(order))
        found[name] = {"score": get_metric(task.metric)(matrix), "n": len(numbers)}
    return found


def example_scores(task: ClassificationTask, file: Path, examples: Loaded) -> NDArray[np.float64]:
    """1 for each right prediction of a file [N], else 0; see `Definition.example_scores`."""
    names = file.read_text(encoding="utf-8").splitlines()
    right = [task.labels[item.label] for item in examples.examples if item.label is not None]
    if len(names) != len(right):
        raise UserError(f"{len(names):,} predictions for {len(right):,} examples")
    if get_metric(task.metric) is not accuracy:
        raise UserError(f"{task.metric} is no mean over examples")
    return np.array([float(name == label) for name, label in zip(names, right, strict=True)])


def table(records: Sequence[dict[str, Any]]) -> str:
    """The scores as text: language, split, score ± standard error, further metrics, n, and for accuracy chance."""
    chance = records[0]["metric"] == "accuracy"
    further = list(records[0].get("further", {}))
    rows = [["language", "split", str(records[0]["metric"]), *further, "n", *(["chance"] if chance else [])]]
    for record in records:
        rows.append([record["language"], record["split"], f"{record['score']:.3f} ± {record['standard_error']:.3f}",
                     *(f"{record['further'][name]:.3f}" for name in further), f"{record['n']:,}",
                     *([f"{record['chance']:.3f}"] if chance else [])])
    if len(records) > 1:
        mean = sum(record["score"] for record in records) / len(records)
        rows.append([f"mean of {len(records)}", records[0]["split"], f"{mean:.3f}", *[""] * len(further), "",
                     *([""] if chance else [])])
    return aligned(rows, left=3)
