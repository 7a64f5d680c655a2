"""Sampling of replacements for hidden tokens: always fp32, never a special token, from a keyed generator.

Clark et al. 2020, §2. Ids are drawn by the Gumbel-max trick from log-probabilities [N, V].
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pretrain.base.errors import UserError
from pretrain.base.vocabulary import PAD, SPECIALS
from pretrain.masking import Masked


@dataclass(frozen=True)
class Sampling:
    """How replacements are drawn."""

    temperature: float = 1.0
    """Divides the generator's logits: above 1 the draws are more varied."""
    disallow_correct: bool = False
    """Never draw the original token: every hidden position is then replaced."""
    hard: bool = False
    """Draw from the hardness head's distribution rather than from the generator's."""
    mixture: float = 0.0
    """Share of the generator's own distribution in that of the hardness head; bounds p_G/q by 1/share."""
    detach_hardness: bool = False
    """The hardness head does not train what it shares with the language model."""

    def __post_init__(self) -> None:
        if not self.temperature > 0:
            raise UserError(f"--sampling-temperature must be positive, got {self.temperature}")
        if not 0 <= self.mixture <= 1:
            raise UserError(f"--hardness-mixture must lie between 0 and 1, got {self.mixture}")


@dataclass(frozen=True)
class Replacements:
    """Draws for N slots. At slots without a target the ids are PAD and the log-probabilities mean nothing."""

    ids: Tensor
    """Sampled ids [N]."""
    log_p: Tensor
    """log p_G(id) [N], fp32: the generator's, over what may be sampled."""
    log_q: Tensor
    """log of the probability that the id was drawn with [N]; `log_p` itself without a hardness head."""


def unigram(counts: Sequence[int]) -> Tensor:
    """Log-frequencies [V] of pieces for sampling without a generator; the specials around them get -inf.

    Args:
        counts: occurrences of each piece, as in dict.txt.

    Raises:
        UserError: no piece was ever seen.
    """
    if not sum(counts):
        raise UserError("--generator unigram needs the frequencies of the pieces, and dict.txt has none; prepare the text "
                        "again, or use --generator uniform")
    frequencies = torch.tensor(counts, dtype=torch.float64).log()
    infinite = frequencies.new_full((len(SPECIALS),), -math.inf)
    return torch.cat([infinite, frequencies, infinite[:1]]).float()


def log_probs(logits_NV: Tensor, targets_N: Tensor, mask_id: int, sampling: Sampling) -> Tensor:
    """Normalised fp32 log-probabilities [N, V] of what may be sampled: -inf for specials, and for the original on request.

    Args:
        logits_NV: of the generator, in any precision; not changed.
        targets_N: original ids; PAD where the slot has no target.
        mask_id: id of `<mask>`, the last row.
    """
    allowed = logits_NV.float() / sampling.temperature
    allowed[:, :len(SPECIALS)] = -math.inf
    allowed[:, mask_id] = -math.inf
    if sampling.disallow_correct:
        allowed.scatter_(1, targets_N[:, None], -math.inf)
    return torch.log_softmax(allowed, -1)


def gumbel_argmax(log_p_NV: Tensor, generator: torch.Generator | None) -> Tensor:
    """One index [N] per row, drawn with probabilities exp(log_p)."""
    noise = torch.empty_like(log_p_NV).exponential_(generator=generator)
    return (log_p_NV - noise.clamp_min_(torch.finfo(noise.dtype).tiny).log_()).argmax(-1)


def draw(log_p_NV: Tensor, log_q_NV: Tensor | None, generator: torch.Generator | None) -> Replacements:
    """Samples from q, or from p where that is None."""
    ids = gumbel_argmax(log_p_NV if log_q_NV is None else log_q_NV, generator)
    log_p = log_p_NV.gather(1, ids[:, None]).squeeze(1)
    return Replacements(ids, log_p, log_p if log_q_NV is None else log_q_NV.gather(1, ids[:, None]).squeeze(1))


def corrupt(tokens_BT: Tensor, masked: Masked, ids_N: Tensor) -> tuple[Tensor, Tensor]:
    """The discriminator's input [B, T], the *unmasked* text with samples put in, and its labels [B, T].

    A position whose sample is the original token counts as original (Clark et al. 2020, §2).
    """
    flat = tokens_BT.reshape(-1)
    shown_N = torch.where(masked.targets.ne(PAD), ids_N, flat.index_select(0, masked.positions))
    corrupted_BT = flat.index_copy(0, masked.positions, shown_N).view_as(tokens_BT)
    return corrupted_BT, corrupted_BT.ne(tokens_BT)
