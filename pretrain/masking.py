"""Choosing and hiding tokens for masked language modelling, vectorised and on the device of the tokens.

Every block hides the same number of positions, drawn without replacement: shapes stay static, which
`torch.compile` and the LM head on masked positions alone need. Policies: BERT's 80/10/10 (Devlin et al. 2019,
§3.1), ELECTRA's 85/15/0 (Clark et al. 2020, appendix A), DeBERTa-v3's 100/0/0.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pretrain.base.errors import UserError, unknown
from pretrain.base.vocabulary import PAD, SPECIALS
from pretrain.choices import POLICIES


@dataclass(frozen=True)
class Masked:
    """A masked batch. N = B * M with M = round(share * T), whatever the tokens are."""

    tokens: Tensor
    """Ids [B, T] as the model sees them."""
    positions: Tensor
    """Flat indices [N] into B*T."""
    targets: Tensor
    """Original ids [N] at `positions`; PAD (ignored by the loss) where a row had too few ordinary tokens."""


def generator_for(device: torch.device, *key: int) -> torch.Generator:
    """A generator seeded by all of `key`: the same on every rank, after every resume, whatever ran before."""
    seed = 0
    for part in key:
        # splitmix-style mixing keeps neighbouring keys apart
        seed = (seed * 6364136223846793005 + part + 1442695040888963407) % 2**64
        seed ^= seed >> 31
    return torch.Generator(device=device).manual_seed(seed % 2**63)


def mask_tokens(tokens_BT: Tensor, mask_id: int, generator: torch.Generator, share: float = 0.15,
                policy: str = "bert") -> Masked:
    """Hides `share` of each row's ordinary tokens (at least one), drawn without replacement; never a special token.

    Args:
        tokens_BT: ids; specials are 0-3 and `mask_id`.
        mask_id: id of `<mask>`, the last row; random pieces are drawn from 4..mask_id-1.
        generator: on the device of `tokens_BT`.
        share: share of the ordinary tokens to hide.
        policy: a name in POLICIES.

    Raises:
        UserError: unknown policy, or a share outside (0, 1).
    """
    if policy not in POLICIES:
        raise unknown("mask policy", policy, POLICIES)
    if not 0 < share < 1:
        raise UserError(f"the mask share must lie between 0 and 1, got {share}")
    batch, time = tokens_BT.shape
    count = max(1, round(share * time))
    device = tokens_BT.device
    ordinary = (tokens_BT >= len(SPECIALS)) & (tokens_BT != mask_id)
    scores = torch.rand(batch, time, generator=generator, device=device).masked_fill_(~ordinary, -1.0)
    best, columns = scores.topk(count, dim=1)
    # short (padded) rows hide their own share, not the longest row's: the surplus slots are not targets
    allowed = (ordinary.sum(1, keepdim=True) * share).round().clamp(min=1)
    hidden = ((torch.arange(count, device=device) < allowed) & (best >= 0)).view(-1)
    positions = (columns + torch.arange(batch, device=device)[:, None] * time).view(-1)
    originals = tokens_BT.reshape(-1).index_select(0, positions)

    to_mask, to_keep, _ = POLICIES[policy]
    draw = torch.rand(positions.shape, generator=generator, device=device)
    random_pieces = torch.randint(len(SPECIALS), mask_id, positions.shape, generator=generator, device=device)
    shown = torch.where(draw < to_mask, mask_id, torch.where(draw < to_mask + to_keep, originals, random_pieces))
    shown = torch.where(hidden, shown, originals)
    tokens = tokens_BT.reshape(-1).index_copy(0, positions, shown).view(batch, time)
    return Masked(tokens, positions, torch.where(hidden, originals, PAD))
