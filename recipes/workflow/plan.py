"""A recipe as a plan: every cell a relexify command, and where in the store its output stands.

A store folder is named `STAGE/LABEL-HASH`. The hash is of what decides the result: the stage's settings as far as they are not
the defaults, the keys of the stages it builds on, the contents of the files it reads. The label says the same for people and
follows from the settings alone, never from a recipe's own names: two recipes that want the same thing name the same folder.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from adapt.artefacts.resources import named_resources
from pretrain.base.files import read_object
from pretrain.base.records import Record
from pretrain.base.settings import default_of
from pretrain.settings import NEW, PretrainRecipe
from recipes.workflow import options
from recipes.workflow.content import Contents, short
from recipes.workflow.initialisers import resources_for
from recipes.workflow.jobs import Job, Plan
from recipes.workflow.mixtures import MixtureSettings
from recipes.workflow.run_tasks import TaskSettings
from recipes.workflow.settings import Arm, Budget, RunRecipe
from tasks.registry import get_task

OF_A_TOKENIZER = ("vocab_size", "model_type", "normalisation", "byte_fallback", "character_coverage", "tokenizer_characters")
"""Options of `prepare` that make a tokenizer."""


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
        points = [(initialiser, budget) for initialiser in r.initialisers for budget in r.budgets]
        for task in (one for one in r.tasks if seed in one.seeds):
            for codes in task.train_languages:
                if codes == (r.base,):
                    self._score(task, arm, seed, self._finetune(task, arm, seed, body), body, adapted, points)
                    continue
                for initialiser, budget in points:  # what it learns with is scored with
                    sources = [body.embedding if code == r.base else adapted[initialiser, budget.label, code] for code in codes]
                    self._score(task, arm, seed, self._finetune_in(task, arm, seed, body, sources, initialiser, budget), body,
                                adapted, [(initialiser, budget)], train_languages=list(codes))
        for mixture in r.mixtures:
            tasks = [one for one in mixture.tasks if seed in one.seeds]
            if not tasks:
                continue
            learned = self._multitask(mixture, arm, seed, body)
            mixed = _Body(f"multitask-{body.label}", learned.output, learned.id, [learned.id], body.embedding,
                          body.source or body.embedding.path)
            for task in tasks:
                self._score(task, arm, seed, learned, body, adapted, points, mixture=mixture.name)
                if mixture.then:
                    head = mixture.mixture.tasks[task.train_task].head  # else its head could not go on
                    own = replace(task, finetune={**task.finetune, **({"head": head} if head else {})})
                    more = {"mixture": mixture.name, "then": "finetune"}
                    self._score(task, arm, seed, self._finetune(own, arm, seed, mixed, **more), body, adapted, points, **more)

    def _score(self, task: TaskSettings, arm: Arm, seed: int, learned: Job, body: _Body,
               adapted: dict[tuple[str, str, str], _Embedding], points: Iterable[tuple[str, Budget]], **cell: Any) -> None:
        """A body that has learned a task, scored with its own embedding and with those of these initialisers and budgets."""
        r = self.recipe
        own = [body.embedding] if r.base in task.languages else []
        two = get_task(task.name).two_languages  # the base is one of them, and by itself none
        if own and not two:
            self._evaluate(task, arm, seed, learned, own, "", None, **cell)
        for initialiser, budget in points:
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
            given = {name: value for name, value in given.items() if name not in (*OF_A_TOKENIZER, "tokenizer")}
            given["tokens"] = text
            more, needs, key["tokenizer"] = ["--tokenizer", whole.output], [whole.id], whole.id
        elif given.get("tokenizer"):  # it is there: what all languages' tokenizers are made with is not asked of it
            given = {name: value for name, value in given.items() if name not in OF_A_TOKENIZER}
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
        ends = sorted(set(points)) if r.annealed else []
        given = {**r.adapt, "updates": last}
        if ends:  # they say how long the runs are
            del given["updates"]
        if given.get("resources"):
            given["resources"] = resources_for(str(given["resources"]), initialiser, code)
        given = {name: value for name, value in given.items() if name != "resources" or value}
        at = [] if ends else sorted(set(points) - {last})
        key = {"body": body.key, "source": body.embedding.key, "data": data.id, "initialiser": initialiser, "seed": seed,
               "at": at, "settings": options.deciding("adapt", given)}
        if ends:
            key["budgets"] = ends
        if not given.get("lr"):  # not as the outputs made when a fixed rate was the default
            key["lr"] = "auto"
        if given.get("resources"):
            files = named_resources(str(given["resources"]))
            key["resources"] = {name: self.contents.of(path, f"resource {name}") for name, path in files.items()}
        label = "-".join([code, *([budget.text] if budget.text else []), initialiser, "on", body.label])
        job = self._add("adapt", label, key, [*body.needs, data.id],
                        ["adapt", "--body", body.path, *(["--source-embedding", body.source] if body.source else []),
                         "--data", data.output, "--output", "{OUTPUT}", "--initialiser", initialiser,
                         *options.words("adapt", given),
                         *(["--save-embeddings-at", ",".join(map(str, at))] if at else []),
                         *(["--budgets", ",".join(map(str, ends))] if ends else []),
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

    def _read_in(self, task: TaskSettings, codes: list[str]) -> dict[str, Any]:
        """The same of a training in several languages: whose file it is counts too."""
        files = {name: {code: [self.contents.of(path, f"a file of {task.train_task}") for path in paths]
                        for code, paths in own.items()} for name, own in task.files(codes).items()}
        whole = all(paths for own in files.values() for paths in own.values())
        return {"files": files, "data": "" if whole else self.contents.of(task.train_data, f"files of {task.train_task}")}

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
        """A training in the base language."""
        given = task.options([self.recipe.base])
        return self._learn(task, arm, seed, body, given, f"{task.train_task}-on-{body.label}",
                           {"embedding": body.embedding.key, **self._read(task, given)}, [body.source] if body.source else [], [],
                           **cell)

    def _finetune_in(self, task: TaskSettings, arm: Arm, seed: int, body: _Body, sources: list[_Embedding], initialiser: str,
                     budget: Budget) -> Job:
        """A training in the languages of these embeddings, each of which reads its own examples."""
        codes = [one.language for one in sources]
        given = task.options(codes)
        read = self._read_in(task, codes) if len(codes) > 1 else self._read(task, given)
        label = f"{task.train_task}-in-{'+'.join(codes)}-{initialiser}-{budget.label}-on-{body.label}"
        return self._learn(task, arm, seed, body, given, label, {"embeddings": [one.key for one in sources], **read},
                           [one.path for one in sources], [need for one in sources for need in one.needs],
                           train_languages=codes, initialiser=initialiser, budget=budget.label, updates=budget.updates)

    def _learn(self, task: TaskSettings, arm: Arm, seed: int, body: _Body, given: dict[str, Any], label: str,
               read: dict[str, Any], embeddings: Iterable[Path], needs: Iterable[str], **cell: Any) -> Job:
        """A training with these options and embeddings; `read`: what it reads, for its key."""
        key = {"body": body.key, "task": task.train_task, "seed": seed, **read, "settings": options.deciding("finetune", given)}
        if given.get("labels"):
            key["labels"] = self.contents.of(given["labels"], "labels")
        return self._add("finetune", label, key, [*body.needs, *needs],
                         ["finetune", "--body", body.path, *(word for path in embeddings for word in ("--embedding", path)),
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
        elif "train_languages" in cell:
            label = f"in-{'+'.join(cell['train_languages'])}-{label}"
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
    `forgetting400-share0.5`, `forgetting400-rotate4`, `forgetting400-bias-reset`. What has its default is not in it."""
    every, until, scale = settings.get("forget_every", 0), settings.get("forget_until", 0), settings.get("embedding_lr_scale", 1)
    end = f"-x{scale:g}" if scale != 1 else ""
    if every and settings.get("forget_reset") in ("permute", "rotate"):
        end += f"-{settings['forget_reset']}{settings.get('forget_tables') or ''}"
    if every:
        usual = {name: default_of(PretrainRecipe, f"forget_{name}") for name in ("share", "hold")}
        given = {name: settings.get(f"forget_{name}", value) for name, value in usual.items()}
        end += "".join(f"-{name}{value:g}" for name, value in given.items() if value != usual[name])
        end += f"-bias-{settings['forget_bias']}" if settings.get("forget_bias") else ""
    if not every:
        return "standard" + end
    if settings.get("forget_reset") == "none":
        return f"control{every}" + end
    return (f"temporary{every}to{until}" if until else f"forgetting{every}") + end


def make_plan(recipe: RunRecipe, store: Path, tensorboard: Path | None = None) -> Plan:
    """The plan of a recipe with its outputs in `store`."""
    return Planner(recipe, store, tensorboard).build()
