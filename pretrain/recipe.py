"""The settings of a pre-training run and the `fairseq-train` line they stand for."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from pretrain.base.environment import environment
from pretrain.base.errors import UserError
from pretrain.base.files import read_object, require_file, require_folder, sha256_file
from pretrain.base.settings import check as check_settings
from pretrain.base.settings import default_of, trainer_options
from pretrain.forgetting import Forgetting
from pretrain.schedule import check_warmup
from pretrain.settings import ELECTRA_ONLY, NEW, PretrainRecipe
from pretrain.shapes import encoder_shape, of_recipe, pair_shape
from pretrain.stage import Stage, command_line, common_options, tensorboard_folder
from pretrain.start import Start

LATER = ("focal_gamma", "nodes", "embedding_lr_scale", "forget_warmup", "forget_bias", "forget_share", "forget_tables",
         "forget_hold", "from_body", "from_embedding", "head_only_updates", "segments")
"""Settings that came later: a record says nothing of them where they have their defaults."""


def check(recipe: PretrainRecipe) -> list[str]:
    """Warnings about a recipe.

    Raises:
        UserError: settings that cannot work, by themselves or together.
    """
    check_settings(recipe)
    notes = _check_forgetting(recipe)
    if recipe.arch.startswith("electra"):
        pair_shape(of_recipe(recipe))
    else:
        encoder_shape(of_recipe(recipe))
        useless = [name for name in ELECTRA_ONLY if getattr(recipe, name) != default_of(PretrainRecipe, name)]
        if useless:
            raise UserError(f"{', '.join(useless)}: only an ELECTRA pair has such a setting, and arch is {recipe.arch}; leave "
                            "it out, or name an arch electra_…")
    if recipe.hardness_head != "none" and recipe.forget_every and recipe.hardness_start >= recipe.forget_every:
        raise UserError(f"hardness_start={recipe.hardness_start}: counts anew after each reset, every {recipe.forget_every} "
                        "updates (forget_every), so that the hardness head would never be sampled from; lower it")
    if recipe.forget_reset == "rotate" and recipe.rtd_episode_warmup >= recipe.forget_every > 0:
        raise UserError(f"rtd_episode_warmup={recipe.rtd_episode_warmup}: counts anew with each table, every "
                        f"{recipe.forget_every} updates (forget_every), so that lambda would never be reached; lower it")
    if recipe.max_positions and recipe.max_positions < recipe.tokens_per_sample:
        raise UserError(f"max_positions={recipe.max_positions}: expected at least the {recipe.tokens_per_sample} tokens of a "
                        "block (tokens_per_sample), or 0")
    require_folder(recipe.data, "prepared text (see `relexify prepare`)")
    _check_start(recipe)
    check_warmup(recipe.warmup, recipe.updates, f"warmup={recipe.warmup}")
    return notes


def _check_forgetting(recipe: PretrainRecipe) -> list[str]:
    """Warnings and errors about the resets, in the names of a recipe: `forget_every`, where the trainer's line has an option."""
    def spelled(text: str) -> str:
        return text.replace("--forget-", "forget_")

    try:
        resets = forgetting(recipe)
        found = resets.warnings(recipe.updates, recipe.warmup)
        resets.check_end(recipe.updates)
    except UserError as error:
        raise UserError(spelled(str(error))) from None
    return [spelled(text) for text in found]


def _check_start(recipe: PretrainRecipe) -> None:
    """Refuses settings of a start that there is not, and resets while only the heads learn."""
    if not recipe.from_body:
        for name in ("from_embedding", "head_only_updates"):
            if value := getattr(recipe, name):
                raise UserError(f"{name}={value}: only a training that goes on from a body (from=…) has it; leave it out")
    if recipe.head_only_updates > recipe.updates:
        raise UserError(f"head_only_updates={recipe.head_only_updates}: more than the {recipe.updates} updates of the run; "
                        "lower it")
    first = max(forgetting(recipe).first, recipe.forget_every)
    if recipe.forget_every and first < recipe.head_only_updates:
        raise UserError(f"head_only_updates={recipe.head_only_updates}: the embedding would be reset after {first} updates, "
                        f"while only the heads learn; set forget_start={recipe.head_only_updates} or later")


def recorded(recipe: PretrainRecipe) -> dict[str, Any]:
    """A recipe's settings as artefacts and unfinished runs record them: without those that its architecture does not have,
    and without later additions that are not in use, so that what was begun or written before reads the same."""
    settings = asdict(recipe)
    if not recipe.arch.startswith("electra"):
        for name in ELECTRA_ONLY:
            settings.pop(name)
    for name in LATER:
        if settings[name] == default_of(PretrainRecipe, name):
            settings.pop(name)
    if recipe.from_body:
        settings["from"] = settings.pop("from_body")
        settings["arch"] = recipe.arch.partition("_")[0]  # the size is the body's
    return settings


def forgetting(recipe: PretrainRecipe) -> Forgetting:
    """The forgetting settings of a recipe."""
    return Forgetting.of(lambda name, default: getattr(recipe, name, default))


def data_hash(folder: str | Path) -> str:
    """SHA-256 of the binarised training text."""
    return sha256_file(require_file(Path(folder) / "train.bin", "binarised training text (see `relexify prepare`)"))


def stage(recipe: PretrainRecipe, overwrite: bool = False, quiet: bool = False, start: Start | None = None) -> Stage:
    """The training stage of a recipe.

    Args:
        start: what it goes on from (`from=`), whose shape the recipe has (`pretrain.start.shaped`).
    """
    check(recipe)
    read_object(Path(recipe.data) / "prepare.json", "the record of prepared data").language()  # before hours, not after them
    electra, scaled = recipe.arch.startswith("electra"), recipe.embedding_lr_scale != 1
    parts = ["shape", "blocks", "training", "focal", "adam", *(["start", "head"] if start else []),
             *(["pair", "game"] if electra else []),
             *(["forgetting"] if recipe.forget_every else []),
             *(["scope"] if recipe.forget_every or scaled else []), *(["scale"] if scaled else [])]
    options: dict[str, Any] = {
        "task": "modular_mlm",
        "arch": "modular_" + recipe.arch,
        "criterion": "modular_masked_lm" if not electra else "modular_replaced_token",
        **trainer_options(recipe, *parts),
        **_of_start(recipe, start),
        # torch's wrapper waits for the gradients of what does not learn for a while
        "find_unused_parameters": bool(recipe.head_only_updates or recipe.forget_hold) and recipe.processes * recipe.nodes > 1,
        "max_positions": recipe.max_positions or recipe.tokens_per_sample,
        "tensorboard_logdir": tensorboard_folder(recipe.tensorboard),
    }
    options.update(common_options(
        updates=recipe.updates, batch_size=recipe.batch_size, lr=recipe.lr, warmup=recipe.warmup, seed=recipe.seed,
        clip_norm=recipe.clip_norm, validate_every=recipe.validate_every, update_freq=recipe.update_freq,
        weight_decay=recipe.weight_decay))
    settings = recorded(recipe)
    for place in ("output", "threads", "tensorboard"):
        settings.pop(place)
    settings["data"] = data_hash(recipe.data)
    if start is not None:
        settings.update({"from": start.body.fingerprint, "from_embedding": start.lexicon.fingerprint if start.lexicon else NEW})
    return Stage("pretrain", Path(recipe.output), command_line("pretrain", recipe.data, options), recipe.updates,
                 settings, threads=recipe.threads, overwrite=overwrite, quiet=quiet, processes=recipe.processes,
                 nodes=recipe.nodes, kind="a body with an embedding",
                 defaults={name: default_of(PretrainRecipe, name) for name in LATER if name != "from_body"})


def _of_start(recipe: PretrainRecipe, start: Start | None) -> dict[str, Any]:
    """Options that only a training which goes on from a body has."""
    if start is None:
        return {}
    return {"norm_eps": start.body.config.norm_eps, "relative_distance": start.body.config.relative_distance}


def provenance(recipe: PretrainRecipe, start: Start | None = None) -> dict[str, Any]:
    """What `body.json` says about how the body was made."""
    prepared = read_object(Path(recipe.data) / "prepare.json", "the record of prepared data")
    return {
        "recipe": recorded(recipe),
        "seed": recipe.seed,
        "updates": recipe.updates,
        "language": prepared.language(),
        "tokens_per_update": recipe.batch_size * recipe.tokens_per_sample * recipe.update_freq * recipe.processes * recipe.nodes,
        "forgetting": forgetting(recipe).to_dict(),
        "data_sha256": data_hash(recipe.data),
        "environment": environment(training=True),
        **({"from": start.record()} if start else {}),
    }
