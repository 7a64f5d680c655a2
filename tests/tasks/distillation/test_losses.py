"""The losses against values computed by hand, identities between them, their gradients, and what T² is for."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from tasks.distillation.losses import kl_divergence, logit_mse, mixed, soft_cross_entropy, value_mse


def drawn(seed: int = 1, rows: int = 5, classes: int = 4) -> tuple[Tensor, Tensor]:
    """Logits of a student and of a teacher."""
    generator = torch.Generator().manual_seed(seed)
    student, teacher = torch.randn(2, rows, classes, generator=generator, dtype=torch.float64)
    return student * 2, teacher * 2


def test_soft_cross_entropy_by_hand() -> None:
    """Logits 0 and log 3 are the shares 1/4 and 3/4; at T = 2 they are 1 / (1 + √3) and √3 / (1 + √3)."""
    logits, teacher = torch.tensor([[0.0, math.log(3)]]), torch.tensor([[0.5, 0.5]])
    expected = -(math.log(0.25) + math.log(0.75)) / 2
    assert soft_cross_entropy(logits, teacher).item() == pytest.approx(expected, rel=1e-5)
    root = math.sqrt(3)
    tempered = -(math.log(1 / (1 + root)) + math.log(root / (1 + root))) / 2
    assert soft_cross_entropy(logits, teacher, 2.0).item() == pytest.approx(4 * tempered, rel=1e-5)


def test_kl_by_hand_and_its_identity_with_the_cross_entropy() -> None:
    logits, teacher = torch.tensor([[0.0, math.log(3)]]), torch.tensor([[0.5, 0.5]])
    expected = 0.5 * math.log(0.5 / 0.25) + 0.5 * math.log(0.5 / 0.75)
    assert kl_divergence(logits, teacher).item() == pytest.approx(expected, rel=1e-5)
    student, scores = drawn()
    for temperature in (1.0, 3.0):
        shares = (scores / temperature).softmax(-1).float()
        entropy = -(shares * shares.log()).sum(-1)
        difference = soft_cross_entropy(student, shares, temperature) - kl_divergence(student, shares, temperature)
        torch.testing.assert_close(difference, temperature**2 * entropy, rtol=1e-4, atol=1e-5)
        same = kl_divergence(scores, shares, temperature)
        torch.testing.assert_close(same, torch.zeros_like(same), rtol=1e-5, atol=1e-5)


def test_a_teacher_who_is_certain_is_a_hard_label() -> None:
    student, _ = drawn()
    labels = torch.tensor([0, 3, 1, 2, 2])
    certain = F.one_hot(labels, 4).float()
    hard = F.cross_entropy(student.float(), labels, reduction="none")
    torch.testing.assert_close(soft_cross_entropy(student, certain), hard, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(kl_divergence(student, certain), hard, rtol=1e-5, atol=1e-6)


def test_squared_errors_by_hand() -> None:
    assert logit_mse(torch.tensor([[1.0, 2.0], [0.0, 0.0]]), torch.tensor([[3.0, 2.0], [1.0, -3.0]])).tolist() == [2.0, 5.0]
    assert value_mse(torch.tensor([1.0, -2.0]), torch.tensor([1.5, 1.0])).tolist() == [0.25, 9.0]


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_the_gradient_is_the_difference_of_the_shares(temperature: float) -> None:
    """T (softmax(z / T) - q), for both losses; also by finite differences."""
    student, scores = drawn(2)
    shares = (scores / temperature).softmax(-1).float()
    for loss in (soft_cross_entropy, kl_divergence):
        logits = student.float().requires_grad_()
        loss(logits, shares, temperature).sum().backward()
        expected = temperature * ((student.float() / temperature).softmax(-1) - shares)
        assert logits.grad is not None
        torch.testing.assert_close(logits.grad, expected, rtol=1e-4, atol=1e-6)
        step = torch.zeros_like(student)
        step[0, 1] = 1e-2
        slope = (loss(student + step, shares, temperature) - loss(student - step, shares, temperature))[0] / 2e-2
        assert slope.item() == pytest.approx(expected[0, 1].item(), rel=2e-2, abs=1e-3)


def test_t_squared_keeps_the_gradient_and_tends_to_the_logits_difference() -> None:
    """Hinton et al. 2015, section 2.1: at a high temperature T² times the gradient is (z - v) / C of logits whose mean is 0."""
    student, scores = (logits - logits.mean(-1, keepdim=True) for logits in drawn(3))
    sizes = []
    for temperature in (20.0, 200.0):
        logits = student.float().requires_grad_()
        soft_cross_entropy(logits, (scores / temperature).softmax(-1).float(), temperature).sum().backward()
        assert logits.grad is not None
        sizes.append(logits.grad.norm().item())
    torch.testing.assert_close(logits.grad, ((student - scores) / 4).float(), rtol=3e-2, atol=1e-2)
    assert sizes[0] == pytest.approx(sizes[1], rel=0.1)


def test_classes_that_cannot_be_chosen_take_no_part() -> None:
    """-inf of a student where the teacher gives nothing: neither the loss nor a gradient is NaN."""
    logits = torch.tensor([[0.0, math.log(3), -math.inf]], requires_grad=True)
    teacher = torch.tensor([[0.5, 0.5, 0.0]])
    loss = kl_divergence(logits, teacher)
    loss.sum().backward()
    assert loss.item() == pytest.approx(kl_divergence(torch.tensor([[0.0, math.log(3)]]), teacher[:, :2]).item(), rel=1e-5)
    assert logits.grad is not None
    torch.testing.assert_close(logits.grad, torch.tensor([[-0.25, 0.25, 0.0]]), rtol=1e-4, atol=1e-6)


def test_alpha_is_the_share_of_the_hard_loss() -> None:
    hard, soft = torch.tensor(2.0), torch.tensor(10.0)
    assert [mixed(hard, soft, alpha).item() for alpha in (0.0, 0.25, 1.0)] == [10.0, 8.0, 2.0]
    assert mixed(torch.tensor(math.nan), soft, 0.0).item() == 10.0
