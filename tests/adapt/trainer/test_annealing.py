"""`--lr auto` and `--budgets`: what is chosen, what the runs equal, and resuming."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

pytest.importorskip("fairseq")

from adapt.artefacts.embedding import Embedding
from adapt.language import adapt, stage
from adapt.schedule import Annealed
from adapt.settings import AdaptSettings
from adapt.trainer import lr_search
from adapt.trainer.lr_search import Tried, choose
from pretrain.base.errors import UserError
from tests.training import overflow, state, train

BASE = {
    "task": "modular_adapt", "arch": "modular_frozen_body", "criterion": "modular_masked_lm", "tokens-per-sample": 32,
    "batch-size": 4, "lr": 1e-2, "warmup-updates": 1, "optimizer": "modular_adamw", "lr-scheduler": "modular_polynomial",
    "clip-norm": 0.5, "seed": 5, "dropout": 0.1,
}
TRIED = [Tried(0.001, 7.0, 1.0, 0.99), Tried(0.01, 5.0, 1.0, 0.7), Tried(0.05, 4.0, 1.01, 0.2), Tried(0.1, 3.0, 1.3, 0.1)]


def test_from_a_start_that_knows_nothing_the_lowest_loss_wins_among_rates_that_never_made_things_worse():
    found = choose(9.149, 9.262, TRIED, 24)  # as a random start once was beside its permutations
    assert (found.rate, found.informed) == (0.05, False) and "the lowest of 3 rates of 4" in found.why


def test_from_a_start_that_knows_something_no_rate_may_take_the_rows_away_from_it():
    found = choose(8.0, 9.0, TRIED, 24)
    assert (found.rate, found.informed) == (0.01, True)
    assert "with its rows permuted: 9.000 bits" in found.why and "loss alone would have chosen 0.05" in found.why


def test_where_every_rate_makes_things_worse_the_lowest_is_taken_and_that_is_said():
    found = choose(2.0, 2.0, [Tried(0.01, 5.0, 1.5, 0.5), Tried(0.001, 6.0, 1.2, 0.5)], 24)
    assert found.rate == 0.001 and "every rate tried made things worse" in found.why


def test_permuted_rows_are_put_back():
    table = torch.arange(14.0).reshape(7, 2)
    seen = []
    losses = lr_search.permuted_losses([table], slice(4, -1), lambda: seen.append(table.clone()) or 1.0)
    assert losses == [1.0] * lr_search.SHUFFLES and torch.equal(table, torch.arange(14.0).reshape(7, 2))
    for one in seen:
        assert torch.equal(one[[0, 1, 2, 3, 6]], table[[0, 1, 2, 3, 6]]) and sorted(one[4:6, 0].tolist()) == [8.0, 10.0]


@pytest.mark.parametrize("updates", range(1, lr_search.UPDATES))
def test_every_update_of_a_short_test_moves_something(updates):
    found = lr_search.rates(0.1, updates)
    assert len(found) == updates and min(found) > 0 and max(found) == pytest.approx(0.1)


def test_a_test_without_warmup_has_the_rates_of_the_run():
    assert lr_search.rates(1.0, 1) == [1.0] and lr_search.rates(1.0, 4) == [1.0, 0.75, 0.5, 0.25]


def test_the_rates_of_the_usual_test_are_as_they_were_when_its_figures_were_measured():
    curve = Annealed((24,), (0.1,))
    assert lr_search.rates(0.1, 24) == [curve.at(update + 1) for update in range(24)]


def test_one_update_is_enough_to_tell_rates_apart(journey, tmp_path):
    run(journey, tmp_path / "one", 1, lr=0, lr_file=tmp_path / "lr.json", warmup_updates=0)
    tried = json.loads((tmp_path / "lr.json").read_text())["tried"]
    assert len({one["loss"] for one in tried}) == len(tried) > 1


def run(journey: Path, folder: Path, updates: int, **options: object) -> Path:
    return train(journey / "data" / "qab", folder, "adapt", {**BASE, "max-update": updates}, body=journey / "en", **options)


@pytest.fixture(scope="module")
def budgets(journey, tmp_path_factory) -> Path:
    """Runs of 10 and 20 updates, one after the other."""
    folder = tmp_path_factory.mktemp("budgets")
    return run(journey, folder, 30, budgets="20,10", embeddings_dir=folder / "at", save_interval_updates=5)


def test_a_run_equals_one_by_itself_and_the_next_begins_from_the_same_start(journey, budgets, tmp_path):
    alone = state(run(journey, tmp_path, 10))["model"]["encoder.embed_tokens.weight"]
    first = Embedding.load(budgets / "at" / "000010")
    assert torch.equal(first.weight, alone)
    start = {name: state(budgets, file.name)["model"]["encoder.embed_tokens.weight"]
             for name in (10, 15) for file in budgets.glob(f"checkpoint_*_{name}.pt")}
    assert torch.equal(start[10], alone)  # the checkpoint is written before the start is put back
    steps = {int(one["step"]) for one in state(budgets)["last_optimizer_state"]["state"].values()}
    assert steps == {20}


@pytest.mark.parametrize("updates", [5, 10, 15])
def test_resuming_in_between_is_exact(journey, budgets, tmp_path, updates):
    again = run(journey, tmp_path, 30, budgets="20,10", embeddings_dir=tmp_path / "at",
                restore_file=next(budgets.glob(f"checkpoint_*_{updates}.pt")))
    one, two = (state(folder)["model"] for folder in (budgets, again))
    assert all(torch.equal(one[name], two[name]) for name in one)
    if updates <= 10:
        assert Embedding.load(tmp_path / "at" / "000010").record() == Embedding.load(budgets / "at" / "000010").record()


def test_resuming_after_a_skipped_step_keeps_the_embedding_of_the_run_that_ended(journey, tmp_path):
    """fp16 skips the first step of the second run: the checkpoint after 10 updates is written once more, with the start in it."""
    at = tmp_path / "at"
    with overflow(10):
        whole = run(journey, tmp_path / "whole", 30, budgets="20,10", embeddings_dir=at, save_interval_updates=5)
    again = run(journey, tmp_path / "again", 30, budgets="20,10", embeddings_dir=at,
                restore_file=next(whole.glob("checkpoint_*_10.pt")))
    one, two = (state(folder)["model"] for folder in (whole, again))
    assert all(torch.equal(one[name], two[name]) for name in one)
    alone = state(run(journey, tmp_path / "alone", 10))["model"]["encoder.embed_tokens.weight"]
    assert torch.equal(Embedding.load(at / "000010").weight, alone)


def test_a_run_at_the_rate_that_was_found_is_the_same_as_at_that_rate(journey, tmp_path):
    """Nothing of the test is left: no weight, moment or random number."""
    folder = run(journey, tmp_path / "auto", 20, lr=0, lr_file=tmp_path / "lr.json")
    found = json.loads((tmp_path / "lr.json").read_text())
    assert found["rate"] in lr_search.RATES and not found["informed"] and found["updates"] == 20
    assert [one["rate"] for one in found["tried"]] == list(lr_search.RATES[:len(found["tried"])])
    fixed = run(journey, tmp_path / "fixed", 20, lr=found["rate"], warmup_updates=2)
    one, two = (state(name)["model"] for name in (folder, fixed))
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_a_resumed_run_needs_the_rate_that_it_found(journey, budgets, tmp_path):
    with pytest.raises(UserError, match="expected the learning rate that this run found before its 5 updates"):
        run(journey, tmp_path, 20, lr=0, lr_file=tmp_path / "lr.json", restore_file=next(budgets.glob("checkpoint_*_5.pt")))


@pytest.fixture(scope="module")
def settings(journey) -> AdaptSettings:
    return AdaptSettings(body=str(journey / "en"), data=str(journey / "data" / "qab"), output="", batch_size=4, threads=1,
                         tokens_per_sample=32, validate_every=10)


def test_each_budget_is_a_finished_embedding_with_its_own_record(settings, tmp_path):
    adapt(replace(settings, output=str(tmp_path / "qab"), budgets="30,12,50", lr=0.0), quiet=True)
    last = Embedding.load(tmp_path / "qab")
    made = [Embedding.load(place).made for place in sorted((tmp_path / "qab" / "at").iterdir())]
    assert [one["updates"] for one in made] == [one["planned_updates"] for one in made] == [12, 30, 50]
    assert made[-1] == last.made and last.made["lr_search"]["why"]
    assert [one["lr"] for one in made] == pytest.approx([last.made["lr_search"]["rate"] * min(1, 24 / n) ** 0.5
                                                         for n in (12, 30, 50)])
    assert all(one["held_out_loss_bits"] > 0 and one["tokens_seen"] == one["updates"] * 128 for one in made)
    curve = json.loads((tmp_path / "qab" / "curves.json").read_text())
    assert curve[-1]["update"] == 50 and curve[-1]["loss"] == last.made["held_out_loss_bits"]


@pytest.mark.parametrize(("changes", "message"), [
    ({"budgets": "10,20", "updates": 30}, "leave --updates out"), ({"budgets": "1,20"}, "got 1, expected a whole number from 2"),
    ({"budgets": "10,20", "patience": 3}, "--patience 3 with --budgets"), ({"budgets": "10,ten"}, "--budgets: got '10,ten'"),
    ({"budgets": "10,20", "save_embeddings_at": "5"}, "--save-embeddings-at 5 with --budgets"), ({"lr": -1.0}, "or auto")])
def test_settings_that_do_not_go_together_are_refused(settings, tmp_path, changes, message):
    with pytest.raises(UserError, match=message):
        stage(replace(settings, output=str(tmp_path / "o"), **changes))
