"""Bodies with the heads of several tasks: what they record, and the body of one of these tasks.

The record of such a body has the name `SEVERAL` and under `tasks` a record for each task, as a body of that task alone has.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from adapt.artefacts.resources import locate
from pretrain.artefacts.body import HEADS, SEVERAL, Body
from pretrain.base.errors import UserError, nearest
from pretrain.base.files import read_object
from tasks.definition import Definition


def tasks_of(body: Body) -> dict[str, dict[str, Any]]:
    """The record of each task that a body does, by name; empty of a pre-trained body."""
    if not body.task:
        return {}
    if body.task["name"] == SEVERAL:
        return dict(body.task["tasks"])
    return {body.task["name"]: body.task}


def recorded_tasks(body: str | Path) -> list[str]:
    """Names of the tasks of a body of several, from its record alone; empty of any other, and where there is none."""
    file = locate(body, "body") / "body.json"
    if not file.exists():
        return []
    record = read_object(file, "the record of a body (body.json)").optional_table("task")
    return list(record.get("tasks") or {}) if record.get("name") == SEVERAL else []


def body_for(body: Body, names: Iterable[str] = (), place: str = "this body") -> Body:
    """Of a body with several heads the body of the first of these tasks that it does: lineage, fingerprint and tensors are the
    same, but for the other heads. Any other body as it is.

    Args:
        names: tasks whose heads would do, the best first; none: the only one.
        place: the body as the user named it, for errors.

    Raises:
        UserError: it does none of them, or none was named and there are several.
    """
    if not body.task or body.task["name"] != SEVERAL:
        return body
    records, wanted = tasks_of(body), [name for name in names if name]
    name = next((name for name in wanted if name in records), "")
    if not name:
        asked = f"asked for {wanted[0]!r}{nearest(wanted[0], records)}" if wanted else "name one with --task"
        raise UserError(f"{place} does {', '.join(records)}, {asked}")
    others = tuple(f"{HEADS}{other}." for other in records if other != name)
    tensors = {key: tensor for key, tensor in body.tensors.items() if not key.startswith(others)}
    found = replace(body, tensors=tensors, task=records[name])
    found.fingerprint = body.fingerprint  # what a result names is the folder that was read
    return found


def without_heads(body: Body) -> Body:
    """A body for what needs no head: lineage, fingerprint and all other tensors are the same."""
    found = replace(body, tensors={key: tensor for key, tensor in body.tensors.items() if not key.startswith(HEADS)}, task=None)
    found.fingerprint = body.fingerprint
    return found


def heads_for(task: Definition) -> tuple[str, ...]:
    """Names of the tasks whose heads do this one, its own first."""
    return task.name, *getattr(task, "bodies_of", ())


def trained_head(body: Body, task: str, kind: str, labels: list[str]) -> dict[str, Tensor]:
    """The tensors of a body's head for a task, by their names in the body; empty where it has several heads and none that is
    of this kind with these labels, or where it is no body of several tasks."""
    if not body.task or body.task["name"] != SEVERAL:
        return {}
    record = tasks_of(body).get(task)
    if record is None or record["head"] != kind or list(record["labels"]) != labels:
        return {}
    return {name: tensor for name, tensor in body.tensors.items() if name.startswith(f"{HEADS}{task}.")}
