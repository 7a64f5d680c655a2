"""The trainer's configuration, made from the declaration of a stage's settings. Imports no fairseq itself."""

# fairseq reads the types of config fields at run time: no `from __future__ import annotations` here

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pretrain.base.settings import Declared, declared, option, refuse


def of_settings(kind: type, *parts: str) -> Callable[[type], Any]:
    """A class decorator: makes a fairseq dataclass whose fields are a stage's settings of these parts, then those of the class.

    A setting keeps its name, type, default and help, where its declaration names no others for the trainer.
    """

    def decorate(cls: type) -> type:
        own = inspect.get_annotations(cls)
        told = {one.trainer_name: one for one in declared(kind).values() if one.about.part in parts}
        for name, one in told.items():
            setattr(cls, name, field(default=one.trainer_default, metadata={"help": one.about.help}))
        cls.__annotations__ = {**{name: str if one.kind is tuple else one.kind for name, one in told.items()}, **own}
        made: Any = dataclass(cls)
        made.DECLARED = {**getattr(cls, "DECLARED", {}), **told}
        return made  # type: ignore[no-any-return]

    return decorate


def as_settings(config: type, cfg: Any) -> dict[str, Any]:
    """fairseq's flat values under the names that the settings have."""
    told: dict[str, Declared] = config.DECLARED  # type: ignore[attr-defined]
    return {one.name: getattr(cfg, name) for name, one in told.items()}


def check_config(config: type, cfg: Any) -> None:
    """Refuses values that a setting may not have, also in a `fairseq-train` line that was written by hand.

    Raises:
        UserError: one line for each.
    """
    told: dict[str, Declared] = config.DECLARED  # type: ignore[attr-defined]
    found = []
    for name, one in told.items():
        value = getattr(cfg, name, one.trainer_default)
        if value != one.trainer_default and (text := one.problem(value)):
            found.append(f"{option(name)}: {text}")
    refuse(found)
