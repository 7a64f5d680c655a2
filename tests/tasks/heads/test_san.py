"""The stochastic answer network: equal to a reference in loops, right gradients, and what training drops."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.func import functional_call

from adapt.artefacts.embedding import Embedding
from pretrain.artefacts.body import Body, load_body
from tasks.heads import san
from tasks.heads.model import TaskModel
from tasks.heads.san import SANHead, kept_steps, memories

from ..conftest import CONFIG

WIDTH, CLASSES = 6, 3
TOKENS = torch.tensor([[0, 5, 6, 2, 2, 7, 8, 2, 1], [0, 5, 2, 2, 7, 8, 9, 4, 2], [0, 5, 6, 7, 2, 1, 1, 1, 1]])
"""Two pairs and a text alone, padded."""
TEXTS = [((1, 2, 3), (5, 6, 7)), ((1, 2), (4, 5, 6, 7, 8)), ((1, 2, 3, 4), (1, 2, 3, 4))]
"""Columns of premise and hypothesis of each."""


def head(dropout: float = 0.0, **settings: float) -> SANHead:
    torch.manual_seed(3)
    made = SANHead(WIDTH, CLASSES, dropout, **settings).double()  # type: ignore[arg-type]
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.copy_(torch.randn_like(parameter))
    return made.eval()


def states() -> torch.Tensor:
    return torch.randn(*TOKENS.shape, WIDTH, generator=torch.Generator().manual_seed(5), dtype=torch.float64)


def softmax(scores: list[float]) -> list[float]:
    powers = [float(np.exp(score)) for score in scores]
    return [power / sum(powers) for power in powers]


def reference(own: SANHead, columns: NDArray[np.float64], texts: tuple[tuple[int, ...], ...], kept: list[bool]) -> list[float]:
    """The mean of the kept steps' probabilities of one input, state by state, as the paper writes it."""
    values = {name: tensor.numpy() for name, tensor in own.state_dict().items()}
    premise, hypothesis = ([columns[place] for place in places] for places in texts)
    first = values["summary.weight"][0]
    weights = softmax([float(first @ h + values["summary.bias"][0]) for h in hypothesis])
    s = sum(weight * h for weight, h in zip(weights, hypothesis, strict=True))
    steps = []
    for _ in range(own.steps):
        weights = softmax([float((values["attention.weight"] @ s) @ p) for p in premise])
        x = sum(weight * p for weight, p in zip(weights, premise, strict=True))
        gates = values["cell.weight_ih"] @ x + values["cell.bias_ih"], values["cell.weight_hh"] @ s + values["cell.bias_hh"]
        (r_x, z_x, n_x), (r_s, z_s, n_s) = (np.split(gate, 3) for gate in gates)
        r, z = 1 / (1 + np.exp(-r_x - r_s)), 1 / (1 + np.exp(-z_x - z_s))
        s = (1 - z) * np.tanh(n_x + r * n_s) + z * s
        features = np.concatenate([s, x, np.abs(s - x), s * x])
        steps.append(softmax(list(values["out_proj.weight"] @ features + values["out_proj.bias"])))
    chosen = [step for step, keep in zip(steps, kept, strict=True) if keep]
    return [sum(step[label] for step in chosen) / len(chosen) for label in range(CLASSES)]


def test_which_columns_are_premise_and_hypothesis() -> None:
    premise, hypothesis = memories(TOKENS)
    assert [tuple(row.nonzero().flatten().tolist()) for row in premise] == [texts[0] for texts in TEXTS]
    assert [tuple(row.nonzero().flatten().tolist()) for row in hypothesis] == [texts[1] for texts in TEXTS]
    # BERT's one separator, and two texts without a token: the `</s>` that ends each is left
    for tokens, first, second in (([0, 5, 6, 2, 7, 2, 1], [1, 2, 3], [4, 5]), ([0, 2, 2, 2], [1], [3])):
        found = [part[0].nonzero().flatten().tolist() for part in memories(torch.tensor([tokens]))]
        assert found == [first, second]


def test_it_is_the_paper_step_by_step() -> None:
    own, given = head(), states()
    found = own(given, TOKENS).softmax(-1)
    expected = [reference(own, given[n].numpy(), texts, [True] * own.steps) for n, texts in enumerate(TEXTS)]
    torch.testing.assert_close(found.detach(), torch.tensor(expected, dtype=torch.float64))


def test_the_output_is_the_logarithm_of_the_mean() -> None:
    total = head()(states(), TOKENS).exp().sum(-1)
    torch.testing.assert_close(total.detach(), torch.ones(3, dtype=torch.float64))


def test_steps_that_training_drops_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = torch.tensor([[True, False, True, True, False], [False, True, False, False, False], [True] * 5])
    monkeypatch.setattr(san, "kept_steps", lambda *given: kept)
    own, given = head().train(), states()
    found = own(given, TOKENS).exp()
    expected = [reference(own, given[n].numpy(), texts, kept[n].tolist()) for n, texts in enumerate(TEXTS)]
    torch.testing.assert_close(found.detach(), torch.tensor(expected, dtype=torch.float64))


def test_every_input_keeps_a_step() -> None:
    torch.manual_seed(1)
    cpu = torch.device("cpu")
    assert kept_steps(500, 5, 1.0, cpu).sum(1).eq(1).all()
    kept = kept_steps(4000, 5, 0.1, cpu)
    assert kept.any(1).all()
    # the kept one is any step, so each is kept with probability 1 - 0.1 * 4/5
    assert kept.float().mean(0).tolist() == pytest.approx([0.92] * 5, abs=0.02)


@pytest.mark.parametrize("training", [False, True])
def test_its_gradients_are_right(training: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = torch.tensor([[True, False, True], [False, True, True], [False, False, True]])
    monkeypatch.setattr(san, "kept_steps", lambda *given: kept)
    own = head(steps=3).train(training)
    names = [name for name, _ in own.named_parameters()]

    def outputs(given: torch.Tensor, *values: torch.Tensor) -> torch.Tensor:
        return functional_call(own, dict(zip(names, values, strict=True)), (given, TOKENS))  # type: ignore[no-any-return]

    inputs = [states(), *(parameter.detach().clone() for parameter in own.parameters())]
    assert torch.autograd.gradcheck(outputs, [each.requires_grad_() for each in inputs])


def test_padding_changes_nothing_and_the_order_of_the_texts_does(world: Path) -> None:
    torch.manual_seed(2)
    body, embedding = Body.load(world / "body"), Embedding.load(world / "qaa")
    model = TaskModel(CONFIG, len(embedding.tokenizer.vocabulary))
    load_body(model, body)
    model.add_head("xnli", "san", 3)
    with torch.no_grad():
        for parameter in model.heads["xnli"].parameters():
            parameter.mul_(20)
    model.eval()
    tokens = torch.tensor([[0, 5, 6, 2, 2, 7, 8, 2]])
    alone = model(tokens, full=True, task="xnli")
    padded = model(torch.nn.functional.pad(tokens, (0, 6), value=1), task="xnli")
    torch.testing.assert_close(alone, padded, rtol=1e-4, atol=1e-5)
    turned = model(torch.tensor([[0, 7, 8, 2, 2, 5, 6, 2]]), full=True, task="xnli")
    assert (alone - turned).abs().max() > 0.01


def test_it_runs_in_half_precision(world: Path) -> None:
    torch.manual_seed(2)
    model = TaskModel(CONFIG, 20, precision="bf16")
    model.add_head("xnli", "san", 3)
    for training in (True, False):
        logits = model.train(training)(TOKENS, task="xnli")
        assert logits.dtype == torch.float32 and torch.isfinite(logits).all()
        torch.testing.assert_close(logits.exp().sum(-1), torch.ones(3), rtol=1e-2, atol=1e-2)
