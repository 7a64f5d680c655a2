"""Models for question answering: a task body under one embedding, or under two: one reads contexts, one questions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pretrain.base.errors import UserError, unknown
from pretrain.base.records import Record
from tasks.heads.model import SPAN_HEADS, with_drawn_head

if TYPE_CHECKING:
    from pretrain.artefacts.body import Body

UNTRAINED = "untrained"
"""Name of a head that was never trained, see `untrained`."""


def qa_record(body: Body) -> dict[str, Any]:
    """The task record of a body with a head for question answering.

    Raises:
        UserError: no head, or one of another family.
    """
    if not body.task:
        raise UserError("this body has no task head; train one first (relexify finetune --task squad …), or ask for the "
                        "score of a head that was never trained: --untrained-head")
    if body.task["head"] not in SPAN_HEADS:
        raise UserError(f"the task body does {body.task['name']!r}, which answers no questions; finetune a body on squad, "
                        "squad2 or tydiqa")
    if isinstance(body.task, Record):  # read from a file
        windows = body.task.table("windows")
        for name in windows:
            windows.integer(name)
        body.task.integer("answer_tokens")
        if "no_answer_threshold" in body.task:
            body.task.number("no_answer_threshold")
    return body.task


def untrained(body: Body, seed: int = 1, head: str = "span") -> Body:
    """The body with a head for question answering that was drawn by `seed` and never trained: a baseline."""
    if head not in SPAN_HEADS:
        raise unknown("head", head, SPAN_HEADS)
    record = {"name": UNTRAINED, "head": head, "labels": [], "metric": "f1", "windows": {}, "answer_tokens": 3}
    return with_drawn_head(body, record, seed)
