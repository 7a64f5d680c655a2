"""What classification does with a body; see `tasks.family.Parts`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pretrain.artefacts.body import Body
from tasks.classification import family
from tasks.classification.examples import Loaded, texts_each
from tasks.classification.labelling import Labeller
from tasks.classification.task import ClassificationTask
from tasks.classification.teaching import ClassificationTeaching
from tasks.family import EvaluationOptions, Inputs
from tasks.heads.model import task_of


def training(task: ClassificationTask, head: str, inputs: Inputs) -> family.ClassificationTraining:
    return family.ClassificationTraining(task, head, inputs.max_length)


def evaluation(task: ClassificationTask, body: Body, place: str, options: EvaluationOptions) -> family.ClassificationEvaluation:
    return family.ClassificationEvaluation.of(task, body, place, options)


def predictor(task: ClassificationTask, body: Body) -> Labeller:
    return Labeller(task.name, 2 if task.pair else texts_each(task.reader), task_of(body, task.name)["labels"])


def teaching(task: ClassificationTask) -> ClassificationTeaching:
    return ClassificationTeaching(task)


def table(task: ClassificationTask, records: Sequence[dict[str, Any]]) -> str:
    return family.table(records)


def example_scores(task: ClassificationTask, predictions: Path, examples: Loaded, language: str) -> NDArray[np.float64]:
    return family.example_scores(task, predictions, examples)
