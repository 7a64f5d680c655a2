"""A body of many tasks: it learns them, is one body like any other, resumes exactly, and each task can be taken out of it."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
import torch

from adapt.artefacts.embedding import Embedding
from pretrain.artefacts.body import Body
from pretrain.base.checkpoints import load_checkpoint
from pretrain.base.errors import UserError
from recipes.cli import main
from tasks.heads.model import task_model
from tasks.heads.several import body_for, tasks_of
from tests.killing import kill_at

from .mixture_world import RUN, write_mixture


def relexify(*words: object) -> int:
    return main([str(word) for word in words])


def test_it_learns_every_task(several: Path) -> None:
    records = tasks_of(Body.load(several))
    assert list(records) == ["xnli", "stsb", "panx"]
    assert [record["head"] for record in records.values()] == ["san", "classification", "tagging"]
    for name, record in records.items():
        dev = record["dev"]
        assert dev["score"] > 0.75 > dev["baseline"]["score"] + 0.2, (name, dev)


def test_the_checkpoint_with_the_best_mean_is_taken(several: Path) -> None:
    body, curve = Body.load(several), json.loads((several / "curves.json").read_text())
    names = {"xnli": "xnli_accuracy", "stsb": "stsb_pearson", "panx": "panx_f1"}
    for point in curve:
        assert point["mean_score"] == pytest.approx(sum(point[name] for name in names.values()) / 3, abs=2e-3)
    best = max(curve, key=lambda point: (point["mean_score"], point["update"]))
    assert best["update"] == body.made["updates"]
    for name, record in tasks_of(body).items():
        assert 100 * record["dev"]["score"] == pytest.approx(best[names[name]], abs=2e-2)


def test_it_is_one_body_of_the_same_lineage(several: Path, world: Path) -> None:
    start, body = Body.load(world / "body"), Body.load(several)
    assert body.lineage == start.fingerprint and body.made["stage"] == "multitask"
    heads = Counter(name.split(".")[1] for name in body.tensors if name.startswith("heads."))
    assert set(heads) == {"xnli", "stsb", "panx"}
    assert set(start.tensors) == {name for name in body.tensors if not name.startswith("heads.")}
    assert body.made["tasks"]["panx"]["train_examples"] == 120 and body.made["tasks"]["stsb"]["weight"] == 0.5


def test_every_task_is_scored_in_every_language(several: Path, world: Path, mixed: Path, tmp_path: Path,
                                                capsys: pytest.CaptureFixture[str]) -> None:
    places = {"xnli": world / "data", "stsb": mixed / "values", "panx": mixed / "tags"}
    for name, data in places.items():
        assert relexify("evaluate", "--body", several, "--embedding", world / "qaa", "--embedding", world / "qab", "--task", name,
                        "--split", "test", "--data", data, "--output", tmp_path / name, "--quiet") == 0
        records = json.loads((tmp_path / name / "results.json").read_text())
        assert [record["language"] for record in records] == ["qaa", "qab"] and records[0]["score"] > 0.7
        assert records[0]["body"]["fingerprint"] == Body.load(several).fingerprint
    # what needs no head is scored on this body too
    assert relexify("evaluate", "--body", several, "--embedding", world / "qaa", "--embedding", world / "qab", "--task",
                    "tatoeba", "--split", "test", "--data", mixed / "bitext", "--output", tmp_path / "bitext", "--quiet") == 0
    record, = json.loads((tmp_path / "bitext" / "results.json").read_text())
    assert record["n"] == 40 and record["body"]["fingerprint"] == Body.load(several).fingerprint
    capsys.readouterr()
    assert relexify("evaluate", "--body", several, "--embedding", world / "qaa", "--task", "squad", "--split", "dev", "--data",
                    mixed, "--output", tmp_path / "x") == 2
    assert "does xnli, stsb, panx, asked for 'squad'" in capsys.readouterr().err


def test_the_whole_row_is_scored_by_one_command(several: Path, world: Path, mixed: Path, tmp_path: Path,
                                                capsys: pytest.CaptureFixture[str]) -> None:
    words = ("evaluate", "--body", several, "--embedding", world / "qaa", "--embedding", world / "qab", "--split", "test",
             "--quiet")
    assert relexify(*words, "--data", mixed / "mixture.yaml", "--output", tmp_path / "row") == 0
    records = json.loads((tmp_path / "row" / "results.json").read_text())
    assert [(record["task"], record["language"]) for record in records] == [
        (task, language) for task in ("xnli", "stsb", "panx") for language in ("qaa", "qab")]
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == ["language", "split", "xnli", "accuracy", "stsb", "pearson", "panx", "f1", "mean"]
    for number, language in enumerate(("qaa", "qab")):
        scores = [record["score"] for record in records if record["language"] == language]
        row = next(line for line in lines if line[0] == language)
        assert [float(cell) for cell in row[2:]] == pytest.approx([*scores, sum(scores) / 3], abs=6e-4, rel=1e-6), number
    # each as when it is asked for by name
    assert relexify(*words, "--task", "panx", "--data", mixed / "mixture.yaml", "--output", tmp_path / "one") == 0
    assert [record["score"] for record in json.loads((tmp_path / "one" / "results.json").read_text())] == [
        record["score"] for record in records[-2:]]
    (tmp_path / "other.yaml").write_text("tasks: {rte: {data: x}}\n")
    capsys.readouterr()
    assert relexify(*words, "--data", tmp_path / "other.yaml", "--output", tmp_path / "x") == 2
    assert "does not say where the data of xnli, stsb, panx is; it names rte" in capsys.readouterr().err
    assert not (tmp_path / "x").exists()


def test_predictions_name_their_task(several: Path, world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("predict", "--body", several, "--embedding", world / "qaa", "--quiet", "--text", "tilo mapu", "kove tilo")
    assert relexify(*words) == 2
    assert "does xnli, stsb, panx, name one with --task" in capsys.readouterr().err
    assert relexify(*words, "--task", "xnli") == 0
    assert json.loads(capsys.readouterr().out)["label"] == "neutral"
    assert relexify(*words, "--task", "stsb") == 0
    assert "score" in json.loads(capsys.readouterr().out)


def test_an_assembled_folder_does_every_task(several: Path, world: Path, tmp_path: Path,
                                             capsys: pytest.CaptureFixture[str]) -> None:
    assert relexify("assemble", "--body", several, "--embedding", world / "qab", "--output", tmp_path / "model") == 0
    assert relexify("inspect", tmp_path / "model") == 0
    capsys.readouterr()
    assert relexify("predict", "--body", tmp_path / "model", "--task", "panx", "--quiet", "--text", "жуба шора") == 0
    assert json.loads(capsys.readouterr().out)["words"] == ["жуба", "шора"]
    assert relexify("export", "--body", several, "--embedding", world / "qab", "--to", "huggingface", "--output",
                    tmp_path / "out") == 2
    assert "name one with --task" in capsys.readouterr().err


def test_the_body_of_one_task_has_its_head_alone(several: Path, world: Path) -> None:
    body, embedding = Body.load(several), Embedding.load(world / "qaa")
    one = body_for(body, ["rte", "panx"])
    assert (one.task or {})["name"] == "panx" and one.fingerprint == body.fingerprint and one.lineage == body.lineage
    assert {name.split(".")[1] for name in one.tensors if name.startswith("heads.")} == {"panx"}
    assert task_model(one, embedding)(torch.tensor([[0, 5, 2]]), task="panx").shape[:2] == (1, 3)
    with pytest.raises(UserError, match=r"this body does xnli, stsb, panx; name one of them with --task"):
        task_model(body, embedding)
    with pytest.raises(UserError, match=r"asked for 'panxx', did you mean 'panx'"):
        body_for(body, ["panxx"])
    start = Body.load(world / "body")
    assert body_for(start, ["xnli"]) is start and tasks_of(start) == {}


@pytest.mark.slow
def test_it_goes_on_exactly_after_a_kill_within_an_epoch(several: Path, world: Path, mixed: Path, tmp_path: Path) -> None:
    output = tmp_path / "again"
    words = ("multitask", "--body", world / "body", "--embedding", world / "qaa", "--mixture", mixed / "mixture.yaml", "--output",
             output, *RUN, "--validate-every", 40)
    kill_at(80, output.with_name("again.training") / "train.log", *words)
    assert not output.exists()
    epochs = load_checkpoint(output.with_name("again.training") / "checkpoint_last.pt")["extra_state"]["train_iterator"]
    assert epochs["iterations_in_epoch"] > 0 and epochs["shuffle"] is False
    assert relexify(*words) == 0
    assert Body.load(output).fingerprint == Body.load(several).fingerprint
    assert (output / "curves.json").read_text() == (several / "curves.json").read_text()


@pytest.mark.slow
def test_a_task_goes_on_from_its_head(several: Path, world: Path, tmp_path: Path) -> None:
    """One update at a tiny rate: what is scored is the head that the mixture trained; another kind of head is a new one."""
    words = ("finetune", "--body", several, "--embedding", world / "qaa", "--task", "xnli", "--data", world / "data",
             "--updates", 1, "--lr", 1e-7, "--warmup", 0, "--batch-size", 16, "--threads", 1, "--cpu", "--quiet")
    assert relexify(*words, "--head", "san", "--output", tmp_path / "on") == 0
    body, before = Body.load(tmp_path / "on"), tasks_of(Body.load(several))["xnli"]["dev"]["score"]
    assert (body.task or {})["dev"]["score"] == pytest.approx(before, abs=0.02)
    assert {name.split(".")[1] for name in body.tensors if name.startswith("heads.")} == {"xnli"}
    assert body.lineage == Body.load(several).lineage
    assert relexify(*words, "--output", tmp_path / "new") == 0
    assert (Body.load(tmp_path / "new").task or {})["dev"]["score"] < before - 0.2


def test_a_named_task_can_choose_and_mistakes_are_told_at_once(world: Path, mixed: Path, tmp_path: Path,
                                                               capsys: pytest.CaptureFixture[str]) -> None:
    words = ["multitask", "--body", world / "body", "--embedding", world / "qaa", "--output", tmp_path / "x", "--print-command"]
    recipe = write_mixture(tmp_path / "named.yaml", world, mixed, best="stsb", policy="round-robin")
    assert relexify(*words, "--mixture", recipe) == 0
    line = capsys.readouterr().out
    assert "--best-checkpoint-metric stsb_pearson" in line and "--task modular_mixture" in line
    # 240, 120 and 120 examples in batches of 32: 8 + 4 + 4 an epoch
    assert "--max-update 80 " in line
    assert relexify(*words, "--mixture", recipe, "--seeds", "1,2") == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 and "--seed 2" in lines[1] and "x/seed-2.training" in lines[1]
    recipe.write_text(recipe.read_text().replace("weight: 0.5", "loss: mee"))
    assert relexify(*words, "--mixture", recipe) == 2
    assert "unknown loss of stsb 'mee', did you mean 'mse'? (known: mae, mse)" in capsys.readouterr().err
    recipe.write_text(recipe.read_text().replace("loss: mee", "loss: mae, metric: perason"))
    assert relexify(*words, "--mixture", recipe) == 2
    assert "unknown metric of stsb 'perason'" in capsys.readouterr().err
    recipe.write_text(recipe.read_text().replace(", metric: perason", "").replace("head: san", "head: sam"))
    assert relexify(*words, "--mixture", recipe) == 2
    assert "unknown head for xnli 'sam', did you mean 'san'" in capsys.readouterr().err
