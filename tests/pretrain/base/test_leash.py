"""What was started ends with who started it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pretrain.base import leash

pytestmark = pytest.mark.cold
ROOT = Path(__file__).resolve().parents[3]
FILE = str(Path(leash.__file__))
PARENT = """
import subprocess, sys, time
from pretrain.base.leash import leashed
child = subprocess.Popen(leashed([sys.executable, "-c", {code!r}]), stdout=subprocess.PIPE, text=True)
print(child.stdout.readline().strip(), flush=True)
time.sleep(600)
"""
CHILD = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"
FOLLOWER = "from pretrain.base import leash; {change}leash.follow(); " + CHILD


def gone(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def orphaned(code: str, environment: dict[str, str] | None = None) -> int:
    """Starts a parent with a child that runs `code`, kills the parent, returns the child."""
    parent = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True,
                              env={**os.environ, "PYTHONPATH": str(ROOT), **(environment or {})})
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    assert not gone(child)
    parent.send_signal(signal.SIGKILL)
    parent.communicate()
    return child


def ends(process: int) -> bool:
    limit = time.monotonic() + 20
    while not gone(process):
        if time.monotonic() > limit:
            os.kill(process, signal.SIGKILL)
            return False
        time.sleep(0.05)
    return True


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the kernel's tie")
def test_a_child_on_a_leash_ends_with_its_parent():
    assert ends(orphaned(PARENT.format(code=CHILD)))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")
@pytest.mark.parametrize("change", ["", "leash.tie = lambda end: False; "])
def test_a_process_that_follows_ends_with_its_parent_also_without_the_kernel(change):
    code = PARENT.format(code=FOLLOWER.format(change=change)).replace("leashed([", "list([")
    assert ends(orphaned(code, {leash.PARENT: str(os.getpid())}))


def test_who_was_started_by_a_process_that_is_gone_ends_at_once():
    first = subprocess.run([sys.executable, "-I", "-S", FILE, "1", "9", "sleep", "600"], timeout=60)
    ended = subprocess.Popen(["true"])
    ended.wait()
    second = subprocess.run([sys.executable, "-c", "from pretrain.base.leash import follow; follow()"], cwd=ROOT, timeout=60,
                            env={**os.environ, leash.PARENT: str(ended.pid)})
    assert first.returncode == second.returncode == 137


def test_a_command_on_a_leash_is_that_command():
    done = subprocess.run(leash.leashed([sys.executable, "-c", "import sys; print(sys.argv[1:]); sys.exit(3)", "a b"]),
                          capture_output=True, text=True)
    assert done.returncode == 3 and done.stdout == "['a b']\n"
