"""Several training languages in one run: each example through its language's embedding, dev scores per language, exact resume."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from adapt.artefacts.assemble import swap
from adapt.artefacts.embedding import Embedding
from pretrain.artefacts.body import Body
from pretrain.base.checkpoints import load_checkpoint
from pretrain.base.errors import UserError
from recipes.cli import main
from tasks.heads.model import NewHead, task_model
from tasks.learning.finetune import export, finetune, plan
from tasks.learning.languages import SAMPLING, in_common, together
from tasks.multitask.batches import epoch_batches
from tasks.settings import FinetuneSettings
from tests.killing import kill_finetune_at
from tests.training import train_line

from ..choice.test_choice import arct_lines
from ..conftest import pairs, settings_for, write_pairs
from ..multitask.mixture_world import write_values
from ..qa.qa_world import question_files, write_questions
from ..tagging.tagging_world import sentences, write_sentences, write_world

pytest.importorskip("fairseq")


@pytest.fixture(scope="module")
def both(world: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Settings of a run in both languages: 240 examples of one, 120 of the other in a file of its own."""
    file = tmp_path_factory.mktemp("train") / "more.tsv"
    write_pairs(file, pairs("qab", 120, 5))
    return {"embedding": (str(world / "qaa"), str(world / "qab")), "train_files": (f"qab={file}",), "updates": 140, "lr": 1e-3,
            "validate_every": 20, "dropout": 0.0, "attention_dropout": 0.0}


@pytest.fixture(scope="module")
def trained(world: Path, both: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("languages") / "xnli"
    finetune(settings_for(world, output, **both), quiet=True, keep=True)
    return output


def test_it_learns_every_language_and_says_so(trained: Path, world: Path) -> None:
    body = Body.load(trained)
    assert body.task is not None and body.lineage == Body.load(world / "body").fingerprint
    dev, made = body.task["dev"], body.made
    assert dev["language"] == "qaa+qab" and dev["n"] == 120 and list(dev["languages"]) == ["qaa", "qab"]
    each = [one["score"] for one in dev["languages"].values()]
    assert min(each) > 0.8 and dev["score"] == pytest.approx(sum(each) / 2) and dev["baseline"]["score"] == pytest.approx(1 / 3)
    own = made["languages"]
    assert [(code, one["train_examples"]) for code, one in own.items()] == [("qaa", 240), ("qab", 120)]
    for code, one in own.items():
        assert one["embedding_fingerprint"] == Embedding.load(world / code).record()["fingerprint"]
    assert made["train_examples"] == 360 and made["language_sampling"] == "proportional" and len(made["train_files"]) == 2


def test_the_best_mean_over_languages_is_taken(trained: Path) -> None:
    body, curve = Body.load(trained), json.loads((trained / "curves.json").read_text())
    for point in curve:
        assert point["language"] == "qaa+qab"
        assert point["accuracy"] == pytest.approx((point["qaa_accuracy"] + point["qab_accuracy"]) / 2, abs=2e-3)
    best = max(curve, key=lambda point: (point["accuracy"], point["update"]))
    assert best["update"] == body.made["updates"]
    assert body.task is not None and 100 * body.task["dev"]["score"] == pytest.approx(best["accuracy"], abs=2e-2)


def test_it_is_evaluated_inspected_and_reported_like_any_body(trained: Path, world: Path, tmp_path: Path,
                                                              capsys: pytest.CaptureFixture[str]) -> None:
    words = ["evaluate", "--body", trained, "--embedding", world / "qaa", "--embedding", world / "qab", "--task", "xnli",
             "--split", "test", "--data", world / "data", "--output", tmp_path / "run" / "scores", "--quiet"]
    assert main([str(word) for word in words]) == 0
    records = json.loads((tmp_path / "run" / "scores" / "results.json").read_text())
    assert all(record["score"] > 0.8 and record["body"]["dev"]["language"] == "qaa+qab" for record in records)
    assert main(["inspect", str(trained)]) == 0
    assert "qaa+qab" in capsys.readouterr().out
    assert main(["report", str(tmp_path / "run"), str(trained.parent), "--output", str(tmp_path / "report")]) == 0
    assert "xnli, split test: accuracy" in (tmp_path / "report" / "report.md").read_text(encoding="utf-8")


def test_a_checkpoint_gives_the_task_body_again(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checkpoint = trained.with_name("xnli.training") / "checkpoint_best.pt"
    assert main(["split", str(checkpoint), "--output", str(tmp_path / "out")]) == 0
    assert "dev (qab) accuracy" in capsys.readouterr().out
    assert Body.load(tmp_path / "out").fingerprint == Body.load(trained).fingerprint
    assert main(["split", str(checkpoint), "--embedding", str(trained), "--output", str(tmp_path / "x")]) == 2
    assert "leave it out" in capsys.readouterr().err


@pytest.mark.slow
def test_resume_after_a_kill_within_an_epoch_is_exact(trained: Path, world: Path, both: dict[str, Any], tmp_path: Path) -> None:
    output = tmp_path / "xnli"
    settings = settings_for(world, output, **both)
    kill_finetune_at(60, output.with_name("xnli.training") / "train.log", settings)
    assert not output.exists()
    place = load_checkpoint(output.with_name("xnli.training") / "checkpoint_last.pt")["extra_state"]["train_iterator"]
    assert place["iterations_in_epoch"] > 0 and place["shuffle"] is False
    with pytest.raises(UserError, match=r"language_sampling was 'proportional', now 'equal'"):
        finetune(replace(settings, language_sampling="equal"), quiet=True)
    assert finetune(settings, quiet=True).fingerprint == Body.load(trained).fingerprint
    assert (output / "curves.json").read_text() == (trained / "curves.json").read_text()


def test_an_example_meets_the_model_that_assembling_makes(world: Path) -> None:
    """Bit for bit, also where one embedding brings tensors of the body and the other does not."""
    from tasks.trainer.task import TaskBody

    body = Body.load(world / "body")
    first, second = Embedding.load(world / "qaa"), Embedding.load(world / "qab")
    second = replace(second, extras={"encoder.embed_norm.weight": torch.full((32,), 3.0)})
    cfg: Any = argparse.Namespace(dropout=0.0, attention_dropout=0.0, activation_dropout=0.0, precision="fp32", compile=False)
    head = NewHead("xnli", "classification", 3, [])
    model = TaskBody(body, first, cfg, [head], languages={"qaa": first, "qab": second}).eval()
    tensors = {**body.tensors, **{f"heads.xnli.{name}": one for name, one in model.heads["xnli"].state_dict().items()}}
    task = {"name": "xnli", "version": "1.0", "head": "classification", "labels": ["a", "b", "c"], "metric": "accuracy"}
    assembled = task_model(replace(body, tensors=tensors, task=task), first)
    tokens = torch.tensor([[0, 5, 6, 2, 2, 7, 2]])
    for code in ("qab", "qaa", "qab"):
        model.read_as(code)
        swap(assembled, {"qaa": first, "qab": second}[code])
        assert torch.equal(model(tokens, full=True, task="xnli"), assembled(tokens, full=True, task="xnli")), code
    assert not any(name.startswith(("encoder.embed_norm.weight", "encoder.embed_tokens")) for name in model.state_dict())


def test_batches_are_of_one_language_and_equal_sampling_gives_each_as_many() -> None:
    sizes = {"qaa": np.full(240, 9), "qab": np.full(60, 9)}
    for name, expected in (("proportional", {"qaa": 15, "qab": 4}), ("equal", {"qaa": 10, "qab": 9})):
        found = epoch_batches(sizes, 16, SAMPLING[name], 1, 1, 1)
        assert Counter(batch.task for batch in found) == expected
        assert found[0].items.tolist() != epoch_batches(sizes, 16, SAMPLING[name], 1, 2, 1)[0].items.tolist()
    assert [batch.task for batch in found[:4]] == ["qaa", "qab", "qaa", "qab"]


def test_one_language_is_trained_as_it_was(finetuned: Path, world: Path) -> None:
    """Its code before its file changes nothing: the same line, settings to resume with, and body of its checkpoint."""
    file = world / "data" / "train-qaa.tsv"
    plain = settings_for(world, finetuned, train_files=(str(file),))
    coded = settings_for(world, finetuned, embedding=(str(world / "qaa"),), train_files=(f"qaa={file}",))
    lines = [plan(one).stage.words() for one in (plain, coded)]
    assert lines[0] == lines[1] and "modular_finetune" in lines[0]
    assert not any(word.startswith("--language") for word in lines[0])
    assert plan(coded).stage.settings == plan(plain).stage.settings and "language_sampling" not in plan(coded).stage.settings
    old = Body.load(finetuned)
    new, _ = export(finetuned.with_name("xnli.training") / "checkpoint_best.pt", coded, plan(coded))
    assert (new.fingerprint, new.task) == (old.fingerprint, old.task)
    assert json.loads(json.dumps(new.made)) == old.made and list(new.made) == list(old.made)
    assert "languages" not in new.made and "languages" not in (new.task or {})["dev"]


def write_family(name: str, folder: Path) -> dict[str, Any]:
    """Files of both languages for a task, and the settings that it needs."""
    if name == "stsb":
        write_values(folder / "data")
        return {"data": str(folder / "data")}
    if name == "panx":
        write_sentences(write_world(folder) / "train-qab.tsv", sentences("qab", 80, 5))
        return {"data": str(folder)}
    if name == "squad2":
        write_questions(folder)
        (folder / "two" / "train-qab.json").write_text(json.dumps(question_files(60, 5, "qab", impossible=0.4)))
        return {"data": str(folder / "two"), "max_length": 24, "stride": 8, "max_question": 6}
    for language in ("qaa", "qab"):
        for split, seed in (("train", 1), ("dev", 2)):
            (folder / f"{split}-{language}.tsv").write_text("\n".join(arct_lines(language, 60, seed)) + "\n", encoding="utf-8")
    return {"data": str(folder)}


@pytest.mark.parametrize(("task", "metric"), [("stsb", "pearson"), ("panx", "f1"), ("squad2", "f1"), ("arct", "accuracy")])
def test_every_family_takes_several_languages(task: str, metric: str, world: Path, tmp_path: Path) -> None:
    """Twelve updates in this process: what is logged is what the exported body scores, in each language."""
    settings = settings_for(world, tmp_path / "x", task=task, embedding=(str(world / "qaa"), str(world / "qab")), updates=12,
                            language_sampling="equal", dropout=0.0, attention_dropout=0.0, **write_family(task, tmp_path))
    planned = plan(settings)
    save = train_line(planned.stage.words(), tmp_path / "save")
    body, _ = export(save / "checkpoint_best.pt", settings, planned)
    assert body.task is not None and body.task["metric"] == metric
    dev = body.task["dev"]
    assert list(dev["languages"]) == ["qaa", "qab"]
    assert dev["score"] == pytest.approx(sum(one["score"] for one in dev["languages"].values()) / 2)
    if task != "squad2":  # its threshold is searched for when training is over
        logged = load_checkpoint(save / "checkpoint_best.pt")["extra_state"]["val_loss"]
        assert logged == pytest.approx(100 * dev["score"], abs=0.05)


def test_mistakes_are_one_line(world: Path, both: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base = settings_for(world, tmp_path / "x", **both)
    for change, message in (
            ({"train_files": ("m.tsv",)}, r"m.tsv: expected the language of the file before it, as qaa=FILE, one of qaa, qab"),
            ({"dev_files": ("qac=more.tsv",)}, r"--dev-file qac=more.tsv: expected the language"),
            ({"train_files": ()}, r"no train data in 'qab'"),
            ({"source_language": "qaa"}, r"--source-language is for a training in one language, and there are 2 embeddings"),
            ({"train_embedding": True}, r"--train-embedding is for a training in one language"),
            ({"embedding": (str(world / "qaa"), str(world / "qaa"))}, r"are both embeddings of 'qaa'; train with one of each")):
        with pytest.raises(UserError, match=message):
            plan(replace(base, **change))  # type: ignore[arg-type]
    words = ["finetune", "--body", str(world / "body"), "--data", str(world / "data"), "--output", str(tmp_path / "x"),
             *(word for place in both["embedding"] for word in ("--embedding", place)), "--language-sampling", "even"]
    assert main(words) == 2
    assert "--language-sampling: got 'even', expected one of proportional, equal" in capsys.readouterr().err
    assert main([*words[:-1], "equal", "--train-file", both["train_files"][0], "--print-command"]) == 0
    line = capsys.readouterr().out
    assert "--task modular_languages" in line and "--criterion modular_languages" in line and "--language-sampling equal" in line


def test_parts_of_the_records() -> None:
    assert in_common([{"length": 8, "threshold": 0.25, "n": 3}, {"length": 8, "threshold": 0.75, "n": 4}]) == {
        "length": 8, "threshold": 0.5}
    one = {"score": 0.5, "standard_error": 0.03, "n": 10, "files": ["f"], "data_sha256": "0"}
    assert together({"a": one}) == one
    found = together({"a": one, "b": {**one, "score": 0.7, "standard_error": 0.04}})
    assert found["score"] == pytest.approx(0.6) and found["standard_error"] == pytest.approx(0.025) and found["n"] == 20
    assert FinetuneSettings("b", "d", "o", embedding="e").embedding == ("e",)  # type: ignore[arg-type]
