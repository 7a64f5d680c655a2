"""Tensor names of our ELECTRA networks beside those of transformers' ElectraForPreTraining and ElectraForMaskedLM.

The layers have the names of RoBERTa's, so `adapt.formats.names` supplies them. Everything passes bit for bit except positions:
ours have two unused rows in front (fairseq's numbering), and token types that are all the same are folded into them.
Names of the other side: transformers `models/electra/modeling_electra.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from adapt.formats.names import aligned, count_layers, to_ours, to_theirs
from pretrain.base.errors import UserError
from pretrain.base.vocabulary import PAD
from pretrain.masked_lm import OUTPUT_BIAS

DISCRIMINATOR, GENERATOR = "discriminator", "generator"
CLASSES = {DISCRIMINATOR: "ElectraForPreTraining", GENERATOR: "ElectraForMaskedLM"}

WORDS = "electra.embeddings.word_embeddings.weight"
POSITIONS = "electra.embeddings.position_embeddings.weight"
TOKEN_TYPES = "electra.embeddings.token_type_embeddings.weight"
OUTPUT_COPY = "generator_lm_head.weight"
OUR_POSITIONS = "encoder.embed_positions.weight"
OUR_SEGMENTS = "encoder.embed_segments.weight"
UNUSED = PAD + 1
"""Rows of our position table before that of the first token."""

_PROJECTION = ("encoder.embed_project.", "electra.embeddings_project.")
_HEADS = {
    DISCRIMINATOR: (("rtd_head.dense.", "discriminator_predictions.dense."),
                    ("rtd_head.out.", "discriminator_predictions.dense_prediction.")),
    GENERATOR: (("lm_head.dense.", "generator_predictions.dense."),
                ("lm_head.norm.", "generator_predictions.LayerNorm.")),
}
_IGNORED = re.compile(r"electra\.embeddings\.(position_ids|token_type_ids)")
"""Fixed numbers that older versions saved."""


def pairs(kind: str | None, layers: int, projected: bool) -> Iterator[tuple[str, tuple[str, ...]]]:
    """(our name, names in transformers) of each tensor of a network; several names: their rows, concatenated.

    Args:
        kind: `discriminator` or `generator`; None: the encoder alone.
        projected: the embedding width differs from that of the layers.
    """
    for ours, theirs in aligned(layers, "huggingface"):
        if ours.startswith("encoder."):
            yield ours, tuple("electra." + name.removeprefix("roberta.") for name in theirs)
    for left, right in ((_PROJECTION,) if projected else ()) + (_HEADS[kind] if kind else ()):
        for part in ("weight", "bias"):
            yield left + part, (right + part,)
    if kind == GENERATOR:
        yield OUTPUT_BIAS, ("generator_lm_head.bias",)


def from_electra(kind: str, state: Mapping[str, Tensor], unused: Tensor | None = None) -> dict[str, Tensor]:
    """Our names from the state dict of transformers' network of this kind.

    Two token types that differ are a body of two segments. One, or two of the same, is what every token gets: it is summed with
    the positions before the LayerNorm, so adding it to them is exact up to rounding.

    Args:
        unused: the rows [2, E] to put before the positions; zeros where None.

    Raises:
        UserError: tensors are missing or unknown, or the output matrix is not the token table.
    """
    given = {name: tensor for name, tensor in state.items() if not _IGNORED.fullmatch(name)}
    types = given.pop(TOKEN_TYPES, None)
    copy = given.pop(OUTPUT_COPY, None) if kind == GENERATOR else None
    if copy is not None and WORDS in given and not torch.equal(copy, given[WORDS]):
        raise UserError(f"{OUTPUT_COPY} differs from {WORDS}: an untied output matrix; only models with tied input and "
                        "output embeddings can be taken over")
    found = to_ours(pairs(kind, count_layers(state), _PROJECTION[1] + "weight" in given), given)
    result = found.check(f"the tensors are not those of {CLASSES[kind]}")
    positions = result[OUR_POSITIONS]
    if types is not None and len(types) == 2 and not torch.equal(types[0], types[1]):
        result[OUR_SEGMENTS] = types
    elif types is not None and bool(types[0].any()):
        positions = positions + types[0]
    first = positions.new_zeros(UNUSED, positions.size(1)) if unused is None else unused.to(positions)
    result[OUR_POSITIONS] = torch.cat([first, positions])
    return result


def to_electra(kind: str | None, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The inverse: the state dict of transformers' network, with two token types of zeros where the body has one segment; of the
    encoder alone where `kind` is None.

    Raises:
        UserError: tensors are missing, or have no counterpart there (relative positions).
    """
    state = dict(state)
    types = state.pop(OUR_SEGMENTS, None)
    found = to_theirs(pairs(kind, count_layers(state), _PROJECTION[0] + "weight" in state), state)
    result = found.check(f"the {kind or 'encoder'} cannot be written with Hugging Face's names",
                         f"without counterpart in {CLASSES.get(kind or '', 'ELECTRA')}")
    result[POSITIONS] = result[POSITIONS][UNUSED:]
    result[TOKEN_TYPES] = torch.zeros_like(result[POSITIONS][:1]).repeat(2, 1) if types is None else types
    return result
