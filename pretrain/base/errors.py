"""The one exception for mistakes that a user can mend: it becomes one line on stderr and exit code 2.

Every other exception that reaches the top is our own bug and keeps its traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """A wrong input. The message says the file, the place, what was got, what was expected and what to do."""

    exit_code = 2


def nearest(name: str, known: Iterable[str]) -> str:
    """`", did you mean X?"` for the known name closest to `name`, or `""` where none is close."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f", did you mean {close[0]!r}?" if close else ""


def unknown(kind: str, name: str, known: Iterable[str]) -> UserError:
    """The error for a name that no registry knows: lists what is known and the nearest name."""
    names = sorted(known)
    return UserError(f"unknown {kind} {name!r}{nearest(name, names)} (known: {', '.join(names) or 'none'})")
