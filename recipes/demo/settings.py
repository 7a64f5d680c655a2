"""Sizes of the demo, and its arms: what it plans with and what its findings speak of."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pretrain.settings import PretrainRecipe

STANDARD, SCALED, CONTROL, TEMPORARY, FORGETTING = "standard", "standard-x5", "control", "temporary", "forgetting"
MAIN = (CONTROL, TEMPORARY, SCALED, STANDARD, FORGETTING)
MEANING = {
    STANDARD: "pre-trained as usual, one learning rate",
    SCALED: "the embedding's learning rate is five times the body's",
    CONTROL: "the rates of `temporary`, no reset: its matched control",
    TEMPORARY: "×5, and the embedding reset five times in the first 60 % of the run",
    FORGETTING: "×5, and the embedding reset to the end",
    "permuted": "as `temporary`, but a reset lets the pieces' rows change places",
    "partial": "as `temporary`, but a reset draws a random half of the rows anew",
    "rotating": "as `temporary`, but four tables take turns, none is thrown away",
    "held": "as `temporary`, but the body does not move for the first tenth of an episode",
    "bias-reset": "as `temporary`, but a reset sets the output bias to zero too",
    "every-100": "as `temporary`, but with K halved: ten resets in the same part of the run",
    "every-400": "as `temporary`, but with K doubled: three resets in the same part of the run",
    "long-end": "as `temporary`, but with two resets in the first 30 % of the run",
    "scale-1": "as `temporary`, but ×1",
    "scale-2": "as `temporary`, but ×2",
    "scale-10": "as `temporary`, but ×10",
}
ARMS = (*MAIN, *(arm for arm in MEANING if arm not in MAIN))
"""Recipes `recipes/pretrain/demo-ARM.yaml`, in the order in which a seed's bodies are made: the comparison that counts first."""
RATES = ("updates", "lr", "warmup", "embedding_lr_scale", "forget_every", "forget_start", "forget_until", "forget_warmup",
         "forget_scope")
"""Settings of a recipe that decide its learning rates."""
BACKBONES = ("roberta", "electra")


@dataclass(frozen=True)
class DemoSettings:
    """Sizes of the demo; see docs/forgetting.md for how they were chosen."""

    seeds: tuple[int, ...] = (1, 2, 3)
    """Of world, texts, bodies and embeddings: every seed is another world."""
    backbone: str = "roberta"
    arms: tuple[str, ...] = (CONTROL, TEMPORARY, STANDARD)
    """The comparison that counts, and what everybody does; the others are there to be asked for."""
    languages: tuple[str, ...] = ("qab",)
    budgets: tuple[int, ...] = (30, 60, 120, 300)
    """Adaptation updates of one finished embedding each."""
    scored: tuple[int, ...] = (300,)
    """Budgets whose embeddings are scored on a task too; none: no task body is made."""
    initialiser: str = "random"
    """How the rows of every new embedding begin; the world's own dictionary and the base's text are its resources."""
    base_words: int = 1_000_000
    new_words: int = 100_000
    vocabulary: int = 600
    train_pairs: int = 8_000
    test_pairs: int = 1_000
    layers: int = 2
    width: int = 64
    updates: int = 1600
    block: int = 64
    batch: int = 16
    finetune_updates: int = 400
    finetune_lr: float = 1e-3

    def resets(self, arm: str) -> dict[str, int]:
        """When episodes begin and end and how long the body is held: as the arm's recipe says, for a run of this length.

        Counted in tenths of the run (of an ELECTRA pair's in fifths), which is K of most recipes: it divides the other numbers
        whatever the length. Where K is half of that, it is rounded, and episodes begin at the multiples of K that follow.
        """
        recipe = recipe_of(arm, self.backbone)
        if not recipe.forget_every:
            return {}
        parts = 5 if self.backbone == "electra" else 10
        before, now = (max(2, updates // parts) for updates in (recipe.updates, self.updates))
        found = {name: round(getattr(recipe, name) * now / before)
                 for name in ("forget_every", "forget_start", "forget_until", "forget_hold") if getattr(recipe, name)}
        return {name: max(2 if name == "forget_every" else 1, value) for name, value in found.items()}


def recipe_path(arm: str, backbone: str = "roberta") -> Path:
    """The file of an arm."""
    return Path(__file__).resolve().parents[1] / "pretrain" / f"demo-{'electra-' if backbone == 'electra' else ''}{arm}.yaml"


@cache
def recipe_of(arm: str, backbone: str = "roberta") -> PretrainRecipe:
    """The recipe of an arm, with its own numbers of updates."""
    from pretrain.base.config import load_recipe
    from pretrain.settings import PretrainRecipe

    return load_recipe(PretrainRecipe, str(recipe_path(arm, backbone)), ["data=any", "output=any"])


def same_rates(one: str, other: str) -> bool:
    """Whether two arms have every learning rate and the number of updates in common, so that their difference is that of what
    happens when an episode begins."""
    first, second = recipe_of(one), recipe_of(other)
    return all(getattr(first, name) == getattr(second, name) for name in RATES)


ELECTRA = {"updates": 1300, "arms": (STANDARD, FORGETTING), "layers": 4, "width": 128}
"""What an ELECTRA demo does otherwise: fewer, larger bodies."""


def defaults(backbone: str) -> DemoSettings:
    """The demo's own settings for a backbone."""
    return DemoSettings(backbone=backbone, **(ELECTRA if backbone == "electra" else {}))  # type: ignore[arg-type]
