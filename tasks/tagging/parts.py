"""What tagging does with a body; see `tasks.family.Parts`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pretrain.artefacts.body import Body
from tasks.family import EvaluationOptions, Inputs
from tasks.heads.model import task_of
from tasks.tagging import family
from tasks.tagging.data import Sentences
from tasks.tagging.labelling import Tagger
from tasks.tagging.task import TaggingTask
from tasks.tagging.teaching import TaggingTeaching


def training(task: TaggingTask, head: str, inputs: Inputs) -> family.TaggingTraining:
    return family.TaggingTraining(task, head, inputs.max_length)


def evaluation(task: TaggingTask, body: Body, place: str, options: EvaluationOptions) -> family.TaggingEvaluation:
    return family.TaggingEvaluation.of(task, body, place, options)


def predictor(task: TaggingTask, body: Body) -> Tagger:
    return Tagger(task.name, task_of(body, task.name)["labels"])


def teaching(task: TaggingTask) -> TaggingTeaching:
    return TaggingTeaching(task)


def table(task: TaggingTask, records: Sequence[dict[str, Any]]) -> str:
    return family.table(records)


def example_scores(task: TaggingTask, predictions: Path, examples: Sentences, language: str) -> NDArray[np.float64]:
    return family.example_scores(task, predictions, examples)
