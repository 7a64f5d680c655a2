"""Choices without gold: what `relexify predict` and the Python door say of a multiple-choice task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scipy.special import softmax

from tasks.choice.family import encode, outputs
from tasks.choice.task import Choice, ChoiceTask
from tasks.encoding import resolve_max_length, separators_of
from tasks.heads.model import TaskModel

if TYPE_CHECKING:
    from adapt.artefacts.embedding import Embedding


@dataclass
class Chooser:
    """One candidate of each row; see `tasks.family.Predictor`."""

    task: ChoiceTask

    @property
    def columns(self) -> tuple[tuple[str, ...], ...]:
        """The columns of the task's files."""
        return (self.task.texts,)

    def predict(self, model: TaskModel, embedding: Embedding, rows: Sequence[Mapping[str, Any]],
                max_tokens: int) -> list[dict[str, Any]]:
        """`choice`, the number of a candidate from 0, and the probability of each."""
        shape = model.encoder.config
        items = [Choice(str(number), self.task.compose({name: str(row[name]).strip() for name in self.task.texts}), None)
                 for number, row in enumerate(rows)]
        encoded = encode(embedding.tokenizer, items, resolve_max_length(0, shape.max_positions), separators_of(shape))
        shares_NK = softmax(outputs(model, encoded, self.task.name, self.task.candidates, max_tokens), axis=1)
        return [
            {"choice": int(shares.argmax()), "probabilities": {str(number): float(share) for number, share in enumerate(shares)}}
            for shares in shares_NK
        ]
