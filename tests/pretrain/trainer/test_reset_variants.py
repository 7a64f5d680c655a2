"""Variants of a reset inside fairseq's trainer: permuted rows, a share of the rows, tables in turn, a body that is held."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("fairseq")

from adapt.artefacts.split import split
from pretrain.base.errors import UserError
from pretrain.forgetting import Forgetting, rows_of
from pretrain.masked_lm import EMBEDDING_WEIGHT, OUTPUT_BIAS
from pretrain.trainer.task import ModularMLMTask
from tests.pretrain.trainer.test_electra_training import run as train_pair
from tests.pretrain.trainer.test_task import changes, checkpoint, same, snapshot, task, trained
from tests.training import overflow, recorded, state, train, two_ranks

ROTATE = {"forget_reset": "rotate", "forget_tables": 3, "forget_bias": "reset"}
VARIANTS: dict[str, dict[str, Any]] = {
    "permute": {"forget_every": 8, "forget_reset": "permute"},
    "share": {"forget_every": 8, "forget_share": 0.5, "forget_bias": "reset"},
    "rotate": {"forget_every": 4, **ROTATE},
    "each-update": {"forget_every": 1, "forget_until": 19, **ROTATE},
    "hold": {"forget_every": 8, "forget_hold": 3},
}


def moments(optimizer: Any, parameter: torch.Tensor) -> torch.Tensor:
    return optimizer.optimizer.state[parameter]["exp_avg_sq"]


def test_a_partial_reset_leaves_other_rows_their_moments_and_the_step_count(prepared, model):
    optimizer, table = trained(model), model.encoder.embed_tokens.weight
    before, steps = moments(optimizer, table).clone(), int(optimizer.optimizer.state[table]["step"])
    task(prepared, forget_share=0.5).begin_update(model, optimizer, 10)
    rows = rows_of(len(table), Forgetting(10, share=0.5), 5, 10)
    kept = torch.ones(len(table), dtype=torch.bool)
    kept[rows] = False
    after = moments(optimizer, table)
    assert torch.equal(after[kept], before[kept]) and before[rows].any() and not after[rows].any()
    assert not optimizer.optimizer.state[table]["exp_avg"][rows].any()
    assert int(optimizer.optimizer.state[table]["step"]) == steps


def test_the_first_step_of_a_reset_row_is_not_corrected_for_bias_anew(prepared, model):
    """Long after the begin Adam corrects nothing: the step of a row without moments is (1 - .9) / sqrt(1 - .98) of the rate."""
    optimizer, table = trained(model), model.encoder.embed_tokens.weight
    optimizer.optimizer.state[table]["step"].fill_(10_000)
    task(prepared, forget_share=0.5).begin_update(model, optimizer, 10)
    row = int(rows_of(len(table), Forgetting(10, share=0.5), 5, 10)[0])
    optimizer.set_embedding_lr(1e-3)
    before = table.detach().clone()
    optimizer.zero_grad()
    model(torch.tensor([[0, row, row, 2]])).sum().backward()
    optimizer.step()
    assert (table - before)[row].abs().max().item() == pytest.approx(0.1 / 0.02**0.5 * 1e-3, rel=0.02)


def test_permuting_drops_the_tables_moments(prepared, model):
    optimizer = trained(model)
    before = snapshot(model, optimizer)
    task(prepared, forget_reset="permute").begin_update(model, optimizer, 10)
    assert changes(model, optimizer, before) == ({EMBEDDING_WEIGHT}, {EMBEDDING_WEIGHT})


@pytest.mark.parametrize(("bias", "expected"), [("reset", {EMBEDDING_WEIGHT, OUTPUT_BIAS}), ("keep", {EMBEDDING_WEIGHT})])
def test_a_table_comes_back_as_it_was_put_away(prepared, model, bias, expected):
    optimizer, one = trained(model), task(prepared, forget_reset="rotate", forget_tables=2, forget_bias=bias)
    first = snapshot(model, optimizer)
    with torch.no_grad():
        model.lm_head.bias += 0.5
    first[0][OUTPUT_BIAS] += 0.5
    one.begin_update(model, optimizer, 10)
    assert changes(model, optimizer, first) == (expected, expected)
    assert model.encoder.embed_tokens.weight.std().item() == pytest.approx(0.02, rel=0.1)
    second = snapshot(model, optimizer)
    one.begin_update(model, optimizer, 20)
    assert changes(model, optimizer, first) == (set(), set())
    one.begin_update(model, optimizer, 20)  # of another micro-batch
    assert changes(model, optimizer, first) == (set(), set())
    one.begin_update(model, optimizer, 30)
    assert changes(model, optimizer, second)[0] == set()


def test_a_checkpoint_without_the_tables_is_refused(prepared, model):
    with pytest.raises(UserError, match=r"--forget-tables 2: the checkpoint .* lacks table 0"):
        task(prepared, forget_reset="rotate", forget_tables=2).begin_update(model, trained(model), 20)


def test_only_what_was_reset_learns_while_the_body_is_held(prepared, model):
    one, optimizer = task(prepared, forget_hold=4, forget_bias="reset"), trained(model)
    learning = {}
    for updates in (5, 10, 13, 14):
        one.begin_update(model, optimizer, updates)
        learning[updates] = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert learning[10] == learning[13] == {EMBEDDING_WEIGHT, OUTPUT_BIAS}
    assert learning[5] == learning[14] == {name for name, _ in model.named_parameters()}


# whole runs


@pytest.fixture(scope="module")
def whole(prepared, tmp_path_factory) -> dict[str, Path]:
    """24 updates of each variant, every update saved."""
    root = tmp_path_factory.mktemp("whole")
    return {name: train(prepared, root / name, max_update=24, save_interval_updates=1, validate_interval_updates=12, dropout=0.1,
                        **options) for name, options in VARIANTS.items()}


@pytest.mark.parametrize(("name", "updates"), [("permute", 8), ("share", 8), ("share", 13), ("hold", 10), ("rotate", 4),
                                               ("rotate", 14), ("each-update", 1), ("each-update", 12), ("each-update", 20)])
def test_resume_is_bit_exact(prepared, whole, tmp_path, name, updates):
    resumed = state(train(prepared, tmp_path, max_update=24, restore_file=checkpoint(whole[name], updates), dropout=0.1,
                          **VARIANTS[name]))
    expected = state(whole[name])
    assert resumed["optimizer_history"][-1]["num_updates"] == 24
    assert same(expected["model"], resumed["model"])
    assert same(expected["last_optimizer_state"], resumed["last_optimizer_state"])


def test_tables_put_away_are_in_the_checkpoint_and_not_in_the_model(whole):
    first = state(whole["permute"])
    for name, inside in (("rotate", 2), ("each-update", 0)):  # 24 updates: tables 2 and 0 are trained last
        last = state(whole[name])
        away = last["last_optimizer_state"]["away"]
        assert set(away) == {0, 1, 2} - {inside} and last["model"].keys() == first["model"].keys()
        shape = first["model"][EMBEDDING_WEIGHT].shape
        assert all(len(table) == 2 and table[0]["value"].shape == shape for table in away.values())


def test_every_table_keeps_its_own_step_count(whole):
    """Tables 0, 1 and 2 are trained for 8 updates each: four, six times."""
    last = state(whole["rotate"])["last_optimizer_state"]
    group = next(group for group in last["param_groups"] if group["name"] == "embedding")
    assert {int(last["state"][i]["step"]) for i in group["params"]} == {8}
    assert {int(table[0]["state"]["step"]) for table in last["away"].values()} == {8}


def test_the_body_stays_bit_for_bit_while_it_is_held(whole):
    tensors = {n: state(whole["hold"], Path(checkpoint(whole["hold"], n)).name)["model"] for n in (8, 11, 12)}
    moved = {n: {name for name in tensors[8] if not torch.equal(tensors[8][name], tensors[n][name])} for n in (11, 12)}
    assert moved[11] == {EMBEDDING_WEIGHT} and len(moved[12]) > len(tensors[8]) / 2


@pytest.mark.parametrize("options", [
    {"forget_reset": "permute", "tying": "gdes"}, {"forget_share": 0.5, "tying": "none", "forget_scope": "embedding+bias"},
    {"forget_reset": "rotate", "forget_tables": 2, "forget_scope": "embedding+bias", "hardness_head": "loss"},
    {"forget_reset": "rotate", "forget_tables": 2, "tying": "gdes", "forget_every": 1},
    {"forget_hold": 2, "tying": "gdes"}, {"forget_hold": 2, "generator": "uniform"}])
def test_an_electra_pair_resumes_exactly_with_every_variant(prepared, tmp_path, options):
    wanted = {"max_update": 12, "forget_every": 4, "save_interval_updates": 6, **options}
    whole = train_pair(prepared, tmp_path / "whole", **wanted)
    resumed = train_pair(prepared, tmp_path / "resumed", **{**wanted, "restore_file": checkpoint(whole, 6),
                                                            "save_interval_updates": 12})
    one, two = state(whole), state(resumed)
    assert same(one["model"], two["model"]) and same(one["last_optimizer_state"], two["last_optimizer_state"])


@pytest.mark.slow
def test_two_ranks_hold_the_same_model_with_every_variant(prepared, tmp_path):
    runs = {name: {"max-update": 12, **{key.replace("_", "-"): value for key, value in options.items()},
                   **({"find-unused-parameters": True} if name == "hold" else {})} for name, options in VARIANTS.items()}
    for name, (first, second) in two_ranks(prepared, tmp_path, runs).items():
        assert first["updates"] == 12 and same({**first, "steps": ()}, {**second, "steps": ()}), name


def test_partial_resets_are_counted_like_whole_ones(prepared, tmp_path):
    with recorded() as one:
        train(prepared, tmp_path, max_update=24, **VARIANTS["share"])
    assert one.resets == 2


# a step that fp16 skips right after a reset: fairseq writes the checkpoint of the same number of updates once more

SKIPPED = {**{name: options for name, options in VARIANTS.items() if name != "each-update"}, "normal": {},
           "gaussian": {"forget_reset": "gaussian"}, "control": {"forget_reset": "none"}}


def resumed(prepared: Path, options: dict[str, Any], kept: dict[str, Any]) -> ModularMLMTask:
    """The task of a process that goes on from a checkpoint with this state."""
    one = task(prepared, **{**options, "forget_every": 10})
    if kept:
        one.set_checkpoint_dict(kept["ModularMLMTask"])
    return one


@pytest.mark.parametrize("options", SKIPPED.values(), ids=SKIPPED)
def test_a_checkpoint_after_a_skipped_step_does_not_begin_the_episode_again(prepared, model, options):
    optimizer, one = trained(model), resumed(prepared, options, {})
    one.begin_update(model, optimizer, 10)
    model(torch.randint(4, 60, (2, 8))).sum().backward()  # moments, which a second reset would drop
    optimizer.step()
    before, away = snapshot(model, optimizer), copy.deepcopy(optimizer.away)
    resumed(prepared, options, one.get_checkpoint_dict()).begin_update(model, optimizer, 10)
    assert changes(model, optimizer, before) == (set(), set())
    assert same(away, optimizer.away) and set(away) == ({0} if options.get("forget_reset") == "rotate" else set())


@pytest.mark.parametrize("old", [False, True], ids=["new", "written-before-the-key"])
def test_an_ordinary_checkpoint_begins_the_episode(prepared, model, old):
    optimizer, one = trained(model), task(prepared)
    one.begin_update(model, optimizer, 9)
    kept = one.get_checkpoint_dict()
    if old:
        del kept["ModularMLMTask"]["begun"]
    before = snapshot(model, optimizer)
    resumed(prepared, {}, kept).begin_update(model, optimizer, 10)
    assert changes(model, optimizer, before) == ({EMBEDDING_WEIGHT}, {EMBEDDING_WEIGHT})


@pytest.mark.parametrize("name", ["permute", "share", "rotate"])
def test_resuming_after_a_skipped_step_is_bit_exact(prepared, tmp_path, name):
    options, every = {"max_update": 12, **VARIANTS[name]}, VARIANTS[name]["forget_every"]
    with overflow(every):
        whole = train(prepared, tmp_path / "whole", save_interval_updates=every, **options)
    again = train(prepared, tmp_path / "again", restore_file=checkpoint(whole, every), **options)
    assert same(state(whole)["model"], state(again)["model"])
    assert same(state(whole)["last_optimizer_state"], state(again)["last_optimizer_state"])


def test_a_reset_in_a_checkpoint_after_a_skipped_step_is_known_to_split(prepared, tmp_path):
    options = {"max_update": 9, "forget_every": 8, "save_interval_updates": 8}
    with overflow(8):
        train(prepared, tmp_path / "run", **options)
    with pytest.raises(UserError, match="was reset 0 updates ago, less than a tenth of an episode of 8"):
        split(checkpoint(tmp_path / "run", 8), tmp_path / "out")
