"""A mixture is a recipe: which tasks share a body, what each brings, and how their batches are mixed (docs/multitask.md)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, field
from pathlib import Path
from typing import Any

from pretrain.base.config import read_yaml
from pretrain.base.errors import UserError, nearest
from pretrain.base.settings import Range, declared, like, refuse, setting
from tasks.multitask.policy import POLICIES, Policy
from tasks.settings import FinetuneSettings

MTDNN = "Liu et al. 2019, MT-DNN"
MEAN = "mean"
"""`best`: the mean over tasks."""
MEAN_SCORE = "mean_score"
"""Its name in the log and in curves."""


@dataclass(frozen=True)
class Entry:
    """What a task of a mixture brings. Paths are as a shell in the working directory takes them."""

    data: str = like(FinetuneSettings, "data", MISSING)
    train_files: tuple[str, ...] = like(FinetuneSettings, "train_files")
    dev_files: tuple[str, ...] = like(FinetuneSettings, "dev_files")
    dev_split: str = like(FinetuneSettings, "dev_split")
    labels: str = like(FinetuneSettings, "labels")
    head: str = like(FinetuneSettings, "head")
    max_length: int = like(FinetuneSettings, "max_length")
    stride: int = like(FinetuneSettings, "stride")
    max_question: int = like(FinetuneSettings, "max_question")
    dropout: float = setting(-1.0, "dropout of the task's head; -1: the body's", MTDNN + ", section 4.2", "share",
                             Range(0, 1, below=True, also=(-1.0,)))
    loss: str = setting("", "what its head is trained with: cross-entropy, or mse of the probabilities; of a regression mse or "
                        "mae (default: the task's own)", MTDNN + ", section 3", "name")
    weight: float = setting(1.0, "what the task's loss is multiplied by", MTDNN, "factor", Range(0, 1e6, above=True))
    limit: int = setting(0, "most training examples, drawn by the seed; 0: all", unit="examples", allowed=Range(0, 10**9))
    teacher: str = like(FinetuneSettings, "teacher")
    distillation_loss: str = like(FinetuneSettings, "distillation_loss")
    alpha: float = like(FinetuneSettings, "alpha")
    temperature: float = like(FinetuneSettings, "temperature")
    metric: str = setting("", "what its dev split is judged by (default: the task's own)", unit="name")


@dataclass(frozen=True)
class Mixture:
    """Tasks by name, in the order of the file, and how they are mixed.

    Attributes:
        best: what chooses the checkpoint: `mean`, the mean over tasks of each one's metric, or the name of a task.
    """

    tasks: Mapping[str, Entry]
    policy: Policy
    best: str = MEAN


@dataclass(frozen=True)
class _Head:
    """What stands in a mixture beside its tasks."""

    tasks: str = setting("", "the tasks by name, each with what it brings")
    policy: str = setting("proportional", "how batches are mixed", MTDNN, allowed=POLICIES)
    temperature: float = setting(2.0, "of policy temperature: 1 is proportional, more is more equal",
                                 allowed=Range(0, 1e12, above=True))
    main: str = setting("", "of policy main-ratio: the main task", unit="name")
    ratio: float = setting(1.0, "of policy main-ratio: batches of all others, as a share of the main task's", MTDNN + ", code",
                           "share", Range(0, 1e6))
    best: str = setting(MEAN, "what chooses the checkpoint: mean, over the tasks of each one's metric, or a task", MTDNN, "name")


@dataclass
class _Reading:
    """Values that are converted by a declaration, and the mistakes on the way, each with its line."""

    path: Path
    lines: Mapping[str, int]
    mistakes: list[str] = field(default_factory=list)

    def values(self, kind: type, content: Mapping[Any, Any], above: str = "", leave: tuple[str, ...] = ()) -> dict[str, Any]:
        """The settings of `kind` that the mapping gives."""
        known, found = declared(kind), {}
        for key, value in content.items():
            dotted = f"{above}{key}"
            place = f"{self.path}:{self.lines.get(dotted, 1)}: {dotted}"
            if key not in known:
                self.mistakes.append(f"{place}: unknown key{nearest(str(key), known)}")
            elif key not in leave:
                try:
                    found[key] = known[key].convert(value)
                except ValueError as error:
                    self.mistakes.append(f"{place}: {error}")
                    continue
                if text := known[key].problem(found[key]):
                    self.mistakes.append(f"{place}: {text}")
        for name, one in known.items():
            if one.required and name not in content:
                line = self.lines.get(above.rstrip("."), 1)
                self.mistakes.append(f"{self.path}:{line}: {above}{name} is missing: {one.about.help}")
        return found


def read_mixture(path: str | Path) -> Mixture:
    """The mixture in a YAML file.

    Raises:
        UserError: no such file, or every mistake in it, a line each.
    """
    content, lines = read_yaml(path, "a mixture of tasks (YAML)")
    return mixture_of(content, lines, path)


def data_of(data: str, names: Sequence[str]) -> dict[str, str]:
    """Task -> folder with its files: `data` itself, or what the file of a mixture says.

    Raises:
        UserError: the file does not name one of the tasks.
    """
    if Path(data).suffix.lower() not in (".yaml", ".yml"):
        return dict.fromkeys(names, data)
    tasks = read_mixture(data).tasks
    if absent := [name for name in names if name not in tasks]:
        raise UserError(f"{data}: does not say where the data of {', '.join(absent)} is; it names {', '.join(tasks)}")
    return {name: tasks[name].data for name in names}


def mixture_of(content: Mapping[Any, Any], lines: Mapping[str, int], path: str | Path) -> Mixture:
    """The mixture that the content of a file says.

    Args:
        lines: dotted key -> its line in `path`.

    Raises:
        UserError: every mistake in it, a line each.
    """
    reading = _Reading(Path(path), lines)
    head = reading.values(_Head, content, leave=("tasks",))
    given = content.get("tasks")
    if not isinstance(given, dict) or not given:
        raise UserError(f"{path}:{lines.get('tasks', 1)}: tasks: got {given!r}, expected the names of tasks, each with "
                        "`data: FOLDER` below it; docs/multitask.md shows a mixture")
    entries = {}
    for name, brought in given.items():
        place = f"tasks.{name}"
        if not isinstance(brought, dict):
            reading.mistakes.append(f"{path}:{lines.get(place, 1)}: {place}: got {brought!r}, expected `key: value` lines, "
                                    "at least data")
            continue
        values = reading.values(Entry, brought, f"{place}.")
        entries[str(name)] = Entry(**{"data": "", **values})
    best = head.get("best", MEAN)
    if best != MEAN and best not in entries:
        reading.mistakes.append(f"{path}:{lines.get('best', 1)}: best: got {best!r}, expected {MEAN} or one of "
                                f"{', '.join(entries)}{nearest(best, entries)}")
    refuse(reading.mistakes)
    policy = Policy(head.get("policy", "proportional"), head.get("temperature", 2.0), head.get("main", ""),
                    head.get("ratio", 1.0))
    policy.check(list(entries))
    return Mixture(entries, policy, best)
