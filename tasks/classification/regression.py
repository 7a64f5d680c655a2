"""A value for one or two texts: a head of one output, squared error, correlations as scores (Liu et al. 2019, MT-DNN).

The output has the unit of the data: no activation follows it. A body's record calls it by one label, `score`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from adapt.text.windows import MAX_TOKENS
from pretrain.base.errors import UserError
from tasks.classification.columns import Table
from tasks.classification.labelling import PAIRS, texts_of
from tasks.classification.metrics import CORRELATIONS
from tasks.classification.task import Available, Example, Loaded, Reader
from tasks.definition import Definition, Inputs, missing_data
from tasks.encoding import Encoded, encode_examples, resolve_max_length, separators_of
from tasks.heads.model import TaskModel, check_trained_labels, task_of
from tasks.predict import head_outputs
from tasks.statistics import bootstrap_pairs
from tasks.tables import aligned

if TYPE_CHECKING:
    from adapt.artefacts.embedding import Embedding
    from pretrain.artefacts.body import Body
    from tasks.family import Evaluation, EvaluationOptions, Predictor, Training

OUTPUT = "score"
"""What the one output is called where others have labels."""


@dataclass(frozen=True, kw_only=True)
class RegressionTask(Definition):
    """A value for one or two texts.

    Attributes:
        span: least and greatest value; a submission is clipped to it.
        reader, available: as of `ClassificationTask`; examples carry `value`.
        further: of `tasks.classification.metrics.CORRELATIONS`, recorded beside Pearson's.
    """

    span: tuple[float, float]
    reader: Reader | Table
    available: Available
    further: tuple[str, ...] = ("spearman",)
    heads: tuple[str, ...] = ("classification", "linear")
    metric: str = "pearson"
    criterion: str = "modular_regression"
    trainer = "tasks.trainer.regression"

    @property
    def outputs(self) -> int:
        return 1

    @property
    def labels(self) -> tuple[str, ...]:
        """The name of the one output."""
        return (OUTPUT,)

    def read(self, data: str | Path, split: str, language: str, files: Sequence[str | Path] = ()) -> Loaded:
        """The examples with their values, see `Definition.read`; values that were stripped are an error too."""
        loaded = self.unlabelled(data, split, language, files)
        where = ", ".join(loaded.files)
        if not loaded.examples:
            raise UserError(f"{where}: no examples for {split}; the file is empty or holds other languages only")
        without = [item.id for item in loaded.examples if item.value is None]
        if without:
            raise UserError(f"{where}: {len(without):,} of {len(loaded):,} rows have no value (first: id {without[0]}); if the "
                            f"values of this {split} file were stripped, take the official file, which has them")
        if len(loaded) > 1 and len({item.value for item in loaded.examples}) == 1:
            raise UserError(f"{where}: all {len(loaded):,} values are {loaded.examples[0].value:g}; nothing correlates with "
                            "a constant")
        return loaded

    def unlabelled(self, data: str | Path, split: str, language: str, files: Sequence[str | Path] = ()) -> Loaded:
        """As `read`, of a split whose values were never published."""
        return self.reader(str(data), split, self.check(split, language), [str(file) for file in files])

    def missing(self, data: str, split: str, language: str, tried: Sequence[str]) -> UserError:
        """The error for a language whose file is not there, see `missing_data`."""
        return missing_data(self.name, data, split, language, self.available(data, split), tried[:4])

    def training(self, head: str, inputs: Inputs) -> Training:
        return RegressionTraining(self, head, inputs.max_length)

    def evaluation(self, body: Body, place: str, options: EvaluationOptions) -> Evaluation:
        options.refuse(self.name, "layer", "neighbours", belong_to="retrieval")
        options.refuse(self.name, "pairs", "stride", "max_question", "max_answer")
        options.refuse(self.name, "untrained_head", belong_to="question answering and tagging")
        check_trained_labels(place, task_of(body, self.name)["labels"], self)
        return RegressionEvaluation(self, body, self.inputs(body.config, options.max_length).max_length)

    def predictor(self, body: Body) -> Predictor:
        return Valuer(self.name)

    def table(self, records: Sequence[dict[str, Any]]) -> str:
        further = list(records[0]["further"])
        rows = [["language", "split", self.metric, *further, "n"]]
        for record in records:
            rows.append([record["language"], record["split"], f"{record['score']:.3f} ± {record['standard_error']:.3f}",
                         *(f"{record['further'][name]:.3f}" for name in further), f"{record['n']:,}"])
        return aligned(rows, left=3)

    def example_scores(self, predictions: Path, examples: Loaded, language: str) -> NDArray[np.float64]:
        raise UserError(f"{self.metric} is no mean over examples")


@torch.inference_mode()
def predict(model: TaskModel, encoded: Encoded, task: str, max_tokens: int = MAX_TOKENS,
            description: str | None = None) -> NDArray[np.float64]:
    """The value of each input [N], in the order of the inputs; arguments as of `tasks.classification.family.predict`."""
    result = np.empty(len(encoded), dtype=np.float64)
    for indices, outputs_B1 in head_outputs(model, encoded.tokens, task, max_tokens, description):
        result[indices] = outputs_B1[:, 0].double().cpu().numpy()
    return result


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
class RegressionTraining:
    """A value for one or two texts, in task adaptation."""

    task: RegressionTask
    head: str
    max_length: int

    def items(self, train: Loaded, embedding: Embedding) -> int:
        return len(train)

    def made(self) -> dict[str, Any]:
        return {"max_length": self.max_length}

    def record(self) -> dict[str, Any]:
        return {"head": self.head, "labels": list(self.task.labels)}

    def dev_score(self, model: TaskModel, embedding: Embedding, dev: Loaded) -> dict[str, Any]:
        encoded = encode_examples(embedding.tokenizer, dev.examples, self.max_length, separators_of(model.encoder.config))
        found = score(predict(model, encoded, self.task.name), values_of(dev), self.task)
        return {**{name: found[name] for name in ("score", "n", "standard_error", "further")},
                "baseline": {"score": 0.0, "what": "one value for all"}}

    def learned(self) -> dict[str, Any]:
        return {}


@dataclass
class RegressionEvaluation:
    """A task body about to be scored; see `tasks.family.Evaluation`. `STEM.tsv`: the values, one a line in file order."""

    task: RegressionTask
    body: Body
    max_length: int
    ending: ClassVar[str] = ".tsv"
    record_ending: ClassVar[str] = ".json"

    def cells(self, languages: Sequence[str]) -> list[tuple[str, ...]]:
        return [(language,) for language in languages]

    def read(self, data: str | Path, split: str, languages: tuple[str, ...]) -> Loaded:
        return self.task.read(data, split, languages[0])

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
class Valuer:
    """The value of each text or pair of texts without gold; see `tasks.family.Predictor`."""

    task: str
    columns: ClassVar[tuple[tuple[str, ...], ...]] = (("text",), *PAIRS)

    @torch.inference_mode()
    def predict(self, model: TaskModel, embedding: Embedding, rows: Sequence[Mapping[str, Any]],
                max_tokens: int) -> list[dict[str, Any]]:
        """`score`, in the unit of the data that the body was trained on."""
        shape = model.encoder.config
        examples = [Example(str(number), *texts_of(row), None) for number, row in enumerate(rows)]
        encoded = encode_examples(embedding.tokenizer, examples, resolve_max_length(0, shape.max_positions), separators_of(shape))
        return [{OUTPUT: float(value)} for value in predict(model, encoded, self.task, max_tokens)]
