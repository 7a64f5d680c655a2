"""The local files of a run's initialisers: each adaptation gets those that its initialiser reads, for its language."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pretrain.base.errors import UserError

if TYPE_CHECKING:
    from recipes.workflow.reading import Source

LANGUAGE = "{language}"
"""Stands in a path for the code of the new language: `dictionary=dictionaries/en-{language}.txt`."""


def resources_for(text: str, initialiser: str, language: str) -> str:
    """`name=path,…` of the recipe as one adaptation's option: without what its initialiser does not read."""
    from adapt.initialise import RESOURCES, load_all

    load_all()
    items = [item.partition("=") for item in filter(None, text.split(","))]
    return ",".join(f"{name}={path.replace(LANGUAGE, language)}" for name, _, path in items
                    if name in RESOURCES.get(initialiser, {}))


def check(source: Source, initialisers: Sequence[str], adapt: dict[str, Any]) -> None:
    """Notes resources that none of the run's initialisers reads, and initialisers that lack one."""
    from adapt.initialise import RESOURCES, check_resources, load_all

    names = [item.partition("=")[0] for item in filter(None, str(adapt.get("resources") or "").split(","))]
    chosen = [name for name in initialisers if name in load_all()]
    read = {name for initialiser in chosen for name in RESOURCES[initialiser]}
    for name in names:
        if name not in read:
            source.wrong("adapt.resources", f"{name} is read by none of the initialisers {', '.join(initialisers)}")
    for initialiser in chosen:
        try:
            check_resources(initialiser, [name for name in names if name in RESOURCES[initialiser]])
        except UserError as error:
            source.wrong("adapt.resources", str(error))
