"""Commands that are forked from a warm process end, fail and die as those that are started (tests/warm/)."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
WARM = ROOT / "tests" / "warm"
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks and /proc")
TRAIN = """import os, sys, time
print("words", *sys.argv[1:], "folder", os.getcwd(), "warm" if "colorsys" in sys.modules else "cold",
      os.environ["MARK"], flush=True)
print("said", file=sys.stderr)
if sys.argv[1] == "sleep":
    time.sleep(60)
sys.exit(int(sys.argv[1]))
"""


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[dict[str, str]]:
    """What a served process has; `fairseq_cli.train` is a script of a few lines."""
    (tmp_path / "fairseq_cli").mkdir()
    (tmp_path / "fairseq_cli" / "__init__.py").write_text("")
    (tmp_path / "fairseq_cli" / "train.py").write_text(TRAIN)
    server = subprocess.Popen([sys.executable, str(WARM / "server.py"), str(tmp_path / "train.sock"), "colorsys"], cwd="/")
    limit = time.monotonic() + 60
    while not (tmp_path / "train.sock").exists():
        assert server.poll() is None and time.monotonic() < limit
        time.sleep(0.01)
    yield {**os.environ, "RELEXIFY_WARM": str(tmp_path), "RELEXIFY_WARM_PATH": str(WARM), "PYTHONPATH": str(WARM), "MARK": "x",
           "RELEXIFY_WARM_MOUNTS": os.readlink("/proc/self/ns/mnt"), "OMP_NUM_THREADS": "1"}
    server.kill()
    server.wait()


def start(folder: Path, environment: dict[str, str], *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-m", "fairseq_cli.train", *words], cwd=folder, env=environment, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)


@pytest.mark.parametrize("code", [0, 3])
def test_output_words_folder_and_exit_code_are_those_of_a_started_process(tmp_path: Path, environment: dict[str, str],
                                                                         code: int) -> None:
    found = []
    for given in (environment, {**environment, "RELEXIFY_WARM": ""}):
        child = start(tmp_path, given, str(code), "b c")
        out, error = child.communicate(timeout=60)
        found.append((child.returncode, out, error))
    assert found[0] == (code, f"words {code} b c folder {tmp_path} warm x\n", "said\n")
    assert found[1] == (code, f"words {code} b c folder {tmp_path} cold x\n", "said\n")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_signal_ends_both(tmp_path: Path, environment: dict[str, str], number: int) -> None:
    child = start(tmp_path, environment, "sleep")
    assert child.stdout is not None and "warm" in child.stdout.readline()
    child.send_signal(number)
    assert child.wait(60) == -number
    assert child.stdout.read() == ""  # its end comes when the forked process, which holds it too, is gone


def test_modules_that_stand_before_ours_are_not_left_out(tmp_path: Path, environment: dict[str, str]) -> None:
    environment["PYTHONPATH"] += os.pathsep + str(tmp_path / "other")
    child = start(tmp_path, environment, "0")
    assert "cold" in child.communicate(timeout=60)[0]
