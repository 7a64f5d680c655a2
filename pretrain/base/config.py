"""Recipes: YAML files with `key=value` overrides, checked against a dataclass, all errors of a file at once.

OmegaConf is the one config language (fairseq brings it). Unknown keys are errors that name the nearest known key.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

from pretrain.base.errors import UserError, nearest
from pretrain.base.files import require_file

Recipe = TypeVar("Recipe")


def load_recipe(kind: type[Recipe], path: str | Path | None, overrides: Sequence[str] = ()) -> Recipe:
    """A `kind` (a dataclass) filled from a YAML file and `key=value` words; the words win.

    Raises:
        UserError: every unknown key, wrong type and missing value of file and words, in one message.
    """
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    problems: list[str] = []
    given: dict[str, tuple[str, Any]] = {}
    if path is not None:
        path = require_file(path, "a recipe (YAML)")
        try:
            content = OmegaConf.to_container(OmegaConf.load(path))
        except (YAMLError, OmegaConfBaseException, UnicodeDecodeError) as error:
            raise UserError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
        if not isinstance(content, dict):
            raise UserError(f"{path}: expected `key: value` lines, got a {type(content).__name__}")
        given.update({str(key): (str(path), value) for key, value in content.items()})
    for word in overrides:
        key, mark, _ = word.partition("=")
        if not mark:
            problems.append(f"{word!r} is not of the form key=value")
            continue
        try:
            value = OmegaConf.to_container(OmegaConf.from_dotlist([word]))[key]  # type: ignore[index, call-overload]
        except (KeyError, OmegaConfBaseException, YAMLError):
            problems.append(f"{word!r} is not of the form key=value")
            continue
        given[key] = ("command line", value)

    names = [field.name for field in fields(kind)]  # type: ignore[arg-type]
    config = OmegaConf.structured(kind)
    for key, (where, value) in given.items():
        if key not in names:
            problems.append(f"{where}: unknown key {key!r}{nearest(key, names)}")
            continue
        try:
            OmegaConf.update(config, key, value)
        except OmegaConfBaseException as error:
            problems.append(f"{where}: {key}: got {value!r}: {str(error).splitlines()[0]}")
    missing = [name for name in names if OmegaConf.is_missing(config, name)]
    if missing:
        problems.append(f"missing: {', '.join(missing)} (give them as {missing[0]}=…)")
    if problems:
        raise UserError("the recipe has mistakes: " + "; ".join(problems))
    return OmegaConf.to_object(config)  # type: ignore[return-value]
