"""Language adaptation through fairseq: what is trained, what stays bit-identical, resuming, the artefact."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

pytest.importorskip("fairseq")

from adapt.artefacts.assemble import assemble
from adapt.artefacts.embedding import Embedding
from adapt.language import adapt, stage
from adapt.settings import AdaptSettings
from adapt.trainer import plugin  # noqa: F401
from adapt.trainer.task import FrozenBody, ModularAdaptTask
from pretrain.artefacts.body import Body
from pretrain.base.errors import UserError
from pretrain.masked_lm import EMBEDDING_WEIGHT, OUTPUT_BIAS
from tests.events import scalars
from tests.training import state, train

ADAPT = {
    "task": "modular_adapt", "arch": "modular_frozen_body", "criterion": "modular_masked_lm", "tokens-per-sample": 32,
    "batch-size": 4, "lr": 1e-2, "warmup-updates": 3, "max-update": 24, "optimizer": "modular_adamw",
    "lr-scheduler": "modular_polynomial", "clip-norm": 0.5, "seed": 5,
}


def task_for(journey: Path, **changes: Any) -> ModularAdaptTask:
    values = {"data": str(journey / "data" / "qab"), "tokens_per_sample": 32, "mask_prob": 0.15, "mask_policy": "bert",
              "epoch_blocks": 0, "forget_scope": "embedding", "seed": 5, "max_update": 24, "body": str(journey / "en"),
              "source_embedding": "", "initialiser": "random", "special_rows": "copy", "resources": "", "train_also": "",
              "save_embeddings_at": "", "embeddings_dir": "", "objective": "", "disentangle": False, "budgets": "",
              "lr": [1e-2], **changes}
    return ModularAdaptTask(SimpleNamespace(**values))


def model_for(journey: Path, train_also: str = "") -> FrozenBody:
    task = task_for(journey, train_also=train_also)
    return FrozenBody.build_model(SimpleNamespace(dropout=0.0, attention_dropout=0.0, activation_dropout=0.0,
                                                  precision="fp32", compile=False), task)


@pytest.fixture(scope="module")
def run(journey, tmp_path_factory) -> Path:
    """24 updates with every update saved."""
    return train(journey / "data" / "qab", tmp_path_factory.mktemp("adapt"), "adapt", ADAPT, body=journey / "en",
                 save_interval_updates=1, validate_interval_updates=6)


def test_only_embedding_and_output_bias_are_trainable(journey):
    model = model_for(journey)
    assert {n for n, p in model.named_parameters() if p.requires_grad} == {EMBEDDING_WEIGHT, OUTPUT_BIAS}


def test_no_weight_gradient_is_computed_for_the_body(journey):
    model = model_for(journey)
    model(torch.tensor([[0, 9, 8, 2]])).logsumexp(-1).sum().backward()
    assert {n for n, p in model.named_parameters() if p.grad is not None} == {EMBEDDING_WEIGHT, OUTPUT_BIAS}
    assert model.encoder.embed_tokens.weight.grad.abs().sum() > 0


def test_checkpoints_hold_only_what_is_trained(journey, run):
    assert set(state(run)["model"]) == {EMBEDDING_WEIGHT, OUTPUT_BIAS}
    assert len(state(run)["last_optimizer_state"]["state"]) == 2


def test_body_is_bit_identical_after_training(journey, tmp_path, body, monkeypatch):
    built = []
    init = FrozenBody.__init__
    monkeypatch.setattr(FrozenBody, "__init__", lambda self, *a, **k: (init(self, *a, **k), built.append(self))[0])
    train(journey / "data" / "qab", tmp_path, "adapt", ADAPT, body=journey / "en")
    tensors = torch.nn.Module.state_dict(built[-1])
    assert all(torch.equal(tensors[name], tensor) for name, tensor in body.tensors.items())


def test_embedding_and_bias_do_move(journey, run):
    start = task_for(journey).initial_embedding()
    trained = state(run)["model"]
    assert not torch.equal(trained[EMBEDDING_WEIGHT], start.weight)
    assert not torch.equal(trained[OUTPUT_BIAS], start.bias)


@pytest.mark.parametrize("updates", [6, 11])
def test_resume_is_bit_exact(journey, run, tmp_path, updates):
    restore = next(run.glob(f"checkpoint_*_{updates}.pt"))
    folder = train(journey / "data" / "qab", tmp_path, "adapt", ADAPT, body=journey / "en", restore_file=restore)
    whole, resumed = state(run), state(folder)
    assert resumed["optimizer_history"][-1]["num_updates"] == 24
    assert all(torch.equal(whole["model"][k], resumed["model"][k]) for k in whole["model"])


def test_resume_keeps_the_patience_counter(journey, tmp_path):
    import fairseq_cli.train as cli

    options = {"body": journey / "en", "patience": 9, "validate_interval_updates": 2, "save_interval_updates": 2,
               "lr": 0.9, "clip_norm": 0.0}
    first = train(journey / "data" / "qab", tmp_path / "a", "adapt", {**ADAPT, "max-update": 10}, **options)
    waited = cli.should_stop_early.num_runs
    kept = state(first)["extra_state"]["ModularAdaptTask"]
    assert kept["num_runs"] == waited
    train(journey / "data" / "qab", tmp_path / "b", "adapt", {**ADAPT, "max-update": 11},
          restore_file=first / "checkpoint_last.pt", **options)
    assert cli.should_stop_early.best <= kept["best"]
    assert cli.should_stop_early.num_runs in (0, waited + 1)


def test_further_tensors_are_trained_on_request(journey):
    model = model_for(journey, "encoder.embed_positions.weight,encoder.embed_norm.*")
    trained = {n for n, p in model.named_parameters() if p.requires_grad}
    assert trained == {EMBEDDING_WEIGHT, OUTPUT_BIAS, "encoder.embed_positions.weight", "encoder.embed_norm.weight",
                       "encoder.embed_norm.bias"}


def test_pattern_that_matches_nothing_is_refused(journey):
    with pytest.raises(UserError, match=r"--train-also 'positions' matches no tensor"):
        model_for(journey, "positions")


@pytest.fixture(scope="module")
def settings(journey) -> AdaptSettings:
    return AdaptSettings(body=str(journey / "en"), data=str(journey / "data" / "qab"), output="", updates=20, lr=1e-2,
                         batch_size=4, tokens_per_sample=32, validate_every=5, save_embeddings_at="5,10", threads=1,
                         train_also="encoder.embed_norm.*")


@pytest.fixture(scope="module")
def adapted(settings, tmp_path_factory) -> Path:
    output = tmp_path_factory.mktemp("out") / "qab"
    adapt(replace(settings, output=str(output), tensorboard=str(output.parent / "tb")), quiet=True)
    return output


def test_adaptation_writes_tensorboard_logs(adapted):
    curve = {point["update"]: point["loss"] for point in json.loads((adapted / "curves.json").read_text())}
    assert scalars(adapted.parent / "tb")["valid/loss"] == pytest.approx(curve, abs=1e-3) and len(curve) == 4


def test_artefact_records_how_it_was_made(adapted, body):
    embedding = Embedding.load(adapted)
    assert (embedding.language, embedding.lineage) == ("qab", body.lineage)
    made = embedding.made
    assert made["initialiser"] == "random" and made["seed"] == 1
    assert made["tokens_seen"] == made["updates"] * 4 * 32 and made["tokens_per_update"] == 4 * 32
    assert made["environment"]["torch"] == torch.__version__
    assert made["lr"] == 1e-2 and made["planned_updates"] >= made["updates"]
    curve = {p["update"]: p["loss"] for p in json.loads((adapted / "curves.json").read_text())}
    assert made["held_out_loss_bits"] == curve[made["updates"]] == min(curve.values())


def test_curve_counts_updates_tokens_and_loss(adapted):
    curve = json.loads((adapted / "curves.json").read_text())
    assert [p["update"] for p in curve] == [5, 10, 15, 20]
    assert all(p["tokens"] == p["update"] * 128 for p in curve)
    assert curve[-1]["loss"] < curve[0]["loss"]


def test_intermediate_embeddings_are_artefacts(adapted):
    assert [Embedding.load(path).made["updates"] for path in sorted((adapted / "at").iterdir())] == [5, 10]


def test_extras_travel_with_the_embedding_into_the_assembled_model(adapted, body):
    embedding = Embedding.load(adapted)
    assert set(embedding.extras) == {"encoder.embed_norm.weight", "encoder.embed_norm.bias"}
    model = assemble(body, embedding)
    assert torch.equal(model.encoder.embed_norm.weight, embedding.extras["encoder.embed_norm.weight"])
    assert not torch.equal(model.encoder.embed_norm.weight, body.tensors["encoder.embed_norm.weight"])


def test_training_folder_is_gone_after_success(adapted):
    assert not adapted.with_name("qab.training").exists()


def test_existing_output_is_refused_before_anything_runs(settings, adapted):
    with pytest.raises(UserError, match=r"already exists"):
        adapt(replace(settings, output=str(adapted)), quiet=True)


def test_unfinished_run_with_other_settings_is_refused_with_both_values(settings, tmp_path):
    run = stage(replace(settings, output=str(tmp_path / "qab")))
    run._check_settings()
    (run.folder / "checkpoint_last.pt").touch()
    with pytest.raises(UserError, match=r"lr was 0.01, now 0.02"):
        stage(replace(settings, output=str(tmp_path / "qab"), lr=0.02))._check_settings()


# Holds an output's lock for half a second.
HOLD = """
import fcntl, sys, time
with open(sys.argv[1], "ab") as lock:
    fcntl.flock(lock, fcntl.LOCK_EX)
    print("held", flush=True)
    time.sleep(0.5)
"""


def test_two_runs_cannot_share_a_training_folder(settings, tmp_path):
    run = stage(replace(settings, output=str(tmp_path / "qab")))
    run._check_settings()
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path / ".qab.lock")], stdout=subprocess.PIPE)
    assert holder.stdout is not None and holder.stdout.readline()
    with pytest.raises(UserError, match=r"another process is making it"), replace(run, lock_wait=0.1).claimed():
        pass
    assert holder.wait(10) == 0


def test_a_run_waits_for_a_killed_process_to_be_gone(settings, tmp_path):
    run = stage(replace(settings, output=str(tmp_path / "qab")))
    run._check_settings()
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path / ".qab.lock")], stdout=subprocess.PIPE)
    assert holder.stdout is not None and holder.stdout.readline()
    with run.claimed():
        assert holder.wait(10) == 0
    assert not (tmp_path / ".qab.lock").exists()


def test_printed_command_is_a_fairseq_train_line(settings, tmp_path):
    line = stage(replace(settings, output=str(tmp_path / "qab"))).printed()
    assert line.startswith("fairseq-train ") and "--task modular_adapt --arch modular_frozen_body" in line


def test_task_body_is_not_adapted_to(settings, body, tmp_path):
    task = {"name": "xnli", "head": "classification", "labels": ["a", "b", "c"]}
    Body(body.config, body.tensors, task=task).save(tmp_path / "task")
    with pytest.raises(UserError, match=r"is a task body"):
        stage(replace(settings, body=str(tmp_path / "task"), output=str(tmp_path / "o")))


def test_source_embedding_of_another_lineage_is_refused(journey, source, tmp_path):
    source.lineage = "e" * 64
    source.save(tmp_path / "foreign")
    with pytest.raises(UserError, match=f"lineage {'e' * 12}"):
        task_for(journey, source_embedding=str(tmp_path / "foreign"))


def test_blocks_longer_than_the_body_are_refused(journey):
    with pytest.raises(UserError, match=r"--tokens-per-sample 64 exceeds the body's 32 positions"):
        task_for(journey, tokens_per_sample=64)


def test_data_whose_dictionary_is_not_the_tokenizers_is_refused(journey, tmp_path):
    shutil.copytree(journey / "data" / "qab", tmp_path / "mixed")
    shutil.copy(journey / "data" / "qaa" / "dict.txt", tmp_path / "mixed" / "dict.txt")
    shutil.copy(journey / "data" / "qaa" / "prepare.json", tmp_path / "mixed" / "prepare.json")
    with pytest.raises(UserError, match=r"number their pieces differently"):
        task_for(journey, data=str(tmp_path / "mixed"))


def test_what_config_prints_runs_as_the_options_do(journey, tmp_path, capsys):
    from recipes.cli import main

    given = {"body": journey / "en", "data": journey / "data" / "qab", "output": tmp_path / "o", "updates": 30, "batch_size": 4,
             "tokens_per_sample": 32, "save_embeddings_at": "'5,10'"}
    assert main(["config", "adapt", *(f"{name}={value}" for name, value in given.items())]) == 0
    (tmp_path / "all.yaml").write_text(capsys.readouterr().out)
    options = [word for name, value in given.items() for word in (f"--{name.replace('_', '-')}", str(value).strip("'"))]
    assert main(["adapt", *options, "--print-command"]) == 0
    line = capsys.readouterr().out
    assert main(["adapt", "--recipe", str(tmp_path / "all.yaml"), "--print-command"]) == 0
    assert capsys.readouterr().out == line and "--save-embeddings-at 5,10 " in line


@pytest.mark.parametrize("more", [[], ["--print-command"]], ids=["start", "print"])
def test_an_initialiser_without_what_it_needs_is_refused_before_anything_starts(journey, tmp_path, capsys, more):
    from recipes.cli import main

    words = ["adapt", "--body", str(journey / "en"), "--data", str(journey / "data" / "qab"), "--output", str(tmp_path / "o"),
             "--initialiser", "wechsel", *more]
    assert main(words) == 2
    assert "the initialiser 'wechsel' needs --resources source_vectors=FILE or source_text=FILE" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
