"""A recipe as a plan: every cell a relexify command, and where in the store its output stands.

A store folder is named `STAGE/LABEL-HASH`. The hash is of what decides the result: the stage's settings as far as they are not
the defaults, the keys of the stages it builds on, the contents of the files it reads. The label says the same for people and
follows from the settings alone, never from a recipe's own names: two recipes that want the same thing name the same folder.
"""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from pretrain.base.files import cleaning, read_object
from pretrain.base.records import Record
from pretrain.settings import NEW
from recipes.workflow import options
from recipes.workflow.content import Contents, short
from recipes.workflow.initialisers import resources_for
from recipes.workflow.mixtures import MixtureSettings
from recipes.workflow.settings import STAGES, Arm, Budget, RunRecipe, TaskSettings
from tasks.registry import get_task

RECORDS = {"prepare": "prepare.json", "pretrain": "body/body.json", "adapt": "embedding.json", "multitask": "body.json",
           "finetune": "body.json", "evaluate": "results.json"}
"""The file that a stage's output holds when it is whole: outputs appear with one rename."""


@dataclass
class Job:
    """One command.

    Attributes:
        id: `STAGE/LABEL-HASH`, also its folder below the store.
        words: the command without `relexify`.
        needs: ids of the jobs whose outputs it reads.
        key: what decides its result.
    """

    id: str
    stage: str
    words: list[str]
    output: Path
    needs: list[str]
    key: dict[str, Any]

    @property
    def record(self) -> Path:
        """Exists if and only if the output is there, whole."""
        return self.output / RECORDS[self.stage]

    @property
    def done(self) -> bool:
        """Whether nothing is left to do, cleaning up included."""
        return self.record.exists() and not cleaning(self.output)

    @property
    def line(self) -> str:
        """The command as a shell takes it."""
        return shlex.join(["relexify", *self.words])


@dataclass
class Plan:
    """All jobs of a run, each after those it needs.

    Attributes:
        cells: one entry for each cell of the recipe; several cells may be one job.
        missing: inputs that are not there.
        files: what commands read that the run itself writes before they start: path -> text.
    """

    recipe: RunRecipe
    store: Path
    jobs: dict[str, Job] = field(default_factory=dict)
    cells: list[dict[str, Any]] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)
    files: dict[Path, str] = field(default_factory=dict)

    def wanted(self, only: Iterable[str] = ()) -> list[str]:
        """The jobs that somebody wants for themselves: those of the stages `only`, else all that no other job reads."""
        stages = set(only)
        if stages:
            return [job.id for job in self.jobs.values() if job.stage in stages]
        read = {need for job in self.jobs.values() for need in job.needs}
        return [name for name in self.jobs if name not in read]

    def pending(self, only: Iterable[str] = ()) -> list[str]:
        """The jobs that have to run, in the plan's order: what is wanted and not done, and what that needs and is not done."""
        found: set[str] = set()
        queue = list(self.wanted(only))
        while queue:
            job = self.jobs[queue.pop()]
            if job.id not in found and not job.done:
                found.add(job.id)
                queue += job.needs
        return [name for name in self.jobs if name in found]

    def counts(self) -> dict[str, int]:
        """Jobs by stage."""
        found = Counter(job.stage for job in self.jobs.values())
        return {stage: found[stage] for stage in STAGES if found[stage]}


class Planner:
    """Builds the plan of a recipe."""

    def __init__(self, recipe: RunRecipe, store: Path, tensorboard: Path | None = None) -> None:
        self.recipe, self.store, self.tensorboard = recipe, store, tensorboard
        self.plan = Plan(recipe, store)
        self.contents = Contents(store)

    def build(self) -> Plan:
        """All cells of the recipe."""
        r = self.recipe
        for seed in r.seeds:
            for arm in r.arms.values():
                self._arm(arm, seed)
        self.contents.save()
        self.plan.missing = self.contents.missing
        return self.plan

    def _arm(self, arm: Arm, seed: int) -> None:
        r = self.recipe
        body = self._body(arm, seed)
        adapted = {(initialiser, budget.label, code): self._embedding(arm, seed, body, code, initialiser, budget)
                   for initialiser in r.initialisers for budget in r.budgets for code in r.targets}
        for task in (one for one in r.tasks if seed in one.seeds):
            self._score(task, arm, seed, self._finetune(task, arm, seed, body), body, adapted)
        for mixture in r.mixtures:
            tasks = [one for one in mixture.tasks if seed in one.seeds]
            if not tasks:
                continue
            learned = self._multitask(mixture, arm, seed, body)
            mixed = _Body(f"multitask-{body.label}", learned.output, learned.id, [learned.id], body.embedding,
                          body.source or body.embedding.path)
            for task in tasks:
                self._score(task, arm, seed, learned, body, adapted, mixture=mixture.name)
                if mixture.then:
                    head = mixture.mixture.tasks[task.train_task].head  # else its head could not go on
                    own = replace(task, finetune={**task.finetune, **({"head": head} if head else {})})
                    more = {"mixture": mixture.name, "then": "finetune"}
                    self._score(task, arm, seed, self._finetune(own, arm, seed, mixed, **more), body, adapted, **more)

    def _score(self, task: TaskSettings, arm: Arm, seed: int, learned: Job, body: _Body,
               adapted: dict[tuple[str, str, str], _Embedding], **cell: Any) -> None:
        """A body that has learned a task, scored with its own embedding and with those of all budgets and initialisers."""
        r = self.recipe
        own = [body.embedding] if r.base in task.languages else []
        two = get_task(task.name).two_languages  # the base is one of them, and by itself none
        if own and not two:
            self._evaluate(task, arm, seed, learned, own, "", None, **cell)
        for initialiser in r.initialisers:
            for budget in r.budgets:
                embeddings = [adapted[initialiser, budget.label, code] for code in r.targets if code in task.languages]
                if embeddings:
                    pairs = own if two or task.evaluate.get("pairs") == "all" else []
                    self._evaluate(task, arm, seed, learned, [*pairs, *embeddings], initialiser, budget, **cell)

    def _add(self, stage: str, label: str, key: dict[str, Any], needs: Iterable[str], words: list[Any],
             **cell: Any) -> Job:
        """The job of that key, new or known; `{OUTPUT}` in its words stands for its folder."""
        name = f"{stage}/{label}-{short({'stage': stage, **key})}"
        folder = self.store / name
        if name not in self.plan.jobs:
            own = [str(word).replace("{OUTPUT}", str(folder)) for word in words]
            self.plan.jobs[name] = Job(name, stage, own, folder, list(dict.fromkeys(needs)), key)
        self.plan.cells.append({"stage": stage, **cell, "folder": str(folder)})
        return self.plan.jobs[name]

    def _threads(self, stage: str) -> int:
        return int(self.recipe.resources[stage]["threads"])

    def _board(self, stage: str, label: str) -> list[Any]:
        return ["--tensorboard", self.tensorboard / stage / label] if self.tensorboard else []

    def _prepare(self, code: str, text: str = "") -> Job:
        language = self.recipe.languages[code]
        given = dict(language.options)
        key: dict[str, Any] = {"language": code, "texts": [self.contents.of(path, "text") for path in language.texts]}
        needs: list[str] = []
        more: list[Any] = []
        if text:
            whole = self._prepare(code)
            for name in ("vocab_size", "model_type", "normalisation", "byte_fallback", "character_coverage",
                         "tokenizer_characters", "tokenizer", "tokens"):
                given.pop(name, None)
            given["tokens"] = text
            more, needs, key["tokenizer"] = ["--tokenizer", whole.output], [whole.id], whole.id
        elif "tokenizer" in given:
            key["tokenizer"] = self.contents.of(given["tokenizer"], "tokenizer")
        key["options"] = options.deciding("prepare", given)
        return self._add("prepare", f"{code}-{text}" if text else code, key, needs,
                         ["prepare", *language.texts, "--language", code, "--output", "{OUTPUT}", *more,
                          *options.words("prepare", given), "--workers", self._threads("prepare")],
                         language=code, **({"text": text} if text else {}))

    def _body(self, arm: Arm, seed: int) -> _Body:
        if arm.body:
            return self._ready(arm, seed)
        data = self._prepare(self.recipe.base)
        settings = options.deciding_of_pretraining(arm.settings)
        starts = self._starts(settings)
        label = f"{body_label(settings)}-s{seed}"
        name = f"{self.recipe.base}-{label}"
        key = {"data": data.id, "seed": seed, "settings": settings, **starts}
        job = self._add("pretrain", name, key, [data.id],
                        ["pretrain", arm.recipe, *arm.words, f"data={data.output}", "output={OUTPUT}", f"seed={seed}",
                         f"threads={self._threads('pretrain')}",
                         *([f"tensorboard={self.tensorboard / 'pretrain' / name}"] if self.tensorboard else [])],
                        arm=arm.name, seed=seed)
        source = _Embedding(self.recipe.base, job.output, job.id, [job.id])
        return _Body(label, job.output, job.id, [job.id], source)

    def _starts(self, settings: dict[str, Any]) -> dict[str, str]:
        """Takes the body and embedding that a pre-training goes on from out of its settings: what they hold counts, not where."""
        found = {}
        for name in ("from_body", "from_embedding"):
            if path := settings.pop(name, ""):
                found[name] = path if path == NEW else self.contents.of(path, "what a pre-training goes on from")
        return found

    def _ready(self, arm: Arm, seed: int) -> _Body:
        """A body that is there: its fingerprint is its key, its record tells its label."""
        path = Path(arm.body.replace("{seed}", str(seed)))
        embedding = Path(arm.embedding.replace("{seed}", str(seed))) if arm.embedding else path
        records = {kind: next((file for file in (place / kind / f"{kind}.json", place / f"{kind}.json") if file.exists()), None)
                   for kind, place in (("body", path), ("embedding", embedding))}
        found: dict[str, Record] = {}
        for kind, file in records.items():
            if file is None:
                self.contents.missing.setdefault(str(path if kind == "body" else embedding), kind)
            found[kind] = (read_object(file, f"the record of the {kind}") if file
                           else Record({"fingerprint": f"missing:{path}"}, path))
        made = found["body"].optional_table("made")
        rule = made.optional_table("forgetting")
        label = body_label({f"forget_{name}": value for name, value in rule.items() if value}) if rule else path.name
        own = made.get("seed")
        label = f"{label}-b{own}-s{seed}" if own is not None and own != seed else f"{label}-s{seed}"
        source = _Embedding(self.recipe.base, embedding, str(found["embedding"].get("fingerprint")), [])
        return _Body(label, path, str(found["body"].get("fingerprint")), [], source, embedding if arm.embedding else None)

    def _embedding(self, arm: Arm, seed: int, body: _Body, code: str, initialiser: str, budget: Budget) -> _Embedding:
        r = self.recipe
        points = [one.updates for one in r.budgets if one.text == budget.text]
        last = max(points)
        data = self._prepare(code, budget.text)
        given = {**r.adapt, "updates": last}
        if given.get("resources"):
            given["resources"] = resources_for(str(given["resources"]), initialiser, code)
        given = {name: value for name, value in given.items() if name != "resources" or value}
        at = sorted(set(points) - {last})
        key = {"body": body.key, "source": body.embedding.key, "data": data.id, "initialiser": initialiser, "seed": seed,
               "at": at, "settings": options.deciding("adapt", given)}
        if not given.get("lr"):  # not as the outputs made when a fixed rate was the default
            key["lr"] = "auto"
        if given.get("resources"):
            parts = [item.partition("=") for item in str(given["resources"]).split(",")]
            key["resources"] = {name: self.contents.of(path, f"resource {name}") for name, _, path in parts}
        label = "-".join([code, *([budget.text] if budget.text else []), initialiser, "on", body.label])
        job = self._add("adapt", label, key, [*body.needs, data.id],
                        ["adapt", "--body", body.path, *(["--source-embedding", body.source] if body.source else []),
                         "--data", data.output, "--output", "{OUTPUT}", "--initialiser", initialiser,
                         *options.words("adapt", given),
                         *(["--save-embeddings-at", ",".join(map(str, at))] if at else []),
                         "--seed", seed, "--threads", self._threads("adapt"), *self._board("adapt", label)],
                        arm=arm.name, seed=seed, language=code, initialiser=initialiser,
                        **({"text": budget.text} if budget.text else {}))
        if budget.updates == last:
            return _Embedding(code, job.output, job.id, [job.id])
        return _Embedding(code, job.output / "at" / f"{budget.updates:06d}", f"{job.id}@{budget.updates}", [job.id])

    def _read(self, task: TaskSettings, given: dict[str, Any]) -> dict[str, Any]:
        """What a task learns from: contents of its files."""
        files = {name: [self.contents.of(path, f"a file of {task.train_task}") for path in given.get(name, [])]
                 for name in ("train_files", "dev_files")}
        teacher = given.get("teacher")
        return {"files": files, "data": "" if all(files.values()) else
                self.contents.of(task.train_data, f"files of {task.train_task}"),
                **({"teacher": self.contents.of(teacher, "a file of teachers' outputs")} if teacher else {})}

    def _multitask(self, mixture: MixtureSettings, arm: Arm, seed: int, body: _Body) -> Job:
        """The body that learns a mixture; its file stands in the store, under its own hash."""
        text = yaml.safe_dump(mixture.content, sort_keys=False, allow_unicode=True)
        file = self.store / "mixtures" / f"{short(mixture.content)}.yaml"
        self.plan.files[file] = text
        read = {}
        for task in mixture.tasks:
            entry = mixture.mixture.tasks[task.train_task]
            read[task.train_task] = self._read(task, asdict(entry))
            if entry.labels:
                read[task.train_task]["labels"] = self.contents.of(entry.labels, "labels")
        key = {"body": body.key, "embedding": body.embedding.key, "seed": seed, "mixture": mixture.identity, "read": read,
               "settings": options.deciding("multitask", mixture.options)}
        label = f"{len(read)}-tasks-{mixture.mixture.policy.name}-on-{body.label}"
        return self._add("multitask", label, key, body.needs,
                         ["multitask", "--body", body.path, *(["--embedding", body.source] if body.source else []),
                          "--mixture", file, "--output", "{OUTPUT}", *options.words("multitask", mixture.options),
                          "--seed", seed, "--threads", self._threads("multitask"), *self._board("multitask", label)],
                         arm=arm.name, seed=seed, mixture=mixture.name, tasks=list(read))

    def _finetune(self, task: TaskSettings, arm: Arm, seed: int, body: _Body, **cell: Any) -> Job:
        given = task.finetune
        key = {"body": body.key, "embedding": body.embedding.key, "task": task.train_task, "seed": seed,
               **self._read(task, given), "settings": options.deciding("finetune", given)}
        if given.get("labels"):
            key["labels"] = self.contents.of(given["labels"], "labels")
        label = f"{task.train_task}-on-{body.label}"
        return self._add("finetune", label, key, body.needs,
                         ["finetune", "--body", body.path, *(["--embedding", body.source] if body.source else []),
                          "--task", task.train_task, "--data", task.train_data, "--output", "{OUTPUT}",
                          *options.words("finetune", given), "--seed", seed, "--threads", self._threads("finetune"),
                          *self._board("finetune", label)],
                         arm=arm.name, seed=seed, task=task.train_task, **cell)

    def _evaluate(self, task: TaskSettings, arm: Arm, seed: int, learned: Job, embeddings: list[_Embedding], initialiser: str,
                  budget: Budget | None, **cell: Any) -> None:
        key = {"body": learned.id, "embeddings": [one.key for one in embeddings], "task": task.name, "split": task.split,
               "data": self.contents.of(task.data, f"files of {task.name}"),
               "settings": options.deciding("evaluate", task.evaluate)}
        which = "-".join([initialiser, budget.label]) if budget else self.recipe.base
        words: list[Any] = ["evaluate", "--body", learned.output, "--task", task.name, "--split", task.split, "--data", task.data,
                            "--output", "{OUTPUT}"]
        for one in embeddings:
            words += ["--embedding", one.path]
        needs = [learned.id, *(need for one in embeddings for need in one.needs)]
        label = learned.id.rpartition("-")[0].partition("-on-")[2]
        if learned.stage == "multitask":
            label = f"multitask-{label}"
        self._add("evaluate", f"{task.name}-{task.split}-{which}-{label}", key, needs,
                  [*words, *options.words("evaluate", task.evaluate), "--threads", self._threads("evaluate")],
                  arm=arm.name, seed=seed, task=task.name, split=task.split, languages=[one.language for one in embeddings],
                  **cell, **({"initialiser": initialiser, "budget": budget.label, "updates": budget.updates} if budget else {}))


@dataclass(frozen=True)
class _Embedding:
    """An embedding that a command reads: its folder, its key, the jobs that make it."""

    language: str
    path: Path
    key: str
    needs: list[str]


@dataclass(frozen=True)
class _Body:
    """A body that commands read; `source` is its embedding's folder where that does not lie beside it."""

    label: str
    path: Path
    key: str
    needs: list[str]
    embedding: _Embedding
    source: Path | None = None


def body_label(settings: dict[str, Any]) -> str:
    """`standard`, `forgetting400`, `temporary400to1600`, `control400`: the arm and its K, as in the report, with the embedding's
    scale of the learning rate where it has one, and how its resets differ from drawing all rows anew: `standard-x5`,
    `forgetting400-share0.5`, `forgetting400-rotate4`."""
    every, until, scale = settings.get("forget_every", 0), settings.get("forget_until", 0), settings.get("embedding_lr_scale", 1)
    end = f"-x{scale:g}" if scale != 1 else ""
    if every and settings.get("forget_reset") in ("permute", "rotate"):
        end += f"-{settings['forget_reset']}{settings.get('forget_tables') or ''}"
    if every:
        end += "".join(f"-{name}{value:g}" for name in ("share", "hold") if (value := settings.get(f"forget_{name}")))
    if not every:
        return "standard" + end
    if settings.get("forget_reset") == "none":
        return f"control{every}" + end
    return (f"temporary{every}to{until}" if until else f"forgetting{every}") + end


def make_plan(recipe: RunRecipe, store: Path, tensorboard: Path | None = None) -> Plan:
    """The plan of a recipe with its outputs in `store`."""
    return Planner(recipe, store, tensorboard).build()
