"""Tagging in task adaptation and evaluation: one label for each word, scored over whole sentences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from adapt.artefacts.embedding import Embedding
from adapt.text.windows import MAX_TOKENS
from pretrain.artefacts.body import Body
from pretrain.base.errors import UserError
from tasks.family import DRAWN_HEADS, EvaluationOptions, OneLanguage
from tasks.heads.model import TaskModel, check_trained_labels, task_of, with_drawn_head
from tasks.predict import most_probable
from tasks.tables import aligned
from tasks.tagging.data import Sentences, majority
from tasks.tagging.features import Windows, encode_sentences
from tasks.tagging.scores import ratio_parts, tag_scores

if TYPE_CHECKING:
    from tasks.tagging.task import TaggingTask


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


@dataclass
class TaggingTraining:
    """A label for each word, in task adaptation."""

    task: TaggingTask
    head: str
    max_length: int
    majority: str = ""
    words: int = 0
    gold: bool = True
    """Whether tags are learned from, and not a teacher alone."""

    def items(self, train: Sentences, embedding: Embedding) -> int:
        self.majority = majority(train, self.task.labels) if self.gold else ""
        self.words = train.words
        return len(train)

    def made(self) -> dict[str, Any]:
        return {"max_length": self.max_length, "train_words": self.words}

    def record(self) -> dict[str, Any]:
        return {"head": self.head, "labels": list(self.task.labels), **({"majority": self.majority} if self.gold else {})}

    def dev_score(self, model: TaskModel, embedding: Embedding, dev: Sentences) -> dict[str, Any]:
        predicted, _ = tag(model, self.task.name, embedding, dev, self.task.labels, self.max_length)
        gold = dev.named(self.task.labels)
        common = self.majority or majority(dev, self.task.labels)
        constant = tag_scores(gold, [[common] * len(tags) for tags in gold], self.task.metric)
        return {**tag_scores(gold, predicted, self.task.metric),
                "baseline": {"score": constant["score"], "what": f"{common}, the most frequent tag, everywhere"}}

    def learned(self) -> dict[str, Any]:
        return {}


@dataclass
class TaggingEvaluation(OneLanguage):
    """A task body about to be scored; see `tasks.family.Evaluation`.

    A cell's files: `STEM.tsv`, the predicted tags, one a line, an empty line after each sentence, as XTREME reads them;
    `STEM.json`, the record.
    """

    task: TaggingTask
    body: Body
    record: dict[str, Any]
    max_length: int
    trained: bool = True

    @classmethod
    def of(cls, task: TaggingTask, body: Body, place: str, options: EvaluationOptions) -> TaggingEvaluation:
        """The evaluation that the options ask for; see `Definition.evaluation`."""
        options.only(task.name, DRAWN_HEADS)
        if options.untrained_head:
            if not task.labels and (body.task or {}).get("name") == task.name:
                task = task.with_labels(labels=task_of(body)["labels"])
            if not task.labels:
                raise UserError(f"--untrained-head: {task.name} has no labels of its own; name a body that was fine-tuned on it")
            body = with_drawn_head(body, {"name": task.name, "head": task.heads[0], "labels": list(task.labels)}, 1)
        elif not task.labels:
            task = task.with_labels(labels=task_of(body, task.name)["labels"])
        else:
            check_trained_labels(place, task_of(body, task.name)["labels"], task)
        length = task.inputs(body.config, options.max_length).max_length
        return cls(task, body, task_of(body), length, not options.untrained_head)

    def predict(self, model: TaskModel, embeddings: Sequence[Embedding], examples: Sentences, max_tokens: int,
                description: str | None) -> tuple[list[list[str]], Windows]:
        """The predicted tags of each sentence, and the windows they came from."""
        labels = self.record["labels"]
        return tag(model, self.task.name, embeddings[0], examples, labels, self.max_length, max_tokens, description)

    def write(self, stem: Path, predicted: tuple[list[list[str]], Windows]) -> None:
        write_tags(stem.with_name(stem.name + self.ending), predicted[0])

    def score(self, examples: Sentences, predicted: tuple[list[list[str]], Windows], language: str) -> dict[str, Any]:
        """What `tasks.tagging.scores.tag_scores` gives, for accuracy also the most frequent tag of training (`majority`)."""
        gold = examples.named(self.task.labels)
        return {**tag_scores(gold, predicted[0], self.task.metric), **_baselines(gold, self.task, self.record)}

    def facts(self, examples: Sentences, predicted: tuple[list[list[str]], Windows],
              languages: tuple[str, ...]) -> dict[str, Any]:
        return {"metric": self.task.metric,
                "head": {"kind": self.record["head"], "trained_on": self.record["name"] if self.trained else None},
                "data": {"files": examples.files, "sha256": examples.sha256(), "dropped": examples.dropped},
                "max_length": self.max_length, "windows": len(predicted[1]), "unread_words": predicted[1].unread}


def example_scores(task: TaggingTask, file: Path, examples: Sentences) -> NDArray[np.float64]:
    """Numerator and denominator of each sentence [S, 2] of a file of predicted tags; see `Definition.example_scores`."""
    predicted: list[list[str]] = [[]]
    for line in file.read_text(encoding="utf-8").splitlines():
        if line:
            predicted[-1].append(line)
        else:
            predicted.append([])
    gold = examples.named(task.labels)
    if [len(tags) for tags in predicted[:-1]] != [len(tags) for tags in gold] or predicted[-1]:
        raise UserError(f"{sum(map(len, predicted)):,} predictions for {sum(map(len, gold)):,} words, or other sentences")
    return ratio_parts(gold, predicted[:-1], task.metric).astype(np.float64)


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
