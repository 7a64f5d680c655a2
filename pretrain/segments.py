"""Blocks of text as pairs: which tokens of a block get the second segment's vector while a body with two is pre-trained."""

from __future__ import annotations

import torch
from torch import Tensor

from pretrain.base.vocabulary import EOS, PAD

WHOLE = 0.1
"""Share of blocks that stay one segment, as in the official code of ELECTRA (Clark et al. 2020)."""


def draw_segments(tokens_BT: Tensor, generator: torch.Generator) -> Tensor:
    """0 or 1 for each token [B, T]: a block is cut after one of its </s>, drawn from those that something follows.

    A block without one, and a tenth of the others, are one segment. RoBERTa's blocks have no other mark where a text ends
    (Liu et al. 2019, §4.2); BERT's own cut is the same, at a sentence's end (Devlin et al. 2019, §3.1).

    Args:
        generator: on the device of the tokens.
    """
    batch, time = tokens_BT.shape
    followed = torch.zeros_like(tokens_BT, dtype=torch.bool)
    followed[:, :-1] = tokens_BT[:, 1:].ne(PAD)
    scores = torch.rand(batch, time, generator=generator, device=tokens_BT.device)
    whole = torch.rand(batch, 1, generator=generator, device=tokens_BT.device) < WHOLE
    best, place = scores.masked_fill_(~(followed & tokens_BT.eq(EOS)), -1.0).max(1, keepdim=True)
    after = torch.arange(time, device=tokens_BT.device) > place
    return (after & (best >= 0) & ~whole).long()
