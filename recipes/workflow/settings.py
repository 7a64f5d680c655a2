"""The recipe of a run, read and checked: arms, languages, budgets, initialisers, tasks, seeds, resources."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pretrain.base.errors import UserError
from pretrain.base.settings import declared
from pretrain.settings import PretrainRecipe
from recipes.workflow import options
from recipes.workflow.initialisers import check as check_resources
from recipes.workflow.mixtures import MixtureSettings, mixtures_of
from recipes.workflow.reading import Source, read
from recipes.workflow.run_tasks import TaskSettings, tasks_of

STAGES = ("prepare", "pretrain", "adapt", "multitask", "finetune", "evaluate")
KEYS = ("name", "base", "languages", "prepare", "arms", "pretrain", "seeds", "initialisers", "budgets", "budget_is", "adapt",
        "tasks", "multitask", "finetune", "evaluate", "mixtures", "values", "resources", "store", "tensorboard", "finally")
RESOURCES = ("threads", "mem_mb", "gpus", "runtime", "extra")
FINALLY = ("report", "paper-tables")
SEEN, TEXT, ANNEALED = "seen", "text", "annealed"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class Language:
    """A language with its texts and the options of `relexify prepare`."""

    code: str
    texts: tuple[str, ...]
    options: dict[str, Any]


@dataclass(frozen=True)
class Arm:
    """How a body comes to be: a pre-training recipe with changes, or a body that is there already.

    Attributes:
        settings: the resolved `PretrainRecipe`; None for a ready body.
        body, embedding: paths of a ready one; `{seed}` in them stands for the seed.
    """

    name: str
    recipe: str = ""
    words: tuple[str, ...] = ()
    settings: Any = None
    body: str = ""
    embedding: str = ""


@dataclass(frozen=True)
class Budget:
    """An amount of adaptation.

    Attributes:
        label: as folders and tables name it: `300` updates, `200k` tokens.
        updates: at which the embedding is taken.
        text: tokens of text that there are, as `prepare --tokens` takes them; empty: all.
    """

    label: str
    updates: int
    text: str = ""


@dataclass(frozen=True)
class RunRecipe:
    """Everything that a run's recipe says, checked.

    Attributes:
        annealed: whether each budget is a run to its own end, instead of a point of the longest.
    """

    name: str
    path: Path
    base: str
    languages: dict[str, Language]
    arms: dict[str, Arm]
    seeds: tuple[int, ...]
    initialisers: tuple[str, ...]
    budgets: tuple[Budget, ...]
    annealed: bool
    adapt: dict[str, Any]
    tasks: tuple[TaskSettings, ...]
    mixtures: tuple[MixtureSettings, ...]
    resources: dict[str, dict[str, Any]]
    store: str = ""
    tensorboard: bool = False
    finals: tuple[str, ...] = ("report",)
    content: dict[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @property
    def targets(self) -> list[str]:
        """The languages that are adapted."""
        return [code for code in self.languages if code != self.base]

    @property
    def texts(self) -> list[str]:
        """The amounts of text, each of which is an adaptation of its own."""
        return list(dict.fromkeys(budget.text for budget in self.budgets))


def load(path: str | Path, words: Sequence[str] = ()) -> RunRecipe:
    """A run's recipe.

    Raises:
        UserError: all mistakes of file and words, one line each with its place.
    """
    source = read(path, words)
    content = source.table("", source.content, KEYS)
    name = str(content.get("name", source.path.stem))
    if not NAME.fullmatch(name):
        source.wrong("name", f"got {name!r}, expected letters, digits, dots and dashes: it names a folder")
    languages = _languages(source, content)
    base = content.get("base")
    if not isinstance(base, str) or (languages and base not in languages):
        source.wrong("base", f"got {base!r}, expected the language that bodies are pre-trained on: one of "
                             f"{', '.join(languages) or 'languages'}")
    seeds = source.names("seeds", content.get("seeds", [1]), int)
    for text in filter(None, map(declared(PretrainRecipe)["seed"].problem, seeds)):
        source.wrong("seeds", text)
    initialisers = source.names("initialisers", content.get("initialisers", ["random"]))
    source.known("initialisers", initialisers, _initialisers())
    arms, warnings = _arms(source, content)
    adapt = options.check(source, "adapt", "adapt", source.table("adapt", content.get("adapt")), ("data",))
    check_resources(source, initialisers, adapt)
    budgets = _budgets(source, content, adapt)
    source.table("values", content.get("values"))
    tasks = tasks_of(source, content, list(languages), str(base), seeds)
    mixtures = mixtures_of(source, content, tasks)
    wanted = content.get("finally", ["report"] if tasks else [])
    finals = source.names("finally", wanted) if wanted != [] else []
    source.known("finally", finals, FINALLY)
    for key, kind in (("store", str), ("tensorboard", bool)):
        if not isinstance(content.get(key, kind()), kind):
            source.wrong(key, f"got {content[key]!r}, expected {'a folder' if kind is str else 'true or false'}")
    resources = _resources(source, content)
    source.finish()
    return RunRecipe(name, source.path, str(base), languages, arms, tuple(seeds), tuple(initialisers), budgets,
                     content.get("budget_is") == ANNEALED, adapt, tasks, mixtures, resources, content.get("store", ""),
                     content.get("tensorboard", False), tuple(finals), source.content, warnings)


def _initialisers() -> list[str]:
    from adapt.initialise import load_all

    return sorted(load_all())


def _languages(source: Source, content: dict[str, Any]) -> dict[str, Language]:
    from pretrain.base.language import check_language

    common = options.check(source, "prepare", "prepare", source.table("prepare", content.get("prepare")))
    found: dict[str, Language] = {}
    if not content.get("languages"):
        source.wrong("languages", "missing: `CODE: {text: FILE}` for the base language and each new one")
    for code, value in source.table("languages", content.get("languages")).items():
        place = f"languages.{code}"
        try:
            if check_language(code) != code:
                source.wrong(place, f"write the code as {check_language(code)!r}")
        except UserError as error:
            source.wrong(place, str(error))
        own = source.table(place, value)
        text = own.pop("text", None)
        if text is None:
            source.wrong(place, "missing: text, a file or a list of files")
        texts = source.names(f"{place}.text", text) if text is not None else []
        given = options.check(source, place, "prepare", own)
        if given.get("tokenizer") and "vocab_size" in given:
            source.wrong(place, "tokenizer and vocab_size: a finished tokenizer has its own size; drop one")
        found[code] = Language(code, tuple(texts), {**common, **given})
    return found


def _arms(source: Source, content: dict[str, Any]) -> tuple[dict[str, Arm], tuple[str, ...]]:
    common = source.table("pretrain", content.get("pretrain"))
    arms: dict[str, Arm] = {}
    warnings: list[str] = []
    if not content.get("arms"):
        source.wrong("arms", "missing: `NAME: {recipe: FILE.yaml}` or `NAME: {body: DIR}`")
    for name, value in source.table("arms", content.get("arms")).items():
        place = f"arms.{name}"
        if not NAME.fullmatch(name):
            source.wrong(place, "an arm's name has letters, digits, dots and dashes")
        own = source.table(place, value)
        if "body" in own:
            own = source.table(place, own, ("body", "embedding"))
            if not all(isinstance(item, str) for item in own.values()):
                source.wrong(place, "body and embedding are folders")
            else:
                arms[name] = Arm(name, body=own["body"], embedding=own.get("embedding", ""))
            continue
        arm, notes = _pretraining(source, name, place, common, own)
        warnings += [f"{place}: {note}" for note in notes]
        if arm:
            arms[name] = arm
    return arms, tuple(warnings)


def _pretraining(source: Source, name: str, place: str, common: dict[str, Any],
                 own: dict[str, Any]) -> tuple[Arm | None, list[str]]:
    from pretrain.base.config import load_recipe
    from pretrain.base.errors import nearest
    from pretrain.recipe import check as check_pretraining

    before = len(source.problems)
    elsewhere = {"data": "`base`", **{key: options.ELSEWHERE[key] for key in ("output", "seed", "threads", "tensorboard")}}
    known = {one.key: one for one in declared(PretrainRecipe).values()}
    given = {**common, **own}
    file = given.pop("recipe", None)
    if not isinstance(file, str):
        source.wrong(place, "missing: recipe, a file as in recipes/pretrain, or body, the folder of one that is there")
    for key, value in given.items():
        where = f"{place}.{key}" if key in own else f"pretrain.{key}"
        if key in elsewhere:
            source.wrong(where, f"is not set here: see {elsewhere[key]}")
        elif key not in known:
            source.wrong(where, f"unknown key{nearest(key, known)}")
        else:
            try:
                text = known[key].problem(known[key].convert(value))
            except ValueError as error:
                text = str(error)
            if text:
                source.wrong(where, text)
    if len(source.problems) > before:
        return None, []
    words = tuple(f"{key}={_text(value)}" for key, value in given.items())
    try:
        settings = load_recipe(PretrainRecipe, file, [*words, "data=.", "output=."])
        notes = check_pretraining(replace(settings, data="."))
    except UserError as error:
        source.wrong(place, str(error))
        return None, []
    return Arm(name, str(file), words, settings), notes


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _budgets(source: Source, content: dict[str, Any], adapt: dict[str, Any]) -> tuple[Budget, ...]:
    from adapt.settings import AdaptSettings
    from adapt.text.prepare import parse_count

    kind = content.get("budget_is", SEEN)
    given = source.table("budgets", content.get("budgets"), ("updates", "tokens"))
    if kind not in (SEEN, TEXT, ANNEALED):
        source.wrong("budget_is", f"got {kind!r}, expected seen (tokens read in adaptation), text (tokens that there are) or "
                                  "annealed (tokens read, each budget a run to its own end)")
        return ()
    updates = source.names("budgets.updates", given["updates"], int) if "updates" in given else []
    if any(item < 1 for item in updates):
        source.wrong("budgets.updates", "expected numbers above 0")
    tokens: list[tuple[str, int]] = []
    amounts = given.get("tokens", [])
    for item in amounts if isinstance(amounts, list) else [amounts]:
        try:
            tokens.append((str(item), parse_count(str(item))))
        except UserError as error:
            source.wrong("budgets.tokens", str(error))
    if len({count for _, count in tokens}) < len(tokens):
        source.wrong("budgets.tokens", "one stands twice")
    tokens.sort(key=lambda item: item[1])
    updates.sort()
    if kind != TEXT and updates and tokens:
        source.wrong("budgets", "updates or tokens, not both: tokens seen are updates (tokens that there are: budget_is: text)")
    if kind == TEXT and not tokens:
        source.wrong("budgets", "budget_is: text wants tokens, the amounts of text")
    if kind != TEXT and tokens:
        names = ("batch_size", "update_freq", "tokens_per_sample", "processes", "nodes")
        size = AdaptSettings("", "", "", **{name: adapt[name] for name in names if name in adapt}).tokens_per_update
        points = [(label, max(1, round(count / size))) for label, count in tokens]
        if len({point for _, point in points}) < len(points):
            source.wrong("budgets.tokens", f"two of them round to the same number of updates of {size:,} tokens")
    else:
        total = int(adapt.get("updates", AdaptSettings.updates))
        points = [(str(point), point) for point in updates or [total]]
    if (updates or (kind != TEXT and tokens)) and "updates" in adapt and points and adapt["updates"] != points[-1][1]:
        source.wrong("adapt.updates", f"is {adapt['updates']}, but the largest budget has {points[-1][1]} updates; leave it out")
    if kind == ANNEALED:
        shortest, least = min(points, key=lambda item: item[1]) if points else ("", 2)
        if adapt.get("patience"):
            source.wrong("adapt.patience", "each annealed budget is a run to its end whose embedding is kept; leave it out")
        if least < 2:
            source.wrong("budgets", f"{shortest} is a run of {least} update, expected two or more: its rate is to come down")
        if points and int(adapt.get("warmup", -1)) >= least:
            source.wrong("adapt.warmup", f"is {adapt['warmup']}, expected fewer than the {least} updates of the smallest budget")
    elif len(points) > 1 and adapt.get("patience"):
        source.wrong("adapt.patience", "an adaptation that stops early never comes to the later budgets; leave it out")
    if kind != TEXT:
        return tuple(Budget(label, point) for label, point in points)
    return tuple(Budget(amount if len(points) == 1 else f"{amount}-{label}", point, amount)
                 for amount, _ in tokens for label, point in points)


def _resources(source: Source, content: dict[str, Any]) -> dict[str, dict[str, Any]]:
    given = source.table("resources", content.get("resources"), ("default", *STAGES))
    checked: dict[str, dict[str, Any]] = {}
    for stage, value in given.items():
        place = f"resources.{stage}"
        checked[stage] = source.table(place, value, RESOURCES)
        for key, item in checked[stage].items():
            if key == "extra":
                checked[stage][key] = source.table(f"{place}.extra", item)
            elif not isinstance(item, int) or isinstance(item, bool) or item < (key in ("threads", "mem_mb", "runtime")):
                source.wrong(f"{place}.{key}", f"got {item!r}, expected a whole number" + (
                    " (minutes)" if key == "runtime" else ""))
    default = checked.get("default", {})
    return {stage: {"threads": 1, "gpus": 0, **default, **checked.get(stage, {}),
                    "extra": {**default.get("extra", {}), **checked.get(stage, {}).get("extra", {})}} for stage in STAGES}
