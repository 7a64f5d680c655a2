"""The step benchmark, and that what makes our step fast on a CPU changes nothing but the time."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from pretrain import encoder
from pretrain.base.errors import UserError
from pretrain.base.vocabulary import PAD
from pretrain.encoder import Dropout, EncoderConfig, attend, drop, linear
from pretrain.masked_lm import MaskedLM
from pretrain.masking import generator_for, mask_tokens
from recipes.bench import steps as bench_steps
from recipes.bench.steps import Sizes, bench

pytest.importorskip("fairseq")
TINY = Sizes(layers=2, width=16, heads=2, ffn=32, vocabulary=60, block=12, batch=4)
ROWS = 60


def model(**changes: Any) -> MaskedLM:
    torch.manual_seed(2)
    shape = {"layers": 2, "width": 16, "heads": 4, "ffn": 32, "embedding_width": 16, "max_positions": 12, **changes}
    return MaskedLM(EncoderConfig(**shape), ROWS, Dropout(0.0, 0.0, 0.0)).train()


def batch(padded: bool) -> Tensor:
    tokens = torch.randint(4, ROWS - 1, (3, 12), generator=torch.Generator().manual_seed(1))
    tokens[:, 0] = 0
    if padded:
        tokens[1, 7:] = PAD
        tokens[2, 4:] = PAD
    return tokens


def test_bench_prints_a_table_and_json(capsys: pytest.CaptureFixture[str]) -> None:
    flags = [f"--{name}={getattr(TINY, name)}" for name in ("layers", "width", "heads", "ffn", "vocabulary", "block")]
    assert bench_steps.main([*flags, "--batch=4", "--steps=2", "--warmup=1", "--threads=1", "--device=cpu"]) == 0
    *text, last = capsys.readouterr().out.splitlines()
    result = json.loads(last)
    assert result["sizes"] == TINY.__dict__ and result["threads"] == 1
    for kind in ("pretrain", "adapt"):
        assert {"ours", "fairseq"} <= set(result[kind])
        for side, found in result[kind].items():
            assert found["ms"] > 0 and 2 < found["loss"] < 6, (kind, side)  # all learn the same thing: ln 60 = 4.1
            assert side == "ours" or found["ratio"] > 0
    assert "counted" in text[1] and sum(line.startswith(("pretrain", "adapt")) for line in text) >= 4


def test_bench_refuses_wrong_arguments() -> None:
    with pytest.raises(UserError, match="did you mean 'fairseq'"):
        bench(TINY, sides=("fairsec",))
    with pytest.raises(UserError, match="--steps 0"):
        bench(TINY, steps=0)


def test_frozen_bodies_get_no_gradient_on_any_side(monkeypatch: pytest.MonkeyPatch) -> None:
    trained: list[int] = []
    freeze = bench_steps._freeze

    def counted(module: torch.nn.Module, names: set[str]) -> None:
        freeze(module, names)
        trained.append(sum(p.numel() for p in module.parameters() if p.requires_grad))

    monkeypatch.setattr(bench_steps, "_freeze", counted)
    result = bench(TINY, kinds=("adapt",), threads=1, warmup=0, steps=1, device="cpu")
    assert trained == [ROWS * 16 + ROWS] * len(result["adapt"])


@pytest.mark.parametrize("changes", [{}, {"relative_buckets": 8}, {"embedding_width": 8}, {"layers": 1}])
@pytest.mark.parametrize("padded", [False, True])
def test_last_layer_at_hidden_positions_alone(changes: dict[str, int], padded: bool) -> None:
    masked = mask_tokens(batch(padded), ROWS - 1, generator_for(torch.device("cpu"), 4), 0.3)
    found = []
    for positions in (masked.positions, masked.positions.view(3, -1)):
        one = model(**changes)
        logits = one(masked.tokens, positions, full=not padded)
        F.cross_entropy(logits, masked.targets, ignore_index=PAD).backward()
        found.append((logits.detach(), {name: p.grad for name, p in one.named_parameters()}))
    (every, gradients), (chosen, others) = found
    torch.testing.assert_close(chosen, every, rtol=1e-5, atol=1e-6)
    for name, gradient in gradients.items():
        torch.testing.assert_close(others[name], gradient, rtol=1e-5, atol=1e-6, msg=name)


@pytest.mark.parametrize("kind", ["none", "bool", "bias"])
def test_written_out_attention(kind: str) -> None:
    generator = torch.Generator().manual_seed(6)
    query, key, value = (torch.randn(2, 3, size, 8, generator=generator) for size in (5, 7, 7))
    mask = {"none": None, "bool": torch.arange(7) < torch.tensor([7, 4])[:, None, None, None],
            "bias": torch.randn(1, 3, 5, 7, generator=generator)}[kind]
    expected = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
    torch.testing.assert_close(attend(query, key, value, mask, 1e-9), expected, rtol=1e-5, atol=1e-6)  # drops nothing
    nothing = torch.zeros(2, 1, 1, 7, dtype=torch.bool)
    assert bool(attend(query, key, value, nothing, 0.1).isfinite().all())


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("onednn", [False, True])
def test_linear_is_linear(monkeypatch: pytest.MonkeyPatch, frozen: bool, onednn: bool) -> None:
    monkeypatch.setattr(encoder, "_ONEDNN_FROM", 0)
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: onednn)
    generator = torch.Generator().manual_seed(7)
    x, weight, bias = (torch.randn(*shape, generator=generator) for shape in ((3, 5, 17), (33, 17), (33,)))
    gradient = torch.randn(3, 5, 33, generator=generator)
    found = []
    for function in (F.linear, linear):
        inputs = [x.clone().requires_grad_(), *(t.clone().requires_grad_(not frozen) for t in (weight, bias))]
        y = function(*inputs)
        y.backward(gradient)
        found.append((y.detach(), *(t.grad for t in inputs)))
    for expected, got in zip(*found, strict=True):
        assert (expected is None) == (got is None)
        if expected is not None:
            torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-5)


def test_tied_gradients_are_summed(monkeypatch: pytest.MonkeyPatch) -> None:
    masked = mask_tokens(batch(False), ROWS - 1, generator_for(torch.device("cpu"), 4), 0.3)
    tables = []
    for limit in (0, 2**60):
        monkeypatch.setattr(encoder, "_ONEDNN_FROM", limit)
        one = model()
        F.cross_entropy(one(masked.tokens, masked.positions.view(3, -1), full=True), masked.targets).backward()
        tables.append(one.encoder.embed_tokens.weight.grad)
    torch.testing.assert_close(tables[0], tables[1], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_dropout_draws_as_it_should(p: float) -> None:
    x = torch.ones(1001, 999, requires_grad=True)  # no multiple of four values
    torch.manual_seed(8)
    y = drop(x, p, True)
    y.sum().backward()
    dropped = y.detach() == 0
    sd = (p * (1 - p) / x.numel()) ** 0.5
    assert abs(float(dropped.float().mean()) - p) < 5 * sd + 2**-16
    torch.testing.assert_close(y.detach()[~dropped], torch.full_like(y[~dropped], 1 / (1 - p)), rtol=2e-4, atol=0)
    assert torch.equal(x.grad, y.detach())  # type: ignore[arg-type]
    for step in (1, 2, 3, 4, 999):  # neighbours share 64 random bits and are independent none the less
        both = (dropped.flatten()[:-step] & dropped.flatten()[step:]).float().mean()
        assert abs(float(both) - p * p) < 5 * (p * p * (1 - p * p) / x.numel()) ** 0.5 + 2**-15
    torch.manual_seed(8)
    assert torch.equal(drop(x, p, True), y)
    assert not torch.equal(drop(x, p, True), y)
    assert drop(x, p, False) is x and drop(x, 0.0, True) is x


@pytest.mark.parametrize("scale", [1.0, 60.0])
def test_score_is_cross_entropy(scale: float) -> None:
    import pretrain.trainer.plugin  # noqa: F401
    from pretrain.trainer.masked_lm_loss import score

    generator = torch.Generator().manual_seed(3)
    logits = torch.randn(40, 300, generator=generator) * scale
    targets = torch.randint(4, 300, (40,), generator=generator)
    targets[:8] = logits[:8].argmax(-1)
    targets[30:] = PAD
    theirs, ours = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    expected = F.cross_entropy(theirs, targets, reduction="sum", ignore_index=PAD)
    loss, count, correct = score(ours * 1, targets)
    (expected / 30).backward()
    (loss / count).backward()
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(ours.grad, theirs.grad, atol=1e-7, rtol=1e-4)
    right = logits.argmax(-1).eq(targets) & targets.ne(PAD)
    assert (int(count), int(correct)) == (30, int(right.sum()))
    with torch.no_grad():
        torch.testing.assert_close(score(logits.clone(), targets)[0], expected.detach())
    assert float(score(torch.randn(2, 9), torch.tensor([PAD, PAD]))[0]) == 0.0
