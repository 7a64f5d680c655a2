"""Active forgetting inside fairseq's trainer: what changes at a reset and what stays bit-identical (docs/design-notes.md)."""

from __future__ import annotations

import copy
import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

pytest.importorskip("fairseq")

from pretrain.base.errors import UserError
from pretrain.masked_lm import EMBEDDING_WEIGHT, OUTPUT_BIAS
from pretrain.schedule import Polynomial
from pretrain.trainer import plugin  # noqa: F401
from pretrain.trainer.optimizer import ModularAdamW, mark
from pretrain.trainer.task import ModularMLMTask
from tests.training import by_update, recorded, state, train, two_ranks


def task(prepared: Path, **changes: Any) -> ModularMLMTask:
    values = {"data": str(prepared), "tokens_per_sample": 32, "mask_prob": 0.15, "mask_policy": "bert", "epoch_blocks": 0,
              "forget_scope": "embedding", "head_only_updates": 0, "seed": 5, "max_update": 50, "forget_every": 10,
              "forget_start": 0, "forget_until": 0, "forget_reset": "normal", "forget_bias": "", "forget_warmup": 0.0, **changes}
    return ModularMLMTask(SimpleNamespace(**values))


def trained(model: Any, scope: str = "embedding", scale: float = 1.0) -> ModularAdamW:
    """An optimizer whose every parameter has moments."""
    mark(model.encoder.embed_tokens.weight, "embedding")
    mark(model.lm_head.bias, "output_bias")
    cfg = SimpleNamespace(lr=[1e-3], adam_betas="(0.9, 0.98)", adam_eps=1e-6, weight_decay=0.01, decay_all=False,
                          forget_scope=scope, embedding_lr_scale=scale, precision="fp32")
    optimizer = ModularAdamW(cfg, model.parameters())
    optimizer.schedule = Polynomial(1e-3, 5, 50)
    for _ in range(3):
        model(torch.randint(4, 60, (2, 8))).sum().backward()
        optimizer.step()
    return optimizer


def snapshot(model: Any, optimizer: ModularAdamW) -> tuple[dict[str, Any], dict[str, Any]]:
    names = {parameter: name for name, parameter in model.named_parameters()}
    moments = {names[p]: copy.deepcopy(values) for p, values in optimizer.optimizer.state.items()}
    return {k: v.clone() for k, v in model.state_dict().items()}, moments


def changes(model: Any, optimizer: ModularAdamW, before: Any) -> tuple[set[str], set[str]]:
    tensors, moments = snapshot(model, optimizer)
    moved = {k for k in tensors if not torch.equal(tensors[k], before[0][k])}
    lost = {k for k in before[1]
            if k not in moments or any(not torch.equal(moments[k][s], before[1][k][s]) for s in before[1][k])}
    return moved, lost


@pytest.mark.parametrize(("scope", "expected"), [
    ("embedding", {EMBEDDING_WEIGHT}), ("embedding+bias", {EMBEDDING_WEIGHT, OUTPUT_BIAS})])
def test_reset_touches_the_tensors_and_moments_in_scope_and_nothing_else(prepared, model, scope, expected):
    optimizer = trained(model, scope)
    with torch.no_grad():
        model.lm_head.bias += 0.5
    before = snapshot(model, optimizer)
    task(prepared, forget_scope=scope).begin_update(model, optimizer, 10)
    assert changes(model, optimizer, before) == (expected, expected)


def test_reset_keeps_the_tied_table_one_object(prepared, model):
    optimizer, table = trained(model), model.encoder.embed_tokens.weight
    task(prepared).begin_update(model, optimizer, 10)
    assert model.encoder.embed_tokens.weight is table
    assert any(table is p for g in optimizer.param_groups if g["name"] == "embedding" for p in g["params"])


def test_first_step_after_a_reset_is_bias_corrected_like_a_first_step(prepared, model):
    optimizer = trained(model)
    task(prepared).begin_update(model, optimizer, 10)
    optimizer.set_embedding_lr(1e-3)
    before = model.encoder.embed_tokens.weight.detach().clone()
    optimizer.zero_grad()
    model(torch.tensor([[0, 20, 30, 2]])).sum().backward()
    optimizer.step()
    step = (model.encoder.embed_tokens.weight - before)[20].abs()
    assert step.max().item() == pytest.approx(1e-3, rel=0.05)


@pytest.mark.parametrize("updates", [0, 9, 11, 50])
def test_nothing_is_reset_between_episodes(prepared, model, updates):
    optimizer = trained(model)
    before = snapshot(model, optimizer)
    task(prepared, max_update=60, forget_until=50).begin_update(model, optimizer, updates)
    assert changes(model, optimizer, before) == (set(), set())


def test_micro_batches_and_retried_updates_do_not_reset_twice(prepared, model):
    optimizer, one = trained(model), task(prepared)
    one.begin_update(model, optimizer, 10)
    with torch.no_grad():
        model.encoder.embed_tokens.weight[30] += 1
    before = snapshot(model, optimizer)
    one.begin_update(model, optimizer, 10)
    assert changes(model, optimizer, before) == (set(), set())


def test_control_keeps_the_episodic_rate_but_resets_nothing(prepared, model):
    optimizer, control = trained(model), task(prepared, forget_reset="none")
    before = snapshot(model, optimizer)
    control.begin_update(model, optimizer, 10)
    assert changes(model, optimizer, before) == (set(), set())
    assert optimizer.embedding_lr == 0.0
    control.begin_update(model, optimizer, 11)
    assert optimizer.embedding_lr == pytest.approx(Polynomial(1e-3, 5, 50).at(5))


@pytest.mark.parametrize(("scope", "bias", "expected"), [
    ("embedding", "reset", {EMBEDDING_WEIGHT, OUTPUT_BIAS}), ("embedding+bias", "keep", {EMBEDDING_WEIGHT})])
def test_the_output_bias_is_reset_or_kept_with_its_moments_whatever_its_rate(prepared, model, scope, bias, expected):
    optimizer = trained(model, scope)
    with torch.no_grad():
        model.lm_head.bias += 0.5
    before = snapshot(model, optimizer)
    task(prepared, forget_scope=scope, forget_bias=bias).begin_update(model, optimizer, 10)
    assert changes(model, optimizer, before) == (expected, expected)


@pytest.mark.parametrize(("scope", "faster"), [("embedding", {EMBEDDING_WEIGHT}),
                                               ("embedding+bias", {EMBEDDING_WEIGHT, OUTPUT_BIAS})])
def test_the_embeddings_rate_is_a_multiple_of_the_bodys_in_every_arm(prepared, model, scope, faster):
    optimizer = trained(model, scope, 5.0)
    optimizer.set_lr(7e-4)
    names = {parameter: name for name, parameter in model.named_parameters()}
    rates = {names[p]: group["lr"] for group in optimizer.param_groups for p in group["params"]}
    assert {name for name, rate in rates.items() if rate == pytest.approx(3.5e-3)} == faster
    assert {rate for name, rate in rates.items() if name not in faster} == {7e-4} and optimizer.get_lr() == 7e-4
    one = task(prepared, forget_scope=scope, forget_reset="none")
    one.begin_update(model, optimizer, 11)
    assert optimizer.embedding_lr == pytest.approx(5 * Polynomial(1e-3, 5, 50).at(5)) and optimizer.get_lr() == 7e-4


def test_body_rate_is_not_touched_by_an_episode(prepared, model):
    optimizer = trained(model)
    optimizer.set_lr(7e-4)
    task(prepared).begin_update(model, optimizer, 15)
    assert optimizer.get_lr() == 7e-4 and optimizer.embedding_lr != 7e-4


def test_forgetting_needs_the_projects_optimizer_and_schedule(prepared, model):
    with pytest.raises(UserError, match=r"--optimizer modular_adamw --lr-scheduler modular_polynomial"):
        task(prepared).begin_update(model, SimpleNamespace(), 1)


def test_copied_parameters_are_refused_with_the_reason(model):
    cfg = SimpleNamespace(lr=[1e-3], adam_betas="(0.9, 0.98)", adam_eps=1e-6, weight_decay=0.01, decay_all=False,
                          forget_scope="embedding", precision="fp32")
    flat = torch.nn.Parameter(torch.zeros(100))
    with pytest.raises(UserError, match=r"--fp16.*--precision fp16"):
        ModularAdamW(cfg, [flat])


def test_biases_and_norms_are_not_decayed_unless_asked(model):
    mark(model.encoder.embed_tokens.weight, "embedding")
    cfg = SimpleNamespace(lr=[1e-3], adam_betas="(0.9, 0.98)", adam_eps=1e-6, weight_decay=0.01, decay_all=False,
                          forget_scope="embedding", precision="fp32")
    assert {g["name"]: g["weight_decay"] for g in ModularAdamW(cfg, model.parameters()).param_groups} == {
        "embedding": 0.01, "matrix": 0.01, "vector": 0.0}
    cfg.decay_all = True
    assert {g["weight_decay"] for g in ModularAdamW(cfg, model.parameters()).param_groups} == {0.01}


# whole runs


@pytest.fixture(scope="module")
def ranks(prepared, tmp_path_factory) -> dict[str, Any]:
    """Two trainings on two ranks each, with forgetting."""
    return two_ranks(prepared, tmp_path_factory.mktemp("ranks"), {
        name: {"forget-every": 10, "dropout": dropout} for name, dropout in (("dropout", 0.1), ("plain", 0))})


@pytest.fixture(scope="module")
def uninterrupted(prepared, tmp_path_factory) -> Path:
    """30 updates with resets before updates 11 and 21, every update saved."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    return train(prepared, folder, forget_every=10, save_interval_updates=1, validate_interval_updates=10,
                 dropout=0.1, attention_dropout=0.1)


def same(a: Any, b: Any) -> bool:
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


def checkpoint(folder: Path, updates: int) -> str:
    return next(str(p) for p in folder.glob(f"checkpoint_*_{updates}.pt"))


@pytest.mark.parametrize("updates", [9, 10, 11, 20])
def test_resume_before_at_and_after_a_reset_is_bit_exact(prepared, uninterrupted, tmp_path, updates):
    folder = train(prepared, tmp_path / "resumed", forget_every=10, restore_file=checkpoint(uninterrupted, updates),
                   save_interval_updates=30, dropout=0.1, attention_dropout=0.1)
    whole, resumed = state(uninterrupted), state(folder)
    assert resumed["optimizer_history"][-1]["num_updates"] == 30
    assert same(whole["model"], resumed["model"])
    assert same(whole["last_optimizer_state"]["state"], resumed["last_optimizer_state"]["state"])


def test_resume_with_a_scaled_rate_and_an_end_of_the_resets_is_bit_exact(prepared, tmp_path):
    """Killed after the last reset, before the embedding follows the body's schedule again; and the twin that resets nothing is
    trained with the same rates."""
    options = {"forget_every": 10, "forget_until": 20, "forget_warmup": 0.2, "forget_bias": "reset", "embedding_lr_scale": 5.0,
               "max_update": 24}
    with recorded() as whole:
        folder = train(prepared, tmp_path / "whole", save_interval_updates=8, **options)
    assert whole.resets == 1
    resumed = train(prepared, tmp_path / "resumed", restore_file=checkpoint(folder, 16), **options)
    assert same(state(folder)["model"], state(resumed)["model"])
    with recorded() as twin:
        train(prepared, tmp_path / "twin", forget_reset="none", **options)
    assert whole.steps[:10] == twin.steps[:10] and whole.steps[10] != twin.steps[10]
    rates = [{group["name"]: group["lr"] for group in run.trainer.optimizer.param_groups} for run in (whole, twin)]
    assert rates[0] == rates[1] and rates[0]["embedding"] == pytest.approx(5 * rates[0]["matrix"])


def test_checkpoint_at_a_multiple_of_k_holds_the_trained_embedding(uninterrupted):
    at, after = (state(uninterrupted, Path(checkpoint(uninterrupted, n)).name) for n in (10, 11))
    assert at["model"][EMBEDDING_WEIGHT].std() > 0.02  # trained away from N(0, 0.02)
    moved = (at["model"][EMBEDDING_WEIGHT] - after["model"][EMBEDDING_WEIGHT]).std().item()
    assert moved == pytest.approx((0.02**2 + at["model"][EMBEDDING_WEIGHT].std().item() ** 2) ** 0.5, rel=0.1)


def test_embeddings_step_count_restarts_with_each_episode(uninterrupted):
    last = state(uninterrupted)["last_optimizer_state"]
    steps = {group["name"]: {int(last["state"][i]["step"]) for i in group["params"]} for group in last["param_groups"]}
    assert steps == {"embedding": {10}, "matrix": {30}, "vector": {30}}


def test_micro_batches_reset_as_often_as_whole_batches(prepared, tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        train(prepared, tmp_path, forget_every=10, batch_size=2, update_freq=2)
    assert sum("embedding reset" in record.message for record in caplog.records) == 2


def test_forgetting_longer_than_the_run_is_refused(prepared, tmp_path):
    with pytest.raises(UserError, match=r"--forget-every 40 is not smaller than the 30 updates"):
        train(prepared, tmp_path, forget_every=40)


def test_held_out_masks_never_change(prepared):
    one = task(prepared)
    one.load_dataset("valid")
    batch = one.datasets["valid"].collater([0, 1])
    one.update = 3
    first = one.mask(batch, training=False)
    one.update = 17
    assert torch.equal(first.tokens, one.mask(batch, training=False).tokens)
    assert not torch.equal(one.mask(batch, training=True).tokens, first.tokens)


def test_small_data_is_repeated_within_an_epoch(prepared):
    one = task(prepared, epoch_blocks=500)
    one.load_dataset("train")
    dataset = one.datasets["train"]
    assert len(dataset) >= 500 and len(dataset) % len(dataset.blocks) == 0
    assert torch.equal(dataset.collater([3])["tokens"], dataset.collater([3 + len(dataset.blocks)])["tokens"])


def test_order_of_an_epoch_depends_on_seed_and_epoch_alone(prepared):
    one = task(prepared)
    one.load_dataset("train")
    dataset = one.datasets["train"]
    first = dataset.ordered_indices()
    assert (dataset.ordered_indices() == first).all()
    dataset.set_epoch(2)
    assert not (dataset.ordered_indices() == first).all()


@pytest.mark.slow
def test_two_ranks_do_what_one_does_and_hold_the_same_model(ranks):
    for first, second in ranks.values():  # with dropout and without
        assert same({**first, "steps": ()}, {**second, "steps": ()})
        assert first["resets"] == 2 and first["updates"] == 30


@pytest.mark.slow
def test_two_ranks_equal_one_rank_with_two_micro_batches(prepared, ranks, tmp_path):
    """Global batch, order, counters, and the losses to rounding. Not with dropout: ranks draw alike, micro-batches do not."""
    for name, dropout in (("plain", 0.0), ("dropout", 0.1)):
        with recorded() as one:
            train(prepared, tmp_path / name, forget_every=10, update_freq=2, dropout=dropout)
        theirs, ours = by_update([step for rank in ranks[name] for step in rank["steps"]]), one.updates()
        assert len(ours) == 30 and len(ours[0][0]) == 8
        assert [blocks for blocks, _ in theirs] == [blocks for blocks, _ in ours]
        assert (one.resets, one.trainer.get_num_updates()) == (ranks[name][0]["resets"], ranks[name][0]["updates"])
        losses = [[loss for _, loss in found] for found in (theirs, ours)]
        assert (losses[0] == pytest.approx(losses[1], rel=1e-4)) is (dropout == 0)
