"""The options of a stage's command, made from the declaration of its settings, and the settings that the words given make."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from pretrain.base.config import load_values, missing
from pretrain.base.errors import UserError
from pretrain.base.settings import Declared, declared, option

GIVEN = "given_options"
"""Attribute of the parsed arguments: names of the settings that the command line said."""
METAVARS = {"folder": "DIR", "file": "FILE", "files": "FILE"}
RUN_OPTIONS = {"--print-command": "print the fairseq-train line and stop",
               "--restart": "throw away an unfinished run rather than resume it", "--overwrite": "replace an existing output",
               "--keep-checkpoints": "leave checkpoints and log in OUTPUT.training", "--quiet": "no progress bar"}
Settings = TypeVar("Settings")


class _Noted(argparse.Action):
    """Stores a value and notes that it was given, so that a recipe fills in the others alone."""

    def __call__(self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any,
                 option_string: str | None = None) -> None:
        value = not (option_string or "").startswith("--no-") if self.nargs == 0 else values
        given: frozenset[str] = getattr(namespace, GIVEN, frozenset())
        if isinstance(self.default, list):
            value = [*(getattr(namespace, self.dest) if self.dest in given else []), value]
        setattr(namespace, self.dest, value)
        setattr(namespace, GIVEN, given | {self.dest})


def help_of(one: Declared) -> str:
    """The help of an option: what the setting does, and its default."""
    if one.required:
        return one.about.help
    word = next((word for word, number in one.about.named if number == one.default), repr(one.default))
    shown = "" if one.default in ("", (), None) or one.kind is bool else f" (default {word})"
    return (one.about.help + shown).replace("%", "%%")


def add_option(add: Callable[..., Any], one: Declared, *flags: str) -> None:
    """One option. Its value is checked with all others, so that one message shows all mistakes."""
    more: dict[str, Any] = {}
    flags = flags or (option(one.name),)
    if one.kind is bool:
        more = {"nargs": 0, "default": one.default}
        flags = (*flags, f"--no-{flags[0][2:]}")  # unsets what a recipe sets
    elif one.kind is tuple:
        more = {"default": [] if one.required else list(one.default)}
    else:
        kind = str if one.about.named else one.kind  # a word for a number is read where the file's values are
        more = {"type": kind, "default": None if one.required else one.default}
    if one.kind is not bool and one.about.unit in METAVARS:
        more["metavar"] = METAVARS[one.about.unit]
    add(*flags, dest=one.name, action=_Noted, help=help_of(one), **more)


def add_options(parser: argparse.ArgumentParser, kind: type, flags: dict[str, str] | None = None,
                but: Iterable[str] = ()) -> None:
    """An option for each setting, and `--recipe`.

    Args:
        flags: names that options have beside the usual ones: setting -> flag.
        but: settings that the command adds itself.
    """
    parser.add_argument("--recipe", metavar="FILE.yaml", help="settings from a file, as `relexify config` prints them; options "
                        "win over it")
    for name, one in declared(kind).items():
        if name not in but:
            add_option(parser.add_argument, one, *([flags[name]] if flags and name in flags else []))


def add_run_options(parser: argparse.ArgumentParser, *but: str) -> None:
    """What a training command can be told beside its settings, without the options that it has no use for."""
    for name, text in RUN_OPTIONS.items():
        if name not in but:
            parser.add_argument(name, action="store_true", help=text)


def settings_from(kind: type[Settings], args: argparse.Namespace) -> Settings:
    """The settings that parsed arguments and the file of `--recipe` make.

    Raises:
        UserError: every mistake of both, a line each, and what is missing.
    """
    given = {name: getattr(args, name) for name in declared(kind) if name in getattr(args, GIVEN, ())}
    values = load_values(kind, args.recipe, options=given)
    if absent := missing(values):
        raise UserError(f"missing: {', '.join(map(option, absent))}")
    return kind(**{name: one.value for name, one in values.items()})
