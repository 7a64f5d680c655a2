"""The recipe of MT-DNN-KD is a mixture that can be read: four tasks with teachers, five without, as in the paper."""

from __future__ import annotations

from pathlib import Path

from tasks.distillation.student import Distillation
from tasks.multitask.recipe import read_mixture
from tasks.registry import get_task

RECIPE = Path(__file__).resolve().parents[3] / "recipes" / "multitask" / "mtdnn-kd.yaml"


def test_four_tasks_have_teachers_and_every_head_and_split_is_its_tasks() -> None:
    mixture = read_mixture(RECIPE)
    taught = {name for name, entry in mixture.tasks.items() if Distillation.of(entry) is not None}
    assert taught == {"mnli", "qqp", "rte", "qnli"} and len(mixture.tasks) == 9
    for name, entry in mixture.tasks.items():
        task = get_task(name)
        assert entry.dev_split in task.splits and (entry.head or task.heads[0]) in task.heads
        assert entry.alpha == 0 and entry.temperature == 0
