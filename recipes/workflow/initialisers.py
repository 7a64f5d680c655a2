"""The local files of a run's initialisers: each adaptation gets those that its initialiser reads, for its language."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from adapt.artefacts.resources import named_resources
from pretrain.base.errors import UserError

if TYPE_CHECKING:
    from recipes.workflow.reading import Source

LANGUAGE = "{language}"
"""Stands in a path for the code of the new language: `dictionary=dictionaries/en-{language}.txt`."""


def resources_for(text: str, initialiser: str, language: str) -> str:
    """`name=path,…` of the recipe as one adaptation's option: without what its initialiser does not read."""
    from adapt.initialise import RESOURCES, load_all

    load_all()
    return ",".join(f"{name}={path.replace(LANGUAGE, language)}" for name, path in named_resources(text).items()
                    if name in RESOURCES.get(initialiser, ()))


def check(source: Source, initialisers: Sequence[str], adapt: dict[str, Any]) -> None:
    """Notes resources that none of the run's initialisers reads, and initialisers that lack one.

    Where words of the command line choose initialisers, the file's resources may be those of its own: a run of some of a recipe's
    initialisers needs no other change.
    """
    from adapt.initialise import RESOURCES, check_resources, load_all

    try:
        names = list(named_resources(str(adapt.get("resources") or "")))
    except UserError as error:
        source.wrong("adapt.resources", str(error).removeprefix("--resources").lstrip(" :"))
        return
    chosen = [name for name in initialisers if name in load_all()]
    readers = {*chosen}
    if not any(word == "adapt" or word.startswith("adapt.resources") for word in source.given):
        readers.update(name for name in source.of_file("initialisers") if name in load_all())
    read = {name for initialiser in readers for name in RESOURCES[initialiser]}
    for name in names:
        if name not in read:
            source.wrong("adapt.resources", f"{name} is read by none of the initialisers {', '.join(initialisers)}; take it out")
    for initialiser in chosen:
        try:
            check_resources(initialiser, [name for name in names if name in RESOURCES[initialiser]])
        except UserError as error:
            source.wrong("adapt.resources", str(error))
