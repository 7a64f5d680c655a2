"""One process at a time: locks on files, and the claim on an output that is being made (docs/reliability.md)."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from pretrain.base.disk import check_place, make_folder
from pretrain.base.errors import UserError

WAIT = 3.0
"""Seconds to wait for a process that was killed a moment ago to be gone."""
_held: dict[str, IO[bytes]] = {}
"""The claims of this process."""


def try_lock(lock: IO[Any]) -> bool:
    """Takes the lock of an open file; false where another process holds it. It is free again when the file is closed here and in
    every child that inherited the descriptor."""
    import fcntl

    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


@contextmanager
def exclusive(path: str | Path, wait: float, busy: str) -> Iterator[IO[bytes]]:
    """Holds the lock of a file, which is made if need be. A child that inherits the descriptor holds it too, so a process whose
    parent was killed keeps others out; one killed a moment ago may need seconds to be gone, so the lock is waited for.

    Args:
        wait: seconds to wait for it.
        busy: the error's text.

    Raises:
        UserError: another process holds it.
    """
    limit = time.monotonic() + wait
    while True:
        with open(path, "ab") as lock:
            if try_lock(lock) and _is(lock, path):
                yield lock
                return
        if time.monotonic() >= limit:
            raise UserError(busy)
        time.sleep(0.05)


def _is(lock: IO[bytes], path: str | Path) -> bool:
    """Whether the open file still has its name: a holder removes its lock's file when it is done."""
    try:
        return os.path.samestat(os.fstat(lock.fileno()), os.stat(path))
    except FileNotFoundError:
        return False


@contextmanager
def claimed(output: str | Path, wait: float = WAIT) -> Iterator[IO[bytes]]:
    """Keeps every other process from making `output`, and first removes what killed ones have left of it.

    The claim is the lock of `.NAME.lock` beside the output, which is gone afterwards. A process may claim again what it has.

    Raises:
        UserError: another process is making it, or nothing can be written there.
    """
    path = Path(os.path.abspath(output))
    lock_path = path.with_name(f".{path.name}.lock")
    if (mine := _held.get(str(path))) is not None:
        yield mine
        return
    check_place(path)
    make_folder(path.parent)
    with exclusive(lock_path, wait, f"{output}: another process is making it; wait for it, or stop it") as lock:
        _held[str(path)] = lock
        try:
            sweep(path)
            yield lock
        finally:
            del _held[str(path)]
            with suppress(OSError):
                lock_path.unlink()


def sweep(path: Path) -> None:
    """Removes unfinished folders of an output, and puts back an old one that a kill left between two names.

    Only for who has the claim: then nobody else is writing them.
    """
    name = re.compile(re.escape(f".{path.name}.") + r"[a-z0-9_]{8}\.(tmp|old)")
    for place in sorted(path.parent.iterdir()):
        if not name.fullmatch(place.name) or place.is_symlink() or not place.is_dir():
            continue
        if place.suffix == ".old" and (place / path.name).exists() and not os.path.lexists(path):
            os.replace(place / path.name, path)
        shutil.rmtree(place, ignore_errors=True)


def sweep_all(folder: Path) -> None:
    """The same for every output in a folder that no process is making."""
    name = re.compile(r"\.(.+)\.[a-z0-9_]{8}\.(tmp|old)")
    for found in {match[1] for place in folder.iterdir() if (match := name.fullmatch(place.name)) and place.is_dir()}:
        with suppress(UserError), claimed(folder / found, wait=0):
            pass


def sweep_files(folder: Path) -> None:
    """Removes what killed writers of single files have left in a folder. Only for who keeps others out of it."""
    name = re.compile(r"\..+\.[a-z0-9_]{8}\.tmp")
    for place in folder.iterdir() if folder.is_dir() else ():
        if name.fullmatch(place.name) and place.is_file():
            place.unlink(missing_ok=True)
