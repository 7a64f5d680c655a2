"""Lines of the text files that tasks come in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pretrain.base.opening import read_lines


def lines(path: Path) -> Iterator[tuple[int, str]]:
    """(line number from 1, line without its end) of a UTF-8 file, empty lines too; compressed files are unpacked.

    Only a line feed ends a line: texts may hold U+0085 or U+2028. In a file without any, carriage returns do.

    Raises:
        UserError: with file and line: no text by its content, not UTF-8, damaged (see `pretrain.base.opening`).
    """
    return read_lines(path)
