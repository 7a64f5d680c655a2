"""Shared by all tests: the repository root is importable, each process computes on one thread, long files come first."""

import os
import sys
from contextlib import ExitStack
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

os.environ["OMP_NUM_THREADS"] = "1"  # before torch, which not every test needs; also for the processes that tests start

import pytest  # noqa: E402

LONG = ("journeys/test_readme.py", "campaign/test_campaign.py", "pretrain/test_ranks_end.py",
        "recipes/workflow/test_run_execute.py", "pretrain/trainer/test_electra_training.py",
        "recipes/workflow/test_run_resume.py", "recipes/world/test_world_qa.py", "recipes/demo/test_demo.py",
        "tasks/qa/test_qa.py", "adapt/formats/test_huggingface_tokenizer.py", "tasks/test_own_tasks.py",
        "pretrain/base/test_checkpoints.py", "pretrain/trainer/test_task.py", "recipes/test_resume.py",
        "recipes/test_processes.py", "recipes/test_disk.py", "adapt/test_pair_adaptation.py", "tasks/multitask/test_train.py",
        "tasks/heads/test_export_real.py", "tasks/test_electra_tasks.py")
"""Files of twenty seconds of processor and more, below tests/: the workers begin with them, so that none is left alone with one
at the end."""

def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--items", type=int, default=25, help="real items of a task and language that exports are asked about")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Long files first, all else as it was; within a file nothing moves. The campaign of kills, which takes an hour, runs only
    where `-m` names it."""
    if "campaign" not in str(config.option.markexpr or ""):
        left = [item for item in items if item.get_closest_marker("campaign")]
        config.hook.pytest_deselected(items=left)
        items[:] = [item for item in items if item not in left]
    rank = {ROOT / "tests" / name: place for place, name in enumerate(LONG)}
    items.sort(key=lambda item: rank.get(item.path, len(LONG)))


def pytest_make_parametrize_id(val: object) -> str | None:
    """Bytes are named by their length: their own text may hold a time (gzip, zip) or a float's last digit, and the workers of
    pytest-xdist refuse to begin when two of them name a test differently."""
    return f"{len(val)}-bytes" if isinstance(val, (bytes, bytearray)) else None


def pytest_configure(config: pytest.Config) -> None:
    """With several workers (pytest -n …), the commands that tests start are forked from warm processes, see recipes/warm/."""
    if not getattr(config.option, "numprocesses", None) or hasattr(config, "workerinput"):
        return
    from recipes.warm import warm

    started = ExitStack()
    os.environ.update(started.enter_context(warm(os.environ, {str(ROOT / "tests" / "two_ranks.py"): "train"})))
    config.add_cleanup(started.close)


@pytest.fixture(autouse=True)
def cold(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is marked `cold` or `campaign` starts its processes from nothing."""
    if any(request.node.get_closest_marker(name) for name in ("cold", "campaign")):
        monkeypatch.delenv("RELEXIFY_WARM", raising=False)
