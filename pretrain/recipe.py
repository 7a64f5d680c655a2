"""The settings of a pre-training run and the `fairseq-train` line they stand for."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from omegaconf import MISSING

from pretrain.errors import unknown
from pretrain.files import read_json, require_folder, sha256_file
from pretrain.forgetting import Forgetting
from pretrain.schedule import Polynomial
from pretrain.stage import Stage, command_line, common_options

SIZES = ("tiny", "mini", "small", "base", "large")


@dataclass
class PretrainRecipe:
    """One pre-training run. Paper: Chen et al. 2023, table of hyper-parameters; defaults are for a laptop."""

    data: str = MISSING
    """Folder written by `relexify prepare`."""
    output: str = MISSING
    """Where the run's `body` and `embedding` will stand."""
    arch: str = "roberta_tiny"
    """roberta_tiny, roberta_mini, roberta_small, roberta_base or roberta_large."""
    layers: int = 0
    """Overrides of the preset; 0 keeps it."""
    width: int = 0
    heads: int = 0
    ffn: int = 0
    embedding_width: int = 0
    relative_buckets: int = 0
    """Buckets of a relative-position bias; 0: off."""
    tokens_per_sample: int = 128
    """Length of a block in tokens."""
    max_positions: int = 0
    """Longest input of the body in tokens; 0: as `tokens_per_sample`."""
    batch_size: int = 16
    """Blocks per device and micro-batch."""
    update_freq: int = 1
    """Micro-batches per update."""
    updates: int = 2000
    """Updates of the run."""
    lr: float = 1e-3
    warmup: int = 100
    """Updates of linear warm-up; then linear decay to 0."""
    weight_decay: float = 0.01
    decay_all: bool = False
    """Decay biases and LayerNorms too, as fairseq's adam does."""
    adam_betas: str = "(0.9, 0.98)"
    adam_eps: float = 1e-6
    clip_norm: float = 0.5
    """Global gradient norm; 0: no clipping. The same in both arms (the paper clipped the forgetting arm only)."""
    dropout: float = 0.1
    attention_dropout: float = 0.1
    mask_prob: float = 0.15
    mask_policy: str = "bert"
    precision: str = "fp32"
    compile: bool = False
    forget_every: int = 0
    """K, updates per episode; 0: a standard run."""
    forget_start: int = 0
    forget_until: int = 0
    forget_reset: str = "normal"
    forget_scope: str = "embedding"
    validate_every: int = 500
    """Updates between validations, each of which also writes a checkpoint to resume from."""
    epoch_blocks: int = 0
    seed: int = 1
    processes: int = 1
    """GPUs of this machine (torchrun); 1 starts no launcher."""
    threads: int = 0
    """CPU threads; 0 leaves the choice to torch."""
    tensorboard: str = ""
    """Folder for TensorBoard logs; empty: none."""


def check(recipe: PretrainRecipe) -> list[str]:
    """Warnings about a recipe; raises UserError for settings that cannot work."""
    family, _, size = recipe.arch.partition("_")
    if family != "roberta" or size not in SIZES:
        raise unknown("arch", recipe.arch, [f"roberta_{name}" for name in SIZES])
    require_folder(recipe.data, "prepared text (see `relexify prepare`)")
    Polynomial(recipe.lr, recipe.warmup, recipe.updates)
    return forgetting(recipe).warnings(recipe.updates, recipe.warmup)


def forgetting(recipe: PretrainRecipe) -> Forgetting:
    """The forgetting settings of a recipe."""
    return Forgetting(recipe.forget_every, recipe.forget_start, recipe.forget_until, recipe.forget_reset,
                      recipe.forget_scope)


def data_hash(folder: str | Path) -> str:
    """SHA-256 of the binarised training text."""
    return sha256_file(Path(folder) / "train.bin")


def stage(recipe: PretrainRecipe, overwrite: bool = False, quiet: bool = False) -> Stage:
    """The training stage of a recipe."""
    check(recipe)
    options: dict[str, Any] = {
        "task": "modular_mlm",
        "arch": "modular_" + recipe.arch,
        "criterion": "modular_masked_lm",
        "encoder_layers": recipe.layers or None,
        "encoder_embed_dim": recipe.width or None,
        "encoder_attention_heads": recipe.heads or None,
        "encoder_ffn_embed_dim": recipe.ffn or None,
        "token_embed_dim": recipe.embedding_width or None,
        "relative_buckets": recipe.relative_buckets or None,
        "tokens_per_sample": recipe.tokens_per_sample,
        "max_positions": recipe.max_positions or recipe.tokens_per_sample,
        "dropout": recipe.dropout,
        "attention_dropout": recipe.attention_dropout,
        "mask_prob": recipe.mask_prob,
        "mask_policy": recipe.mask_policy,
        "precision": recipe.precision,
        "compile": recipe.compile,
        "epoch_blocks": recipe.epoch_blocks or None,
        "decay_all": recipe.decay_all,
        "adam_betas": recipe.adam_betas,
        "adam_eps": recipe.adam_eps,
        "tensorboard_logdir": recipe.tensorboard or None,
    }
    if recipe.forget_every:
        options.update(forget_every=recipe.forget_every, forget_start=recipe.forget_start or None,
                       forget_until=recipe.forget_until or None, forget_reset=recipe.forget_reset,
                       forget_scope=recipe.forget_scope)
    options.update(common_options(
        updates=recipe.updates, batch_size=recipe.batch_size, lr=recipe.lr, warmup=recipe.warmup, seed=recipe.seed,
        clip_norm=recipe.clip_norm, validate_every=recipe.validate_every, update_freq=recipe.update_freq,
        weight_decay=recipe.weight_decay))
    settings = asdict(recipe)
    for place in ("output", "threads", "tensorboard"):
        settings.pop(place)
    settings["data"] = data_hash(recipe.data)
    return Stage("pretrain", Path(recipe.output), command_line("pretrain", recipe.data, options), recipe.updates,
                 settings, threads=recipe.threads, overwrite=overwrite, quiet=quiet, processes=recipe.processes)


def provenance(recipe: PretrainRecipe) -> dict[str, Any]:
    """What `body.json` says about how the body was made."""
    prepared = read_json(Path(recipe.data) / "prepare.json", "the record of prepared data")
    return {
        "recipe": asdict(recipe),
        "seed": recipe.seed,
        "updates": recipe.updates,
        "language": prepared["language"],
        "tokens_per_update": recipe.batch_size * recipe.tokens_per_sample * recipe.update_freq * recipe.processes,
        "forgetting": forgetting(recipe).to_dict(),
        "data_sha256": data_hash(recipe.data),
    }
