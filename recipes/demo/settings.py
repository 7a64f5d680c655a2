"""Sizes of the demo, and its arms: what it plans with and what its findings speak of."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pretrain.settings import PretrainRecipe

STANDARD, SCALED, CONTROL, TEMPORARY, FORGETTING = "standard", "standard-x5", "control", "temporary", "forgetting"
MAIN = (CONTROL, TEMPORARY, SCALED, STANDARD, FORGETTING)
FURTHER = ("permuted", "partial", "rotating", "held", "bias-reset", "every-100", "every-400", "long-end", "scale-1", "scale-2",
           "scale-10")
"""Variants of `temporary`, each with one thing changed."""
ARMS = (*MAIN, *FURTHER)
"""Recipes `recipes/pretrain/demo-ARM.yaml`, in the order in which a seed's bodies are made: the comparison that counts first."""
RATES = ("updates", "lr", "warmup", "embedding_lr_scale", "forget_every", "forget_start", "forget_until", "forget_warmup",
         "forget_scope")
"""Settings of a recipe that decide its learning rates."""
ENOUGH = 0.9
"""Share of the last episode that will do: the embedding's learning rate has come down."""
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
        whatever the length. Where K is half of that, it is rounded, and episodes begin at the multiples of K that follow. Where
        resets go on to the end and the tenth would leave a few updates after the last of them, it is one more, or one less.
        """
        recipe = recipe_of(arm, self.backbone)
        if not recipe.forget_every:
            return {}
        tenths = 5 if self.backbone == "electra" else 10
        before, now = (max(2, updates // tenths) for updates in (recipe.updates, self.updates))
        near = [now] if recipe.forget_until else [now, now + 1, max(2, now - 1)]
        found = [self._counted(recipe, before, tenth) for tenth in near]
        return max(found, key=lambda one: min(ENOUGH, self._last_episode(one["forget_every"])))  # of equal ones the first

    @staticmethod
    def _counted(recipe: PretrainRecipe, before: int, now: int) -> dict[str, int]:
        """The numbers of a recipe where a tenth of its run, `before`, becomes `now`."""
        found = {name: round(getattr(recipe, name) * now / before)
                 for name in ("forget_every", "forget_start", "forget_until", "forget_hold") if getattr(recipe, name)}
        return {name: max(2 if name == "forget_every" else 1, value) for name, value in found.items()}

    def _last_episode(self, every: int) -> float:
        """The share of its last episode that a run with resets to the end has; 1 where the run ends with the episode."""
        return (self.updates % every or every) / every


def recipe_path(arm: str, backbone: str = "roberta") -> Path:
    """The file of an arm."""
    return Path(__file__).resolve().parents[1] / "pretrain" / f"demo-{'electra-' if backbone == 'electra' else ''}{arm}.yaml"


@cache
def recipe_of(arm: str, backbone: str = "roberta") -> PretrainRecipe:
    """The recipe of an arm, with its own numbers of updates."""
    from pretrain.base.config import load_recipe
    from pretrain.settings import PretrainRecipe

    return load_recipe(PretrainRecipe, str(recipe_path(arm, backbone)), ["data=any", "output=any"])


def of_run(arm: str, backbone: str, updates: int) -> PretrainRecipe:
    """The recipe of an arm as a demo of so many updates trains it, but for the sizes."""
    return replace(recipe_of(arm, backbone), updates=updates,
                   **DemoSettings(backbone=backbone, updates=updates).resets(arm))  # type: ignore[arg-type]


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
