"""What question answering does with a body; see `tasks.family.Parts`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pretrain.artefacts.body import Body
from tasks.family import EvaluationOptions
from tasks.qa import family
from tasks.qa.answering import Answerer
from tasks.qa.data import Questions
from tasks.qa.features import WindowSettings
from tasks.qa.model import qa_record
from tasks.qa.task import QATask
from tasks.qa.teaching import QATeaching


def training(task: QATask, head: str, inputs: WindowSettings) -> family.QATraining:
    return family.QATraining(task, head, inputs)


def evaluation(task: QATask, body: Body, place: str, options: EvaluationOptions) -> family.QAEvaluation:
    return family.QAEvaluation.of(task, body, options)


def predictor(task: QATask, body: Body) -> Answerer:
    record = qa_record(body)
    trained = [record["windows"].get(name, 0) for name in ("max_length", "stride", "max_question")]
    return Answerer(record["name"], task.inputs(body.config, *trained), float(record.get("no_answer_threshold", 1.0)))


def teaching(task: QATask) -> QATeaching:
    return QATeaching(task)


def table(task: QATask, records: Sequence[dict[str, Any]]) -> str:
    return family.table(records)


def example_scores(task: QATask, predictions: Path, examples: Questions, language: str) -> NDArray[np.float64]:
    return family.example_scores(task, predictions, examples, language)
