"""Shared by all tests: the repository root is importable, each process computes on one thread, long files come first."""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

os.environ.setdefault("OMP_NUM_THREADS", "1")  # also for the processes that tests start

import pytest  # noqa: E402
import torch  # noqa: E402

torch.set_num_threads(1)

LONG = ("recipes/workflow/test_run_resume.py", "recipes/test_resume.py", "tasks/qa/test_qa.py",
        "pretrain/trainer/test_electra_training.py", "pretrain/trainer/test_task.py", "recipes/workflow/test_run_execute.py",
        "adapt/test_pair_adaptation.py", "tasks/test_electra_tasks.py", "tasks/tagging/test_tagging.py",
        "recipes/world/test_world_qa.py", "tasks/test_finetune.py", "tasks/test_layer_decay.py", "tasks/test_seeds.py",
        "pretrain/base/test_checkpoints.py", "tasks/test_evaluate.py", "adapt/test_language.py")
"""Files of half a minute and more, below tests/: the workers begin with them, so that none is left alone with one at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first, all else as it was; within a file nothing moves."""
    rank = {ROOT / "tests" / name: place for place, name in enumerate(LONG)}
    items.sort(key=lambda item: rank.get(item.path, len(LONG)))
