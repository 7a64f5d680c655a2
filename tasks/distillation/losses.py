"""Losses between a student's outputs and a teacher's (docs/distillation.md).

Shapes: B examples, C classes (candidates, columns of a window). Each loss is of every example by itself, [B]. Probabilities at
a temperature T are `softmax(logits / T)`; the two losses on them are multiplied by T², so that their gradients have the same
size at every temperature and the shares of hard and soft loss keep their meaning (Hinton et al. 2015, section 2).
"""

from __future__ import annotations

import torch
from torch import Tensor

SOFT_CE, KL, LOGIT_MSE, MSE = "soft-ce", "kl", "logit-mse", "mse"
LOSSES = (SOFT_CE, KL, LOGIT_MSE, MSE)
TEMPERED = (SOFT_CE, KL)
"""Losses that have a temperature."""


def soft_cross_entropy(logits_BC: Tensor, teacher_BC: Tensor, temperature: float = 1.0) -> Tensor:
    """T² times the cross entropy under the teacher's probabilities, -sum_c q_c log softmax(z / T)_c, [B] (Liu et al. 2019,
    Improving multi-task deep neural networks via knowledge distillation, with T = 1).

    Args:
        logits_BC: the student's; -inf where a class cannot be chosen and the teacher gives it nothing.
        teacher_BC: the teacher's probabilities at that temperature.
    """
    log_BC = (logits_BC.float() / temperature).log_softmax(-1)
    # a class without probability adds nothing, also where its logarithm is -inf
    terms_BC = torch.where(teacher_BC > 0, teacher_BC * log_BC.masked_fill(teacher_BC == 0, 0.0), torch.zeros_like(log_BC))
    return -temperature**2 * terms_BC.sum(-1)


def kl_divergence(logits_BC: Tensor, teacher_BC: Tensor, temperature: float = 1.0) -> Tensor:
    """T² times KL(q ‖ softmax(z / T)), [B]: `soft_cross_entropy` less the teacher's entropy. Its gradient is the same; it is 0
    where the student says what the teacher says. Arguments as there."""
    entropy_B = torch.special.entr(teacher_BC.float()).sum(-1)
    return soft_cross_entropy(logits_BC, teacher_BC, temperature) - temperature**2 * entropy_B


def logit_mse(logits_BC: Tensor, teacher_BC: Tensor) -> Tensor:
    """Mean over the classes of the squared difference of logits, [B] (Ba and Caruana 2014, section 2.2)."""
    return (logits_BC.float() - teacher_BC).square().mean(-1)


def value_mse(values_B: Tensor, teacher_B: Tensor) -> Tensor:
    """Squared difference of a regression's values, [B]."""
    return (values_B.float() - teacher_B).square()


def mixed(hard: Tensor, soft: Tensor, alpha: float) -> Tensor:
    """alpha * hard + (1 - alpha) * soft. A share of 0 takes no part, whatever the other is."""
    if alpha == 0:
        return soft
    return hard if alpha == 1 else alpha * hard + (1 - alpha) * soft
