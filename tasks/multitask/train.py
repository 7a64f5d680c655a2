"""Training on a mixture as one call: one body learns many tasks and is written with a head for each (docs/multitask.md)."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from adapt.artefacts.assemble import check_compatible
from adapt.artefacts.embedding import Embedding
from adapt.artefacts.resources import embedding_of, locate
from pretrain.artefacts.body import HEADS, SEVERAL, Body
from pretrain.base.checkpoints import load_checkpoint
from pretrain.base.environment import environment
from pretrain.base.errors import UserError
from pretrain.base.settings import check, option, trainer_options
from pretrain.masked_lm import EMBEDDING_WEIGHT, VOCABULARY_INDEXED
from pretrain.schedule import check_warmup
from pretrain.stage import Stage, command_line, common_options, tensorboard_folder
from tasks.distillation.student import STUDENT
from tasks.family import Examples
from tasks.heads.model import task_model
from tasks.heads.several import body_for
from tasks.multitask.batches import in_batches
from tasks.multitask.member import Member, members_of
from tasks.multitask.recipe import MEAN, MEAN_SCORE, Mixture, read_mixture
from tasks.multitask.settings import MultitaskSettings
from tasks.predict import choose_device
from tasks.settings import default_lr
from tasks.stage import make
from tasks.tables import aligned

NEVER = 10**9
PLACES = ("data", "train_files", "dev_files", *STUDENT)
"""Of an entry what says where its data stands; what it is, its hashes say."""


@dataclass
class Plan:
    """What a run will do, and what it was planned from."""

    stage: Stage
    body: Body
    embedding: Embedding
    mixture: Mixture
    members: dict[str, Member]
    train: dict[str, Examples]
    dev: dict[str, Examples]
    updates: int
    lr: float


def plan(settings: MultitaskSettings, overwrite: bool = False, quiet: bool = False) -> Plan:
    """The training stage; checks everything that can be checked before a process is started.

    Raises:
        UserError: a wrong artefact, mixture, file, label or number.
    """
    check(settings, option)
    mixture = read_mixture(settings.mixture)
    body = Body.load(locate(settings.body, "body"))
    source = embedding_of(settings.body, settings.embedding)
    embedding = Embedding.load(source)
    check_compatible(body, embedding)
    members = members_of(mixture, body, embedding, settings.seed, settings.source_language)
    train = {name: one.train() for name, one in members.items()}
    for name, one in members.items():
        one.learn(train[name])
    dev = {name: one.dev() for name, one in members.items()}
    batches = mixture.policy.batches({name: in_batches(one.family.items(train[name], embedding), settings.batch_size)
                                      for name, one in members.items()})
    per_epoch = math.ceil(batches / settings.update_freq)
    updates = settings.updates or max(1, round(settings.epochs * per_epoch))
    lr = settings.lr or default_lr(body.config.width)
    warmup = int(settings.warmup * updates) if settings.warmup < 1 else int(settings.warmup)
    check_warmup(warmup, updates, f"--warmup {settings.warmup:g}")
    validate_every = settings.validate_every or max(1, min(per_epoch // 2, updates // 10))
    chosen = MEAN_SCORE if mixture.best == MEAN else f"{mixture.best}_{members[mixture.best].definition.metric}"
    options: dict[str, Any] = {
        "task": "modular_mixture", "arch": "modular_task_body", "criterion": "modular_mixture",
        **trainer_options(settings, "task", "training", "adam"), "embedding": str(source),
        **(trainer_options(settings, "decay") if settings.layer_decay != 1 else {}),
        "best_checkpoint_metric": chosen, "maximize_best_checkpoint_metric": True, "curriculum": NEVER,
        "ignore_unused_valid_subsets": True,
        "planned_epochs": math.ceil(updates / per_epoch), "ddp_backend": "legacy_ddp",
        "cpu": settings.cpu, "tensorboard_logdir": tensorboard_folder(settings.tensorboard),
    }
    options.update(common_options(
        updates=updates, batch_size=settings.batch_size, lr=lr, warmup=warmup, seed=settings.seed,
        clip_norm=settings.clip_norm, validate_every=validate_every, update_freq=settings.update_freq,
        weight_decay=settings.weight_decay))
    identity = asdict(settings)
    for place in ("output", "threads", "tensorboard", "cpu", "mixture"):
        identity.pop(place)
    identity.update(
        body=body.fingerprint, embedding=embedding.record()["fingerprint"], updates=updates, lr=lr,
        policy=asdict(mixture.policy), best=mixture.best,
        tasks={name: {**{key: value for key, value in asdict(one.entry).items() if key not in PLACES},
                      **({"teacher": one.lesson.identity} if one.lesson else {}),
                      "version": one.definition.version, "train_sha256": train[name].sha256(),
                      "dev_sha256": dev[name].sha256(), "labels": one.labels} for name, one in members.items()})
    output = Path(settings.output)
    stage = Stage(f"multitask {output.name}", output, command_line("tasks", settings.mixture, options), updates, identity,
                  threads=settings.threads, overwrite=overwrite, quiet=quiet, kind="a task body")
    return Plan(stage, body, embedding, mixture, members, train, dev, updates, lr)


def multitask(settings: MultitaskSettings, overwrite: bool = False, quiet: bool = False, keep: bool = False,
              restart: bool = False) -> Body:
    """Trains and writes `OUTPUT`: the body with the heads of all tasks that the mixture's `best` chose, and `curves.json`.

    Args:
        keep: leave checkpoints and log in `OUTPUT.training`.
        restart: throw away an unfinished run rather than resume it.

    Raises:
        UserError: a mistake in the settings, the mixture or the files; an existing output without `overwrite`.
    """
    planned = plan(settings, overwrite, quiet)
    measures = [f"{name}_{one.definition.metric}" for name, one in planned.members.items()]
    return make(planned.stage, lambda checkpoint: export(checkpoint, settings, planned), [MEAN_SCORE, *measures],
                {"split": "dev"}, with_embedding=settings.train_embedding, keep=keep, restart=restart)


def export(checkpoint: Path, settings: MultitaskSettings, planned: Plan) -> tuple[Body, Embedding]:
    """The body in a checkpoint of this stage, every task scored on its dev split as it stands, and its embedding."""
    state = load_checkpoint(checkpoint)
    trained: dict[str, torch.Tensor] = state["model"]
    start, embedding = planned.body, planned.embedding
    tensors = {name: tensor for name, tensor in start.tensors.items() if not name.startswith(HEADS)}
    tensors.update({name: tensor for name, tensor in trained.items() if name not in VOCABULARY_INDEXED})
    if EMBEDDING_WEIGHT in trained:
        embedding = replace(embedding, weight=trained[EMBEDDING_WEIGHT],
                            made={**embedding.made, "trained_with_task": SEVERAL})
    records: dict[str, Any] = {}
    for name, one in planned.members.items():
        records[name] = {"name": name, "version": one.definition.version, "metric": one.definition.metric, **one.family.record()}
    made = {
        "stage": "multitask", "seed": settings.seed, "updates": int(state["optimizer_history"][-1]["num_updates"]),
        "planned_updates": planned.updates, "lr": planned.lr, "warmup": settings.warmup,
        "examples_per_update": settings.batch_size * settings.update_freq, "weight_decay": settings.weight_decay,
        "clip_norm": settings.clip_norm, "adam_betas": settings.adam_betas, "adam_eps": settings.adam_eps,
        "layer_decay": settings.layer_decay,
        "layer_decay_variant": settings.layer_decay_variant if settings.layer_decay != 1 else None, "dropout": settings.dropout,
        "attention_dropout": settings.attention_dropout, "precision": settings.precision,
        "policy": asdict(planned.mixture.policy), "best": planned.mixture.best,
        "tasks": {name: {**one.family.made(), "loss": one.loss, "weight": one.entry.weight, "dropout": one.dropout,
                         "limit": one.entry.limit, "train_files": planned.train[name].files,
                         "train_examples": len(planned.train[name]), "data_sha256": planned.train[name].sha256(),
                         **({"teacher": one.lesson.record()} if one.lesson else {})}
                  for name, one in planned.members.items()},
        "embedding_trained": settings.train_embedding, "embedding_language": embedding.language,
        "embedding_fingerprint": planned.embedding.record()["fingerprint"], "body_fingerprint": start.fingerprint,
        "body_made": start.made, "environment": environment(training=True),
    }
    body = Body(start.config, tensors, start.lineage, start.backbone, made, {
        "name": SEVERAL, "head": SEVERAL, "labels": [], "version": "", "metric": planned.mixture.best, "tasks": records})
    device = "cpu" if settings.cpu else choose_device("auto")
    for name, one in planned.members.items():
        model = task_model(body_for(body, [name]), embedding, device, settings.precision)
        scores = one.family.dev_score(model, embedding, planned.dev[name])
        records[name].update({**one.family.learned(), "dev": {
            "split": one.entry.dev_split, "language": one.language, **scores, "files": planned.dev[name].files,
            "data_sha256": planned.dev[name].sha256()}})
    return body, embedding


def summary(body: Body, output: str | Path) -> str:
    """A table of the dev scores with their mean, for the terminal."""
    if body.task is None or body.task["name"] != SEVERAL:
        raise UserError(f"{output}: no body of several tasks")
    records = body.task["tasks"]
    rows = [["task", "metric", "dev", "n", "reading nothing"]]
    for name, record in records.items():
        dev = record["dev"]
        rows.append([name, record["metric"], f"{dev['score']:.3f} ± {dev['standard_error']:.3f}", f"{dev['n']:,}",
                     f"{dev['baseline']['score']:.3f}" if "baseline" in dev else ""])
    mean = sum(record["dev"]["score"] for record in records.values()) / len(records)
    rows.append([f"mean of {len(records)}", "", f"{mean:.3f}", "", ""])
    return (f"{output}: body of {len(records)} tasks, best by {body.task['metric']} after {body.made['updates']:,} of "
            f"{body.made['planned_updates']:,} updates\n{aligned(rows, left=2)}")
