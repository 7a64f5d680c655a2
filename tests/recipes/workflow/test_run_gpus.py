"""The GPUs of one machine shared out between the cells of a run; no GPU is needed, cells see a variable."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from pretrain.base.errors import UserError
from recipes.workflow import gpus
from recipes.workflow.execute import execute
from recipes.workflow.jobs import Plan
from recipes.workflow.plan import make_plan
from recipes.workflow.settings import load
from tests.recipes.workflow.run_world import write
from tests.recipes.workflow.test_run_execute import ROOT, begun, log, wait_until

__all__ = ["log"]  # a fixture


@pytest.fixture
def three(monkeypatch) -> None:
    """A machine with three GPUs, of which this process may use 0, 2 and 5."""
    monkeypatch.setattr("torch.cuda.device_count", lambda: 3)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0, 2,5")


def made(root: Path, resources) -> Plan:
    return make_plan(load(write(
        root, arms={"standard": {"recipe": str(ROOT / "recipes" / "pretrain" / "demo-standard.yaml")}}, seeds=[1],
        budgets={"updates": [20]}, resources=resources)), root / "store")


def seen(plan: Plan) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for job in plan.jobs.values():
        found.setdefault(job.stage, set()).add(json.loads(job.record.read_text())["gpus"])
    return found


def test_a_cell_sees_as_many_as_its_stage_asks_for_and_no_two_the_same(tmp_path, log, three, monkeypatch):
    """Two adaptations and one task adaptation wait until all of them have begun, each with a GPU of its own."""
    pytest.importorskip("snakemake")
    monkeypatch.setenv("FAKE_SLOW", "-on-standard-s1")
    together = threading.Thread(target=lambda: (wait_until(lambda: sum(
        name.split("/")[0] in ("adapt", "finetune") for name in begun(log)) >= 3), (tmp_path / "go").touch()), daemon=True)
    together.start()
    plan = made(tmp_path, {"pretrain": {"gpus": 2}, "adapt": {"gpus": 1}, "finetune": {"gpus": 1}})
    assert execute(plan, tmp_path / "run", cores=8, quiet=True) == 0
    found = seen(plan)
    assert found["pretrain"] == {"0,2"}
    assert found["adapt"] | found["finetune"] == {"0", "2", "5"}
    assert found["prepare"] == found["evaluate"] == {""}  # a stage that asks for none has none


def test_where_no_stage_asks_all_see_what_they_always_would(tmp_path, log, three):
    pytest.importorskip("snakemake")
    plan = made(tmp_path, {})
    assert execute(plan, tmp_path / "run", cores=2, quiet=True) == 0
    assert set.union(*seen(plan).values()) == {"0, 2,5"}


def test_more_than_there_are_is_refused_before_anything_runs(tmp_path, log, three):
    pytest.importorskip("snakemake")
    with pytest.raises(UserError, match=r"^resources.pretrain.gpus 4: this machine shows 3; ask for fewer"):
        execute(made(tmp_path, {"pretrain": {"gpus": 4}}), tmp_path / "run", cores=2, quiet=True)
    assert not (tmp_path / "run").exists()


def test_names_are_those_of_the_variable_else_numbers(monkeypatch):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert gpus.visible() == ["0", "1"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "MIG-1,MIG-2,MIG-gone")
    assert gpus.visible() == ["MIG-1", "MIG-2"]


def test_a_gpu_is_free_again_when_its_cell_ends_and_waited_for_until_then(tmp_path):
    waited = []
    with gpus.taken(tmp_path, ["0", "1"], 1, waited.append) as (first, _):
        assert first == ["0"] and not waited

        def waiting() -> None:
            waited.append(1)
            if len(waited) == 2:
                raise InterruptedError

        with pytest.raises(InterruptedError), gpus.taken(tmp_path, ["0", "1"], 2, waiting):
            pass
        assert len(waited) == 2
        with gpus.taken(tmp_path, ["0", "1"], 1, waited.append) as (second, _):  # what the interrupted one had is free
            assert second == ["1"]
    with gpus.taken(tmp_path, ["0", "1"], 2, waited.append) as (both, locks):
        assert both == ["0", "1"] and len(locks) == 2
