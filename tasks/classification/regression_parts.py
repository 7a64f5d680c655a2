"""What regression does with a body; see `tasks.family.Parts`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pretrain.artefacts.body import Body
from pretrain.base.errors import UserError
from tasks.classification.examples import Loaded, texts_each
from tasks.classification.regression import RegressionTask
from tasks.classification.regression_family import RegressionEvaluation, RegressionTraining, Valuer
from tasks.classification.teaching import RegressionTeaching
from tasks.family import EvaluationOptions, Inputs
from tasks.heads.model import check_trained_labels, task_of
from tasks.tables import aligned


def training(task: RegressionTask, head: str, inputs: Inputs) -> RegressionTraining:
    return RegressionTraining(task, head, inputs.max_length)


def evaluation(task: RegressionTask, body: Body, place: str, options: EvaluationOptions) -> RegressionEvaluation:
    options.only(task.name)
    check_trained_labels(place, task_of(body, task.name)["labels"], task)
    return RegressionEvaluation(task, body, task.inputs(body.config, options.max_length).max_length)


def predictor(task: RegressionTask, body: Body) -> Valuer:
    return Valuer(task.name, texts_each(task.reader))


def teaching(task: RegressionTask) -> RegressionTeaching:
    return RegressionTeaching(task)


def table(task: RegressionTask, records: Sequence[dict[str, Any]]) -> str:
    further = list(records[0]["further"])
    rows = [["language", "split", task.metric, *further, "n"]]
    for record in records:
        rows.append([record["language"], record["split"], f"{record['score']:.3f} ± {record['standard_error']:.3f}",
                     *(f"{record['further'][name]:.3f}" for name in further), f"{record['n']:,}"])
    return aligned(rows, left=3)


def example_scores(task: RegressionTask, predictions: Path, examples: Loaded, language: str) -> Any:
    raise UserError(f"{task.metric} is no mean over examples")
