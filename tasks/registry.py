"""All tasks by name. The families register themselves when they are imported, so here is where they are."""

from __future__ import annotations

from pretrain.base.errors import unknown
from tasks.definition import REGISTRY, Definition


def load_all() -> dict[str, Definition]:
    """Imports the task families of this folder and returns the registry."""
    from tasks.classification import nli  # noqa: F401
    from tasks.qa import tasks as qa  # noqa: F401
    from tasks.tagging import tasks as tagging  # noqa: F401

    return REGISTRY


def get_task(name: str) -> Definition:
    """The task of that name; UserError with the nearest name where there is none."""
    registry = load_all()
    if name not in registry:
        raise unknown("task", name, registry)
    return registry[name]
