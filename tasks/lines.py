"""Lines of the text files that tasks come in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pretrain.base.errors import UserError
from pretrain.base.opening import NAMES, Damaged, bounded, kind_of, unpacked


def lines(path: Path) -> Iterator[tuple[int, str]]:
    """(line number from 1, line without its end) of a UTF-8 file, empty lines too; compressed files are unpacked.

    Only a line feed ends a line: texts may hold U+0085 or U+2028.

    Raises:
        UserError: with file and line: not UTF-8, damaged, an archive, or more than `pretrain.base.opening.limit` allows.
    """
    number = 0
    kind = kind_of(path)
    try:
        with open(path, "rb") as file:
            for number, raw in enumerate(_split(bounded(unpacked(file, kind, path), path)), 1):
                yield number, raw.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise UserError(f"{path}:{number}: expected UTF-8, got byte {error.object[error.start]:#x}; convert the "
                        "file") from None
    except Damaged as error:
        raise UserError(f"{path}: damaged or truncated {NAMES[kind]} file after line {number} ({error}); copy it "
                        "again") from None


def _split(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The lines of a stream, without their line feeds."""
    held: list[bytes] = []
    for piece in pieces:
        *ended, rest = piece.split(b"\n")
        for line in ended:
            yield b"".join([*held, line])
            held.clear()
        held.append(rest)
    if any(held):
        yield b"".join(held)
