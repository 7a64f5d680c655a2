"""Cells between tabs: as they stand, or quoted as pandas and spreadsheets quote them; a file says by itself which."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

_CELL = r'(?:"(?:[^"]|"")*+"|[^"\t]*+)'
_LINE = re.compile(rf"{_CELL}(?:\t{_CELL})*+")
_CELLS = re.compile(rf"(?:^|\t)({_CELL})")
_TELLING = re.compile(r'"(?:[^"]|"")*?(?:\t|"")(?:[^"]|"")*+"')


def is_quoted(lines: Iterable[str]) -> bool:
    """Whether the cells of a file are quoted: every cell with a quote in it is a quoted cell as a whole, and one at least holds a
    doubled quote or a tab. The official files of tasks are not: their texts hold quotes as they stand."""
    telling = False
    for line in lines:
        if '"' in line:
            if not _LINE.fullmatch(line):
                return False
            telling = telling or any(_TELLING.fullmatch(cell) for cell in _CELLS.findall(line))
    return telling


def cells_of(quoted: bool) -> Callable[[str], list[str]]:
    """How a line is cut into its cells."""
    if not quoted:
        return lambda line: line.split("\t")
    return lambda line: [cell[1:-1].replace('""', '"') if cell.startswith('"') else cell for cell in _CELLS.findall(line)]
