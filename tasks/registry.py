"""All tasks by name: those of this folder, those of installed packages (entry points `relexify.tasks`), those of files that the
user names (`--tasks-from FILE.py`).
"""

from __future__ import annotations

import os
import runpy
import traceback
from importlib.metadata import entry_points

from pretrain.base.errors import UserError, unknown
from pretrain.base.files import require_file
from tasks.definition import REGISTRY, Definition

ENTRY_POINTS = "relexify.tasks"
TASKS_FROM = "RELEXIFY_TASKS_FROM"
"""Environment variable with the files of `--tasks-from`: the training process, which registers tasks anew, reads it."""

_read: set[str] = set()
_packages_read = False


def load_all() -> dict[str, Definition]:
    """Imports the task families of this folder and whatever registers tasks from outside, and returns the registry.

    Raises:
        UserError: a file or package of the user's that does not import.
    """
    from tasks.choice import swag  # noqa: F401
    from tasks.choice.arct import tasks  # noqa: F401
    from tasks.classification import anli, nli, pawsx, scitail, snli  # noqa: F401
    from tasks.classification.glue import ax, cola, mnli, mrpc, qnli, qqp, rte, sst2, stsb, wnli  # noqa: F401
    from tasks.qa import mlqa, squad, tydiqa, xquad  # noqa: F401
    from tasks.retrieval import bucc, tatoeba  # noqa: F401
    from tasks.tagging import conll, panx, udpos  # noqa: F401

    _load_packages()
    for path in filter(None, os.environ.get(TASKS_FROM, "").split(os.pathsep)):
        _load_file(path)
    return REGISTRY


def get_task(name: str) -> Definition:
    """The task of that name; UserError with the nearest name where there is none."""
    registry = load_all()
    if name not in registry:
        raise unknown("task", name, registry)
    return registry[name]


def tasks_from(paths: list[str] | None) -> None:
    """Registers the tasks of the user's files, here and in every process that is started from here.

    Raises:
        UserError: a file that is not there, does not import, or takes a name that is taken; with its line.
    """
    given = [str(require_file(path, "a Python file that registers tasks (--tasks-from)").resolve()) for path in paths or []]
    known = list(filter(None, os.environ.get(TASKS_FROM, "").split(os.pathsep)))
    if given:
        os.environ[TASKS_FROM] = os.pathsep.join(dict.fromkeys([*known, *given]))
    load_all()


def _load_packages() -> None:
    global _packages_read
    if _packages_read:
        return
    _packages_read = True
    for entry in entry_points(group=ENTRY_POINTS):
        try:
            entry.load()
        except Exception as error:
            place = f"{entry.value} (entry point {entry.name!r} of {entry.dist.name if entry.dist else 'a package'})"
            raise UserError(f"{place}: its tasks do not import: {type(error).__name__}: {error}; mend or uninstall it") from None


def _load_file(path: str) -> None:
    """Runs a file of the user's once in a process."""
    if path in _read:
        return
    from tasks.classification.metrics import METRICS

    before, metrics = set(REGISTRY), set(METRICS)
    try:
        runpy.run_path(path, run_name="relexify_tasks")
    except (Exception, SystemExit) as error:
        for name in set(REGISTRY) - before:  # all of a file or nothing
            del REGISTRY[name]
        for name in set(METRICS) - metrics:
            del METRICS[name]
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == path]
        line = error.lineno if isinstance(error, SyntaxError) and error.filename == path else lines[-1] if lines else None
        text = error.msg if isinstance(error, SyntaxError) else str(error).partition("\n")[0]
        raise UserError(f"{path}{f':{line}' if line else ''}: does not import ({type(error).__name__}: {text}); a file of "
                        "--tasks-from registers tasks, see docs/tasks.md") from None
    if set(REGISTRY) == before:
        raise UserError(f"{path}: registers no task; expected `register(…)` from tasks.definition, see docs/tasks.md")
    _read.add(path)
