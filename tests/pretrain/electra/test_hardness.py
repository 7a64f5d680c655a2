"""Hardness heads against the formulas they come from, by enumerating every candidate of a small vocabulary."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from pretrain.base.errors import UserError
from pretrain.base.vocabulary import PAD
from pretrain.electra.hardness import (
    dist_head_loss,
    importance,
    log_softplus,
    loss_head_loss,
    sampling_log_probs,
)
from pretrain.trainer.masked_lm_loss import focal_score, score

V = 12
GOLD = torch.tensor([5])


def world(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """log p_G [V] and the discriminator's loss L [V] of every candidate."""
    generator = torch.Generator().manual_seed(seed)
    log_p = torch.log_softmax(2 * torch.randn(V, generator=generator, dtype=torch.float64), -1)
    return log_p, torch.rand(V, generator=generator, dtype=torch.float64) * 3 + 0.05


def optimum(log_p: torch.Tensor, losses: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    total = (log_p.exp() * losses).sum()
    return log_p.exp() * losses / total, total


def test_variance_is_zero_when_sampling_from_the_optimum():
    log_p, losses = world()
    best, total = optimum(log_p, losses)
    estimates = importance(log_p, best.log(), 0.0) * losses  # one for each candidate that may be drawn
    torch.testing.assert_close(estimates, total.expand(V))
    plain = (log_p.exp() * (losses - total).square()).sum()
    assert (best * (estimates - total).square()).sum() < 1e-25 < plain


def expected_gradient(logits: torch.Tensor, log_p: torch.Tensor, losses: torch.Tensor, mixture: float) -> torch.Tensor:
    """E over the sampling distribution of the gradient of HP-Dist's loss, every candidate in turn."""
    log_q = sampling_log_probs("dist", log_p[None], logits[None], GOLD, mixture)[0]
    total = torch.zeros_like(logits)
    for candidate in range(V):
        leaf = logits.clone().requires_grad_()
        index = torch.tensor([candidate])
        weight = importance(log_p[index], log_q[index], 0.0)
        dist_head_loss(leaf[None], index, weight, losses[index]).sum().backward()
        total += log_q[candidate].exp() * leaf.grad
    return total


@pytest.mark.parametrize("mixture", [0.0, 0.3])
def test_expected_gradient_of_the_distribution_head_points_at_the_optimum(mixture):
    log_p, losses = world()
    logits = torch.randn(V, generator=torch.Generator().manual_seed(9), dtype=torch.float64)
    best, total = optimum(log_p, losses)
    expected = (torch.softmax(logits, -1) - best) * total
    torch.testing.assert_close(expected_gradient(logits, log_p, losses, mixture), expected)


def test_distribution_head_is_at_rest_at_the_optimum():
    log_p, losses = world(3)
    best, _ = optimum(log_p, losses)
    assert expected_gradient(best.log(), log_p, losses, 0.0).abs().max() < 1e-12


def test_no_gradient_through_weights_and_losses():
    losses = torch.ones(1, requires_grad=True)
    weights = torch.ones(1, requires_grad=True)
    logits = torch.zeros(1, V, requires_grad=True)
    dist_head_loss(logits, torch.tensor([4]), weights, losses).sum().backward()
    assert losses.grad is None and weights.grad is None and logits.grad is not None


def test_perfect_loss_head_gives_the_optimum():
    log_p, _ = world()
    logit = torch.randn(V, generator=torch.Generator().manual_seed(2), dtype=torch.float64)  # of P(original)
    losses = F.softplus(logit)
    losses[GOLD] = F.softplus(-logit[GOLD])  # the original is hard where it looks replaced
    log_q = sampling_log_probs("loss", log_p[None], logit[None], GOLD, 0.0)[0]
    torch.testing.assert_close(log_q.exp(), optimum(log_p, losses)[0])


@pytest.mark.parametrize("kind", ["bce", "mse"])
def test_loss_head_is_at_rest_where_it_predicts_the_discriminator(kind):
    answer = torch.tensor([0.2, 0.9])
    logits = torch.zeros(2, V)
    logits[:, 6] = torch.logit(answer)
    logits.requires_grad_()
    loss_head_loss(logits, torch.tensor([6, 6]), answer, kind).sum().backward()
    assert logits.grad.abs().max() < 1e-6


def test_loss_head_learns_from_what_was_sampled_alone():
    logits = torch.zeros(1, V, requires_grad=True)
    loss_head_loss(logits, torch.tensor([6]), torch.tensor([0.9])).sum().backward()
    assert logits.grad[0].nonzero().tolist() == [[6]] and logits.grad[0, 6] < 0


def test_what_may_not_be_sampled_stays_impossible():
    log_p, _ = world()
    log_p = log_p.clone()
    log_p[:4] = -torch.inf
    for kind in ("loss", "dist"):
        for mixture in (0.0, 0.5):
            log_q = sampling_log_probs(kind, log_p[None], torch.randn(1, V, dtype=torch.float64), GOLD, mixture)[0]
            assert log_q[:4].isneginf().all() and log_q[4:].isfinite().all()
            assert log_q.logsumexp(-1).item() == pytest.approx(0 if mixture == 0 else torch.log(
                0.5 + 0.5 * log_p.exp().sum()).item(), rel=1e-9, abs=1e-9)


def test_mixture_bounds_the_weights():
    log_p, _ = world()
    logits = torch.full((V,), -30.0, dtype=torch.float64)
    logits[7] = 30.0
    log_q = sampling_log_probs("dist", log_p[None], logits[None], GOLD, 0.1)[0]
    assert importance(log_p, log_q, 0.0).max() <= 10 + 1e-9


def test_whole_mixture_is_the_generator():
    log_p, _ = world()
    log_q = sampling_log_probs("dist", log_p[None], torch.randn(1, V, dtype=torch.float64), GOLD, 1.0)
    assert torch.equal(importance(log_p[None], log_q, 0.0), torch.ones(1, V, dtype=torch.float64))


def test_weights_are_clipped():
    assert importance(torch.tensor([0.0, -5.0]), torch.tensor([-5.0, -5.0]), 10.0).tolist() == [10.0, 1.0]


def test_log_softplus_neither_underflows_nor_jumps():
    x = torch.tensor([-200.0, -15.001, -14.999, 0.0, 40.0], dtype=torch.float64)
    exact = torch.tensor([-200.0, -15.001, -14.999, 0.0, 40.0], dtype=torch.float64).exp().log1p().log()
    torch.testing.assert_close(log_softplus(x), torch.where(x < -100, x, exact), rtol=1e-5, atol=1e-6)


TARGETS = torch.tensor([4, 7, PAD, 9])


def some_logits() -> torch.Tensor:
    return torch.randn(4, V, generator=torch.Generator().manual_seed(1)) * 3


def test_gamma_zero_is_cross_entropy_in_value_and_gradient():
    one, two = (some_logits().requires_grad_() for _ in range(2))
    focal, count, correct = focal_score(one * 1, TARGETS, 0.0)
    plain = F.cross_entropy(two, TARGETS, ignore_index=PAD, reduction="sum")
    focal.backward()
    plain.backward()
    torch.testing.assert_close(focal, plain)
    torch.testing.assert_close(one.grad, two.grad)
    assert (count, correct) == tuple(score(some_logits(), TARGETS)[1:])


@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_focal_loss_is_its_formula(gamma):
    p = torch.softmax(some_logits(), -1).gather(1, TARGETS[:, None]).squeeze(1)
    expected = ((1 - p) ** gamma * -p.log())[TARGETS != PAD].sum()
    loss, count, correct = focal_score(some_logits(), TARGETS, gamma)
    torch.testing.assert_close(loss, expected)
    assert count == 3 and correct == score(some_logits(), TARGETS)[2]


@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_focal_gradient_stays_finite_for_certain_tokens(gamma):
    logits = torch.full((1, V), -100.0)
    logits[0, 4] = 100.0
    logits.requires_grad_()
    focal_score(logits, torch.tensor([4]), gamma)[0].backward()
    assert logits.grad.isfinite().all()


def test_negative_gamma_is_refused():
    from pretrain.trainer.masked_lm_loss import ModularMaskedLM

    with pytest.raises(UserError, match=r"--focal-gamma: got -1.0"):
        ModularMaskedLM(None, -1.0)
