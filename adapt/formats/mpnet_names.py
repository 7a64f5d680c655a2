"""Tensor names of our encoder with relative positions beside those of transformers' MPNet (Song et al. 2020).

MPNet's bias is the bucketed one of T5 with 32 buckets and distance 128, shared by all layers, as ours is; positions are numbered
as RoBERTa's, the pad row is 1, and there are no token types. So every tensor passes bit for bit.
Names of the other side: transformers `models/mpnet/modeling_mpnet.py`, where buckets and distance are fixed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from torch import Tensor

from adapt.formats.names import aligned, count_layers, to_ours, to_theirs

BUCKETS, DISTANCE = 32, 128
"""What transformers' MPNet computes, whatever its config.json says."""
RELATIVE = ("encoder.relative_bias.weight", "mpnet.encoder.relative_attention_bias.weight")

ATTENTION = (("attention.self.query", "attention.attn.q"), ("attention.self.key", "attention.attn.k"),
             ("attention.self.value", "attention.attn.v"), ("attention.output.dense", "attention.attn.o"),
             ("attention.output.LayerNorm", "attention.LayerNorm"))
"""Parts of RoBERTa's names and what MPNet has for them."""


def pairs(layers: int, head: bool = True) -> Iterator[tuple[str, tuple[str, ...]]]:
    """(our name, names in transformers) of each tensor.

    Args:
        head: the LM head too.
    """
    for ours, theirs in aligned(layers, "huggingface"):
        if head or ours.startswith("encoder."):
            for old, new in (("roberta.", "mpnet."), *ATTENTION):
                theirs = tuple(name.replace(old, new) for name in theirs)
            yield ours, theirs
    yield RELATIVE[0], (RELATIVE[1],)


def to_mpnet(state: Mapping[str, Tensor], head: bool = True) -> dict[str, Tensor]:
    """The state dict of `MPNetForMaskedLM` (without its tied copies) from `MaskedLM.state_dict()`.

    Args:
        head: `state` has an LM head.

    Raises:
        UserError: tensors are missing, or have no counterpart there (embedding projection).
    """
    found = to_theirs(pairs(count_layers(state), head), state)
    return found.check("the model cannot be written with the names of MPNet", "without counterpart in MPNet")


def from_mpnet(state: Mapping[str, Tensor], head: bool = True) -> dict[str, Tensor]:
    """The inverse of `to_mpnet`.

    Raises:
        UserError: tensors are missing or unknown.
    """
    return to_ours(pairs(count_layers(state), head), state).check("the tensors are not those of MPNetForMaskedLM")
