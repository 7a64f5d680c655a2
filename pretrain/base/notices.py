"""Warnings to the user: one line each on standard error, the same text once a command, whoever says it.

A command warns through `logging`, as its training process does into its log; `shown()` makes both `relexify: warning: …`.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

PREFIX = "relexify: warning: "
_LOUD = ("WARNING", "ERROR", "CRITICAL")
_said: set[str] | None = None


def warn(text: str) -> None:
    """Says a warning on one line, within `shown()` the same text once only; a progress bar stays below it."""
    line = " ".join(text.split())
    if _said is not None:
        if line in _said:
            return
        _said.add(line)
    if "tqdm" in sys.modules:
        from tqdm import tqdm

        tqdm.write(PREFIX + line, file=sys.stderr)
    else:
        print(PREFIX + line, file=sys.stderr, flush=True)


def logged_warning(line: str) -> str | None:
    """What a line of a training's log warns of; None where it is no warning."""
    parts = line.rstrip("\n").split(" | ", 3)
    return parts[3] if len(parts) == 4 and parts[1] in _LOUD and parts[3].strip() else None


class _Handler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        warn(record.getMessage())


@contextmanager
def shown() -> Iterator[None]:
    """Within it, what is logged as a warning or worse is said to the user."""
    global _said
    _said = set()
    handler = _Handler(logging.WARNING)
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)
        _said = None
