"""Two processes that hold batches of different tasks do together what one does with twice as many batches an update."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.training import by_update, recorded, state, train, two_ranks

from .mixture_world import write_mixture

UPDATES = 40


def options(world: Path, dropout: float) -> dict[str, Any]:
    return {"task": "modular_mixture", "arch": "modular_task_body", "criterion": "modular_mixture", "body": str(world / "body"),
            "embedding": str(world / "qaa"), "batch-size": 16, "lr": 5e-3, "warmup-updates": 4, "max-update": UPDATES,
            "optimizer": "modular_adamw", "lr-scheduler": "modular_polynomial", "clip-norm": 1, "seed": 5, "curriculum": 10**9,
            "planned-epochs": 3, "ignore-unused-valid-subsets": True, "validate-interval-updates": 20,
            "save-interval-updates": 20,
            "best-checkpoint-metric": "mean_score", "maximize-best-checkpoint-metric": True, "dropout": dropout,
            "attention-dropout": dropout}


def same(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    return bool(one == other)


@pytest.mark.slow
def test_two_ranks_equal_one_with_two_batches_an_update(world: Path, mixed: Path, tmp_path: Path) -> None:
    """31 batches an epoch: at its end one rank has nothing. With dropout ranks draw alike, so that only they are compared."""
    pytest.importorskip("fairseq")
    recipe = write_mixture(tmp_path / "mixture.yaml", world, mixed)
    recipe.write_text(recipe.read_text().replace("head: san, ", ""))  # whose steps are dropped by chance
    ranks = two_ranks(recipe, tmp_path, {"plain": options(world, 0), "dropout": options(world, 0.1)}, "tasks", {})
    for first, second in ranks.values():
        assert same({**first, "steps": ()}, {**second, "steps": ()}) and first["updates"] == UPDATES
    with recorded() as one:
        train(recipe, tmp_path / "one", "tasks", options(world, 0), update_freq=2)
    theirs, ours = by_update([step for rank in ranks["plain"] for step in rank["steps"]]), one.updates()
    assert [items for items, _ in theirs] == [items for items, _ in ours] and len(ours) == UPDATES
    assert [loss for _, loss in theirs] == pytest.approx([loss for _, loss in ours], rel=1e-3)
    scores = [state(folder)["extra_state"]["best"] for folder in (tmp_path / "plain", tmp_path / "one")]
    assert scores[0] == pytest.approx(scores[1], rel=1e-2) and scores[0] > 40
