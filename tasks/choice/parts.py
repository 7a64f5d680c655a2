"""What multiple choice does with a body; see `tasks.family.Parts`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pretrain.artefacts.body import Body
from tasks.choice import family
from tasks.choice.choosing import Chooser
from tasks.choice.task import Choices, ChoiceTask
from tasks.choice.teaching import ChoiceTeaching
from tasks.family import EvaluationOptions, Inputs


def training(task: ChoiceTask, head: str, inputs: Inputs) -> family.ChoiceTraining:
    return family.ChoiceTraining(task, head, inputs.max_length)


def evaluation(task: ChoiceTask, body: Body, place: str, options: EvaluationOptions) -> family.ChoiceEvaluation:
    return family.ChoiceEvaluation.of(task, body, place, options)


def predictor(task: ChoiceTask, body: Body) -> Chooser:
    return Chooser(task)


def teaching(task: ChoiceTask) -> ChoiceTeaching:
    return ChoiceTeaching(task)


def table(task: ChoiceTask, records: Sequence[dict[str, Any]]) -> str:
    return family.table(records)


def example_scores(task: ChoiceTask, predictions: Path, examples: Choices, language: str) -> NDArray[np.float64]:
    return family.example_scores(predictions, examples)
