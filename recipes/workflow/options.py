"""The options of the stages' commands as a recipe may set them: known names, types, words, and which decide the result.

They are read from the commands' own argument parsers and from the pre-training recipe, so nothing is listed twice.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, fields
from functools import cache
from importlib import import_module
from typing import Any

from pretrain.base.settings import Declared, declared
from recipes.stages import settings_of
from recipes.workflow.reading import Source

MODULES = {"prepare": "recipes.commands.training.prepare", "adapt": "recipes.commands.training.adapt",
           "multitask": "recipes.commands.training.multitask", "finetune": "recipes.commands.training.finetune",
           "evaluate": "recipes.commands.scoring.evaluate"}
ELSEWHERE = {
    "recipe": "the recipe of the run says it all",
    "output": "every output has its place in the store",
    "overwrite": "delete the folder in the store to make it anew",
    "seed": "`seeds` of the recipe",
    "seeds": "`seeds` of the recipe",
    "threads": "`resources`",
    "workers": "`resources`",
    "quiet": "logs have no progress bars",
    "print_command": "--dry-run prints all commands",
    "restart": "delete the folder in the store to make it anew",
    "keep_checkpoints": "the run needs it where it needs it",
    "tensorboard": "`tensorboard: true` of the recipe",
    "body": "`arms`",
    "embedding": "`arms`",
    "source_embedding": "`arms`",
    "language": "the key of the language",
    "texts": "`text`",
    "initialiser": "`initialisers`",
    "save_embeddings_at": "`budgets`",
    "budgets": "`budgets` of the recipe",
    "tokens": "`budgets`",
}
"""Options that a recipe says elsewhere."""
ALLOWED = {("prepare", "seed"), ("prepare", "tokens")}
"""Exceptions: the draw of a text is no seed of the experiment, and a base language may be cut."""
NEITHER = {"device", "max_tokens", "cpu"}
"""Options that change where and how fast, never what."""
FILES = {"resources", "labels", "train_files", "dev_files", "tokenizer", "teacher"}
"""Options that name files: their content counts, not their names."""
COUNTS = {"tokens", "tokenizer_characters"}


@dataclass(frozen=True)
class Option:
    """One option of a command: its flag, its type, what it is where it is not given."""

    name: str
    flag: str
    kind: type
    default: Any
    choices: tuple[str, ...] = ()
    repeated: bool = False
    declared: Declared | None = None


@cache
def options_of(stage: str) -> dict[str, Option]:
    """Name -> option of a stage's command, without positional arguments."""
    parser = argparse.ArgumentParser(add_help=False)
    import_module(MODULES[stage]).add_arguments(parser)
    known = declared(settings_of(stage))
    found = {}
    for action in parser._actions:  # argparse has no public way to list them
        if action.option_strings:
            one = known.get(action.dest)
            kind: Any = bool if action.nargs == 0 else action.type if isinstance(action.type, type) else str
            if one and one.about.named:
                kind = one.kind
            found[action.dest] = Option(action.dest, action.option_strings[0], kind, action.default,
                                        tuple(action.choices or ()), isinstance(action.default, list), one)
    return found


def allowed(stage: str, but: tuple[str, ...] = ()) -> list[str]:
    """Names of the options that a recipe may set for a stage."""
    return [name for name in options_of(stage)
            if ((stage, name) in ALLOWED or name not in ELSEWHERE) and name not in but]


def check(source: Source, place: str, stage: str, given: dict[str, Any], but: tuple[str, ...] = ()) -> dict[str, Any]:
    """The options of a stage with their types; every mistake is noted.

    Args:
        but: options that the run itself sets here.
    """
    known = options_of(stage)
    found: dict[str, Any] = {}
    for name, value in given.items():
        if name in known and name not in allowed(stage, but):
            source.wrong(f"{place}.{name}", f"is not set here: see {ELSEWHERE.get(name, 'docs/workflow.md')}")
        elif name not in known:
            from pretrain.base.errors import nearest

            known_names = [*allowed(stage, but), *(["text"] if stage == "prepare" else [])]
            source.wrong(f"{place}.{name}", f"relexify {stage} has no such option{nearest(name, known_names)}")
        else:
            try:
                found[name] = _typed(known[name], value)
            except ValueError as error:
                source.wrong(f"{place}.{name}", str(error))
    return found


def _typed(option: Option, value: Any) -> Any:
    if option.declared:
        made = option.declared.convert(value)
        if text := option.declared.problem(made):
            raise ValueError(text)
        value = list(made) if option.repeated else made
    if option.repeated:
        return [str(item) for item in (value if isinstance(value, list) else [value])]
    wanted = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}[option.kind]
    right = isinstance(value, bool) if option.kind is bool else not isinstance(value, bool | list | dict | None)
    try:
        if not right or (option.kind is int and isinstance(value, float) and value != int(value)):
            raise ValueError
        made = option.kind(value)
    except ValueError:
        raise ValueError(f"got {value!r}, expected {wanted}") from None
    if option.choices and made not in option.choices:
        raise ValueError(f"got {made!r}, expected one of {', '.join(map(str, option.choices))}")
    if option.name in COUNTS:
        from adapt.text.prepare import parse_count
        from pretrain.base.errors import UserError

        try:
            parse_count(made)
        except UserError as error:
            raise ValueError(str(error)) from None
    return made


def words(stage: str, given: dict[str, Any]) -> list[str]:
    """The options as words of a command line."""
    found: list[str] = []
    for name, value in given.items():
        flag = options_of(stage)[name].flag
        if value is True:
            found.append(flag)
        elif isinstance(value, list):
            for item in value:
                found += [flag, item]
        elif value is not False:
            one = options_of(stage)[name].declared
            found += [flag, str(one.word(value) if one else value)]
    return found


def deciding(stage: str, given: dict[str, Any]) -> dict[str, Any]:
    """The options that decide the result, as far as they differ from what a command does by itself: so an option that is added
    to relexify later changes no key, and one that is written out at its default neither."""
    found = {}
    for name, value in given.items():
        if name in COUNTS and value is not None:
            from adapt.text.prepare import parse_count

            value = parse_count(value)
        if name not in NEITHER and name not in FILES and value != options_of(stage)[name].default:
            found[name] = value
    return found


def deciding_of_pretraining(recipe: Any) -> dict[str, Any]:
    """The same for a pre-training recipe, without data and seed."""
    places = ("data", "output", "threads", "tensorboard", "seed")
    return {one.name: getattr(recipe, one.name) for one in fields(recipe)
            if one.name not in places and getattr(recipe, one.name) != one.default}
