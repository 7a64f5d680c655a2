"""Multiple choice in task adaptation and evaluation."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from adapt.text.windows import MAX_TOKENS
from pretrain.base.errors import UserError
from tasks.classification.examples import Example
from tasks.definition import standard_error, wilson_interval
from tasks.encoding import Encoded, encode_examples, separators_of
from tasks.family import HeadTraining, OneLanguage
from tasks.heads.model import TaskModel, check_trained_labels, task_of
from tasks.predict import single_outputs
from tasks.tables import aligned

if TYPE_CHECKING:
    from adapt.artefacts.embedding import Embedding
    from adapt.text.tokenizer import Tokenizer
    from pretrain.artefacts.body import Body
    from tasks.choice.task import Choice, Choices, ChoiceTask
    from tasks.family import EvaluationOptions

logger = logging.getLogger(__name__)


def encode(tokenizer: Tokenizer, items: Sequence[Choice], max_length: int, separators: int) -> Encoded:
    """The inputs of all candidates, those of an item beside each other [N * K]."""
    return encode_examples(tokenizer, [Example(item.id, *option, None) for item in items for option in item.options], max_length,
                           separators)


@torch.inference_mode()
def outputs(model: TaskModel, encoded: Encoded, task: str, candidates: int, max_tokens: int = MAX_TOKENS,
            description: str | None = None) -> NDArray[np.float64]:
    """The head's output for each candidate [N, K], items in their order.

    Args:
        candidates: of each item, K.
        max_tokens: padded tokens of a batch: decides about memory and speed, not about the result.
    """
    return single_outputs(model, encoded.tokens, task, max_tokens, description, "candidates").reshape(-1, candidates)


@dataclass
class ChoiceTraining(HeadTraining):
    """Multiple choice in task adaptation."""

    task: ChoiceTask

    def record(self) -> dict[str, Any]:
        return {**super().record(), "candidates": self.task.candidates}

    def dev_score(self, model: TaskModel, embedding: Embedding, dev: Choices) -> dict[str, Any]:
        encoded = encode(embedding.tokenizer, dev.items, self.max_length, separators_of(model.encoder.config))
        chosen = outputs(model, encoded, self.task.name, self.task.candidates).argmax(1)
        gold = labels_of(dev)
        share = float((chosen == gold).mean())
        common = Counter(gold.tolist()).most_common(1)[0][1] / len(gold)
        return {"score": share, "n": len(dev), "standard_error": standard_error(share, len(dev)),
                "baseline": {"score": common, "what": "the place that is right most often"}}


@dataclass
class ChoiceEvaluation(OneLanguage):
    """A task body about to be scored; see `tasks.family.Evaluation`.

    A cell's files: `STEM.tsv`, the number of the chosen candidate, one a line in file order; `STEM.json`, the record.
    """

    task: ChoiceTask
    body: Body
    max_length: int

    @classmethod
    def of(cls, task: ChoiceTask, body: Body, place: str, options: EvaluationOptions) -> ChoiceEvaluation:
        """The evaluation that the options ask for; see `Definition.evaluation`."""
        options.only(task.name)
        check_trained_labels(place, task_of(body, task.name)["labels"], task)
        return cls(task, body, task.inputs(body.config, options.max_length).max_length)

    def predict(self, model: TaskModel, embeddings: Sequence[Embedding], examples: Choices, max_tokens: int,
                description: str | None) -> tuple[NDArray[np.int64], Encoded]:
        """The chosen candidates [N], and the inputs of all."""
        encoded = encode(embeddings[0].tokenizer, examples.items, self.max_length, separators_of(self.body.config))
        return outputs(model, encoded, self.task.name, self.task.candidates, max_tokens, description).argmax(1), encoded

    def write(self, stem: Path, predicted: tuple[NDArray[np.int64], Encoded]) -> None:
        lines = "".join(f"{number}\n" for number in predicted[0])
        stem.with_name(stem.name + self.ending).write_text(lines, encoding="utf-8")

    def score(self, examples: Choices, predicted: tuple[NDArray[np.int64], Encoded], language: str) -> dict[str, Any]:
        found = score(predicted[0], examples, self.task.candidates)
        if found["interval_95"][1] < self.task.chance:
            logger.warning(below_chance(f"{self.task.name} in {language}", found["score"], self.task.chance))
        return found

    def facts(
        self, examples: Choices, predicted: tuple[NDArray[np.int64], Encoded], languages: tuple[str, ...]
    ) -> dict[str, Any]:
        return {"chance": self.task.chance, "data": {"files": examples.files, "sha256": examples.sha256(),
                                                     "dropped": examples.dropped},
                "max_length": self.max_length, "truncated": predicted[1].truncated}


def labels_of(examples: Choices) -> NDArray[np.int64]:
    """The right candidates [N]."""
    return np.array([item.label for item in examples.items], dtype=np.int64)


def below_chance(what: str, share: float, chance: float) -> str:
    """What to say of a score that guessing would beat."""
    return (
        f"{what}: accuracy {share:.3f} is below chance ({chance:.3f}) by more than its error: what was learned is turned around "
        "in this set, as a cue that stands on the other side; look at the data before the score"
    )


def score(chosen: NDArray[np.int64], examples: Choices, candidates: int) -> dict[str, Any]:
    """Accuracy with its standard error and Wilson's interval, how often each place was chosen and is right, and of sets whose
    items mirror each other the share of pairs with both items right."""
    gold = labels_of(examples)
    right = chosen == gold
    count, share = len(gold), float(right.mean())
    found: dict[str, Any] = {
        "score": share, "n": count, "correct": int(right.sum()), "standard_error": standard_error(share, count),
        "interval_95": list(wilson_interval(share, count)), "chosen": np.bincount(chosen, minlength=candidates).tolist(),
        "gold": np.bincount(gold, minlength=candidates).tolist()}
    if examples.pairs:
        found["pair_consistency"] = float(np.mean([right[first] and right[second] for first, second in examples.pairs]))
        found["pairs"] = len(examples.pairs)
    return found


def example_scores(file: Path, examples: Choices) -> NDArray[np.float64]:
    """1 for each right choice of a file [N], else 0; see `Definition.example_scores`."""
    chosen = file.read_text(encoding="utf-8").split()
    gold = labels_of(examples)
    if len(chosen) != len(gold):
        raise UserError(f"{len(chosen):,} predictions for {len(gold):,} examples")
    return np.array([float(own == str(right)) for own, right in zip(chosen, gold, strict=True)])


def table(records: Sequence[dict[str, Any]]) -> str:
    """The scores as text: language, split, accuracy ± standard error, share of right pairs where items are paired, n, chance."""
    paired = any("pair_consistency" in record for record in records)
    rows = [["language", "split", "accuracy", *(["both of a pair"] if paired else []), "n", "chance"]]
    for record in records:
        both = f"{record['pair_consistency']:.3f}" if "pair_consistency" in record else ""
        rows.append([record["language"], record["split"], f"{record['score']:.3f} ± {record['standard_error']:.3f}",
                     *([both] if paired else []), f"{record['n']:,}", f"{record['chance']:.3f}"])
    return aligned(rows, left=3)
