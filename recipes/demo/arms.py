"""What the arms of a demo are, in words made from their recipes' own numbers."""

from __future__ import annotations

from pretrain.recipe import forgetting
from pretrain.settings import PretrainRecipe
from recipes.demo.settings import CONTROL, FURTHER, TEMPORARY, of_run


def described(arm: str, backbone: str, updates: int) -> str:
    """How the bodies of an arm are pre-trained in a demo of so many updates."""
    recipe = of_run(arm, backbone, updates)
    if arm == CONTROL:
        return f"the learning rates of `{TEMPORARY}`, nothing is reset: its matched control"
    if arm in FURTHER:
        return f"as `{TEMPORARY}`, but " + "; ".join(_changes(recipe, of_run(TEMPORARY, backbone, updates)))
    return f"{_rate(recipe)}; {_resets(recipe)}"


def _rate(recipe: PretrainRecipe) -> str:
    scale = recipe.embedding_lr_scale
    return "one learning rate" if scale == 1 else f"the embedding's learning rate is {scale:g} times the body's"


def _resets(recipe: PretrainRecipe) -> str:
    """How often the embedding is reset, and when."""
    settings = forgetting(recipe)
    at = [update for update in range(1, recipe.updates) if settings.begins_episode(update)]
    if not at:
        return "the embedding is never reset"
    often = "once" if len(at) == 1 else f"{len(at)} times"
    end = "" if settings.until else " to the end"
    when = f"{at[0]:,}" if len(at) == 1 else f"{at[0]:,} to {at[-1]:,}"
    return f"the embedding is reset {often}, every {settings.every:,} updates{end}: after {when} of {recipe.updates:,}"


def _changes(recipe: PretrainRecipe, usual: PretrainRecipe) -> list[str]:
    """What a variant does otherwise, in words."""
    changed = {name for name, value in vars(recipe).items() if getattr(usual, name) != value}
    told = [{"permute": "a reset lets the pieces' rows change places",
             "rotate": f"{recipe.forget_tables} tables take turns, none is thrown away"}[recipe.forget_reset]
            ] if "forget_reset" in changed else []
    if "forget_share" in changed:
        told.append(f"a reset draws a random {100 * recipe.forget_share:g} % of the rows anew")
    if "forget_hold" in changed:
        told.append(f"the body does not move for {recipe.forget_hold:,} updates after each reset")
    if "forget_bias" in changed:
        told.append("a reset sets the output bias to zero too")
    if "embedding_lr_scale" in changed:
        told.append(_rate(recipe))
    if changed & {"forget_every", "forget_start", "forget_until"}:
        told.append(_resets(recipe))
    return told
