"""Ranks of a training end with the command that started them: two real ranks under torchrun, over gloo."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.killing import ROOT
from tests.training import PRETRAIN

pytest.importorskip("fairseq")
pytestmark = [pytest.mark.slow, pytest.mark.cold,
              pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")]
COMMAND = """
import signal, sys, torch
from pathlib import Path
from pretrain.stage import Stage
from recipes.cli import Terminated, ends_cleanly
torch.cuda.device_count = lambda: 2
processes, nodes = map(int, sys.argv[2:])
try:
    with ends_cleanly():
        Stage("ranks", Path(sys.argv[1]) / "out", ["fairseq-train", "x"], 100_000, {}, quiet=True, processes=processes,
              nodes=nodes).run()
except Terminated:
    sys.exit(143)
"""
RANK = """
import os, runpy, sys
sys.path.remove({place!r})
del sys.modules["fairseq_cli"]
sys.argv = ["two_ranks.py", {data!r}, {folder!r}, "pretrain", {runs!r}]
runpy.run_path({script!r}, run_name="__main__")
"""
"""Stands where fairseq's command is looked for: without a GPU each, that would not join the ranks."""
WAITING = """
import sys, time
from pathlib import Path
import torch
from torch import distributed
from pretrain.base.leash import follow
follow()
distributed.init_process_group("gloo")
for update in range(100_000):
    distributed.all_reduce(torch.ones(1))
    if update == 3 and distributed.get_rank() == 0:
        Path({folder!r}, "run").mkdir()
        Path({folder!r}, "run", "checkpoint_last.pt").touch()
    time.sleep(0.02)
"""
"""Ranks that wait for each other at every update, as those of a training do; fairseq takes eight seconds to begin."""
SRUN = """#!/bin/sh
while [ "${1#--}" != "$1" ]; do shift; done
trap 'kill $one $two 2>/dev/null; wait; exit 143' TERM
"$@" & one=$!
"$@" & two=$!
wait
"""
"""Starts its command once a node, both of them here, and ends both when it is asked to, as srun does."""


def of(folder: Path) -> dict[int, str]:
    """Processes that were started for the folder: number -> command line."""
    mark, found = f"TEST_OF_RANKS={folder}".encode(), {}
    for place in Path("/proc").iterdir():
        if place.name.isdigit() and int(place.name) != os.getpid():
            try:
                if mark in (place / "environ").read_bytes().split(b"\0") and " Z " not in (place / "stat").read_text():
                    found[int(place.name)] = (place / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
    return found


@pytest.mark.parametrize(("processes", "nodes", "number", "rank"), [
    (2, 1, signal.SIGKILL, RANK), (2, 1, signal.SIGTERM, WAITING), (1, 2, signal.SIGKILL, WAITING)],
    ids=["killed", "asked", "of-two-nodes"])
def test_the_ranks_end_with_the_command(processes, nodes, number, rank, prepared, tmp_path):
    stand_in = tmp_path / "stand-in"
    (stand_in / "fairseq_cli").mkdir(parents=True)
    (stand_in / "fairseq_cli" / "__init__.py").touch()
    runs = json.dumps({"run": {**PRETRAIN, "max-update": 100_000, "save-interval-updates": 2, "keep-interval-updates": 1}})
    (stand_in / "fairseq_cli" / "train.py").write_text(rank.format(
        place=str(stand_in), data=str(prepared), folder=str(tmp_path), runs=runs, script=str(ROOT / "tests" / "two_ranks.py")))
    (stand_in / "srun").write_text(SRUN)
    (stand_in / "srun").chmod(0o755)
    child = subprocess.Popen(
        [sys.executable, "-c", COMMAND, str(tmp_path), str(processes), str(nodes)], cwd=ROOT, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, start_new_session=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(stand_in), str(ROOT)]), "TEST_OF_RANKS": str(tmp_path),
             "PATH": f"{stand_in}{os.pathsep}{os.environ['PATH']}", "SLURM_JOB_NUM_NODES": str(nodes),
             "SLURM_JOB_ID": str(os.getpid())})
    log, limit = tmp_path / "out.training" / "train.log", time.monotonic() + 400
    try:
        while not (tmp_path / "run" / "checkpoint_last.pt").exists():
            assert child.poll() is None and time.monotonic() < limit, log.read_text()[-3000:] if log.exists() else "no log"
            time.sleep(0.05)
        ranks = [line for line in of(tmp_path).values() if "-m fairseq_cli.train" in line and "torch.distributed" not in line]
        assert len(ranks) == 2
        os.kill(child.pid, number)
        assert child.wait(60) == (143 if number == signal.SIGTERM else -number)
        limit = time.monotonic() + 90
        while left := of(tmp_path):
            assert time.monotonic() < limit, left
            time.sleep(0.1)
    finally:
        for process in of(tmp_path):
            os.kill(process, signal.SIGKILL)
        child.wait()
