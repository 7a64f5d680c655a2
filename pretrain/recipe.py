"""The settings of a pre-training run and the `fairseq-train` line they stand for."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from omegaconf import MISSING

from pretrain.base.environment import environment
from pretrain.base.errors import UserError, unknown
from pretrain.base.files import read_json, require_folder, sha256_file
from pretrain.electra.networks import NORM_EPS, SOURCES, ElectraConfig, generator_config
from pretrain.electra.networks import SIZES as SIZES_OF_PAIRS
from pretrain.encoder import EncoderConfig
from pretrain.forgetting import Forgetting
from pretrain.schedule import Polynomial
from pretrain.stage import Stage, command_line, common_options, tensorboard_folder

SIZES = {"roberta": ("tiny", "mini", "small", "base", "large"), "electra": ("tiny", "small", "base", "large")}


@dataclass
class PretrainRecipe:
    """One pre-training run. Paper: Chen et al. 2023, table of hyper-parameters; defaults are for a laptop."""

    data: str = MISSING
    """Folder written by `relexify prepare`."""
    output: str = MISSING
    """Where the run's `body` and `embedding` will stand."""
    arch: str = "roberta_tiny"
    """roberta_tiny, roberta_mini, roberta_small, roberta_base, roberta_large; electra_tiny, electra_small, electra_base or
    electra_large."""
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
    """bert (80/10/10), electra (85/15/0) or mask (100/0/0)."""
    focal_gamma: float = 0.0
    """Focal loss of the masked language model in training: weight (1 - p)^gamma; 0: cross entropy."""
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
    """GPUs of a machine (torchrun); 1 starts no launcher."""
    nodes: int = 1
    """Machines of a Slurm allocation (srun starts torchrun on each)."""
    threads: int = 0
    """CPU threads; 0 leaves the choice to torch."""
    tensorboard: str = ""
    """Folder for TensorBoard logs; empty: none."""
    # ELECTRA alone
    generator: str = "network"
    """Source of replacements: network, or without a generator uniform or unigram."""
    generator_width: float = 0.0
    """Width of the generator as a multiple of the discriminator's; 0 keeps the preset's."""
    generator_depth: float = 1.0
    """Its layers as a multiple."""
    tying: str = "embedding"
    """Shared by the networks: none, token, embedding (token and position table, LayerNorm), all or gdes."""
    rtd_weight: float = 50.0
    """lambda, weight of the discriminator's loss."""
    rtd_start: int = 0
    """The discriminator does not learn for so many updates."""
    rtd_warmup: int = 0
    """Then lambda rises linearly over so many updates."""
    rtd_episode_warmup: int = -1
    """After each reset lambda rises again over so many updates; -1: a tenth of an episode."""
    sampling_temperature: float = 1.0
    disallow_correct: bool = False
    """Never sample the original token."""
    hardness_head: str = "none"
    """none, loss (HP-Loss) or dist (HP-Dist): a second head of the generator that chooses replacements."""
    hardness_loss: str = "bce"
    """HP-Loss: bce or mse."""
    hardness_weight: float = 1.0
    hardness_clip: float = 10.0
    """Ceiling of importance weights; 0: none."""
    hardness_mixture: float = 0.1
    """Share of the generator's own distribution in the sampling."""
    hardness_start: int = 0
    """Sample from the generator for so many updates, at first and after each reset."""
    hardness_detach: bool = False
    disc_weighting: str = "none"
    """Importance weights of the discriminator's loss: none, is or is-clipped."""
    clip_per_network: bool = False
    """Clip generator, discriminator and what they share each by its own norm."""


ELECTRA_ONLY = ("generator", "generator_width", "generator_depth", "tying", "rtd_weight", "rtd_start", "rtd_warmup",
                "rtd_episode_warmup", "sampling_temperature", "disallow_correct", "hardness_head", "hardness_loss",
                "hardness_weight", "hardness_clip", "hardness_mixture", "hardness_start", "hardness_detach",
                "disc_weighting", "clip_per_network")
"""Settings that another architecture has no use for."""


def check(recipe: PretrainRecipe) -> list[str]:
    """Warnings about a recipe; raises UserError for settings that cannot work."""
    family, _, size = recipe.arch.partition("_")
    if size not in SIZES.get(family, ()):
        raise unknown("arch", recipe.arch, [f"{known}_{name}" for known, sizes in SIZES.items() for name in sizes])
    if family == "electra":
        pair_config(recipe)
    else:
        defaults = {field.name: field.default for field in fields(PretrainRecipe)}
        useless = [name for name in ELECTRA_ONLY if getattr(recipe, name) != defaults[name]]
        if useless:
            raise UserError(f"{', '.join(useless)}: only an ELECTRA pair has such a setting, and arch is {recipe.arch}; leave "
                            "it out, or name an arch electra_…")
    require_folder(recipe.data, "prepared text (see `relexify prepare`)")
    Polynomial(recipe.lr, recipe.warmup, recipe.updates)
    return forgetting(recipe).warnings(recipe.updates, recipe.warmup)


def pair_config(recipe: PretrainRecipe) -> ElectraConfig:
    """The shapes of an ELECTRA recipe's pair.

    Raises:
        UserError: shapes or shared parts that do not fit together.
    """
    preset = SIZES_OF_PAIRS[recipe.arch.partition("_")[2]]
    own = {name: getattr(recipe, name) or preset[name] for name in ("layers", "width", "heads", "ffn", "embedding_width")}
    shape = EncoderConfig(**own, max_positions=recipe.max_positions or recipe.tokens_per_sample,
                          relative_buckets=recipe.relative_buckets, norm_eps=NORM_EPS)
    if recipe.generator not in SOURCES:
        raise unknown("generator", recipe.generator, SOURCES)
    generator = None
    if recipe.generator == "network":
        generator = generator_config(shape, recipe.generator_width or preset["generator_width"], recipe.generator_depth)
    return ElectraConfig(shape, generator, recipe.tying, recipe.hardness_head)


def recorded(recipe: PretrainRecipe) -> dict[str, Any]:
    """A recipe's settings as artefacts and unfinished runs record them: without those that its architecture does not have,
    and without later additions that are not in use, so that what was begun or written before reads the same."""
    settings = asdict(recipe)
    if not recipe.arch.startswith("electra"):
        for name in ELECTRA_ONLY:
            settings.pop(name)
    if not recipe.focal_gamma:
        settings.pop("focal_gamma")
    if recipe.nodes == 1:
        settings.pop("nodes")
    return settings


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
    electra = recipe.arch.startswith("electra")
    options: dict[str, Any] = {
        "task": "modular_mlm",
        "arch": "modular_" + recipe.arch,
        "criterion": "modular_masked_lm" if not electra else "modular_replaced_token",
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
        "focal_gamma": recipe.focal_gamma or None,
        "precision": recipe.precision,
        "compile": recipe.compile,
        "epoch_blocks": recipe.epoch_blocks or None,
        "decay_all": recipe.decay_all,
        "adam_betas": recipe.adam_betas,
        "adam_eps": recipe.adam_eps,
        "tensorboard_logdir": tensorboard_folder(recipe.tensorboard),
    }
    if electra:
        options.update({name: getattr(recipe, name) for name in ELECTRA_ONLY})
        options["generator_width"] = recipe.generator_width or None
    if recipe.forget_every:
        options.update(forget_every=recipe.forget_every, forget_start=recipe.forget_start or None,
                       forget_until=recipe.forget_until or None, forget_reset=recipe.forget_reset,
                       forget_scope=recipe.forget_scope)
    options.update(common_options(
        updates=recipe.updates, batch_size=recipe.batch_size, lr=recipe.lr, warmup=recipe.warmup, seed=recipe.seed,
        clip_norm=recipe.clip_norm, validate_every=recipe.validate_every, update_freq=recipe.update_freq,
        weight_decay=recipe.weight_decay))
    settings = recorded(recipe)
    for place in ("output", "threads", "tensorboard"):
        settings.pop(place)
    settings["data"] = data_hash(recipe.data)
    return Stage("pretrain", Path(recipe.output), command_line("pretrain", recipe.data, options), recipe.updates,
                 settings, threads=recipe.threads, overwrite=overwrite, quiet=quiet, processes=recipe.processes,
                 nodes=recipe.nodes, kind="a body with an embedding")


def provenance(recipe: PretrainRecipe) -> dict[str, Any]:
    """What `body.json` says about how the body was made."""
    prepared = read_json(Path(recipe.data) / "prepare.json", "the record of prepared data")
    return {
        "recipe": recorded(recipe),
        "seed": recipe.seed,
        "updates": recipe.updates,
        "language": prepared["language"],
        "tokens_per_update": recipe.batch_size * recipe.tokens_per_sample * recipe.update_freq * recipe.processes * recipe.nodes,
        "forgetting": forgetting(recipe).to_dict(),
        "data_sha256": data_hash(recipe.data),
        "environment": environment(training=True),
    }
