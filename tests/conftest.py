"""Shared by all tests: the repository root is importable, and each process computes on one thread."""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

os.environ.setdefault("OMP_NUM_THREADS", "1")  # also for the processes that tests start

import torch  # noqa: E402

torch.set_num_threads(1)
