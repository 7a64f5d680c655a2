"""Labels for texts that have none: what `relexify predict` and the Python door say of a classification task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from pretrain.base.errors import UserError
from tasks.classification.examples import Example
from tasks.encoding import Encoded, encode_examples, resolve_max_length, separators_of
from tasks.heads.model import TaskModel
from tasks.predict import head_outputs

if TYPE_CHECKING:
    from adapt.artefacts.embedding import Embedding

PAIRS = (("premise", "hypothesis"), ("text_a", "text_b"))
"""Keys of two texts."""


@dataclass
class OfTexts:
    """What reads a text or a pair of texts without gold; see `tasks.family.Predictor`.

    Attributes:
        texts: how many an example of the task has; 0: not known, so one or two.
    """

    task: str
    texts: int

    @property
    def columns(self) -> tuple[tuple[str, ...], ...]:
        """The keys that a row may have."""
        return {0: (("text",), *PAIRS), 1: (("text",),), 2: PAIRS}[self.texts]


@dataclass
class Labeller(OfTexts):
    """One label for each text or pair of texts."""

    labels: Sequence[str]

    @torch.inference_mode()
    def predict(self, model: TaskModel, embedding: Embedding, rows: Sequence[Mapping[str, Any]],
                max_tokens: int) -> list[dict[str, Any]]:
        """`label`, and the probability of each label by name."""
        encoded = encode_rows(model, embedding, rows)
        found: list[dict[str, Any]] = [{}] * len(rows)
        for indices, logits_BC in head_outputs(model, encoded.tokens, self.task, max_tokens):
            for index, shares in zip(indices, logits_BC.softmax(-1).tolist(), strict=True):
                best = max(range(len(shares)), key=shares.__getitem__)
                found[index] = {"label": self.labels[best], "probabilities": dict(zip(self.labels, shares, strict=True))}
        return found


def encode_rows(model: TaskModel, embedding: Embedding, rows: Sequence[Mapping[str, Any]]) -> Encoded:
    """The inputs of rows with one or two texts, as long as the model takes them."""
    shape = model.encoder.config
    examples = [Example(str(number), *texts_of(row), None) for number, row in enumerate(rows)]
    return encode_examples(embedding.tokenizer, examples, resolve_max_length(0, shape.max_positions), separators_of(shape))


def texts_of(row: Mapping[str, Any]) -> tuple[str, str | None]:
    """The one or two texts of a row."""
    for first, second in PAIRS:
        if first in row and second in row:
            return row[first], row[second]
    if "text" not in row:
        raise UserError(f"expected a text, or a premise and a hypothesis, got {', '.join(map(repr, row)) or 'nothing'}")
    return row["text"], None
