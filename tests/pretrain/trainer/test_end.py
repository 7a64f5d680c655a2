"""A `fairseq-train` line that is repeated after its end trains no update more."""

from __future__ import annotations

import pytest

pytest.importorskip("fairseq")

from tests.training import state, train


def test_a_finished_training_takes_no_step(prepared, tmp_path):
    train(prepared, tmp_path, max_update=4, warmup_updates=1)
    before = (tmp_path / "checkpoint_last.pt").read_bytes()
    with pytest.raises(SystemExit) as left:
        train(prepared, tmp_path, max_update=4, warmup_updates=1)
    assert left.value.code == 0 and (tmp_path / "checkpoint_last.pt").read_bytes() == before
    train(prepared, tmp_path, max_update=6, warmup_updates=1)  # a longer one goes on
    assert state(tmp_path)["optimizer_history"][-1]["num_updates"] == 6


def test_patience_at_its_end_takes_no_step(prepared, tmp_path):
    given = {"max_update": 40, "patience": 1, "lr": 0.5, "warmup_updates": 1, "validate_interval_updates": 2,
             "save_interval_updates": 2}
    train(prepared, tmp_path, **given)
    updates = state(tmp_path)["optimizer_history"][-1]["num_updates"]
    assert updates < 40
    with pytest.raises(SystemExit):
        train(prepared, tmp_path, **given)
    assert state(tmp_path)["optimizer_history"][-1]["num_updates"] == updates
