"""`relexify split` makes of a task-adaptation checkpoint the task body that `finetune` made of it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pretrain.artefacts.body import Body
from recipes.cli import main
from tasks.learning.split import settings_of
from tasks.settings import FinetuneSettings

pytest.importorskip("fairseq")


def test_the_checkpoint_of_a_run_gives_its_task_body(finetuned: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checkpoint = finetuned.parent / "xnli.training" / "checkpoint_best.pt"
    assert main(["split", str(checkpoint), "--output", str(tmp_path / "out")]) == 0
    assert "task body for xnli" in capsys.readouterr().out
    ours, expected = Body.load(tmp_path / "out"), Body.load(finetuned)
    assert (ours.fingerprint, ours.lineage, ours.task) == (expected.fingerprint, expected.lineage, expected.task)
    known = {name for name in expected.made if name != "warmup"}  # a checkpoint knows warm-up in updates, not as a share
    assert {name: ours.made[name] for name in known} == {name: expected.made[name] for name in known}


def test_what_is_not_of_the_run_is_refused_in_one_line(finetuned: Path, world: Path, tmp_path: Path,
                                                       capsys: pytest.CaptureFixture[str]) -> None:
    checkpoint = str(finetuned.parent / "xnli.training" / "checkpoint_best.pt")
    cut = tmp_path / "cut.pt"
    cut.write_bytes(Path(checkpoint).read_bytes()[:1000])
    shutil.copytree(world / "qaa", tmp_path / "no-body")
    output = ["--output", str(tmp_path / "out")]
    for words, said in (
            ([checkpoint, *output, "--force"], "--force is not for a checkpoint of the fairseq task modular_finetune"),
            ([checkpoint, *output, "--data", str(tmp_path / "nowhere")], "the run's data"),
            ([checkpoint, *output, "--body", str(tmp_path / "no-body")], "body.json"),
            ([checkpoint, *output, "--embedding", str(world / "nowhere")], "name it with --embedding"),
            ([str(cut), *output], "truncated or damaged"),
            ([checkpoint, "--output", str(finetuned)], "already exists")):
        assert main(["split", *words]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert said in line
    assert not (tmp_path / "out").exists()


def test_what_a_student_learned_from_is_read_from_the_configuration(world: Path, tmp_path: Path) -> None:
    task = {"task_name": "xnli", "body": str(world / "body"), "embedding": str(world / "qaa"), "data": str(world / "data")}
    plain = settings_of({"task": task}, tmp_path / "x.pt", tmp_path / "out")
    assert (plain.teacher, plain.distillation_loss, plain.alpha, plain.temperature) == ("", "", 0.0, 0.0)
    given = {"teacher": "t.parquet", "distillation_loss": "kl", "alpha": 0.25, "temperature": 2.0}
    found: FinetuneSettings = settings_of({"task": {**task, **given}}, tmp_path / "x.pt", tmp_path / "out")
    assert {name: getattr(found, name) for name in given} == given
