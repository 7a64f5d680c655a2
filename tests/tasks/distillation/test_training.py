"""Students that learn: from a larger teacher with another tokenizer, in another language, in a mixture, and after a kill."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pretrain.artefacts.body import Body
from recipes.cli import main
from tasks.heads.several import tasks_of
from tests.killing import kill_at
from tests.tasks.multitask.mixture_world import write_values
from tests.tasks.qa.qa_world import question_files

from .conftest import teach

RUN = ("--lr", 5e-3, "--batch-size", 16, "--threads", 1, "--dropout", 0, "--attention-dropout", 0, "--cpu", "--quiet")


def relexify(*words: object) -> int:
    return main([str(word) for word in words])


@pytest.fixture(scope="module", autouse=True)
def fairseq() -> None:
    pytest.importorskip("fairseq")


@pytest.fixture(scope="module")
def translated(school: Path, world: Path, finetuned: Path) -> Path:
    """What a teacher that reads one language says of the same pairs in another; the name is one that fairseq could misread."""
    output = school / "a: b {x}, 'q' #1.parquet"
    assert teach("--body", finetuned, "--embedding", world / "qaa", "--data", school / "data", "--student-language", "qab",
                 "--output", output) == 0
    return output


def words_of(school: Path, teacher: Path, output: Path) -> tuple[object, ...]:
    return ("finetune", "--body", school / "body", "--embedding", school / "qab", "--data", school / "bare", "--teacher", teacher,
            "--output", output, "--updates", 120, "--validate-every", 40, *RUN)


@pytest.fixture(scope="module")
def student(school: Path, translated: Path) -> Path:
    """A student with fewer layers, another width and another tokenizer, in the other language, without a label."""
    output = school / "runs" / "student"
    assert relexify(*words_of(school, translated, output)) == 0
    return output


def test_a_small_student_learns_another_language_without_labels(student: Path, school: Path, finetuned: Path) -> None:
    body, teacher = Body.load(student), Body.load(finetuned)
    assert (body.config.layers, body.config.width) != (teacher.config.layers, teacher.config.width)
    assert (body.task or {})["dev"]["score"] > 0.8 and (body.task or {})["dev"]["language"] == "qab"
    made = body.made["teacher"]
    assert made["teachers"] == [teacher.fingerprint] and (made["loss"], made["alpha"]) == ("soft-ce", 0.0)
    assert made["read_in"] == "qaa" and body.lineage == Body.load(school / "body").fingerprint


@pytest.mark.slow
def test_it_goes_on_exactly_after_a_kill(student: Path, school: Path, translated: Path, tmp_path: Path,
                                         capsys: pytest.CaptureFixture[str]) -> None:
    """And refuses to go on with another loss; the same file under another name will do."""
    output = tmp_path / "again"
    kill_at(80, tmp_path / "again.training" / "train.log", *words_of(school, translated, output))
    assert not output.exists()
    moved = tmp_path / "moved.parquet"
    moved.write_bytes(translated.read_bytes())
    assert relexify(*words_of(school, moved, output), "--alpha", 0.5, "--data", school / "data") == 2
    assert "unfinished run with other settings" in capsys.readouterr().err
    assert relexify(*words_of(school, moved, output)) == 0
    assert Body.load(output).fingerprint == Body.load(student).fingerprint


@pytest.mark.slow
def test_tasks_with_and_without_a_teacher_share_a_mixture(school: Path, world: Path, tmp_path: Path,
                                                         capsys: pytest.CaptureFixture[str]) -> None:
    write_values(tmp_path / "values")
    recipe = tmp_path / "mixture.yaml"
    text = (f"tasks:\n  xnli: {{data: {school / 'bare'}, teacher: {school / 'xnli.parquet'}, distillation_loss: kl, "
            f"temperature: 2}}\n  stsb: {{data: {tmp_path / 'values'}}}\n")
    words = ("multitask", "--body", world / "body", "--embedding", world / "qaa", "--mixture", recipe, "--output",
             tmp_path / "both", "--updates", 160, *RUN)
    for change, message in (
        (("temperature: 2", "alpha: 0.5"), "240 of 240 rows have no label"),
        (("distillation_loss: kl", "distillation_loss: mse"), "tasks.xnli.distillation_loss mse: xnli is learned with soft-ce"),
        ((f"teacher: {school / 'xnli.parquet'}, ", ""), "tasks.xnli.distillation_loss: got 'kl' without a teacher"),
        ((str(school / "xnli.parquet"), str(tmp_path / "no.parquet")), "no.parquet: expected a file of teachers' outputs"),
    ):
        recipe.write_text(text.replace(*change))
        assert relexify(*words) == 2
        assert message in capsys.readouterr().err
    recipe.write_text(text)
    assert relexify(*words) == 0
    body = Body.load(tmp_path / "both")
    records, made = tasks_of(body), body.made["tasks"]
    assert records["xnli"]["dev"]["score"] > 0.8 and records["stsb"]["dev"]["score"] > 0.7
    assert (made["xnli"]["teacher"]["loss"], made["xnli"]["teacher"]["temperature"]) == ("kl", 2.0)
    assert "teacher" not in made["stsb"]


@pytest.mark.slow
def test_questions_are_learned_from_places_by_another_tokenizer(school: Path, world: Path, tmp_path: Path) -> None:
    data, bare = tmp_path / "data", tmp_path / "bare"
    for folder in (data, bare):
        folder.mkdir()
        for split, count, seed in (("train", 160, 1), ("dev", 40, 2)):
            content = question_files(count, seed, "qaa")
            if folder == bare and split == "train":
                for paragraph in content["data"][0]["paragraphs"]:
                    paragraph["qas"][0]["answers"] = []
            (folder / f"{split}-qaa.json").write_text(json.dumps(content))
    shape = ("--task", "squad", "--max-length", 24, "--stride", 8, "--max-question", 6, *RUN)
    assert relexify("finetune", "--body", world / "body", "--embedding", world / "qaa", "--data", data, "--output",
                    tmp_path / "teacher", "--updates", 60, *shape) == 0
    assert teach("--body", tmp_path / "teacher", "--embedding", world / "qaa", "--task", "squad", "--data", bare, "--output",
                 tmp_path / "squad.parquet") == 0
    words = ("finetune", "--body", school / "body", "--embedding", school / "qaa", "--output", tmp_path / "student", "--teacher",
             tmp_path / "squad.parquet", "--updates", 160, "--task", "squad", "--max-length", 40, *RUN)
    assert relexify(*words, "--data", bare) == 0
    dev = (Body.load(tmp_path / "student").task or {})["dev"]
    assert dev["score"] > 0.7 > dev["baseline"]["score"] + 0.2
    assert relexify(*words, "--data", data, "--head", "joint_span", "--overwrite") == 2
