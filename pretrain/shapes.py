"""The shapes of the networks that settings stand for: the one place where layers and widths become a configuration.

Recipes, fairseq's flat options and the options that a checkpoint records are all read here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pretrain.base.errors import UserError, unknown
from pretrain.base.settings import declared
from pretrain.choices import SIZES, SOURCES
from pretrain.electra.networks import NORM_EPS, ElectraConfig, generator_config
from pretrain.encoder import EncoderConfig
from pretrain.settings import PretrainRecipe

MOST_PARAMETERS = 10**11
"""Of a body; far more than any machine that trains one process has memory for."""
PLAIN = ("relative_distance", "norm_eps")
"""Of a shape, but no setting of a recipe."""


def encoder_shape(values: Mapping[str, Any]) -> EncoderConfig:
    """A body's shape.

    Args:
        values: settings by name, sizes filled in; an `embedding_width` of 0 is that of the layers.

    Raises:
        UserError: a shape that cannot be, or one too large for any machine.
    """
    names = ("layers", "width", "heads", "ffn", "max_positions", "relative_buckets", *(name for name in PLAIN if name in values))
    shape = EncoderConfig(**{name: values[name] for name in names}, embedding_width=values["embedding_width"] or values["width"],
                          segments=values.get("segments") or 1)
    count = shape.layers * (4 * shape.width**2 + 2 * shape.width * shape.ffn) + shape.max_positions * shape.embedding_width
    if count > MOST_PARAMETERS:
        raise UserError(f"layers={shape.layers}, width={shape.width}, ffn={shape.ffn}, max_positions={shape.max_positions}: a "
                        f"body of {count:,} parameters, expected at most {MOST_PARAMETERS:,}; lower them")
    return shape


def pair_shape(values: Mapping[str, Any]) -> ElectraConfig:
    """The shapes of an ELECTRA pair; arguments as of `encoder_shape`.

    Raises:
        UserError: shapes or shared parts that do not fit together.
    """
    shape = encoder_shape(values)
    if values["generator"] not in SOURCES:
        raise unknown("generator", values["generator"], SOURCES)
    generator = None
    if values["generator"] == "network":
        generator = generator_config(shape, values["generator_width"], values["generator_depth"])
    return ElectraConfig(shape, generator, values["tying"], values["hardness_head"])


def of_recipe(recipe: PretrainRecipe) -> dict[str, Any]:
    """The settings of a recipe that make a shape, with what its size says where the recipe says nothing."""
    family, _, size = recipe.arch.partition("_")
    preset = SIZES[family][size]
    values = {one.name: getattr(recipe, one.name) or preset.get(one.name, getattr(recipe, one.name))
              for one in declared(PretrainRecipe).values() if one.about.part in ("shape", "pair")}
    values["max_positions"] = recipe.max_positions or recipe.tokens_per_sample
    return {**values, "norm_eps": NORM_EPS} if family == "electra" else values


def of_trainer(flat: Any) -> dict[str, Any]:
    """The same from fairseq's flat options, a namespace or a mapping."""
    known = flat if isinstance(flat, Mapping) else vars(flat)
    names = {one.trainer_name: one.name for one in declared(PretrainRecipe).values() if one.about.part in ("shape", "pair")}
    return {**{own: known[name] for name, own in names.items() if name in known},
            **{name: known[name] for name in PLAIN if name in known}}
