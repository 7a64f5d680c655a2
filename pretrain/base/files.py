"""Files that are either whole or absent: every write goes beside the target, is synced, then renamed."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pretrain.base.disk import check_place, make_folder, one_line
from pretrain.base.errors import UserError
from pretrain.base.kinds import contents, kind_of
from pretrain.base.locks import claimed
from pretrain.base.records import Record, parse_json, shorten, value_kind

COMMITTING = "committing.json"
"""In a training folder: which folder is about to become the output. Where the output is that folder, only cleaning up is left."""


_unfinished: list[Path] = []
"""The temporary folders that this process is writing."""


def sync(path: str | Path) -> None:
    """Writes what is cached of a file or folder to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def atomic_file(path: str | Path) -> Iterator[Path]:
    """Yields a temporary path in the same folder; on success it is synced and takes the place of `path`.

    Raises:
        UserError: the disk or the rights refuse it; the line names `path` and the cause.
    """
    path = Path(path)
    check_place(path)
    make_folder(path.parent)
    with _told(path):
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

    The output is claimed as long as this lasts, so that no second process makes it; whether it exists is asked before the
    first and after the last write. An artefact that is saved into another, unfinished one is whole when that is.

    Raises:
        UserError: `path` exists and `overwrite` is false, or it holds something of another kind than what was written; another
            process is making it; or the disk or the rights refuse it. An existing empty folder counts as absent.
    """
    path = Path(path)
    if any(path.absolute().is_relative_to(whole) for whole in _unfinished):
        path.mkdir(parents=True, exist_ok=True)
        yield path
        return
    with claimed(path), _told(path):
        refuse_existing(path, overwrite)
        if path.is_file():
            raise UserError(f"{path}: is a file, and the output is a folder; name another --output")
        temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent))
        _unfinished.append(temporary.absolute())
        try:
            yield temporary
            temporary.chmod(0o755)
            for place in sorted(temporary.rglob("*")):
                sync(place)
            sync(temporary)
            kind = kind_of(temporary)
            refuse_existing(path, overwrite, kind.name if kind else "what this command writes")
            replace_folder(temporary, path)
        finally:
            _unfinished.remove(temporary.absolute())
            shutil.rmtree(temporary, ignore_errors=True)


def replace_folder(new: Path, path: Path) -> None:
    """Gives the folder `new` the name `path`; what has that name is removed afterwards. A kill between the two leaves the old
    one aside, and the next claim puts it back."""
    old = None
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        old = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".old", dir=path.parent))
        os.replace(path, old / path.name)
    os.replace(new, path)
    sync(path.parent)
    if old is not None:
        shutil.rmtree(old)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Names what was being written in errors of the disk that name nothing, as those of a write."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        named = isinstance(error, OSError) and error.filename is not None
        if named or (line := one_line(error, path)) is None:
            raise
        raise UserError(line) from error


def refuse_existing(path: str | Path, overwrite: bool = False, kind: str = "") -> None:
    """Refuses an output that cannot be written, or that would take the place of something that has to stay.

    Args:
        overwrite: an artefact may be replaced by one of its own kind.
        kind: name of what will be written (`pretrain.base.kinds`); where it is not known yet, any artefact will do.

    Raises:
        UserError: `path` holds something and `overwrite` is false, or it holds something other than that kind.
    """
    path = Path(path)
    check_place(path)
    if not path.exists() or (path.is_dir() and not any(path.iterdir())):
        return
    if not overwrite:
        with suppress(UserError, OSError), claimed(path, wait=0):
            pass  # removes what a kill has left beside it
        raise UserError(f"{path}: the output already exists; name another --output, or pass --overwrite to replace it")
    if not path.is_dir():
        if kind:
            raise UserError(f"{path}: is a file, and --overwrite replaces {kind} only; name another --output")
        return
    found = kind_of(path)
    if found is None or (kind and found.name != kind):
        what = found.name if found else f"something that relexify has not written ({contents(path)})"
        raise UserError(f"{path}: holds {what}, and --overwrite replaces {kind or 'artefacts'} only; name another --output, or "
                        "remove that folder yourself")
    if other := found.foreign(path):
        raise UserError(f"{path}: holds {found.name}, but also {', '.join(other[:5])}, which --overwrite would delete; move that "
                        "away, or name another --output")


def training_folder(output: str | Path) -> Path:
    """Where a stage trains: `OUTPUT.training`."""
    output = Path(output)
    return output.with_name(output.name + ".training")


def cleaning(output: str | Path) -> bool:
    """Whether an output is there and the stage that made it was cut off while it cleaned up."""
    path, output = training_folder(output) / COMMITTING, Path(output)
    if not path.exists() or not output.is_dir():
        return False
    found = output.stat()
    return bool(read_json(path) == {"device": found.st_dev, "inode": found.st_ino})


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


LARGEST_JSON = 256 * 2**20
"""Bytes of the largest JSON file that is read at once: parsed, it takes some ten times as much memory."""


def read_json(path: str | Path, what: str = "a JSON file", unique: bool = False) -> Any:
    """The content of a JSON file.

    Args:
        unique: refuse an object in which a key stands twice.

    Raises:
        UserError: missing, too large, malformed (with the line), nested too deep.
    """
    path = require_file(path, what)
    if path.stat().st_size > LARGEST_JSON:
        raise UserError(f"{path}: expected {what}, found {path.stat().st_size:,} bytes, more than the {LARGEST_JSON:,} that are "
                        "read at once; is this the right file?")
    try:
        return parse_json(path.read_text(encoding="utf-8-sig"), path, what, unique)
    except json.JSONDecodeError as error:
        raise UserError(f"{path}:{error.lineno}: expected {what}, but it is not valid JSON ({error.msg})") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: expected {what} in UTF-8, found byte {error.object[error.start]:#x} "
                        f"at offset {error.start}") from None


def read_object(path: str | Path, what: str) -> Record:
    """The JSON object of a file, with the file's name in every error about its keys.

    Raises:
        UserError: missing or malformed file, or another JSON value than an object.
    """
    content = read_json(path, what, unique=True)
    if not isinstance(content, dict):
        raise UserError(f"{path}: expected {what}, a JSON object, got {value_kind(content)}")
    return Record(content, path)


def read_record(path: str | Path, what: str, format_name: str, version: int) -> Record:
    """The record of an artefact: a JSON object of this format and version.

    Raises:
        UserError: missing or malformed file, another format, or a version that this relexify does not read.
    """
    record = read_object(path, what)
    if record.get("format") != format_name:
        raise UserError(f"{path}: expected format {format_name!r}, got {shorten(record.get('format'))}")
    if record.get("version") != version:
        raise UserError(f"{path}: version {shorten(record.get('version'))}, this relexify reads {version}; update relexify")
    return record


def sha256_file(path: str | Path) -> str:
    """Hex SHA-256 of a file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
