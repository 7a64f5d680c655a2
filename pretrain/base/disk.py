"""What a disk, its rights or a path refuse, said in one line (docs/reliability.md)."""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path

from pretrain.base.errors import UserError

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
"""No room: the disk is full, or the user's share of it."""
REFUSALS = FULL | {
    errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENOTEMPTY, errno.ELOOP,
    errno.ENAMETOOLONG, errno.EFBIG, errno.EIO, errno.EBUSY, errno.EMFILE, errno.ENFILE, errno.ESTALE, errno.ENXIO, errno.ENODEV}
"""Errors of the system that tell of the machine and not of this program; a connection's are not among them."""
LONGEST = 220
"""Longest name of an output in bytes: file systems allow 255, temporary names beside it are longer."""
_RUST = re.compile(r"\(os error (\d+)\)")
_TORCH = ("PytorchStreamWriter failed", "file write failed", "unexpected pos")


def one_line(error: BaseException, path: str | Path = "") -> str | None:
    """`PATH: cause` of an error that comes from the disk, its rights or a path; None for any other.

    safetensors and torch raise errors of their own where a write fails; they count too.

    Args:
        path: what was being written; named where the error itself names nothing.
    """
    place, number = path, None
    if isinstance(error, OSError):
        number = error.errno
        place = error.filename2 or error.filename or path
    elif found := _RUST.search(str(error)):
        number = int(found[1])
    elif isinstance(error, RuntimeError) and any(text in str(error) for text in _TORCH):
        before: BaseException | None = error
        while before is not None and not (isinstance(before, OSError) and before.errno in REFUSALS):
            before = before.__cause__ or before.__context__
        number = before.errno if isinstance(before, OSError) else errno.ENOSPC if full(path) else errno.EIO
    if number not in REFUSALS or number is None:
        return None
    shown = os.fsdecode(place) if isinstance(place, (str, bytes, os.PathLike)) else ""
    cause = os.strerror(number)
    if number in FULL:
        cause += "; make room and repeat the command: what was finished is kept, it goes on from there"
    return f"{shown}: {cause}" if shown else cause


def full(path: str | Path) -> bool:
    """Whether the file system of `path`, or of the nearest folder above it that exists, has no room left."""
    place = Path(os.path.abspath(path))
    while not place.exists() and place != place.parent:
        place = place.parent
    try:
        return os.statvfs(place).f_bavail == 0
    except OSError:
        return False


def check_place(path: str | Path) -> None:
    """Refuses a path that nothing can be written to.

    Raises:
        UserError: a name that is too long, a link to nothing, or something above it that is no folder.
    """
    path = Path(os.path.abspath(path))
    length = len(os.fsencode(path.name))
    if length > LONGEST and path.suffix != ".tmp":  # an unfinished artefact that another is saved into
        raise UserError(f"{path}: the name has {length} bytes, at most {LONGEST} can be used; choose a shorter one")
    for place in (path, *path.parents):
        if place.is_symlink() and not place.exists():
            raise UserError(f"{place}: is a link to {os.readlink(place)}, which is not there; make it, or remove the link")
        if place.exists():
            if place != path and not place.is_dir():
                raise UserError(f"{path}: {place} is a file, and no folder can be made below it; name another output")
            return


def make_folder(path: str | Path) -> None:
    """Makes a folder and those above it.

    Raises:
        UserError: it cannot be made; the line says why.
    """
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(one_line(error, path) or f"{path}: {error}") from None
