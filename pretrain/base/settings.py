"""What a setting is. Each stage has one dataclass of settings, and each of its fields says, once, all there is to say of it:
type, default, help, source, unit and what values it may have.

From this declaration are made the trainer's configuration (`pretrain.trainer.config`), the keys of YAML recipes
(`pretrain.base.config`), and the options of the command line with their help (`recipes.options`). Nothing heavy is imported.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import MISSING, dataclass, field, fields, replace
from functools import cache
from typing import Any, get_args, get_type_hints

from pretrain.base.errors import UserError, nearest

OURS = "ours"
"""Source of a setting that no paper has."""
KEY = "setting"
"""Of a field's metadata."""


@dataclass(frozen=True)
class Range:
    """Numbers that a setting may have: from `least` to `most`, and single ones beside them. NaN and infinities never are.

    Attributes:
        above, below: the border itself, `least` or `most`, is left out.
        also: numbers outside that have a meaning of their own, such as 0 for "off".
    """

    least: float
    most: float
    above: bool = False
    below: bool = False
    also: tuple[float, ...] = ()

    def holds(self, value: float) -> bool:
        """Whether the setting may have this value."""
        low = value > self.least if self.above else value >= self.least
        high = value < self.most if self.below else value <= self.most
        return value in self.also or (low and high)

    def text(self, kind: type) -> str:
        """The range in words."""
        what = "a whole number" if kind is int else "a number"
        low = f"{'above' if self.above else 'from'} {self.least:,g}"
        if kind is int and self.least >= 1e6:
            low = f"from {int(self.least):,}"
        most = f"{int(self.most):,}" if self.most == int(self.most) and self.most < 1e15 else f"{self.most:g}"
        high = f"{'and below' if self.below else 'to'} {most}"
        return f"{what} {low} {high}" + "".join(f", or {one:g}" for one in self.also)


@dataclass(frozen=True)
class Form:
    """Text of a form of its own.

    Attributes:
        expected: the form in words, with an example.
        fits: whether a text has it.
    """

    expected: str
    fits: Callable[[str], bool]


@dataclass(frozen=True)
class Setting:
    """What is to be said of a setting beside its name, type and default.

    Attributes:
        help: what it does, in one line.
        source: the paper and section that it comes from, or OURS.
        unit: what a number counts, or what a text names (a folder, a file, a name).
        allowed: a range of numbers, the words to choose from ("" among them: may be left empty), a form, or any text.
        part: which part of the trainer's configuration it is in; empty: it is not told the trainer under a name of ours.
        trainer: its name there; empty: the same.
        trainer_default: its default in a bare `fairseq-train` line, where that is another one.
        unset: whether the value 0 or "" says nothing, so that the trainer is not told it.
        named: words that stand for a number outside the range, such as auto for 0.
        key: its name in recipes and on the command line, where that is a word which Python keeps for itself.
    """

    help: str
    source: str = OURS
    unit: str = ""
    allowed: Range | Form | tuple[str, ...] | None = None
    part: str = ""
    trainer: str = ""
    trainer_default: Any = None
    unset: bool = False
    named: tuple[tuple[str, float], ...] = ()
    key: str = ""


def setting(default: Any, help: str, source: str = OURS, unit: str = "", allowed: Range | Form | tuple[str, ...] | None = None,
            **about: Any) -> Any:
    """A field of a dataclass of settings; `about` as in `Setting`. A default of MISSING: it must be given."""
    return field(default=default, metadata={KEY: Setting(help, source, unit, allowed, **about)})


def like(kind: type, name: str, default: Any = ..., **changes: Any) -> Any:
    """A field that is declared as another stage's is, but for what is said here."""
    one = kind.__dataclass_fields__[name]  # type: ignore[attr-defined]
    return field(default=one.default if default is ... else default, metadata={KEY: replace(one.metadata[KEY], **changes)})


@dataclass(frozen=True)
class Declared:
    """A setting with its name, its type (str, int, float, bool, or tuple for texts) and its default (MISSING: none).

    Attributes:
        optional: None is a value too.
    """

    name: str
    kind: type
    default: Any
    about: Setting
    optional: bool = False

    @property
    def required(self) -> bool:
        return self.default is MISSING

    @property
    def key(self) -> str:
        """Its name in a recipe."""
        return self.about.key or self.name

    @property
    def trainer_name(self) -> str:
        return self.about.trainer or self.name

    @property
    def trainer_default(self) -> Any:
        default = self.default if self.about.trainer_default is None else self.about.trainer_default
        return "" if self.kind is tuple else default

    @property
    def expected(self) -> str:
        """What values it may have, in words."""
        allowed, named = self.about.allowed, dict(self.about.named)
        if isinstance(allowed, Range):
            besides = tuple(one for one in allowed.also if one not in named.values())
            return replace(allowed, also=besides).text(self.kind) + "".join(f", or {word}" for word in named)
        if isinstance(allowed, Form):
            return allowed.expected
        if allowed:
            return "one of " + ", ".join(word for word in allowed if word) + (" (or left empty)" if "" in allowed else "")
        return {bool: "true or false", int: "a whole number", float: "a number", tuple: "texts"}.get(self.kind, "text")

    def convert(self, value: Any) -> Any:
        """A value as YAML or a command line gives it, with the setting's type.

        Raises:
            ValueError: it has another one.
        """
        if value is None and self.optional:
            return None
        if isinstance(value, str):
            value = dict(self.about.named).get(value, value)
        if self.kind is tuple:
            return tuple(str(item) for item in (value if isinstance(value, list | tuple) else [value]))
        words = {"true": True, "false": False}
        if self.kind is bool:
            value = words.get(value.lower(), value) if isinstance(value, str) else value
            right = isinstance(value, bool)
        else:
            right = isinstance(value, str | int | float) and not isinstance(value, bool)
        try:
            if not right or (self.kind is int and isinstance(value, float) and value != int(value)):
                raise ValueError
            made = self.kind(value)
        except (ValueError, OverflowError):  # int(nan), int(inf), float(10**400)
            raise ValueError(self.wrong(value)) from None
        if isinstance(value, str) and made in dict(self.about.named).values():
            raise ValueError(self.wrong(value))  # `--lr 0` is no rate; who wants what 0 stands for writes the word
        return made

    def word(self, value: Any) -> Any:
        """A value as a user writes it: the word for a number that has one."""
        return next((word for word, number in self.about.named if number == value), value)

    def problem(self, value: Any) -> str:
        """What is wrong with a value of the right type: `got X, expected Y`; empty where it may be had."""
        allowed = self.about.allowed
        if allowed is None or (value is None and self.optional):
            return ""
        if isinstance(allowed, Range):
            return "" if allowed.holds(value) else self.wrong(value)
        if isinstance(allowed, Form):
            return "" if allowed.fits(value) else self.wrong(value)
        return "" if value in allowed else self.wrong(value) + nearest(value, allowed)

    def wrong(self, value: Any) -> str:
        """`got X, expected Y`."""
        return f"got {shown(value)}, expected {self.expected}"


def shown(value: Any, most: int = 60) -> str:
    """A value for a message, shortened."""
    try:
        text = repr(value)
    except ValueError:  # more digits than Python writes
        return "a number of thousands of digits"
    return text if len(text) <= most else f"{text[:most - 1]}…"


def declared(kind: Any) -> dict[str, Declared]:
    """Name -> setting of a dataclass of settings, in their order."""
    return _declared(kind)


@cache
def _declared(kind: type) -> dict[str, Declared]:
    hints = get_type_hints(kind)
    found = {}
    for one in fields(kind):
        types = [part for part in get_args(hints[one.name]) if part is not type(None)]
        given = hints[one.name]
        plain = given if isinstance(given, type) and not get_args(given) else types[0]
        if getattr(given, "__origin__", None) is tuple:
            plain = tuple
        found[one.name] = Declared(one.name, plain, one.default, one.metadata[KEY], type(None) in get_args(given))
    return found


def names_of(kind: type, *parts: str) -> tuple[str, ...]:
    """The settings of these parts of the trainer's configuration."""
    return tuple(one.name for one in declared(kind).values() if one.about.part in parts)


def trainer_options(settings: Any, *parts: str) -> dict[str, Any]:
    """The settings of these parts as options of the `fairseq-train` line: its name there -> value, None where it is unset."""
    found = {}
    for one in declared(type(settings)).values():
        if one.about.part in parts:
            value = getattr(settings, one.name)
            value = ",".join(value) if one.kind is tuple else value
            found[one.trainer_name] = None if one.about.unset and not value else value
    return found


def option(name: str) -> str:
    """How the command line spells a setting."""
    return "--" + name.replace("_", "-")


def problems(settings: Any, spell: Callable[[str], str] = str) -> list[str]:
    """What is wrong with the values of a dataclass of settings, a line each.

    Args:
        spell: how the user wrote the name: `option`, or with file and line.
    """
    found = []
    for one in declared(type(settings)).values():
        if text := one.problem(getattr(settings, one.name)):
            found.append(f"{spell(one.key)}: {text}")
    return found


def refuse(mistakes: Sequence[str], place: str = "") -> None:
    """Raises UserError with all mistakes, a line each; a single one is a line by itself.

    Args:
        place: the file that they are in, where the lines do not say it.
    """
    before = f"{place}: " if place else ""
    if len(mistakes) == 1:
        raise UserError(before + mistakes[0])
    if mistakes:
        raise UserError(f"{before}{len(mistakes)} mistakes\n" + "\n".join(mistakes))


def check(settings: Any, spell: Callable[[str], str] = str) -> None:
    """Refuses settings with a value that they may not have, all at once.

    Raises:
        UserError: one line for each.
    """
    refuse(problems(settings, spell))


def default_of(kind: type, name: str) -> Any:
    """The default of a setting; MISSING where there is none."""
    return declared(kind)[name].default


def _floats(text: str) -> tuple[float, ...]:
    import ast

    try:
        values = ast.literal_eval(text)
        return tuple(float(value) for value in values)
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError, OverflowError):
        return ()


BETAS = Form("two numbers from 0 to below 1, as '(0.9, 0.999)'",
             lambda text: len(_floats(text)) == 2 and all(0 <= value < 1 for value in _floats(text)))
"""The betas of Adam, as text."""


def points(text: str) -> list[int]:
    """`100,300` -> [100, 300]; empty for no text. Raises ValueError."""
    return [int(part) for part in text.split(",")] if text else []


def _are_points(text: str) -> bool:
    try:
        found = points(text)
    except ValueError:
        return False
    return all(1 <= point <= LONG for point in found) and len(set(found)) == len(found)


LONG = 10**9
"""More updates than any run has."""
POINTS = Form("different whole numbers above 0 with commas between them, as 100,300,1000", _are_points)
"""Numbers of updates, as text."""

# ranges that several settings have
UPDATES = Range(1, LONG)
MAYBE_UPDATES = Range(0, LONG)
SHARE = Range(0, 1)
DROPOUT = Range(0, 1, below=True)
WEIGHT = Range(0, 1e6)
SEED = Range(0, 2**32 - 1)
