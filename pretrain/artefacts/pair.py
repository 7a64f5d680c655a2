"""An ELECTRA pair as artefacts, and back: which tensor goes into the body, the generator, the embedding (docs/artefacts.md).

The body is the discriminator; `generator.safetensors` holds what the generator does not share with it; everything that a
vocabulary indexes travels with the embedding. A disentangled table is folded: the body and the embedding hold what the
discriminator sees.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pretrain.artefacts.body import ELECTRA, Body, GeneratorPart
from pretrain.base.errors import UserError, unknown
from pretrain.electra.networks import DISENTANGLED, GENERATOR, Electra, ElectraConfig
from pretrain.masked_lm import EMBEDDING_WEIGHT, OUTPUT_BIAS

HARDNESS_BIAS = "hardness_head.bias"
_POSITIONS = "encoder.embed_positions."


@dataclass(frozen=True)
class PairTensors:
    """The state of a pair, sorted by artefact."""

    body: dict[str, Tensor]
    generator: dict[str, Tensor]
    weight: Tensor
    """The discriminator's table [V, E]."""
    bias: Tensor
    """The generator's output bias [V]; zeros without a generator."""
    generator_lexicon: dict[str, Tensor]
    """What only the generator uses and a vocabulary indexes: `weight`, `hardness_bias`; as in an embedding artefact."""


def sort_tensors(state: Mapping[str, Tensor]) -> PairTensors:
    """Sorts the tensors of `Electra.state_dict()`; they are not copied."""
    own = {name: tensor for name, tensor in state.items() if not name.startswith(GENERATOR)}
    theirs = {name.removeprefix(GENERATOR): tensor for name, tensor in state.items() if name.startswith(GENERATOR)}
    for table in ("encoder.embed_tokens.", _POSITIONS):
        if table + DISENTANGLED in own:
            own[table + "weight"] = theirs[table + "weight"] + own.pop(table + DISENTANGLED)
    weight = own.pop(EMBEDDING_WEIGHT)
    bias = theirs.pop(OUTPUT_BIAS, weight.new_zeros(len(weight)))
    lexicon = {}
    if EMBEDDING_WEIGHT in theirs:
        lexicon["weight"] = theirs.pop(EMBEDDING_WEIGHT)
    if HARDNESS_BIAS in theirs:
        lexicon["hardness_bias"] = theirs.pop(HARDNESS_BIAS)
    return PairTensors(own, theirs, weight, bias, lexicon)


def pair_body(config: ElectraConfig, tensors: PairTensors, **record: Any) -> Body:
    """The body of a pair, with its generator."""
    generator = None
    if config.generator is not None:
        generator = GeneratorPart(config.generator, tensors.generator, config.tying, config.hardness)
    return Body(config.discriminator, tensors.body, backbone=ELECTRA, generator=generator, **record)


def build_pair(body: Body, vocabulary_size: int, tying: str = "") -> Electra:
    """A pair with this body and generator and an untrained embedding of `vocabulary_size` rows.

    Args:
        tying: `none` or `gdes` to share less than the pair did; as recorded where empty.

    Raises:
        UserError: the body has no generator, or `tying` would share what has different values.
    """
    part = body.generator
    if body.backbone != ELECTRA or part is None:
        raise UserError("this body has no generator (generator.safetensors): it is "
                        + ("a task body" if body.task else "not the output of pre-training an ELECTRA pair"))
    if tying not in ("", part.tying, "none", "gdes"):
        raise unknown("tying for this pair", tying, {part.tying, "none", "gdes"})
    config = ElectraConfig(body.config, part.config, tying or part.tying, part.hardness)
    model = Electra(config, vocabulary_size)
    load_pair(model, body)
    return model


@torch.no_grad()
def load_pair(model: Electra, body: Body) -> None:
    """Copies body and generator into a pair, in place; the embedding stays as it is."""
    part = body.generator
    assert part is not None
    own = torch.nn.Module.state_dict(model)
    lexicon = {*lexicon_names(own)}
    theirs = {**{name: body.tensors[name] for name in body.tensors if name.startswith("encoder.")}, **part.tensors}
    for name, tensor in own.items():
        if name in lexicon:
            continue
        if name == _POSITIONS + DISENTANGLED:
            given: Tensor | None = body.tensors[_POSITIONS + "weight"] - theirs[_POSITIONS + "weight"]
        elif name.startswith(GENERATOR):
            given = theirs.get(name.removeprefix(GENERATOR))
        else:
            given = body.tensors.get(name)
        if given is None or given.shape != tensor.shape:
            raise UserError(f"the body does not fit its architecture: {name!r} is {tuple(tensor.shape)} there and "
                            f"{'missing' if given is None else tuple(given.shape)} in the files; was the folder written by "
                            "another version?")
        tensor.copy_(given)


def lexicon_names(state: Mapping[str, Tensor]) -> list[str]:
    """The names in `Electra.state_dict()` of what a vocabulary indexes."""
    indexed = {EMBEDDING_WEIGHT, "encoder.embed_tokens." + DISENTANGLED,
               *(GENERATOR + name for name in (EMBEDDING_WEIGHT, OUTPUT_BIAS, HARDNESS_BIAS))}
    return [name for name in state if name in indexed]

