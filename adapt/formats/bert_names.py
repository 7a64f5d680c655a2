"""Tensor names of our encoder and its LM head beside those of transformers' BERT (Devlin et al. 2019).

The layers have the names of RoBERTa's. Positions begin at row 0 there, ours behind two unused rows; a body of one segment has two
vectors of zeros there. Names of the other side: transformers `models/bert/modeling_bert.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from adapt.formats.names import POSITIONS, SEGMENTS, aligned, count_layers, to_theirs
from pretrain.base.vocabulary import PAD
from pretrain.masked_lm import OUTPUT_BIAS

HEAD = {"lm_head.dense.": "cls.predictions.transform.dense.", "lm_head.norm.": "cls.predictions.transform.LayerNorm."}
BIAS = "cls.predictions.bias"
UNUSED = PAD + 1
"""Rows of our position table before that of the first token."""
_EMBEDDINGS = "bert.embeddings."


def pairs(layers: int, head: bool = True) -> Iterator[tuple[str, tuple[str, ...]]]:
    """(our name, names in transformers) of each tensor.

    Args:
        head: the LM head too.
    """
    for ours, theirs in aligned(layers, "huggingface"):
        if ours.startswith("encoder."):
            yield ours, tuple(name.replace("roberta.", "bert.", 1) for name in theirs)
    if head:
        for left, right in HEAD.items():
            for part in ("weight", "bias"):
                yield left + part, (right + part,)
        yield OUTPUT_BIAS, (BIAS,)


def to_bert(state: Mapping[str, Tensor], head: bool = True) -> dict[str, Tensor]:
    """The state dict of `BertForMaskedLM` (without its tied copies) from `MaskedLM.state_dict()`.

    Args:
        head: `state` has an LM head.

    Raises:
        UserError: tensors are missing, or have no counterpart there (embedding projection, relative positions).
    """
    state = dict(state)
    types = state.pop(SEGMENTS, None)
    found = to_theirs(pairs(count_layers(state), head), state)
    result = found.check("the model cannot be written with the names of BERT", "without counterpart in BERT")
    positions = state[POSITIONS]
    result[_EMBEDDINGS + "position_embeddings.weight"] = positions[UNUSED:]
    result[_EMBEDDINGS + "token_type_embeddings.weight"] = torch.zeros_like(positions[:2]) if types is None else types
    return result
