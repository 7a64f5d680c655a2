"""How bodies that label texts, or give them a value, teach (docs/distillation.md)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import logsumexp

from tasks.classification import regression_family
from tasks.classification.examples import Loaded
from tasks.classification.task import ClassificationTask
from tasks.distillation.soft_labels import key_of
from tasks.distillation.teaching import ClassTeaching, ValueTeaching
from tasks.encoding import encode_examples, separators_of
from tasks.predict import head_outputs

if TYPE_CHECKING:
    from adapt.artefacts.embedding import Embedding
    from tasks.classification.family import ClassificationEvaluation
    from tasks.classification.regression import RegressionTask
    from tasks.heads.model import TaskModel


class _Texts:
    """Examples of one or two texts."""

    def ids(self, examples: Loaded) -> list[str]:
        return [item.id for item in examples.examples]

    def keys(self, examples: Loaded) -> list[str]:
        return [key_of(item.text_a, item.text_b) for item in examples.examples]

    def golds(self, examples: Loaded) -> list[Any]:
        return [item.label if item.value is None else item.value for item in examples.examples]


@dataclass
class ClassificationTeaching(_Texts, ClassTeaching):
    """Logits of the task's labels, in its order; see `tasks.distillation.teaching.Teaching`."""

    task: ClassificationTask

    @torch.inference_mode()
    def outputs(self, evaluation: ClassificationEvaluation, model: TaskModel, embedding: Embedding, examples: Loaded,
                max_tokens: int, description: str | None) -> NDArray[np.float64]:
        """[N, C]. Of a label that several of the teacher's are read as: the logarithm of the sum of their exponentials, so that
        its probability is the sum of theirs."""
        encoded = encode_examples(embedding.tokenizer, examples.examples, evaluation.max_length,
                                  separators_of(evaluation.body.config))
        own_NC = np.empty((len(encoded), len(evaluation.labels)))
        for indices, logits_BC in head_outputs(model, encoded.tokens, evaluation.head, max_tokens, description):
            own_NC[indices] = logits_BC.double().cpu().numpy()
        places = [[place for place, label in enumerate(evaluation.labels) if label == name] for name in self.task.labels]
        return np.stack([logsumexp(own_NC[:, own], axis=1) for own in places], axis=1)


@dataclass
class RegressionTeaching(_Texts, ValueTeaching):
    """The value of each example; see `tasks.distillation.teaching.Teaching`."""

    task: RegressionTask

    def outputs(self, evaluation: Any, model: TaskModel, embedding: Embedding, examples: Loaded, max_tokens: int,
                description: str | None) -> NDArray[np.float64]:
        """[N]."""
        encoded = encode_examples(embedding.tokenizer, examples.examples, evaluation.max_length,
                                  separators_of(evaluation.body.config))
        return regression_family.predict(model, encoded, self.task.name, max_tokens, description)
