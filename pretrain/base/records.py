"""Foreign JSON, parsed within bounds, and records whose faults are told with their file and key.

Whatever comes from a file may be nested a million deep, hold an integer of a million digits, or lack the key that is asked for.
All of that is a fault of the file: one `UserError` here, never an exception of the parser or of a later line.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

from pretrain.base.errors import UserError, nearest
from pretrain.base.language import check_language

DEPTH = 100
"""Deepest nesting of lists and objects that is read."""
KINDS: dict[type, str] = {str: "a text", int: "a whole number", float: "a number", bool: "true or false", list: "a list",
                          dict: "an object"}


def value_kind(value: Any) -> str:
    """What a JSON value is, in words."""
    if value is None:
        return "null"
    return next((name for kind, name in KINDS.items() if type(value) is kind or (kind is dict and isinstance(value, dict))),
                type(value).__name__)


def shorten(value: Any, length: int = 40) -> str:
    """A value for an error message: its beginning, on one line."""
    text = " ".join(repr(value).split())
    return text if len(text) <= length else text[:length - 1] + "…"


class _Repeated(ValueError):
    """A key that stands twice in one object."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _Repeated(next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1))
    return found


def parse_json(text: str | bytes, place: str | Path, what: str = "JSON", unique: bool = False) -> Any:
    """The value of a JSON text.

    Args:
        place: file, or file and line, for the errors.
        what: what is expected there, for the errors.
        unique: refuse an object in which a key stands twice, of which JSON readers keep the last without a word.

    Raises:
        json.JSONDecodeError: not JSON; the caller knows what its user should do.
        UserError: nested deeper than `DEPTH`, an integer longer than Python converts, a key that stands twice.
    """
    try:
        content = json.loads(text, object_pairs_hook=_unique if unique else None)
    except json.JSONDecodeError:
        raise
    except RecursionError:
        raise _too_deep(place, what) from None
    except _Repeated as error:
        raise UserError(f"{place}: expected {what}, but the key {shorten(str(error))} stands twice in one object; "
                        "repair the file") from None
    except ValueError:  # int() refuses more than sys.get_int_max_str_digits() digits
        raise UserError(f"{place}: expected {what}, but it holds an integer of thousands of digits; is this the right "
                        "file?") from None
    level = [content]
    for _ in range(DEPTH):
        level = [item for one in level if isinstance(one, dict | list)
                 for item in (one.values() if isinstance(one, dict) else one) if isinstance(item, dict | list)]
        if not level:
            return content
    raise _too_deep(place, what)


def _too_deep(place: str | Path, what: str) -> UserError:
    return UserError(f"{place}: expected {what}, but its JSON is nested deeper than {DEPTH} levels; is this the right file?")


class Record(dict[str, Any]):
    """A JSON object that knows its file: a key that it lacks, or a value of another type, is a `UserError` which names them.

    It is a dict in every other way. Objects in it, in lists too, are Records.

    Args:
        content: the parsed object.
        place: its file, and the keys that lead to it.
    """

    def __init__(self, content: dict[str, Any], place: str | Path):
        self.place = str(place)
        super().__init__({key: _inside(value, f"{self.place}: {key}") for key, value in content.items()})

    def __reduce__(self) -> tuple[Any, ...]:
        return Record, (dict(self), self.place)

    def __missing__(self, key: str) -> Any:
        found = ", ".join(repr(name) for name in list(self)[:8]) or "nothing"
        raise UserError(f"{self.place}: {key!r} is missing, found {found}{nearest(key, self)}; the file was changed or is not "
                        "whole: write or copy it again")

    def wrong(self, key: str, expected: str) -> UserError:
        """The error for a value that is not as expected."""
        return UserError(f"{self.place}: {key!r} is {shorten(self[key])} ({value_kind(self[key])}); expected {expected}")

    def text(self, key: str) -> str:
        """A text that is not empty."""
        value = self[key]
        if not isinstance(value, str) or not value:
            raise self.wrong(key, "a text")
        return value

    def integer(self, key: str, least: int = 0, most: int = 2**63 - 1) -> int:
        """A whole number within bounds."""
        value = self[key]
        if type(value) is not int or not least <= value <= most:  # true is an int for Python
            raise self.wrong(key, f"a whole number from {least}" + (f" to {most}" if most < 2**63 - 1 else ""))
        return value

    def number(self, key: str) -> float:
        """A finite number."""
        value = self[key]
        if type(value) not in (int, float) or abs(value) > 1e300 or not math.isfinite(value):
            raise self.wrong(key, "a number")
        return float(value)

    def table(self, key: str) -> Record:
        """An object."""
        value = self[key]
        if not isinstance(value, Record):
            raise self.wrong(key, "an object")
        return value

    def optional_table(self, key: str) -> Record:
        """An object; an empty one where the key is missing or null."""
        return Record({}, f"{self.place}: {key}") if self.get(key) is None else self.table(key)

    def tables(self, key: str) -> list[Record]:
        """A list of objects that is not empty."""
        value = self[key]
        if not isinstance(value, list) or not value or not all(isinstance(one, Record) for one in value):
            raise self.wrong(key, "a list of objects")
        return value

    def texts(self, key: str) -> list[str]:
        """A list of texts."""
        value = self[key]
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            raise self.wrong(key, "a list of texts")
        return value

    def language(self, key: str = "language") -> str:
        """A language code; nothing else may become the name of a folder."""
        code = self.text(key)
        try:
            check_language(code)
        except UserError as error:
            raise UserError(f"{self.place}: {error}") from None
        return code


def _inside(value: Any, place: str) -> Any:
    if isinstance(value, dict):
        return Record(value, place)
    if isinstance(value, list):
        return [_inside(one, f"{place}[{number}]") for number, one in enumerate(value)]
    return value
