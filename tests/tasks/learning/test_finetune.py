"""Task adaptation: what learns and what does not, exact resume after kill -9, and the artefact that is written."""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from adapt.artefacts.embedding import Embedding
from pretrain.artefacts.body import Body
from pretrain.base.checkpoints import load_checkpoint
from pretrain.base.errors import UserError
from pretrain.masked_lm import VOCABULARY_INDEXED
from recipes.commands.training import finetune as command
from tasks.heads.model import NewHead
from tasks.learning.finetune import default_lr, finetune, plan
from tests.events import scalars
from tests.killing import kill_finetune_at, warm

from ..conftest import settings_for


def test_task_body_record(finetuned: Path, world: Path) -> None:
    body, start = Body.load(finetuned), Body.load(world / "body")
    assert body.lineage == start.fingerprint and body.task is not None
    assert body.task["name"] == "xnli" and body.task["labels"] == ["entailment", "neutral", "contradiction"]
    dev = body.task["dev"]
    assert (dev["split"], dev["language"], dev["n"]) == ("dev", "qaa", 60)
    assert dev["score"] > 0.9
    assert body.made["seed"] == 1 and body.made["planned_updates"] == 60 and body.made["lr"] == 5e-3
    assert body.made["train_examples"] == 240 and len(body.made["data_sha256"]) == 64


def test_best_checkpoint_is_taken_and_the_curve_kept(finetuned: Path) -> None:
    body = Body.load(finetuned)
    curve = json.loads((finetuned / "curves.json").read_text())
    assert [point["update"] for point in curve] == [10, 20, 30, 40, 50, 60]
    assert {(point["split"], point["language"]) for point in curve} == {("dev", "qaa")}
    assert body.task is not None
    best = max(point["accuracy"] for point in curve)
    assert best == pytest.approx(100 * body.task["dev"]["score"], abs=1e-3)
    assert body.made["updates"] == max(p["update"] for p in curve if p["accuracy"] == best)


def test_task_adaptation_writes_tensorboard_logs(finetuned: Path) -> None:
    logged = scalars(finetuned.parent / "tb")
    curve = {point["update"]: point["accuracy"] for point in json.loads((finetuned / "curves.json").read_text())}
    assert logged["valid/accuracy"] == pytest.approx(curve, abs=0.01) and len(curve) == 6


def test_a_log_that_nothing_can_write_is_refused_in_one_line(world: Path, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"tensorboard logs: .* run `pip install tensorboardX`"):
        plan(settings_for(world, tmp_path / "x", tensorboard="logs"))


def test_body_learns_embedding_and_lm_head_do_not(finetuned: Path, world: Path) -> None:
    body, start = Body.load(finetuned), Body.load(world / "body")
    for name, tensor in start.tensors.items():
        same = torch.equal(tensor, body.tensors[name])
        assert same == name.startswith("lm_head."), name
    heads = {name for name in body.tensors if name.startswith("heads.")}
    assert heads and set(body.tensors) == set(start.tensors) | heads
    state = load_checkpoint(finetuned.with_name("xnli.training") / "checkpoint_last.pt")
    assert not set(state["model"]) & {*VOCABULARY_INDEXED}
    assert not any(name.startswith("lm_head.") for name in state["model"])
    assert set(state["model"]) == {name for name in body.tensors if not name.startswith("lm_head.")}


@pytest.mark.slow
def test_resume_after_kill_is_exact(finetuned: Path, world: Path, tmp_path: Path) -> None:
    """kill -9 between two checkpoints in the middle of an epoch; the second call ends bit for bit the same."""
    output = tmp_path / "xnli"
    settings = settings_for(world, output)
    log = output.with_name("xnli.training") / "train.log"
    cut = kill_finetune_at(20, log, settings)
    assert "done training" not in cut and not output.exists()

    with pytest.raises(UserError, match=r"unfinished run with other settings \(.*lr was 0.005, now 0.004"):
        finetune(replace(settings, lr=4e-3), quiet=True)
    body = finetune(settings, quiet=True, keep=True)
    assert "Loaded checkpoint" in log.read_text()[len(cut):]
    assert body.fingerprint == Body.load(finetuned).fingerprint
    assert json.loads((output / "curves.json").read_text()) == json.loads((finetuned / "curves.json").read_text())
    with pytest.raises(UserError, match=r"already exists.*--overwrite"):
        finetune(settings, quiet=True)


def test_embedding_can_be_trained_on_request(world: Path) -> None:
    pytest.importorskip("fairseq")
    from pretrain.trainer.optimizer import ROLE
    from tasks.trainer.task import TaskBody

    body, embedding = Body.load(world / "body"), Embedding.load(world / "qaa")
    cfg: Any = argparse.Namespace(dropout=0.1, attention_dropout=0.1, activation_dropout=0.0, precision="fp32",
                                  compile=False)
    heads = [NewHead("xnli", "classification", 3, [])]
    frozen = TaskBody(body, embedding, cfg, heads)
    assert not frozen.encoder.embed_tokens.weight.requires_grad and not frozen.lm_head.bias.requires_grad
    assert torch.equal(frozen.encoder.embed_tokens.weight, embedding.weight)
    assert getattr(frozen.heads["xnli"].dense.weight, ROLE) == "head"
    loss = frozen(torch.tensor([[0, 5, 2, 2, 6, 2]]), full=True, task="xnli").sum()
    loss.backward()
    assert frozen.encoder.embed_tokens.weight.grad is None and frozen.lm_head.dense.weight.grad is None
    assert frozen.encoder.layers[0].ffn_in.weight.grad is not None  # type: ignore[union-attr]
    trained = TaskBody(body, embedding, cfg, heads, train_embedding=True)
    assert trained.encoder.embed_tokens.weight.requires_grad and not trained.lm_head.bias.requires_grad
    with pytest.raises(UserError, match=r"train different tensors"):
        frozen.load_state_dict(trained.state_dict())

    adapted = replace(embedding, extras={"encoder.embed_norm.weight": torch.full((32,), 3.0)})
    with_extras = TaskBody(body, adapted, cfg, heads)
    assert with_extras.encoder.embed_norm.weight.eq(3).all()
    assert "encoder.embed_norm.weight" not in with_extras.state_dict()


@pytest.mark.slow
def test_print_command_runs_as_it_stands(world: Path, tmp_path: Path, capsys: Any) -> None:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    words = ["--body", str(world / "body"), "--embedding", str(world / "qaa"), "--data", str(world / "data"),
             "--output", str(tmp_path / "x"), "--epochs", "1", "--cpu", "--print-command"]
    assert command.run(parser.parse_args(words)) == 0
    line = capsys.readouterr().out.strip()
    assert line.startswith("fairseq-train ") and "--task modular_finetune --arch modular_task_body" in line
    assert "--max-update 8 " in line and "--user-dir" in line
    assert not (tmp_path / "x.training").exists()
    done = subprocess.run([sys.executable, "-m", "fairseq_cli.train", *shlex.split(line)[1:]], cwd=Path.cwd(),
                          env=warm(PYTHONWARNINGS="ignore"), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert (tmp_path / "x.training" / "checkpoint_best.pt").exists()


def test_mistakes_are_told_before_training(world: Path, tmp_path: Path) -> None:
    base = settings_for(world, tmp_path / "x")
    bad = tmp_path / "bad.tsv"
    bad.write_text("premise\thypothesis\tlabel\na\tb\tyes\n")
    for change, message in (
        ({"train_files": (str(bad),)}, r"bad.tsv:2: unknown label 'yes'"),
        ({"train_files": (str(tmp_path / "a,b.tsv"),)}, r"a list with commas"),
        ({"embedding": str(world / "nowhere")}, r"expected an embedding .*found nothing"),
        ({"embedding": ""}, r"there is no embedding in or beside this body"),
        ({"body": str(world / "qaa")}, r"expected the record of a body"),
        ({"task": "xnil"}, r"unknown task 'xnil'"),
        ({"source_language": "qab"}, r"no train data in 'qab'"),
        ({"dev_split": "test"}, r"--dev-split test: the split that chooses"),
        ({"batch_size": 0}, r"--batch-size: got 0, expected a whole number from 1"),
        ({"updates": 0, "epochs": 0}, r"--epochs: got 0"),
        ({"max_length": 65}, r"--max-length 65 exceeds the body's 64 positions"),
        ({"warmup": 60}, r"--warmup 60: expected fewer than the 60 updates of the run"),
    ):
        with pytest.raises(UserError, match=message):
            plan(replace(base, **change))  # type: ignore[arg-type]
    assert not (tmp_path / "x.training").exists()


def test_length_of_a_run_and_default_rates(world: Path, tmp_path: Path) -> None:
    assert plan(settings_for(world, tmp_path / "x", updates=0, epochs=2, batch_size=32)).updates == 16
    assert plan(settings_for(world, tmp_path / "x", updates=0, epochs=2, batch_size=32, update_freq=3)).updates == 6
    assert plan(settings_for(world, tmp_path / "x", lr=0.0)).lr == default_lr(32) == 5e-4
    assert default_lr(768) == 1e-5
