"""What a language adaptation learns from: masked language modelling, replaced-token detection, or both (docs/electra.md).

A RoBERTa body has one objective. Of an ELECTRA body, tasks use the discriminator, but only its generator answers with a
distribution over the vocabulary. `mlm` trains the shared table through the frozen generator; `rtd` through the frozen
discriminator, on samples of a generator that reads the same table; `joint` plays the game of pre-training.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from adapt.settings import OBJECTIVES, AdaptSettings
from pretrain.artefacts.body import DRAWN, ELECTRA, Body
from pretrain.base.errors import UserError, unknown
from pretrain.settings import PretrainRecipe

DEFAULT = "mlm"
"""Of an ELECTRA body with a generator that shares its table: the best on real text (docs/electra.md, "Language adaptation")."""
INHERITED = ("sampling_temperature", "disallow_correct", "focal_gamma", "hardness_loss", "hardness_weight",
             "hardness_clip", "hardness_mixture", "hardness_detach", "disc_weighting")
"""Settings of pre-training that make the game, taken over where the objective plays it."""


@dataclass(frozen=True)
class Objective:
    """An objective that fits its body.

    Attributes:
        name: one of OBJECTIVES.
        tying: what the networks of the pair share while they are adapted; empty for RoBERTa.
    """

    name: str
    tying: str = ""

    def switched_off(self) -> dict[str, float]:
        """Weights of the pair's criterion that are 0 because the objective leaves that loss out."""
        return {"rtd": {"mlm_weight": 0.0}, "mlm": {"rtd_weight": 0.0, "hardness_weight": 0.0}}.get(self.name, {})


def resolve(name: str, disentangle: bool, body: Body, place: str) -> Objective:
    """The objective asked for, or the body's default where `name` is empty.

    Args:
        disentangle: the generator's table learns from the language model, the discriminator's offset to it from
            replaced-token detection (He et al. 2021, "DeBERTaV3").
        place: the body as the user named it.

    Raises:
        UserError: a task body, an unknown objective, or one that this body cannot have.
    """
    if body.task:
        raise UserError(f"{place} is a task body ({body.task['name']}); languages are adapted to the pre-trained body "
                        "it descends from, and work with all its task bodies")
    if body.made.get("head") == DRAWN:
        raise UserError(f"{place}: its LM head was drawn when it was imported and never trained, so no embedding can be learned "
                        f"against it; train it first: relexify pretrain RECIPE from={place} head_only_updates=N …")
    if name and name not in OBJECTIVES:
        raise unknown("objective", name, OBJECTIVES)
    if body.backbone != ELECTRA:
        if disentangle or name not in ("", "mlm"):
            raise UserError(f"{place} is a RoBERTa body, which has no discriminator: its objective is mlm; leave out "
                            + ("--disentangle" if disentangle else f"--objective {name}"))
        return Objective("mlm")
    part = body.generator
    if part is None:
        if disentangle or name in ("mlm", "joint"):
            raise UserError(f"{place} has no generator (generator.safetensors), so nothing can be learned from masked "
                            "language modelling; use --objective rtd without --disentangle (replacements are then drawn by "
                            "the pieces' frequency)")
        return Objective("rtd", "none")
    name = name or ("joint" if disentangle or part.tying == "none" else DEFAULT)
    tying = "gdes" if disentangle else part.tying
    if name == "rtd" and disentangle:
        raise UserError("--objective rtd with --disentangle would leave the generator's table as it was drawn; use "
                        "--objective joint")
    if name == "mlm" and tying == "none":
        raise UserError(f"{place}: the networks of this pair have tables of their own, and mlm would never touch the "
                        "discriminator's; use --objective joint or rtd, or joint with --disentangle")
    return Objective(name, tying)


def criterion_options(objective: Objective, settings: AdaptSettings, body: Body) -> dict[str, Any]:
    """Options of the training line's criterion, `fairseq-train … --criterion`.

    Which of its losses have a weight of 0 the objective says; `adapt.trainer.task` sets them.

    Raises:
        UserError: settings of the discriminator's loss for an objective that has none.
    """
    if objective.name == "mlm":
        for name in ("rtd_weight", "rtd_start", "rtd_warmup"):
            if (given := getattr(settings, name)) != getattr(AdaptSettings, name):
                raise UserError(f"--{name.replace('_', '-')} {given:g}: the discriminator takes no part in the objective mlm; "
                                "leave it out" + (", or say --objective joint" if body.backbone == ELECTRA else ""))
    if body.backbone != ELECTRA:
        return {"criterion": "modular_masked_lm"}
    recipe = body.recipe
    options: dict[str, Any] = {"criterion": "modular_replaced_token"}
    for name in INHERITED:
        if name in recipe:
            options[name] = recipe[name]
    if objective.name == "mlm":
        return options
    options["rtd_weight"] = weight(settings, body)
    options["rtd_start"] = settings.rtd_start
    options["rtd_warmup"] = settings.updates // 10 if settings.rtd_warmup < 0 else settings.rtd_warmup
    return options


def weight(settings: AdaptSettings, body: Body) -> float:
    """lambda: as asked for, else as in pre-training, else the paper's 50."""
    if settings.rtd_weight >= 0:
        return settings.rtd_weight
    return float(body.recipe.get("rtd_weight", PretrainRecipe.rtd_weight))


def mask_policy(settings: AdaptSettings, body: Body) -> str:
    """How tokens are hidden: as asked for, else as in pre-training, else RoBERTa's way."""
    return settings.mask_policy or str(body.recipe.get("mask_policy", PretrainRecipe.mask_policy))
