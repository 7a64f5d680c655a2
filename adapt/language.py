"""Language adaptation as one call: train an embedding against a frozen body, write the artefact.

Chen et al. 2023; docs/design-notes.md.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from adapt.artefacts.embedding import Embedding
from adapt.artefacts.resources import locate, parse_resources
from adapt.initialise import check_resources
from adapt.initialise.coverage import NAMES, of_checkpoint
from adapt.objective import criterion_options, mask_policy, resolve, weight
from adapt.schedule import scaled, warmup_of
from adapt.settings import AdaptSettings, check_budgets, check_points
from adapt.text.tokenizer import Tokenizer
from pretrain.artefacts.body import ELECTRA, Body
from pretrain.base.checkpoints import load_checkpoint
from pretrain.base.environment import environment
from pretrain.base.errors import UserError
from pretrain.base.files import read_json, read_object, sha256_file, training_folder, write_json
from pretrain.base.settings import check, default_of, option, points, trainer_options
from pretrain.recipe import data_hash
from pretrain.schedule import check_warmup
from pretrain.stage import Stage, command_line, common_options, tensorboard_folder
from pretrain.training_log import read_curve

LR_FILE = "lr.json"
"""In the training folder: what `--lr auto` found."""


def resource_hashes(settings: AdaptSettings) -> dict[str, str]:
    """What the initialiser's files hold: name -> sha256; their paths say nothing elsewhere."""
    return {name: sha256_file(path) for name, path in parse_resources(settings.resources).items()}


def lengths(settings: AdaptSettings) -> tuple[int, ...]:
    """Updates of each run of an adaptation, in the order in which they are trained; the last one's embedding is the output."""
    return tuple(sorted(points(settings.budgets))) or (settings.updates,)


def stage(settings: AdaptSettings, overwrite: bool = False, quiet: bool = False) -> Stage:
    """The training stage; checks everything that can be checked before a process is started."""
    return _planned(settings, overwrite, quiet)[0]


def _planned(settings: AdaptSettings, overwrite: bool, quiet: bool) -> tuple[Stage, Body]:
    """The stage and the body it was planned from: reading and hashing a large one takes seconds."""
    check(settings, option)
    check_points(settings.save_embeddings_at, settings.updates)
    check_budgets(settings)
    check_resources(settings.initialiser, parse_resources(settings.resources))
    runs = lengths(settings)
    check_warmup(warmup_of(runs[0], settings.warmup), runs[0], f"--warmup {settings.warmup}",
                 f"the shortest run (--budgets {settings.budgets})" if settings.budgets else "the run")
    annealed = bool(settings.budgets) or not settings.lr
    warmup, updates = 0 if annealed else warmup_of(settings.updates, settings.warmup), sum(runs)
    body = Body.load(locate(settings.body, "body"))
    objective = resolve(settings.objective, settings.disentangle, body, settings.body)
    if settings.tokens_per_sample > body.config.max_positions:
        raise UserError(f"--tokens-per-sample {settings.tokens_per_sample} exceeds the body's "
                        f"{body.config.max_positions} positions; lower it")
    Tokenizer.load(settings.data)
    output = Path(settings.output)
    options: dict[str, Any] = {
        "task": "modular_adapt", "arch": "modular_frozen_pair" if body.backbone == ELECTRA else "modular_frozen_body",
        **criterion_options(objective, settings, body), **trainer_options(settings, "adapt", "blocks", "training"),
        "objective": objective.name if body.backbone == ELECTRA else None, "mask_policy": mask_policy(settings, body),
        "epoch_blocks": 100 * settings.batch_size, "tensorboard_logdir": tensorboard_folder(settings.tensorboard),
    }
    if settings.save_embeddings_at or settings.budgets:
        options["embeddings_dir"] = training_folder(output) / "at"
    if annealed:
        options.update(run_warmup=settings.warmup, lr_file=training_folder(output) / LR_FILE if not settings.lr else None)
    options.update(common_options(
        updates=updates, batch_size=settings.batch_size, lr=settings.lr, warmup=warmup, seed=settings.seed,
        clip_norm=settings.clip_norm, validate_every=settings.validate_every, update_freq=settings.update_freq,
        patience=settings.patience, weight_decay=settings.weight_decay))
    identity = asdict(settings)
    for place in ("output", "threads", "tensorboard"):
        identity.pop(place)
    defaults = {name: default_of(AdaptSettings, name) for name in ("processes", "nodes", "budgets")}
    for name, value in defaults.items():
        if identity[name] == value:  # what was begun before there were these settings goes on
            identity.pop(name)
    if resources := resource_hashes(settings):
        identity["resources"] = resources
    identity["objective"] = objective.name
    identity["body"] = body.fingerprint
    identity["data"] = data_hash(settings.data)
    planned = Stage(f"adapt {output.name}", output, command_line("adapt", settings.data, options), updates, identity,
                    threads=settings.threads, overwrite=overwrite, quiet=quiet, processes=settings.processes,
                    nodes=settings.nodes, patience=settings.patience, kind="an embedding",
                    defaults=defaults)
    return planned, body


def adapt(settings: AdaptSettings, overwrite: bool = False, quiet: bool = False, keep: bool = False) -> Embedding:
    """Trains and writes `OUTPUT`: the best embedding (with `budgets` that of the longest run), `curves.json`, and `at/UPDATES/`
    for each saved step or budget.

    Args:
        keep: leave checkpoints and log in `OUTPUT.training`.
    """
    run, body = _planned(settings, overwrite, quiet)
    with run.claimed():
        if not run.committed:
            folder = run.run()
            before = sum(lengths(settings)[:-1])
            curve = [{**point, "update": update, "tokens": update * settings.tokens_per_update} for point in read_curve(folder)
                     if (update := point["update"] - before) > 0]
            embedding = export(folder / f"checkpoint_{'last' if settings.budgets else 'best'}.pt", settings, curve, body)
            with run.artefact() as target:
                embedding.save(target)
                write_json(target / "curves.json", curve)
                for place in sorted((folder / "at").glob("[0-9]*")):  # copied: a kill after this finds them again
                    if settings.budgets:
                        _finished(place, settings, body).save(target / "at" / place.name)
                    else:
                        shutil.copytree(place, target / "at" / place.name)
                if settings.budgets:
                    embedding.save(target / "at" / f"{lengths(settings)[-1]:06d}")
        run.clean_up(keep)
    return Embedding.load(settings.output)


def export(checkpoint: Path, settings: AdaptSettings, curve: list[dict[str, float]], body: Body) -> Embedding:
    """The embedding module in a checkpoint of this stage."""
    state = load_checkpoint(checkpoint)
    tensors = state["model"]
    updates = int(state["optimizer_history"][-1]["num_updates"]) - sum(lengths(settings)[:-1])
    held_out = next((point for point in curve if point["update"] == updates), {})
    prepared = read_object(Path(settings.data) / "prepare.json", "the record of prepared data")
    made = _made(settings, body, updates, lengths(settings)[-1], held_out, of_checkpoint(state))
    return Embedding.of_state(tensors, body.backbone, Tokenizer.load(settings.data), prepared.language(), body.lineage, made)


def _finished(place: Path, settings: AdaptSettings, body: Body) -> Embedding:
    """The embedding at the end of one of several runs, with a record as the last one's."""
    embedding = Embedding.load(place)
    updates = int(embedding.made["updates"])
    held_out = {name.removeprefix("held_out_"): value for name, value in embedding.made.items() if name.startswith("held_out_")}
    known = {name: embedding.made[name] for name in NAMES if name in embedding.made}
    embedding.made = _made(settings, body, updates, updates, held_out, known)
    return embedding


def _made(settings: AdaptSettings, body: Body, updates: int, planned: int, held_out: Mapping[str, float],
          known: Mapping[str, Any]) -> dict[str, Any]:
    """What an embedding's record says about a run.

    Args:
        planned: length of the run.
        held_out: its held-out figures.
        known: how much the initialiser knew (`adapt.initialise.coverage`).
    """
    rate, search = settings.lr, {}
    if not settings.lr:
        search = read_json(training_folder(Path(settings.output)) / LR_FILE, "the learning rate that was found")
        rate = scaled(search["rate"], search["updates"], (planned,))[0]
    made = {
        "initialiser": settings.initialiser, "special_rows": settings.special_rows, **known, "seed": settings.seed,
        "updates": updates, "planned_updates": planned, "tokens_per_update": settings.tokens_per_update,
        "tokens_seen": updates * settings.tokens_per_update, "lr": rate, "warmup": settings.warmup,
        "held_out_loss_bits": held_out.get("loss"),
        "data_sha256": data_hash(settings.data), "environment": environment(training=True),
        **({"resources": resource_hashes(settings)} if settings.resources else {}),
        **({"lr_search": search} if search else {}), **({"budgets": settings.budgets} if settings.budgets else {}),
    }
    if body.backbone == ELECTRA:
        objective = resolve(settings.objective, settings.disentangle, body, settings.body)
        made.update(objective=objective.name, tying=objective.tying, rtd_start=settings.rtd_start,
                    rtd_weight=weight(settings, body) if objective.name != "mlm" else 0.0,
                    **{f"held_out_{name}": held_out.get(name) for name in ("mlm_loss", "rtd_loss", "rtd_auc")})
    return made
