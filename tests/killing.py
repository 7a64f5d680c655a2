"""kill -9 of a running relexify command, process group and all, at a chosen update."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def warm(server: str = "plain", **more: str) -> dict[str, str]:
    """The environment of a `python -c` whose program needs torch (`plain`), or fairseq too (`train`), and none of ours before it
    begins: it is forked from a process that has imported that already, where there is one (recipes/warm/)."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    return {**os.environ, "PYTHONPATH": path, "RELEXIFY_WARM_CODE": server, **more}


def relexify(*words: object, **kwargs: object) -> subprocess.CompletedProcess[str]:
    """Runs `relexify …` in a process of its own and returns what it said."""
    return subprocess.run([sys.executable, "-m", "recipes.cli", *map(str, words)], cwd=ROOT, capture_output=True,
                          text=True, check=False, timeout=300, **kwargs)  # type: ignore[call-overload, no-any-return]


def kill_at(update: int, log: Path, *words: object) -> str:
    """Starts `relexify …`, kills it with -9 when `log` shows a validation at `update`; returns the log so far."""
    return _killed([sys.executable, "-m", "recipes.cli", *map(str, words)], update, log)


FINETUNE = """import json, sys
from tasks.learning.finetune import finetune
from tasks.settings import FinetuneSettings
finetune(FinetuneSettings(**json.loads(sys.argv[1])), quiet=True, keep=True)
"""


def kill_finetune_at(update: int, log: Path, settings: object) -> str:
    """The same for a task adaptation with these settings."""
    return _killed([sys.executable, "-c", FINETUNE, json.dumps(vars(settings))], update, log)


def _killed(command: list[str], update: int, log: Path) -> str:
    child = subprocess.Popen(command, cwd=ROOT, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                             env=warm())
    limit = time.monotonic() + 300
    while f'"valid_num_updates": "{update}"' not in (log.read_text(errors="replace") if log.exists() else ""):
        assert child.poll() is None and time.monotonic() < limit, log.read_text() if log.exists() else "no log"
        time.sleep(0.005)
    os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    wait_until_closed(log)
    return log.read_text(errors="replace")


def wait_until_closed(file: Path, seconds: float = 60) -> None:
    """Waits until no process has the file open: those that wrote it are gone. Where there is no /proc, does nothing."""
    limit, own = time.monotonic() + seconds, str(os.getpid())
    while any(str(file.resolve()) in _open(place) for place in Path("/proc").glob("[0-9]*") if place.name != own):
        assert time.monotonic() < limit, f"{file} is still open"
        time.sleep(0.01)


def _open(process: Path) -> set[str]:
    """Paths of the files that a process has open; none where it is gone or another's."""
    try:
        return {os.readlink(link) for link in (process / "fd").iterdir()}
    except OSError:
        return set()
