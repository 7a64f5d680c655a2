"""How a value for one or two texts is learned, scored and predicted; the task itself is `tasks.classification.regression`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from adapt.text.windows import MAX_TOKENS
from tasks.classification.examples import Loaded
from tasks.classification.labelling import OfTexts, encode_rows
from tasks.classification.metrics import CORRELATIONS
from tasks.classification.regression import RegressionTask
from tasks.definition import OUTPUT
from tasks.encoding import Encoded, encode_examples, separators_of
from tasks.family import HeadTraining, OneLanguage
from tasks.heads.model import TaskModel
from tasks.predict import single_outputs
from tasks.statistics import bootstrap_pairs

if TYPE_CHECKING:
    from adapt.artefacts.embedding import Embedding
    from pretrain.artefacts.body import Body


@torch.inference_mode()
def predict(model: TaskModel, encoded: Encoded, task: str, max_tokens: int = MAX_TOKENS,
            description: str | None = None) -> NDArray[np.float64]:
    """The value of each input [N], in the order of the inputs; arguments as of `tasks.classification.family.predict`."""
    return single_outputs(model, encoded.tokens, task, max_tokens, description)


def score(predicted: NDArray[np.float64], gold: NDArray[np.float64], task: RegressionTask) -> dict[str, Any]:
    """The correlation, its bootstrap interval over examples, further correlations and the root of the mean squared error."""
    estimate = bootstrap_pairs(gold, predicted)
    return {"score": estimate.value, "n": len(gold), "standard_error": estimate.error,
            "interval_95": [estimate.low, estimate.high],
            "further": {name: CORRELATIONS[name](gold, predicted) for name in task.further},
            "root_mean_squared_error": float(np.sqrt(np.mean((gold - predicted) ** 2)))}


def values_of(examples: Loaded) -> NDArray[np.float64]:
    """The values of examples that have one [N]."""
    return np.array([item.value for item in examples.examples], dtype=np.float64)


@dataclass
class RegressionTraining(HeadTraining):
    """A value for one or two texts, in task adaptation."""

    task: RegressionTask

    def dev_score(self, model: TaskModel, embedding: Embedding, dev: Loaded) -> dict[str, Any]:
        encoded = encode_examples(embedding.tokenizer, dev.examples, self.max_length, separators_of(model.encoder.config))
        found = score(predict(model, encoded, self.task.name), values_of(dev), self.task)
        return {**{name: found[name] for name in ("score", "n", "standard_error", "further")},
                "baseline": {"score": 0.0, "what": "one value for all"}}


@dataclass
class RegressionEvaluation(OneLanguage):
    """A task body about to be scored; see `tasks.family.Evaluation`. `STEM.tsv`: the values, one a line in file order."""

    task: RegressionTask
    body: Body
    max_length: int

    def predict(self, model: TaskModel, embeddings: Sequence[Embedding], examples: Loaded, max_tokens: int,
                description: str | None) -> tuple[NDArray[np.float64], Encoded]:
        """The values, and the inputs they are of."""
        encoded = encode_examples(embeddings[0].tokenizer, examples.examples, self.max_length, separators_of(self.body.config))
        return predict(model, encoded, self.task.name, max_tokens, description), encoded

    def write(self, stem: Path, predicted: tuple[NDArray[np.float64], Encoded]) -> None:
        lines = "".join(f"{value:.9g}\n" for value in predicted[0])
        stem.with_name(stem.name + self.ending).write_text(lines, encoding="utf-8")

    def score(self, examples: Loaded, predicted: tuple[NDArray[np.float64], Encoded], language: str) -> dict[str, Any]:
        return score(predicted[0], values_of(examples), self.task)

    def facts(self, examples: Loaded, predicted: tuple[NDArray[np.float64], Encoded],
              languages: tuple[str, ...]) -> dict[str, Any]:
        return {"data": {"files": examples.files, "sha256": examples.sha256(), "dropped": examples.dropped},
                "max_length": self.max_length, "truncated": predicted[1].truncated}


@dataclass
class Valuer(OfTexts):
    """The value of each text or pair of texts."""

    @torch.inference_mode()
    def predict(self, model: TaskModel, embedding: Embedding, rows: Sequence[Mapping[str, Any]],
                max_tokens: int) -> list[dict[str, Any]]:
        """`score`, in the unit of the data that the body was trained on."""
        encoded = encode_rows(model, embedding, rows)
        return [{OUTPUT: float(value)} for value in predict(model, encoded, self.task, max_tokens)]
