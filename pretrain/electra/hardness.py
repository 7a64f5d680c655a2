"""Hardness prediction for the generator: sampling what the discriminator finds hard, and learning how hard it is.

Hao et al. 2021, "Learning to Sample Replacements for ELECTRA Pre-Training". With p_G the generator's distribution at
a position and L(x') the discriminator's loss there once x' is put in, the distribution p_G(x') L(x') / Z has the least
variance of the estimated loss (zero), and prefers what is hard. L is known for the sampled x' alone; a second head on the
generator estimates the rest: HP-Loss predicts the discriminator's answer for every x', HP-Dist the distribution itself.
Shapes in names: N hidden positions, V vocabulary.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from pretrain.base.errors import unknown
from pretrain.choices import HARDNESS_HEADS, HARDNESS_LOSSES


def log_softplus(x: Tensor) -> Tensor:
    """log(log(1 + exp(x))) without underflow."""
    return torch.where(x < -15, x, F.softplus(x.clamp(min=-15)).log())


def sampling_log_probs(kind: str, log_p_NV: Tensor, hardness_NV: Tensor, targets_N: Tensor, mixture: float) -> Tensor:
    """Log-probabilities [N, V], fp32, that the hardness head would have replacements drawn with.

    Args:
        kind: `loss`: hardness f is the logit of P(original), so the estimated loss is softplus(-f) for the original token
            and softplus(f) for all others; `dist`: hardness is the logit of the distribution itself.
        log_p_NV: the generator's, -inf where nothing may be sampled.
        targets_N: original ids.
        mixture: share of p_G in the result.
    """
    if kind == "loss":
        signed = hardness_NV.scatter(1, targets_N[:, None], -hardness_NV.gather(1, targets_N[:, None]))
        log_q_NV = torch.log_softmax(log_p_NV + log_softplus(signed), -1)
    elif kind == "dist":
        log_q_NV = torch.log_softmax(hardness_NV.masked_fill(log_p_NV.isneginf(), -math.inf), -1)
    else:
        raise unknown("hardness head", kind, HARDNESS_HEADS[1:])
    if not mixture:
        return log_q_NV
    if mixture == 1:
        return log_p_NV
    return torch.logaddexp(log_q_NV + math.log1p(-mixture), log_p_NV + math.log(mixture))


def importance(log_p_N: Tensor, log_q_N: Tensor, clip: float) -> Tensor:
    """Weights p_G/q [N] of the samples, at most `clip` (0: no ceiling)."""
    weights = (log_p_N - log_q_N).exp()
    return weights.clamp(max=clip) if clip else weights


def loss_head_loss(hardness_NV: Tensor, ids_N: Tensor, original_N: Tensor, kind: str = "bce") -> Tensor:
    """HP-Loss [N]: distance of the predicted to the actual P(original) of what was sampled.

    Args:
        original_N: the discriminator's P(original), a fixed target.
        kind: `bce`: cross entropy with that soft target; `mse`: squared error.
    """
    predicted = hardness_NV.gather(1, ids_N[:, None]).squeeze(1)
    target = original_N.detach()
    if kind == "bce":
        return F.binary_cross_entropy_with_logits(predicted, target, reduction="none")
    if kind == "mse":
        return (predicted.sigmoid() - target).square()
    raise unknown("hardness loss", kind, HARDNESS_LOSSES)


def dist_head_loss(hardness_NV: Tensor, ids_N: Tensor, weights_N: Tensor, losses_N: Tensor) -> Tensor:
    """HP-Dist [N]: -(p_G/q) L log p_S of the sampled id, both factors fixed.

    Its expectation over q has the gradient (p_S - p*) Z with respect to the head's logits, where p* is the optimum above.
    Without the factor p_G/q the head would collapse onto the single hardest token.

    Args:
        hardness_NV: logits of p_S; -inf where nothing may be sampled.
        weights_N: p_G/q of the samples.
        losses_N: the discriminator's losses of the samples.
    """
    log_s = hardness_NV.gather(1, ids_N[:, None]).squeeze(1) - hardness_NV.logsumexp(-1)
    return -(weights_N * losses_N).detach() * log_s
