"""The sets of questions that are registered, by name."""

from __future__ import annotations

from pretrain.base.errors import unknown
from tasks.qa.task import QATask
from tasks.registry import load_all


def question_answering(name: str) -> QATask:
    """The question answering task of that name; UserError with the nearest name where there is none."""
    known = {key: task for key, task in load_all().items() if isinstance(task, QATask)}
    if name not in known:
        raise unknown("question-answering task", name, known)
    return known[name]
