"""The `mixtures` of a run's recipe: bodies that learn several of its tasks at once (MT-DNN), beside those that learn one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pretrain.base.errors import UserError, nearest
from recipes.workflow import options
from recipes.workflow.reading import Source
from recipes.workflow.run_tasks import TaskSettings
from tasks.multitask.recipe import Mixture, mixture_of

THEN = "finetune"
"""`then`: each task is fine-tuned once more from the body of all of them."""
RUN_KEYS = ("tasks", "multitask", "then")
MIXED = ("policy", "temperature", "main", "ratio", "best")
"""What a mixture says beside its tasks, see `tasks.multitask.recipe`."""
SHARED = ("train_files", "dev_files", "dev_split", "labels", "head", "max_length", "stride", "max_question")
"""What a task of the run brings to a mixture as it does to its own fine-tuning, unless the mixture says otherwise."""
PATHS = ("data", "train_files", "dev_files", "labels", "teacher")


@dataclass(frozen=True)
class MixtureSettings:
    """A mixture of the run's tasks.

    Attributes:
        content: of its file, as `relexify multitask --mixture` reads it.
        mixture: the same, read.
        tasks: those of the run that it learns.
        options: of `relexify multitask`.
        then: whether every task is fine-tuned from it as well.
    """

    name: str
    content: dict[str, Any]
    mixture: Mixture
    tasks: tuple[TaskSettings, ...]
    options: dict[str, Any]
    then: bool

    @property
    def identity(self) -> dict[str, Any]:
        """What of it decides the result, without the places of files."""
        own = {name: {key: value for key, value in asdict(entry).items() if key not in PATHS}
               for name, entry in self.mixture.tasks.items()}
        return {"tasks": own, "policy": asdict(self.mixture.policy), "best": self.mixture.best}


def mixtures_of(source: Source, content: dict[str, Any], tasks: Sequence[TaskSettings]) -> tuple[MixtureSettings, ...]:
    """The mixtures of a recipe; every mistake is noted."""
    common = options.check(source, "multitask", "multitask", source.table("multitask", content.get("multitask")), ("mixture",))
    found = []
    for name, value in source.table("mixtures", content.get("mixtures")).items():
        place = f"mixtures.{name}"
        own = source.table(place, value, (*RUN_KEYS, *MIXED))
        given = options.check(source, f"{place}.multitask", "multitask", source.table(f"{place}.multitask", own.get("multitask")),
                              ("mixture",))
        then = own.get("then", "")
        if then not in ("", THEN):
            source.wrong(f"{place}.then", f"got {then!r}, expected {THEN}: each task is fine-tuned once more from this body")
        made = _mixture(source, place, own, str(content.get("base")), tasks)
        if made is not None:
            found.append(MixtureSettings(name, *made, {**common, **given}, then == THEN))
    return tuple(found)


def _mixture(source: Source, place: str, own: dict[str, Any], base: str,
             tasks: Sequence[TaskSettings]) -> tuple[dict[str, Any], Mixture, tuple[TaskSettings, ...]] | None:
    known = {task.name: task for task in tasks}
    brought = own.get("tasks") or list(known)
    if isinstance(brought, list):
        brought = {str(name): {} for name in brought}
    if not isinstance(brought, dict):
        source.wrong(f"{place}.tasks", f"got {brought!r}, expected names of this run's tasks, or `NAME: {{head: san}}` lines")
        return None
    entries: dict[str, Any] = {}
    chosen = []
    for name, value in brought.items():
        if name not in known:
            source.wrong(f"{place}.tasks.{name}",
                         f"is no task of this run{nearest(str(name), known)} (known: {', '.join(known)})")
            continue
        task = known[name]
        given = source.table(f"{place}.tasks.{name}", value)
        if "data" in given:
            source.wrong(f"{place}.tasks.{name}.data", f"is not set here: see tasks.{name}")
            continue
        if (base,) not in task.train_languages:
            source.wrong(f"{place}.tasks.{name}", f"a mixture learns in {base} alone, and {name} in "
                         f"{', '.join('+'.join(codes) for codes in task.train_languages)}; name the tasks without it, or add "
                         f"[{base}] to its train_languages")
            continue
        home = task.options([base])
        shared = {key: home[key] for key in SHARED if key in home}
        entry = {"data": task.train_data, **shared, **given}
        if entries.get(task.train_task, entry) != entry:
            source.wrong(f"{place}.tasks.{name}", f"learns {task.train_task} as another task here does, with other data or "
                         "settings; say the same of both, or leave one out")
            continue
        entries[task.train_task] = entry
        chosen.append(task)
    if not entries or len(chosen) < len(brought):
        return None
    content = {**{key: own[key] for key in MIXED if key in own}, "tasks": entries}
    lines = {key.removeprefix(f"{place}."): line for key, line in source.lines.items() if key.startswith(f"{place}.")}
    try:
        return content, mixture_of(content, lines, source.path), tuple(chosen)
    except UserError as error:
        for line in str(error).splitlines():
            where, mark, text = line.partition(": ")
            if mark and where.startswith(str(source.path)):
                source.problems.append(f"{where}: {place}.{text}")
            else:
                source.wrong(place, line)
        return None
