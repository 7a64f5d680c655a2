"""Files that are either whole or absent: every write goes beside the target, is synced, then renamed."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from pretrain.base.errors import UserError


def sync(path: str | Path) -> None:
    """Writes what is cached of a file or folder to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def atomic_file(path: str | Path) -> Iterator[Path]:
    """Yields a temporary path in the same folder; on success it is synced and takes the place of `path`."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    os.close(descriptor)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)
        sync(temporary)
        os.replace(temporary, path)
        sync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: str | Path, overwrite: bool = False) -> Iterator[Path]:
    """Yields a temporary sibling folder; on success its files are synced and it takes the name `path`.

    Raises:
        UserError: `path` exists and `overwrite` is false. An existing empty folder counts as absent.
    """
    path = Path(path)
    refuse_existing(path, overwrite)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent))
    try:
        yield temporary
        temporary.chmod(0o755)
        for file in sorted(temporary.rglob("*")):
            if file.is_file():
                sync(file)
        sync(temporary)
        old = None
        if path.exists():
            old = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".old", dir=path.parent))
            os.replace(path, old / path.name)
        os.replace(temporary, path)
        sync(path.parent)
        if old is not None:
            shutil.rmtree(old)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


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
    with open(path, "ab") as lock:
        limit = time.monotonic() + wait
        while not try_lock(lock):
            if time.monotonic() >= limit:
                raise UserError(busy)
            time.sleep(0.05)
        yield lock


def refuse_existing(path: str | Path, overwrite: bool = False) -> None:
    """Raises UserError where the output `path` already holds something and `overwrite` is false."""
    path = Path(path)
    if overwrite or not path.exists():
        return
    if path.is_dir() and not any(path.iterdir()):
        return
    raise UserError(f"{path}: the output already exists; name another --output, or pass --overwrite to replace it")


def require_file(path: str | Path, what: str) -> Path:
    """`path` as a Path, or UserError saying which `what` is missing."""
    path = Path(path)
    if not path.is_file():
        found = "a folder" if path.is_dir() else "nothing"
        raise UserError(f"{path}: expected {what}, found {found}; check the path")
    return path


def require_folder(path: str | Path, what: str) -> Path:
    """`path` as a Path, or UserError saying which `what` is missing."""
    path = Path(path)
    if not path.is_dir():
        found = "a file" if path.exists() else "nothing"
        raise UserError(f"{path}: expected {what}, found {found}; check the path")
    return path


def write_json(path: str | Path, content: Any) -> None:
    """Writes `content` atomically as indented UTF-8 JSON with a final newline."""
    with atomic_file(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def read_json(path: str | Path, what: str = "a JSON file") -> Any:
    """The content of a JSON file; UserError with the line where it is malformed."""
    path = require_file(path, what)
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise UserError(f"{path}:{error.lineno}: expected {what}, but it is not valid JSON ({error.msg})") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: expected {what} in UTF-8, found byte {error.object[error.start]:#x} "
                        f"at offset {error.start}") from None


def read_record(path: str | Path, what: str, format_name: str, version: int) -> dict[str, Any]:
    """The record of an artefact: a JSON object of this format and version.

    Raises:
        UserError: missing or malformed file, another format, or a version that this relexify does not read.
    """
    record = read_json(path, what)
    if not isinstance(record, dict) or record.get("format") != format_name:
        raise UserError(f"{path}: expected format {format_name!r}, got "
                        f"{record.get('format') if isinstance(record, dict) else type(record).__name__!r}")
    if record.get("version") != version:
        raise UserError(f"{path}: version {record.get('version')!r}, this relexify reads {version}; update relexify")
    return record


def sha256_file(path: str | Path) -> str:
    """Hex SHA-256 of a file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
