"""How a task takes part in task adaptation, with the settings of `relexify finetune` checked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pretrain.base.errors import UserError, unknown
from tasks.definition import Definition

if TYPE_CHECKING:
    from pretrain.artefacts.body import Body
    from tasks.family import Training
    from tasks.settings import FinetuneSettings


def training_of(task: Definition, body: Body, settings: FinetuneSettings) -> Training:
    """How a task takes part in task adaptation.

    Raises:
        UserError: an unknown head, no training split, or lengths that the body does not allow.
    """
    head = settings.head or task.heads[0]
    if head not in task.heads:
        raise unknown(f"head for {task.name}", head, task.heads)
    if "train" not in task.splits:
        raise UserError(f"{task.name} has no training split; train on {task.train_instead} and evaluate the result on "
                        f"{task.name}")
    inputs = task.inputs(body.config, settings.max_length, settings.stride, settings.max_question)
    family = task.training(head, inputs)
    if settings.teacher:
        teaching = task.teaching()
        return family if settings.alpha else teaching.without_gold(family)
    return family
