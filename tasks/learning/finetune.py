"""Task adaptation as one call: train a body and a head on the source language, write the task body (docs/artefacts.md)."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from adapt.artefacts.assemble import swap
from adapt.artefacts.embedding import Embedding
from adapt.artefacts.resources import locate
from pretrain.artefacts.body import HEADS, Body
from pretrain.base.checkpoints import load_checkpoint
from pretrain.base.environment import environment
from pretrain.base.errors import UserError
from pretrain.base.settings import check, option, trainer_options
from pretrain.masked_lm import EMBEDDING_WEIGHT, VOCABULARY_INDEXED
from pretrain.schedule import check_warmup
from pretrain.stage import Stage, command_line, common_options, tensorboard_folder
from tasks.definition import Definition
from tasks.distillation.student import STUDENT, Distillation, Lesson
from tasks.heads.model import task_model
from tasks.learning.languages import Source, in_common, made_of, sources_of, together
from tasks.predict import choose_device
from tasks.registry import get_task
from tasks.settings import FinetuneSettings, default_lr
from tasks.stage import make

NEVER = 10**9
"""Epochs before fairseq shuffles batches itself."""
LANGUAGES = "modular_languages"
"""The fairseq task and criterion of a training in several languages."""


@dataclass
class Plan:
    """What a run will do, and what it was planned from.

    Attributes:
        sources: of each training language its embedding and examples; most runs have one.
    """

    stage: Stage
    body: Body
    task: Definition
    sources: dict[str, Source]
    updates: int
    lr: float
    lesson: Lesson | None = None

    @property
    def first(self) -> Source:
        """The only training language, or the first of several."""
        return next(iter(self.sources.values()))


def plan(settings: FinetuneSettings, overwrite: bool = False, quiet: bool = False) -> Plan:
    """The training stage; checks everything that can be checked before a process is started.

    Raises:
        UserError: a wrong artefact, file, label or number.
    """
    task = get_task(settings.task).with_labels(settings.labels)
    body = Body.load(locate(settings.body, "body"))
    check_numbers(settings)
    distillation = Distillation.of(settings)
    sources = sources_of(settings, task, body, distillation)
    several = len(sources) > 1
    lesson = None
    if distillation:
        code, only = next(iter(sources.items()))
        lesson = distillation.learn(task, only.train, code, settings.head or task.heads[0])
    batches = sum(math.ceil(one.family.items(one.train, one.embedding) / settings.batch_size) for one in sources.values())
    per_epoch = math.ceil(batches / settings.update_freq)
    updates = settings.updates or max(1, round(settings.epochs * per_epoch))
    lr = settings.lr or default_lr(body.config.width)
    warmup = int(settings.warmup * updates) if settings.warmup < 1 else int(settings.warmup)
    check_warmup(warmup, updates, f"--warmup {settings.warmup:g}")
    validate_every = settings.validate_every or max(1, min(per_epoch // 2, updates // 10))
    marked = "{0}={1}" if several else "{1}"
    files = {name: ",".join(marked.format(code, path) for code, one in sources.items() for path in getattr(one, name)) or None
             for name in ("train_files", "dev_files")}
    options: dict[str, Any] = {
        "task": "modular_finetune", "arch": "modular_task_body", "criterion": task.criterion,
        **trainer_options(settings, "task", "training", "adam"), "task_name": task.name,
        "embedding": ",".join(str(one.place) for one in sources.values()), **files,
        **(trainer_options(settings, "decay") if settings.layer_decay != 1 else {}),
        **({"task": LANGUAGES, "criterion": LANGUAGES, "curriculum": NEVER, **trainer_options(settings, "languages")}
           if several else {}),
        "best_checkpoint_metric": task.metric, "maximize_best_checkpoint_metric": True,
        "required_batch_size_multiple": 1, "cpu": settings.cpu, "tensorboard_logdir": tensorboard_folder(settings.tensorboard),
    }
    options.update(common_options(
        updates=updates, batch_size=settings.batch_size, lr=lr, warmup=warmup, seed=settings.seed,
        clip_norm=settings.clip_norm, validate_every=validate_every, update_freq=settings.update_freq,
        weight_decay=settings.weight_decay))
    identity = asdict(settings)
    for place in ("output", "threads", "tensorboard", "cpu", "data", "train_files", "dev_files", "labels",
                  *STUDENT, *([] if several else ["language_sampling"])):
        identity.pop(place)
    own = {code: {"embedding": one.embedding.record()["fingerprint"], "train_sha256": one.train.sha256(),
                  "dev_sha256": one.dev.sha256()} for code, one in sources.items()}
    identity.update(task=[task.name, task.version], body=body.fingerprint,
                    **({"embedding": list(own), "languages": own} if several else next(iter(own.values()))),
                    updates=updates, lr=lr, language="+".join(sources), labels=list(getattr(task, "labels", ())),
                    **({"teacher": lesson.identity} if lesson else {}))
    output = Path(settings.output)
    stage = Stage(f"finetune {output.name}", output, command_line("tasks", settings.data, options), updates, identity,
                  threads=settings.threads, overwrite=overwrite, quiet=quiet, kind="a task body")
    return Plan(stage, body, task, sources, updates, lr, lesson)


def body_fingerprint(settings: FinetuneSettings) -> str:
    """Of the body that a run starts from."""
    return Body.load(locate(settings.body, "body")).fingerprint


def check_numbers(settings: FinetuneSettings) -> None:
    """Refuses settings that cannot work or would make the scores worthless."""
    check(settings, option)
    if settings.dev_split in ("train", "test"):
        raise UserError(f"--dev-split {settings.dev_split}: the split that chooses the checkpoint says nothing about "
                        "it any more; choose on dev")
    for path in (*settings.train_files, *settings.dev_files):
        if "," in path:
            raise UserError(f"{path!r}: fairseq-train takes a list with commas; rename the file")


def finetune(settings: FinetuneSettings, overwrite: bool = False, quiet: bool = False, keep: bool = False,
             restart: bool = False) -> Body:
    """Trains and writes `OUTPUT`: the task body with the best dev score and `curves.json`.

    With `train_embedding`, `OUTPUT/embedding` holds the embedding as it was trained.

    Args:
        keep: leave checkpoints and log in `OUTPUT.training`.
        restart: throw away an unfinished run rather than resume it.

    Raises:
        UserError: a mistake in the settings or the files; an existing output without `overwrite`.
    """
    planned = plan(settings, overwrite, quiet)
    metric = planned.task.metric
    measures = [metric, *([f"{code}_{metric}" for code in planned.sources] if len(planned.sources) > 1 else [])]
    return make(planned.stage, lambda checkpoint: export(checkpoint, settings, planned), measures,
                {"split": settings.dev_split, "language": "+".join(planned.sources)}, with_embedding=settings.train_embedding,
                keep=keep, restart=restart)


def export(checkpoint: Path, settings: FinetuneSettings, planned: Plan) -> tuple[Body, Embedding]:
    """The task body in a checkpoint of this stage, scored on the dev split as it stands, and its (first) embedding."""
    state = load_checkpoint(checkpoint)
    trained: dict[str, torch.Tensor] = state["model"]
    start, task, sources = planned.body, planned.task, planned.sources
    embedding = planned.first.embedding
    tensors = {name: tensor for name, tensor in start.tensors.items() if not name.startswith(HEADS)}
    tensors.update({name: tensor for name, tensor in trained.items() if name not in VOCABULARY_INDEXED})
    if EMBEDDING_WEIGHT in trained:
        embedding = replace(embedding, weight=trained[EMBEDDING_WEIGHT],
                            made={**embedding.made, "trained_with_task": task.name})
    best = int(state["optimizer_history"][-1]["num_updates"])
    made = {
        "stage": "finetune", "seed": settings.seed, "updates": best, "planned_updates": planned.updates,
        "lr": planned.lr, "warmup": settings.warmup,
        "examples_per_update": settings.batch_size * settings.update_freq,
        "weight_decay": settings.weight_decay, "clip_norm": settings.clip_norm, "adam_betas": settings.adam_betas,
        "adam_eps": settings.adam_eps, "layer_decay": settings.layer_decay,
        "layer_decay_variant": settings.layer_decay_variant if settings.layer_decay != 1 else None, "dropout": settings.dropout,
        "attention_dropout": settings.attention_dropout, "precision": settings.precision,
        **in_common([one.family.made() for one in sources.values()]),
        "embedding_trained": settings.train_embedding, **made_of(sources, settings, start.fingerprint),
        "body_made": start.made, **({"teacher": planned.lesson.record()} if planned.lesson else {}),
        "environment": environment(training=True),
    }
    record = {"name": task.name, "version": task.version, "metric": task.metric, **planned.first.family.record()}
    body = Body(start.config, tensors, start.lineage, start.backbone, made, record)
    model = task_model(body, embedding, "cpu" if settings.cpu else choose_device("auto"), settings.precision)
    scores = {}
    for code, one in sources.items():
        own = embedding if one is planned.first else one.embedding
        swap(model, own)
        # computed from the exported tensors, not taken from the log
        scores[code] = {**one.family.dev_score(model, own, one.dev), "files": one.dev.files, "data_sha256": one.dev.sha256()}
    body.task = {**record, **in_common([one.family.learned() for one in sources.values()]), "dev": {
        "split": settings.dev_split, "language": "+".join(sources), **together(scores)}}
    return body, embedding


def summary(body: Body, output: str | Path) -> str:
    """Two lines for the terminal, and one for each of several languages."""
    assert body.task is not None
    dev, metric = body.task["dev"], body.task["metric"]
    return (f"{output}: task body for {body.task['name']}, best after {body.made['updates']:,} of "
            f"{body.made['planned_updates']:,} updates\n"
            f"{dev['split']} ({dev['language']}) {metric} {dev['score']:.3f} ± {dev['standard_error']:.3f}"
            f", n = {dev['n']:,}; it chose the checkpoint, so it is slightly optimistic" + "".join(
                f"\n{dev['split']} ({code}) {metric} {one['score']:.3f} ± {one['standard_error']:.3f}, n = {one['n']:,}"
                for code, one in dev.get("languages", {}).items()))
