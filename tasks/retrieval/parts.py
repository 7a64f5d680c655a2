"""What retrieval does with a body; see `tasks.family.Parts`. Nothing is trained for it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pretrain.artefacts.body import Body
from pretrain.base.errors import UserError
from tasks.family import EvaluationOptions, Inputs, Predictor, Training
from tasks.retrieval import family
from tasks.retrieval.task import Bitext, RetrievalTask


def training(task: RetrievalTask, head: str, inputs: Inputs) -> Training:
    raise UserError(f"{task.name}: nothing is trained for it; evaluate a body on it")


def evaluation(task: RetrievalTask, body: Body, place: str, options: EvaluationOptions) -> family.RetrievalEvaluation:
    return family.RetrievalEvaluation.of(task, body, options)


def predictor(task: RetrievalTask, body: Body) -> Predictor:
    raise UserError(f"{task.name}: has no prediction for one text; `encode` of the Python door gives the vectors")


def table(task: RetrievalTask, records: Sequence[dict[str, Any]]) -> str:
    return family.table(records)


def example_scores(task: RetrievalTask, predictions: Path, examples: Bitext, language: str) -> NDArray[np.float64]:
    if task.mining:
        raise UserError(f"{task.metric} is no mean over examples")
    return family.example_scores(predictions, examples)
