"""The losses that a mixture may name, against hand-computed cases."""

from __future__ import annotations

import math

import pytest
import torch

pytest.importorskip("fairseq")

from tasks.registry import load_all
from tasks.trainer import classification, regression


def test_losses_by_hand() -> None:
    logits = torch.tensor([[math.log(3.0), 0.0], [0.0, 0.0]])  # probabilities 3/4, 1/4 and 1/2, 1/2
    labels = torch.tensor([0, 1])
    assert float(classification.LOSSES["cross-entropy"](logits, labels)) == pytest.approx(math.log(4 / 3) + math.log(2), rel=1e-5)
    assert float(classification.LOSSES["mse"](logits, labels)) == pytest.approx(2 / 16 + 2 / 4, rel=1e-5)
    values, gold = torch.tensor([1.0, 5.0]), torch.tensor([3.0, 4.0])
    assert float(regression.LOSSES["mse"](values, gold, reduction="sum")) == pytest.approx(5, rel=1e-5)
    assert float(regression.LOSSES["mae"](values, gold, reduction="sum")) == pytest.approx(3, rel=1e-5)


def test_every_task_names_losses_that_its_criterion_has() -> None:
    have = {"modular_classification": set(classification.LOSSES), "modular_regression": set(regression.LOSSES)}
    for name, task in load_all().items():
        assert set(task.losses) <= have.get(task.criterion, {"cross-entropy"}), name
