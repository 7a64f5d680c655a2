"""Plays an ELECTRA pair on held-out text and keeps what the analyses need: numbers per hidden position and candidate.

Everything in fp32 and evaluation mode. Masks and draws are keyed by (seed, block), so they depend neither on the batch nor on
torch's global generators; only the logits may differ in their last digits from batch size to batch size.
Shapes in names: B blocks, T tokens, N hidden positions of all blocks, C candidates (positions x draws), R real tokens x draws.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pretrain.base.errors import UserError, unknown
from pretrain.base.vocabulary import PAD
from pretrain.choices import POLICIES
from pretrain.data import Blocks
from pretrain.electra.hardness import log_softplus, sampling_log_probs
from pretrain.electra.networks import Electra
from pretrain.electra.replacement import Sampling, corrupt, draw, log_probs
from pretrain.masking import Masked, generator_for, mask_tokens

MASKS, REPLACEMENTS = 0x_A1, 0x_A3
"""Keep the draws of masks apart from those of replacements."""
FROM_G, FROM_S = "p_G", "p_S"
"""The samplers: the generator's distribution, and the hardness head's with a share of the generator's mixed in."""


@dataclass(frozen=True)
class Settings:
    """What is hidden and how often is sampled."""

    mask_prob: float = 0.15
    mask_policy: str = "electra"
    mixture: float = 0.1
    """Share of p_G in the distribution that replacements are drawn with where there is a hardness head."""
    draws: int = 2
    """Samples at each hidden position from each distribution."""
    seed: int = 1
    batch_size: int = 8
    """Blocks of a batch: memory and speed."""

    def __post_init__(self) -> None:
        if self.mask_policy not in POLICIES:
            raise unknown("mask policy", self.mask_policy, POLICIES)
        for name, right, expected in (
            ("mask-prob", 0 < self.mask_prob < 1, "a share above 0 and below 1"),
            ("mixture", 0 <= self.mixture <= 1, "a share from 0 to 1"),
            ("draws", self.draws >= 1, "at least 1"),
            ("batch-size", self.batch_size >= 1, "at least 1"),
        ):
            if not right:
                raise UserError(f"--{name} {getattr(self, name.replace('-', '_'))}: expected {expected}")


@dataclass
class Positions:
    """What the distributions are like, each [N]; those of p_S are empty without a hardness head."""

    confidence: NDArray[np.float32]
    """max_v p_G(v)."""
    right: NDArray[np.bool_]
    """Whether that v is the original."""
    entropy_g: NDArray[np.float32]
    """Bits."""
    entropy_s: NDArray[np.float32]
    """Bits."""
    distance: NDArray[np.float32]
    """Total variation of p_G and p_S."""
    effective: NDArray[np.float32]
    """Effective samples per sample of p_S, 1 / E_{p_S}[(p_G / p_S)^2]."""
    effective_mixed: NDArray[np.float32]
    """The same of the mixture that is drawn with."""


@dataclass
class Candidates:
    """What one sampler drew and what the discriminator made of it."""

    position: NDArray[np.int64]
    """Number of the hidden position [C]."""
    ids: NDArray[np.int64]
    """What was drawn [C]."""
    correct: NDArray[np.bool_]
    """Whether that is the original [C]."""
    log_loss: NDArray[np.float32]
    """log L_D, L_D in nats [C]."""
    log_p: NDArray[np.float32]
    """log p_G of it [C]."""
    log_estimate: NDArray[np.float32]
    """What the hardness head says log L_D is [C]; of HP-Dist log(p_S / p_G), short of the position's unknown log Z. Empty
    without a head."""
    logit: NDArray[np.float32]
    """The discriminator's logit [R], positive: replaced."""
    replaced: NDArray[np.bool_]
    """The truth about it [R]."""
    hidden: NDArray[np.bool_]
    """Whether the position was hidden from the generator [R]."""


@dataclass
class Observed:
    """All that the analyses of one pair are computed from."""

    head: str
    """Kind of the hardness head: none, loss or dist."""
    mixture: float
    positions: Positions
    candidates: dict[str, Candidates]
    """By sampler; `p_S` only with a head."""


def hide(tokens_BT: Tensor, first: int, mask_id: int, settings: Settings) -> Masked:
    """Masks each block by its own key; `first` is the number of the first block."""
    parts = [mask_tokens(row[None], mask_id, generator_for(torch.device("cpu"), settings.seed, first + number, MASKS),
                         settings.mask_prob, settings.mask_policy) for number, row in enumerate(tokens_BT)]
    time = tokens_BT.size(1)
    return Masked(torch.cat([part.tokens for part in parts]),
                  torch.cat([part.positions + number * time for number, part in enumerate(parts)]),
                  torch.cat([part.targets for part in parts]))


def _draw(log_p_NV: Tensor, log_q_NV: Tensor | None, blocks: range, turn: int, seed: int) -> Tensor:
    """Ids [N], each block's from its own key; the same noise whatever the distribution."""
    ids = []
    for block, log_p, log_q in zip(blocks, log_p_NV.chunk(len(blocks)),
                                   [None] * len(blocks) if log_q_NV is None else log_q_NV.chunk(len(blocks)), strict=True):
        ids.append(draw(log_p, log_q, generator_for(log_p.device, seed, block, turn, REPLACEMENTS)).ids)
    return torch.cat(ids)


def _bits(log_p_NV: Tensor) -> Tensor:
    return torch.special.entr(log_p_NV.exp()).sum(-1) / math.log(2)


def _effective(log_p_NV: Tensor, log_q_NV: Tensor) -> Tensor:
    squares = torch.where(log_p_NV.isneginf(), -math.inf, 2 * log_p_NV - log_q_NV)
    return squares.logsumexp(-1).neg().exp()


@torch.inference_mode()
def observe(pair: Electra, blocks: Blocks, settings: Settings, limit: int = 0,
            advance: Callable[[int], object] = lambda count: None) -> Observed:
    """Plays the first `limit` blocks (0: all).

    Args:
        pair: in evaluation mode, with a generator network.
        advance: told after each batch how many blocks it held.

    Raises:
        UserError: outputs that are not numbers.
    """
    assert pair.generator is not None and not pair.training
    head, device, mask_id = pair.config.hardness, pair.prior_V.device, len(pair.prior_V) - 1
    count = min(limit or len(blocks), len(blocks))
    by_position: dict[str, list[Tensor]] = {field.name: [] for field in fields(Positions)}
    by_sampler: dict[str, dict[str, list[Tensor]]] = {
        name: {field.name: [] for field in fields(Candidates)} for name in ((FROM_G,) if head == "none" else (FROM_G, FROM_S))}
    seen = 0
    for start in range(0, count, settings.batch_size):
        numbers = range(start, min(start + settings.batch_size, count))
        tokens_BT = torch.from_numpy(blocks.batch(list(numbers)))
        masked = hide(tokens_BT, start, mask_id, settings)
        full = not bool((tokens_BT == PAD).any())
        tokens_BT = tokens_BT.to(device)
        masked = Masked(masked.tokens.to(device), masked.positions.to(device), masked.targets.to(device))
        real_N, real_BT = masked.targets.ne(PAD), tokens_BT.ne(PAD)
        mlm_NV, hardness_NV = pair.generator.both(masked.tokens, masked.positions.view(len(numbers), -1), full)
        log_p_NV = log_probs(mlm_NV, masked.targets, mask_id, Sampling())
        log_s_NV = log_q_NV = None
        best = log_p_NV.max(-1)
        found = {"confidence": best.values.exp(), "right": best.indices == masked.targets, "entropy_g": _bits(log_p_NV)}
        if hardness_NV is not None:
            log_s_NV = sampling_log_probs(head, log_p_NV, hardness_NV, masked.targets, 0.0)
            log_q_NV = sampling_log_probs(head, log_p_NV, hardness_NV, masked.targets, settings.mixture)
            found |= {"entropy_s": _bits(log_s_NV), "distance": (log_p_NV.exp() - log_s_NV.exp()).abs().sum(-1) / 2,
                      "effective": _effective(log_p_NV, log_s_NV), "effective_mixed": _effective(log_p_NV, log_q_NV)}
        for name, values in found.items():
            by_position[name].append(values[real_N].cpu())

        hidden_BT = torch.zeros_like(real_BT).view(-1).index_fill(0, masked.positions[real_N], True).view_as(real_BT)
        position_N = seen + torch.arange(int(real_N.sum()))
        seen += len(position_N)
        for sampler, sink in by_sampler.items():
            for turn in range(settings.draws):
                ids_N = _draw(log_p_NV, log_q_NV if sampler == FROM_S else None, numbers, turn, settings.seed)
                corrupted_BT, labels_BT = corrupt(tokens_BT, masked, ids_N)
                logits_BT = pair.detect(corrupted_BT, full)
                if not bool(torch.isfinite(logits_BT[real_BT]).all() & torch.isfinite(best.values[real_N]).all()):
                    raise UserError("the pair's outputs are NaN or infinite: body or embedding diverged in training")
                correct_N = ids_N == masked.targets
                logit_N = logits_BT.reshape(-1)[masked.positions]
                kept = {"position": position_N, "ids": ids_N[real_N], "correct": correct_N[real_N],
                        "log_loss": log_softplus(torch.where(correct_N, logit_N, -logit_N))[real_N],
                        "log_p": _at(log_p_NV, ids_N)[real_N],
                        "logit": logits_BT[real_BT], "replaced": labels_BT[real_BT], "hidden": hidden_BT[real_BT]}
                if hardness_NV is not None and log_s_NV is not None:
                    if head == "loss":
                        original_N = _at(hardness_NV, ids_N)  # logit of P(original)
                        estimate_N = log_softplus(torch.where(correct_N, -original_N, original_N))
                    else:
                        estimate_N = _at(log_s_NV, ids_N) - _at(log_p_NV, ids_N)
                    kept["log_estimate"] = estimate_N[real_N]
                for name, values in kept.items():
                    sink[name].append(values.cpu())
        advance(len(numbers))
    return Observed(head, settings.mixture, Positions(**_joined(by_position)),
                    {sampler: Candidates(**_joined(sink)) for sampler, sink in by_sampler.items()})


def _at(values_NV: Tensor, ids_N: Tensor) -> Tensor:
    return values_NV.gather(1, ids_N[:, None]).squeeze(1)


def _joined(lists: dict[str, list[Tensor]]) -> dict[str, NDArray]:
    return {name: torch.cat(parts).numpy() if parts else np.zeros(0, dtype=np.float32) for name, parts in lists.items()}
