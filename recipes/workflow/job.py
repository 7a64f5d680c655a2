"""`python -m recipes.workflow.job RUN STAGE/NAME`: one cell, as Snakemake starts it.

Waits for another run that is making the same folder, runs the relexify command with its log, and marks the cell as done. Where
the process group's leader (the run's own Snakemake) is gone, it ends itself and what it started.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from pretrain.base.disk import one_line
from pretrain.base.errors import UserError
from pretrain.base.files import cleaning, read_object
from pretrain.base.leash import leashed
from pretrain.base.locks import try_lock
from recipes.workflow.gpus import taken

POLL = 0.1
LEADER = "RELEXIFY_RUN_LEADER"
"""Process group of a run on this machine; absent on a cluster, where jobs outlive the run that sent them."""
QUIET = ("pretrain", "adapt", "multitask", "finetune", "evaluate")


def leaderless() -> bool:
    """Whether this process was started by a run on this machine whose Snakemake is gone."""
    leader = os.environ.get(LEADER, "")
    return leader == str(os.getpgrp()) and not alive(int(leader))


def alive(process: int) -> bool:
    """Whether a process runs; one that has ended and that nobody has waited for does not."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:  # no /proc here
        return True


def end_group() -> None:
    """Ends this process and all of its group."""
    os.killpg(os.getpgrp(), signal.SIGKILL)


def wait_for(lock: IO[Any], log: IO[str]) -> None:
    """Waits until no other run makes the same folder."""
    said = False
    while not try_lock(lock):
        if leaderless():
            end_group()
        if not said:
            print("another run is making this; waiting for it", file=log, flush=True)
            said = True
        time.sleep(POLL)


def run_command(command: list[str], environment: dict[str, str], folder: str, locks: Sequence[IO[Any]], log: IO[str]) -> int:
    """Runs the relexify command to its end; it inherits the locks, so that they are held as long as anything is at work."""
    child = subprocess.Popen(leashed(command), stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                             env={**os.environ, **environment}, cwd=folder, pass_fds=[lock.fileno() for lock in locks])
    try:
        while True:
            try:
                return child.wait(POLL)
            except subprocess.TimeoutExpired:
                if leaderless():
                    end_group()
    finally:
        if child.poll() is None:  # this process was asked to end: so is the command, which says where it stopped
            child.terminate()
            child.wait()


@contextmanager
def gpus_of(job: dict[str, Any], run: Path) -> Iterator[tuple[dict[str, str], list[IO[Any]]]]:
    """The environment that shows a cell its GPUs, and the locks that keep others from them."""
    if job["gpus"] is None:
        yield {}, []
        return
    with taken(run / ".gpus", job["gpus"]["names"], job["gpus"]["count"],
               waiting=lambda: end_group() if leaderless() else None) as (names, locks):
        yield {"CUDA_VISIBLE_DEVICES": ",".join(names)}, locks


def done(record: Path, output: Path) -> bool:
    """Whether a cell's output is there and nothing of it is left to clean up."""
    return record.exists() and not cleaning(output)


def run_job(run: Path, name: str) -> int:
    """Makes a cell; returns the command's exit code, 0 where the cell was there already."""
    job = read_object(run / ".jobs" / f"{name}.json", "what relexify run wrote for this cell")
    os.chdir(job["folder"])
    record, output, log_path, lock_path = (Path(job[key]) for key in ("record", "output", "log", "lock"))
    for path in (log_path, lock_path):
        path.parent.mkdir(parents=True, exist_ok=True)
    code = 0
    with open(lock_path, "ab") as lock, open(log_path, "a", encoding="utf-8") as log:
        if not done(record, output):
            wait_for(lock, log)
        if not done(record, output):
            print(f"$ {job['line']}", file=log, flush=True)
            quiet = ["--quiet"] if job["stage"] in QUIET else []
            with gpus_of(job, run) as (environment, locks):
                code = run_command([*job["program"], *job["words"], *quiet], {**job["environment"], **environment},
                                   job["folder"], [lock, *locks], log)
            if not code and not record.exists():
                print(f"the command ended well, but {record} is not there", file=log)
                code = 1
    if code:
        mark = Path(job["failed"])
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.write_text(f"{code}\n", encoding="utf-8")
        return code
    link(Path(job["link"]), output)
    stamp = Path(job["stamp"])
    stamp.parent.mkdir(parents=True, exist_ok=True)
    stamp.touch()
    return 0


def link(place: Path, output: Path) -> None:
    """A link in the run's folder to the output in the store, relative, so that both can be moved together."""
    place.parent.mkdir(parents=True, exist_ok=True)
    temporary = place.with_name(f".{place.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(os.path.relpath(output.resolve(), place.parent.resolve()), target_is_directory=True)
    os.replace(temporary, place)


def main(run: Path, name: str) -> int:
    """A cell as a program: a disk's refusal is one line, and SIGTERM ends the cell's command too."""
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        return run_job(run, name)
    except (OSError, UserError) as error:
        if (line := str(error) if isinstance(error, UserError) else one_line(error)) is None:
            raise
        print(f"relexify: error: {name}: {line}", file=sys.stderr)
        return UserError.exit_code


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2]))
