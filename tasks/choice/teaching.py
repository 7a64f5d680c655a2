"""How bodies that choose among candidates teach (docs/distillation.md)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tasks.choice.family import encode, outputs
from tasks.choice.task import Choices, ChoiceTask
from tasks.distillation.soft_labels import key_of
from tasks.distillation.teaching import ClassTeaching
from tasks.encoding import separators_of

if TYPE_CHECKING:
    from adapt.artefacts.embedding import Embedding
    from tasks.heads.model import TaskModel


@dataclass
class ChoiceTeaching(ClassTeaching):
    """The score of each candidate; see `tasks.distillation.teaching.Teaching`."""

    task: ChoiceTask

    @property
    def labels(self) -> list[str]:
        """Numbers of the candidates."""
        return [str(number) for number in range(self.task.candidates)]

    def ids(self, examples: Choices) -> list[str]:
        return [item.id for item in examples.items]

    def keys(self, examples: Choices) -> list[str]:
        return [key_of(*(text for option in item.options for text in option)) for item in examples.items]

    def golds(self, examples: Choices) -> list[Any]:
        return [item.label for item in examples.items]

    def outputs(self, evaluation: Any, model: TaskModel, embedding: Embedding, examples: Choices, max_tokens: int,
                description: str | None) -> NDArray[np.float64]:
        """[N, K]."""
        encoded = encode(embedding.tokenizer, examples.items, evaluation.max_length, separators_of(evaluation.body.config))
        return outputs(model, encoded, self.task.name, self.task.candidates, max_tokens, description)
