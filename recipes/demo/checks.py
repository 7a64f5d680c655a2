"""What a demo refuses before it writes anything, in the names of its command's own options."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec

from pretrain.base.errors import UserError, unknown
from pretrain.base.settings import LONG, SEED, Range, declared
from recipes.demo.settings import ARMS, DemoSettings, defaults, recipe_of, recipe_path

WORDS = 1_000
"""Of a language's text, at least: of two hundred, the pieces of a tokenizer cannot be learned."""
UPDATES = 20
"""Of a pre-training, at least: its tenth holds an episode of two updates, its twentieth the warm-up."""


def check(settings: DemoSettings, workers: int = 1) -> None:
    """Refuses settings that one of the steps would refuse, or that could not be drawn in the end.

    Raises:
        UserError: the first mistake.
    """
    from adapt.initialise import load_all

    if workers < 1:
        raise UserError(f"--workers {workers}: expected at least 1")
    for name, allowed in _ranges(settings).items():
        value = getattr(settings, name)
        for one in value if isinstance(value, tuple) else (value,):
            if not allowed.holds(one):
                raise UserError(f"--{name.replace('_', '-')} {one}: expected {allowed.text(int)}")
    if unscored := [one for one in settings.scored if one not in settings.budgets]:
        raise UserError(f"--scored {unscored[0]}: expected some of the budgets, {' '.join(map(str, settings.budgets))}")
    _check_arms(settings)
    _check_languages(settings.languages)
    _check_shape(settings)
    if settings.initialiser not in load_all():
        raise unknown("initialiser", settings.initialiser, load_all())
    if find_spec("matplotlib") is None:
        raise UserError("the picture of a demo needs matplotlib, which is not installed: pip install 'relexify[demo]'")


def _ranges(settings: DemoSettings) -> dict[str, Range]:
    """What numbers an option may have; a demo that scores no task may do without pairs."""
    from recipes.world.world import MOST

    pairs = Range(1 if settings.scored else 0, MOST)
    return {"seeds": SEED, "budgets": Range(2, LONG), "updates": Range(UPDATES, LONG), "layers": _given("layers"),
            "width": _given("width"), "finetune_updates": Range(1, LONG), "base_words": Range(WORDS, MOST),
            "new_words": Range(WORDS, MOST), "train_pairs": pairs, "test_pairs": pairs}


def _given(name: str) -> Range:
    """What a recipe may give where it gives something: its 0 leaves the choice to the size."""
    from pretrain.settings import PretrainRecipe

    allowed = declared(PretrainRecipe)[name].about.allowed
    assert isinstance(allowed, Range)
    return replace(allowed, least=1)


def _check_arms(settings: DemoSettings) -> None:
    if absent := [arm for arm in settings.arms if not recipe_path(arm, settings.backbone).exists()]:
        there = ", ".join(arm for arm in ARMS if recipe_path(arm, settings.backbone).exists())
        raise UserError(f"--arms {absent[0]}: got an arm that --backbone {settings.backbone} does not have, expected some of "
                        f"{there}")


def _check_languages(languages: tuple[str, ...]) -> None:
    from recipes.world import BASE, CODES

    new = [code for code in CODES if code != BASE]
    for place, code in enumerate(languages):
        if code not in new:
            raise UserError(f"--languages {code}: expected some of {', '.join(new)}"
                            + (f"; {BASE} is the base language, which every demo has" if code == BASE else ""))
        if code in languages[:place]:
            raise UserError(f"--languages {' '.join(languages)}: got {code} twice, expected different ones")


def _check_shape(settings: DemoSettings) -> None:
    """The bodies' size; an ELECTRA pair's is its recipe's."""
    from pretrain.shapes import MOST_PARAMETERS, of_recipe

    usual = defaults(settings.backbone)
    if settings.backbone == "electra":
        for name in ("layers", "width"):
            if (value := getattr(settings, name)) != getattr(usual, name):
                raise UserError(f"--{name} {value}: the pair of --backbone electra has {getattr(usual, name)}, as its recipe "
                                f"says; leave --{name} out")
        return
    heads = of_recipe(recipe_of(settings.arms[0], settings.backbone))["heads"]
    if settings.width % heads:
        below = settings.width // heads * heads
        raise UserError(f"--width {settings.width}: expected a multiple of the {heads} attention heads, such as {below + heads}")
    if settings.layers * 12 * settings.width**2 > MOST_PARAMETERS:
        raise UserError(f"--layers {settings.layers} --width {settings.width}: a body of more than "
                        f"{MOST_PARAMETERS:,} parameters, for which no machine has memory; lower them")
