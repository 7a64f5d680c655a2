"""The pair inside fairseq's trainer: normalisation, weights over time, metrics, resets, resume."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

pytest.importorskip("fairseq")

from pretrain.base.errors import UserError
from pretrain.base.vocabulary import EOS, PAD
from pretrain.electra.networks import Electra, ElectraConfig, generator_config
from pretrain.encoder import Dropout, EncoderConfig
from pretrain.forgetting import Forgetting, draw
from pretrain.masking import Masked, generator_for, mask_tokens
from pretrain.trainer import plugin  # noqa: F401
from pretrain.trainer.electra_loss import ModularReplacedToken, area
from pretrain.trainer.optimizer import ModularAdamW, mark, mark_network
from tests.training import PRETRAIN, by_update, recorded, state, train, two_ranks

ROWS, MASK = 65, 64
ELECTRA = {**PRETRAIN, "arch": "modular_electra_tiny", "criterion": "modular_replaced_token", "token-embed-dim": 8}
SHAPE = EncoderConfig(layers=1, width=16, heads=2, ffn=32, embedding_width=8, max_positions=16)
TABLE = "encoder.embed_tokens.weight"


class StubTask:
    """Masks that belong to the rows, not to the batch, so that a batch can be cut."""

    def __init__(self, tokens: torch.Tensor, forgetting: Forgetting | None = None, update: int = 100):
        self.forgetting, self.update = forgetting or Forgetting(), update
        whole = mask_tokens(tokens, MASK, generator_for(torch.device("cpu"), 1), 0.25, "electra")
        self.parts = [part.view(len(tokens), -1) for part in (whole.tokens, whole.positions, whole.targets)]

    def mask(self, sample: dict[str, Any], training: bool) -> Masked:
        rows = sample["rows"]
        tokens, positions, targets = (part[rows] for part in self.parts)
        positions = positions - rows.start * tokens.size(1)
        return Masked(tokens, positions.reshape(-1), targets.reshape(-1))

    def segments(self, sample: dict[str, Any], training: bool) -> None:
        """One segment."""

    def draws(self, sample: dict[str, Any], training: bool, *purpose: int) -> torch.Generator:
        return generator_for(torch.device("cpu"), 5)


def text(rows: int = 6) -> torch.Tensor:
    """Rows [0, …] of which some have many ends of sentences, which are never hidden, and one is padded."""
    tokens = torch.randint(4, MASK, (rows, 16), generator=torch.Generator().manual_seed(2))
    tokens[:, 0] = 0
    tokens[1, 3:12] = EOS
    tokens[4, 10:] = PAD
    return tokens


def pair(hardness: str = "none", tying: str = "embedding") -> Electra:
    torch.manual_seed(1)
    model = Electra(ElectraConfig(SHAPE, generator_config(SHAPE, 0.5, 1), tying, hardness), ROWS, Dropout(0, 0, 0))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.05 * torch.randn_like(parameter)
    return model


def step(model: Electra, criterion: ModularReplacedToken, tokens: torch.Tensor, sizes: list[int]) -> dict[str, torch.Tensor]:
    """Gradients of one update in micro-batches of these sizes, divided as fairseq's trainer does it."""
    model.zero_grad()
    start, count = 0, 0
    for size in sizes:
        rows = slice(start, start + size)
        loss, weight, _ = criterion(model, {"tokens": tokens[rows], "rows": rows, "full": False, "ntokens": 1, "nsentences": 1})
        loss.backward()
        start, count = start + size, count + int(weight)
    return {name: p.grad / count for name, p in model.named_parameters()}


@pytest.mark.parametrize("hardness", ["none", "loss", "dist"])
def test_one_large_and_several_small_micro_batches_give_the_same_gradient(hardness):
    tokens, model = text(), pair(hardness)
    # a temperature of almost nothing takes the most likely token: the draws do not depend on the batch
    criterion = ModularReplacedToken(StubTask(tokens), sampling_temperature=1e-6, hardness_start=10**9)
    whole, halves, parts = (step(model, criterion, tokens, sizes) for sizes in ([6], [3, 3], [1, 2, 3]))
    for name, gradient in whole.items():
        torch.testing.assert_close(halves[name], gradient, atol=1e-6, rtol=1e-4)
        torch.testing.assert_close(parts[name], gradient, atol=1e-6, rtol=1e-4)


def test_loss_is_the_mean_over_hidden_tokens_plus_lambda_times_the_mean_over_tokens():
    tokens = torch.randint(4, MASK, (4, 16))  # nothing special: the constant share is the batch's own
    model = pair()
    sample = {"tokens": tokens, "rows": slice(0, 4), "full": True, "ntokens": 64, "nsentences": 4}
    criterion = ModularReplacedToken(StubTask(tokens), rtd_weight=20.0)
    loss, count, log = criterion(model, sample)
    assert int(count) == 16
    assert loss.item() / 16 == pytest.approx(log["mlm"].item() / 16 + 20 * log["rtd"].item() / 64, rel=1e-5)


def test_padding_counts_neither_in_loss_nor_in_metrics():
    tokens, model = text(), pair()
    sample = {"tokens": tokens, "rows": slice(0, 6), "full": False, "ntokens": 1, "nsentences": 6}
    log = ModularReplacedToken(StubTask(tokens))(model, sample)[2]
    assert int(log["n_tokens"]) == int((tokens != PAD).sum()) == 90
    assert int(log["n_right"]) <= 90 and int(log["auc_pairs"]) == int(log["n_replaced"]) * (90 - int(log["n_replaced"]))


def test_importance_weights_apply_to_hidden_positions_alone():
    tokens, model = text(), pair("dist")
    sample = {"tokens": tokens, "rows": slice(0, 6), "full": False, "ntokens": 1, "nsentences": 6}
    plain, weighted = (ModularReplacedToken(StubTask(tokens), hardness_mixture=0.0, disc_weighting=kind)
                       for kind in ("none", "is"))
    output = model(tokens, plain.task.mask(sample, True), plain.sampling(True), plain.task.draws(sample, True), False)
    each = torch.nn.functional.binary_cross_entropy_with_logits(output.rtd_BT, output.labels_BT.float(), reduction="none")
    real = plain.task.mask(sample, True).targets.ne(PAD)
    excess = (((output.drawn.log_p - output.drawn.log_q).exp() - 1) * each.view(-1)[output.positions])[real].sum()
    difference = weighted(model, sample)[0] - plain(model, sample)[0]
    torch.testing.assert_close(difference, 50 * 0.25 * excess, atol=1e-2, rtol=1e-4)
    # what is logged can be compared between runs
    assert weighted(model, sample)[2]["rtd"] == plain(model, sample)[2]["rtd"]


def test_hardness_loss_gives_the_discriminator_nothing():
    for kind in ("loss", "dist"):
        tokens, model = text(), pair(kind, "none")
        criterion = ModularReplacedToken(StubTask(tokens), rtd_weight=0.0)
        gradients = step(model, criterion, tokens, [6])
        moved = {name for name, gradient in gradients.items() if bool(gradient.any())}
        assert moved and all(name.startswith("generator.") for name in moved)
        assert "generator.hardness_head.dense.weight" in moved


def weights(updates: list[int], forgetting: Forgetting, **settings: Any) -> list[float]:
    criterion = ModularReplacedToken(StubTask(text(), forgetting), **settings)
    return [criterion.rtd_weight(n) for n in updates]


def test_lambda_waits_then_rises():
    assert weights([0, 9, 10, 15, 20, 99], Forgetting(), rtd_start=10, rtd_warmup=10) == [0, 0, 0, 25, 50, 50]


def test_lambda_rises_again_in_each_episode():
    found = weights([0, 5, 10, 50, 99, 100, 105, 110, 200], Forgetting(100))
    assert found == [0, 25, 50, 50, 50, 0, 25, 50, 0]


def test_lambda_of_an_episode_can_be_left_alone():
    assert weights([100, 200], Forgetting(100), rtd_episode_warmup=0) == [50, 50]


def test_lambda_of_the_last_episode_stays_after_forgetting_has_ended():
    assert weights([99, 200, 250, 300], Forgetting(100, until=200), rtd_episode_warmup=10) == [45 + 5, 50, 50, 50]


def test_age_of_an_embedding():
    settings = Forgetting(10, start=15, until=50)
    assert [settings.age(n) for n in (0, 14, 19, 20, 29, 30, 49, 50, 75)] == [0, 14, 19, 0, 9, 0, 9, 10, 35]


def test_area_under_the_curve_is_the_share_of_ordered_pairs():
    logits = torch.tensor([0.1, 0.9, 0.5, 0.5])
    labels = torch.tensor([False, True, True, False])
    right, pairs = area(logits, labels)
    assert (right.item(), pairs.item()) == (3.5, 4.0)


def logged(found: int, replaced: int = 100) -> list[dict[str, Any]]:
    return [{"n_replaced": replaced, "n_found": found, "rtd_weight": 50.0, "sample_size": 1, "n_tokens": 10}]


def test_alarm_rings_when_nothing_is_found_for_long(caplog):
    criterion = ModularReplacedToken(StubTask(text()), recall_alarm=3)
    with caplog.at_level(logging.WARNING):
        for found in (0, 0, 50, 0, 0):
            criterion.watch(logged(found))
        assert not caplog.records
        criterion.watch(logged(0))
    assert "answers `original` everywhere" in caplog.text


def test_alarm_is_silent_while_the_discriminator_does_not_learn(caplog):
    criterion = ModularReplacedToken(StubTask(text()), recall_alarm=1)
    criterion.watch([{**logged(0)[0], "rtd_weight": 0.0}])
    criterion.eval().watch(logged(0))
    assert not caplog.records


@pytest.mark.parametrize("wrong", [
    {"hardness_loss": "l1"}, {"disc_weighting": "yes"}, {"rtd_weight": -1.0}, {"sampling_temperature": 0.0},
    {"focal_gamma": -1.0}, {"hardness_mixture": 2.0}])
def test_wrong_settings_are_refused_in_one_line(wrong):
    with pytest.raises(UserError):
        ModularReplacedToken(StubTask(text()), **wrong)


def optimizer_of(model: Electra, **changes: Any) -> ModularAdamW:
    lexicon = model.lexicon()
    for parameter in [*lexicon.tables, *lexicon.offsets]:
        mark(parameter, "embedding")
    for network, parameters in model.networks().items():
        for parameter in parameters:
            mark_network(parameter, network)
    return ModularAdamW(SimpleNamespace(**{
        "lr": [1e-3], "adam_betas": "(0.9, 0.98)", "adam_eps": 1e-6, "weight_decay": 0.01, "decay_all": False,
        "forget_scope": "embedding", "precision": "fp32", "clip_per_network": False, **changes}), model.parameters())


def test_networks_are_clipped_by_their_own_norms():
    model = pair()
    optimizer = optimizer_of(model, clip_per_network=True)
    step(model, ModularReplacedToken(StubTask(text())), text(), [6])
    before = {n: torch.stack([p.grad.norm() for p in ps]).norm() for n, ps in model.networks().items()}
    total = optimizer.clip_grad_norm(1e-3)
    after = {n: torch.stack([p.grad.norm() for p in ps]).norm().item() for n, ps in model.networks().items()}
    assert after == pytest.approx({"generator": 1e-3, "discriminator": 1e-3, "shared": 1e-3}, rel=1e-2)
    torch.testing.assert_close(total, torch.stack(list(before.values())).norm())


# whole runs

def run(prepared: Path, folder: Path, **options: Any) -> Path:
    return train(prepared, folder, base=ELECTRA, **options)


HARD = {"forget_every": 10, "hardness_head": "dist", "hardness_start": 3, "forget_scope": "embedding+bias",
        "dropout": 0.1, "attention_dropout": 0.1}


@pytest.fixture(scope="module")
def uninterrupted(prepared, tmp_path_factory) -> Path:
    return run(prepared, tmp_path_factory.mktemp("pair"), save_interval_updates=1, **HARD)


def same(a: Any, b: Any) -> bool:
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    return a == b


@pytest.mark.parametrize("updates", [9, 10, 20])
def test_resume_across_a_reset_is_bit_exact(prepared, uninterrupted, tmp_path, updates):
    start = next(str(p) for p in uninterrupted.glob(f"checkpoint_*_{updates}.pt"))
    resumed = state(run(prepared, tmp_path, restore_file=start, save_interval_updates=30, **HARD))
    whole = state(uninterrupted)
    assert resumed["optimizer_history"][-1]["num_updates"] == 30
    assert same(whole["model"], resumed["model"])
    assert same(whole["last_optimizer_state"]["state"], resumed["last_optimizer_state"]["state"])


def test_tied_tables_moments_are_counted_once(uninterrupted):
    last = state(uninterrupted)
    moments = [s["exp_avg"] for s in last["last_optimizer_state"]["state"].values()]
    table = last["model"][TABLE]
    assert sum(m.shape == table.shape for m in moments) == 1
    assert len(moments) == len(last["model"])


def test_table_and_biases_begin_each_episode_without_moments(uninterrupted):
    last = state(uninterrupted)["last_optimizer_state"]
    steps = {group["name"]: {int(last["state"][i]["step"]) for i in group["params"]} for group in last["param_groups"]}
    assert steps == {"embedding": {10}, "matrix": {30}, "vector": {30}}


def test_checkpoint_at_a_multiple_of_k_holds_the_trained_table(uninterrupted):
    at, after = (state(uninterrupted, next(uninterrupted.glob(f"checkpoint_*_{n}.pt")).name)["model"] for n in (10, 11))
    fresh = draw(at[TABLE].shape, Forgetting(10), 5, 10, at[TABLE])
    # the first update of an episode has learning rate 0
    assert torch.equal(after[TABLE], fresh) and not after["generator.lm_head.bias"].any()
    assert not torch.allclose(at[TABLE], fresh, atol=1e-3) and at["generator.lm_head.bias"].any()


@pytest.mark.parametrize("options", [
    {"tying": "gdes", "hardness_head": "loss"}, {"tying": "all", "generator_width": 1.0}, {"generator": "unigram"},
    {"tying": "none", "focal_gamma": 1.0, "disallow_correct": True, "disc_weighting": "is-clipped", "hardness_head": "dist"},
    {"generator": "uniform", "forget_every": 2, "precision": "bf16"}, {"clip_per_network": True, "update_freq": 2}])
def test_every_variant_trains(prepared, tmp_path, options):
    folder = run(prepared, tmp_path, **{"max_update": 5, **options})
    tensors = state(folder)["model"]
    assert all(tensor.isfinite().all() for tensor in tensors.values())
    assert any(name.startswith("generator.") for name in tensors) == (options.get("generator", "network") == "network")


def test_every_metric_is_logged(prepared, tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        run(prepared, tmp_path, max_update=5, log_interval=5, log_format="json", hardness_head="loss")
    line = next(json.loads(r.getMessage()) for r in caplog.records if r.name == "train_inner")
    for name in ("loss", "mlm_loss", "rtd_loss", "hardness_loss", "generator_accuracy", "sampled_accuracy", "replaced",
                 "rtd_accuracy", "rtd_precision", "rtd_recall", "rtd_auc", "rtd_weight"):
        assert name in line
    # bits: a generator that knows nothing needs log2 of the vocabulary
    assert float(line["mlm_loss"]) == pytest.approx(6.0, abs=0.3)


def learn(model: Electra, updates: int, text: Any) -> list[tuple[float, float]]:
    """Trains on `text(update)`; (generator's loss in nats, area under the discriminator's curve) of each update."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2, betas=(0.9, 0.98), eps=1e-6)
    curve = []
    for update in range(updates):
        tokens = text(generator_for(torch.device("cpu"), update))
        criterion = ModularReplacedToken(StubTask(tokens))
        criterion.task.draws = lambda *_, update=update: generator_for(torch.device("cpu"), update, 7)
        loss, count, log = criterion(model, {"tokens": tokens, "rows": slice(0, 16), "full": True, "ntokens": 1,
                                             "nsentences": 16})
        for group in optimizer.param_groups:
            group["lr"] = 1e-2 * min(1, (update + 1) / 20) * (1 - update / updates)
        optimizer.zero_grad()
        (loss / count).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        curve.append((float(log["mlm"] / count), float(log["auc_right"] / log["auc_pairs"])))
    return curve


LARGER = EncoderConfig(layers=1, width=32, heads=2, ffn=64, embedding_width=32, max_positions=32, relative_buckets=8)


def test_generator_learns_beside_its_discriminator():
    def successions(key: torch.Generator) -> torch.Tensor:
        return (torch.randint(0, 60, (16, 1), generator=key) + 7 * torch.arange(32)) % 60 + 4

    torch.manual_seed(0)
    shape = replace(LARGER, layers=2)
    model = Electra(ElectraConfig(shape, generator_config(shape, 1, 1)), ROWS, Dropout(0, 0, 0))
    curve = learn(model, 70, successions)
    assert curve[0][0] > 4 > 3.5 > curve[-1][0]


def test_discriminator_learns_to_find_strangers():
    def repeated(key: torch.Generator) -> torch.Tensor:
        return (torch.randint(4, 64, (16, 1), generator=key)).expand(16, 32).clone()

    torch.manual_seed(0)
    areas = [area for _, area in learn(Electra(ElectraConfig(LARGER, None), ROWS, Dropout(0, 0, 0)), 120, repeated)]
    assert sum(areas[:10]) < 5.6 and sum(areas[-10:]) > 6.5


@pytest.mark.slow
def test_two_ranks_hold_the_same_pair_and_do_what_one_does(prepared, tmp_path):
    """Without dropout as one rank with two micro-batches: global batch, order, counters, and the losses to rounding."""
    changed = {**ELECTRA, "hardness-head": "dist", "clip-per-network": True, "max-update": 22, "forget-every": 10}
    ranks = two_ranks(prepared, tmp_path, {"dropout": {**changed, "dropout": 0.1}, "plain": {**changed, "dropout": 0}})
    for first, second in ranks.values():
        assert same({**first, "steps": ()}, {**second, "steps": ()})
        assert first["resets"] == 2 and first["updates"] == 22
    with recorded() as one:
        train(prepared, tmp_path / "one", base={**PRETRAIN, **changed, "dropout": 0}, update_freq=2)
    theirs, ours = by_update([step for rank in ranks["plain"] for step in rank["steps"]]), one.updates()
    assert len(ours) == 22 and [blocks for blocks, _ in theirs] == [blocks for blocks, _ in ours]
    assert (one.resets, one.trainer.get_num_updates()) == (2, 22)
    assert [loss for _, loss in theirs] == pytest.approx([loss for _, loss in ours], rel=1e-3)
