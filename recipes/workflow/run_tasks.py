"""The `tasks` of a run's recipe: where each is learned, in which languages, and where it is tested."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pretrain.base.errors import UserError
from recipes.workflow import options
from recipes.workflow.reading import Source
from tasks.reading.files import files_of

KEYS = ("data", "split", "languages", "train_languages", "seeds", "train_task", "finetune", "evaluate")
FILES = ("train_files", "dev_files")
ONE_LANGUAGE = ("teacher", "train_embedding", "source_language")
"""Options of `relexify finetune` that a training in several languages has no use for."""


@dataclass(frozen=True)
class TaskSettings:
    """A task: where it is learned, where, in which languages and with which of the run's seeds it is tested.

    Attributes:
        train_languages: the trainings, each with the languages that it learns in at once; the base language alone where the
            recipe does not say.
        finetune: options of `relexify finetune`; files of several languages are `CODE=FILE`.
    """

    name: str
    data: str
    split: str
    languages: tuple[str, ...]
    train_languages: tuple[tuple[str, ...], ...]
    seeds: tuple[int, ...]
    train_task: str
    train_data: str
    finetune: dict[str, Any]
    evaluate: dict[str, Any]

    @property
    def codes(self) -> list[str]:
        """All languages that it is learned in."""
        return list(dict.fromkeys(code for one in self.train_languages for code in one))

    def files(self, languages: Sequence[str]) -> dict[str, dict[str, list[str]]]:
        """`train_files` and `dev_files` -> language -> those of a training in these languages."""
        every = {name: files_of(self.finetune.get(name, []), self.codes, name) for name in FILES}
        return {name: {code: found[code] for code in languages} for name, found in every.items()}

    def options(self, languages: Sequence[str]) -> dict[str, Any]:
        """Those of `relexify finetune` for a training in these languages: of its files theirs alone, as `CODE=FILE` where there
        are several."""
        found = dict(self.finetune)
        for name, by_language in self.files(languages).items():
            files = [path if len(languages) == 1 else f"{code}={path}" for code, paths in by_language.items() for path in paths]
            if name in found:
                found[name] = files
        return found


def tasks_of(source: Source, content: dict[str, Any], languages: Sequence[str], base: str,
             seeds: Sequence[int]) -> tuple[TaskSettings, ...]:
    """The tasks of a recipe; every mistake is noted.

    Args:
        languages, base, seeds: of the run.
    """
    from tasks.registry import load_all

    registry = load_all()
    common = {stage: options.check(source, stage, stage, source.table(stage, content.get(stage)), ("task", "data", "split"))
              for stage in ("finetune", "evaluate")}
    found = []
    for name, value in source.table("tasks", content.get("tasks")).items():
        place = f"tasks.{name}"
        own = source.table(place, value, KEYS)
        train_task = own.get("train_task", name)
        source.known(place, [name], sorted(registry))
        source.known(f"{place}.train_task", [train_task] if train_task != name else [], sorted(registry))
        split = own.get("split", "test")
        if name in registry and split not in registry[name].splits:
            source.wrong(f"{place}.split", f"got {split!r}, {name} has {', '.join(registry[name].splits)}")
        if train_task in registry and "train" not in registry[train_task].splits:
            source.wrong(place, f"{train_task} has no training split; name the task to learn: train_task")
        given = {stage: source.table(f"{place}.{stage}", own.get(stage)) for stage in ("finetune", "evaluate")}
        train_data = given["finetune"].pop("data", own.get("data"))
        for key, data in (("data", own.get("data")), ("finetune.data", train_data)):
            if not isinstance(data, str):
                source.wrong(f"{place}.{key}", f"got {data!r}, expected the folder with the task's files")
        codes = source.names(f"{place}.languages", own["languages"]) if "languages" in own else list(languages)
        source.known(f"{place}.languages", codes, languages)
        checked = {stage: {**common[stage], **options.check(source, f"{place}.{stage}", stage, given[stage],
                                                            ("task", "data", "split"))} for stage in given}
        chosen = source.names(f"{place}.seeds", own["seeds"], int) if "seeds" in own else seeds
        learned = _train_languages(source, f"{place}.train_languages", own["train_languages"], languages) \
            if "train_languages" in own else ((base,),)
        made = TaskSettings(name, str(own.get("data")), str(split), tuple(codes), learned,
                            tuple(seed for seed in seeds if seed in chosen), str(train_task), str(train_data),
                            checked["finetune"], checked["evaluate"])
        _check_learned(source, place, made)
        found.append(made)
    return tuple(found)


def _train_languages(source: Source, place: str, value: Any, known: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """`[en, de]` is one training in two languages; `[[en], [en, de]]` are two trainings."""
    several = isinstance(value, list) and any(isinstance(one, list) for one in value)
    found = [tuple(source.names(place, one)) for one in (value if several else [value])]
    for codes in found:
        source.known(place, codes, known)
    repeated = [codes for number, codes in enumerate(found) if set(codes) in map(set, found[:number])]
    if repeated:
        source.wrong(place, f"[{', '.join(repeated[0])}] stands twice")
    return tuple(codes for codes in found if codes)


def _check_learned(source: Source, place: str, task: TaskSettings) -> None:
    """Files without their language, and options that are for one."""
    try:
        task.files(task.codes)
    except UserError as error:
        source.wrong(f"{place}.finetune", str(error))
    if any(len(codes) > 1 for codes in task.train_languages):
        for name in ONE_LANGUAGE:
            if task.finetune.get(name):
                source.wrong(f"{place}.finetune.{name}", "is for a training in one language, and train_languages has several; "
                             "leave it out")
