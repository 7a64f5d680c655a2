"""What a student learns from: the rows of its examples, its loss, and every disagreement with the file told before training."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import softmax
from torch.nn import functional as F

from pretrain.base.errors import UserError
from pretrain.base.settings import declared
from tasks.distillation.losses import LOSSES
from tasks.distillation.soft_labels import SoftLabels, key_of, read, write
from tasks.distillation.student import LOSSES_OF, Distillation, Lesson
from tasks.learning.finetune import plan
from tasks.reading.subset import Subset
from tasks.registry import get_task
from tasks.settings import FinetuneSettings
from tests.tasks.conftest import LABELS, settings_for


def examples_of(folder: Path, language: str = "qaa") -> Any:
    return get_task("xnli").unlabelled(folder, "train", language)


def lesson(school: Path, examples: Any = None, **asked: Any) -> Lesson:
    examples = examples_of(school / "data") if examples is None else examples
    return Distillation(str(school / "xnli.parquet"), **asked).learn(get_task("xnli"), examples, "qaa", "classification")


def changed(school: Path, path: Path, **header: Any) -> Distillation:
    """The school's file with another header."""
    file = read(school / "xnli.parquet")
    write(replace(file, header={**file.header, **header}), path)
    return Distillation(str(path))


def test_every_example_gets_its_row_whatever_the_order(school: Path) -> None:
    examples = examples_of(school / "data")
    part = examples.only([200, 3, 77])
    whole, few = lesson(school), lesson(school, part)
    for name in ("logits", "probabilities"):
        rows = np.stack(few.columns[name])
        np.testing.assert_array_equal(rows, np.stack(whole.columns[name])[[200, 3, 77]])
    few_shot = Subset(0.1, seed=3).of(examples)
    assert len(lesson(school, few_shot).columns["logits"]) == len(few_shot) == 24


def test_rows_of_the_same_texts_the_first_counts(tmp_path: Path, school: Path) -> None:
    file = read(school / "xnli.parquet")
    columns = {name: [*rows, rows[1]] for name, rows in file.columns.items()}
    write(SoftLabels(file.header, [*file.ids, "x"], [*file.keys, file.keys[0]], columns), tmp_path / "t.parquet")
    found = Distillation(str(tmp_path / "t.parquet")).learn(get_task("xnli"), examples_of(school / "data"), "qaa", "linear")
    np.testing.assert_array_equal(found.columns["logits"][0], file.columns["logits"][0])


def test_targets_at_the_files_temperature_and_at_another(school: Path) -> None:
    logits = np.stack(read(school / "xnli.parquet").columns["logits"])
    np.testing.assert_allclose(lesson(school).targets().numpy(), softmax(logits, axis=1), rtol=1e-3, atol=1e-5)
    tempered = lesson(school, temperature=4.0)
    assert tempered.temperature == 4.0
    np.testing.assert_allclose(tempered.targets().numpy(), softmax(logits / 4, axis=1), rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(lesson(school, loss="logit-mse").targets().numpy(), logits)


def test_the_loss_of_a_batch(school: Path) -> None:
    """Summed over the examples as the loss on hard labels is; alpha is the share of that one."""
    generator = torch.Generator().manual_seed(1)
    outputs, labels = torch.randn(6, 3, generator=generator), torch.tensor([0, 1, 2, 0, 1, 2])
    hard = F.cross_entropy(outputs, labels, reduction="sum")
    found = lesson(school)
    teacher = found.targets()[:6]
    soft = -(teacher * outputs.log_softmax(-1)).sum()
    torch.testing.assert_close(found.total(lambda: hard, outputs, teacher), soft, rtol=1e-4, atol=1e-5)
    mixed = lesson(school, alpha=0.25).total(lambda: hard, outputs, teacher)
    torch.testing.assert_close(mixed, 0.25 * hard + 0.75 * soft, rtol=1e-4, atol=1e-5)
    hot = lesson(school, temperature=2.0)
    expected = -4 * (hot.targets()[:6] * (outputs / 2).log_softmax(-1)).sum()
    torch.testing.assert_close(hot.total(lambda: hard, outputs, hot.targets()[:6]), expected, rtol=1e-4, atol=1e-5)
    squared = lesson(school, loss="logit-mse")
    expected = (squared.targets()[:6] - outputs).square().mean(1).sum()
    torch.testing.assert_close(squared.total(lambda: hard, outputs, squared.targets()[:6]), expected, rtol=1e-4, atol=1e-5)
    certain = F.one_hot(labels, 3).float()
    torch.testing.assert_close(found.total(lambda: hard, outputs, certain), hard, rtol=1e-4, atol=1e-5)


def test_the_record_names_the_teachers(school: Path) -> None:
    record = lesson(school, alpha=0.5).record()
    header = read(school / "xnli.parquet").header
    assert record["teachers"] == [header["teachers"][0]["fingerprint"]] and len(record["sha256"]) == 64
    assert (record["file"], record["loss"], record["alpha"], record["temperature"]) == ("xnli.parquet", "soft-ce", 0.5, 1.0)


def test_another_file_is_told_with_both_sides(school: Path, tmp_path: Path) -> None:
    task, examples = get_task("xnli"), examples_of(school / "data")
    turned = [LABELS[1], LABELS[0], LABELS[2]]
    for header, message in (
        ({"labels": turned}, r"neutral, entailment, contradiction in this order, xnli .* has entailment, neutral, contradiction"),
        ({"task": "mnli"}, r"teaches mnli, this trains xnli"),
        ({"language": "en"}, r"is of examples in 'en', this trains in 'qaa'.*--student-language qaa"),
    ):
        with pytest.raises(UserError, match=message):
            changed(school, tmp_path / "t.parquet", **header).learn(task, examples, "qaa", "linear")
    file = read(school / "xnli.parquet")
    data = examples.sha256()[:12]
    last = file.keys[-1]
    kept = [row for row, key in enumerate(file.keys) if key != last]
    write(SoftLabels(file.header, [file.ids[row] for row in kept], [file.keys[row] for row in kept],
                     {name: [rows[row] for row in kept] for name, rows in file.columns.items()}), tmp_path / "short.parquet")
    message = (rf"no row for {240 - len(kept)} of the 240 training examples \(first: id {file.keys.index(last)}\); it was made "
               rf"on .*train-qaa.tsv \({len(kept)} examples, data {data}\), this trains on .*train-qaa.tsv \(data {data}")
    with pytest.raises(UserError, match=message):
        Distillation(str(tmp_path / "short.parquet")).learn(task, examples, "qaa", "linear")
    with pytest.raises(UserError, match=r"no row for 240 of the 240 training examples .*train-qaa.tsv.*train-qab.tsv"):
        Distillation(str(school / "xnli.parquet")).learn(task, examples_of(school / "data", "qab"), "qaa", "linear")


def test_losses_and_temperatures_that_a_file_does_not_allow(school: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"--distillation-loss mse: xnli is learned with soft-ce or kl or logit-mse"):
        lesson(school, loss="mse")
    with pytest.raises(UserError, match=r"--temperature 2: the loss logit-mse has none"):
        lesson(school, loss="logit-mse", temperature=2.0)
    task, examples = get_task("xnli"), examples_of(school / "data")
    pair = read(school / "xnli.parquet").header["teachers"] * 2
    several = changed(school, tmp_path / "p.parquet", teachers=pair)
    with pytest.raises(UserError, match=r"mean of 2 teachers' probabilities at temperature 1; make it anew .*--average logits"):
        replace(several, temperature=2.0).learn(task, examples, "qaa", "linear")
    assert several.learn(task, examples, "qaa", "linear").temperature == 1.0
    logits = changed(school, tmp_path / "l.parquet", teachers=pair, average="logits")
    assert replace(logits, temperature=2.0).learn(task, examples, "qaa", "linear").temperature == 2.0


def test_a_regression_learns_values(tmp_path: Path) -> None:
    (tmp_path / "train-en.tsv").write_text("index\tsentence1\tsentence2\tscore\n0\ta\tb\t\n1\tc\td\t\n")
    task = get_task("stsb")
    examples: Any = task.unlabelled(tmp_path, "train", "en")
    header = {"task": "stsb", "task_version": "1", "form": "value", "labels": ["score"], "temperature": 1.0,
              "average": "probabilities", "language": "en", "split": "train",
              "data": {"files": ["x"], "sha256": "0", "examples": 2}, "read": {"language": "en", "files": ["x"], "sha256": "0"},
              "teachers": [{"fingerprint": "1"}]}
    keys = [key_of("c", "d"), key_of("a", "b")]
    write(SoftLabels(header, ["1", "0"], keys, {"values": [np.array([2.0]), np.array([4.5])]}), tmp_path / "t.parquet")
    found = Distillation(str(tmp_path / "t.parquet")).learn(task, examples, "en", "linear")
    assert found.loss == "mse" and found.targets().tolist() == [4.5, 2.0]
    assert found.total(lambda: torch.tensor(0.0), torch.tensor([4.0, 3.0]), found.targets()).item() == pytest.approx(1.25)
    with pytest.raises(UserError, match=r"--temperature 3: the loss mse has none"):
        Distillation(str(tmp_path / "t.parquet"), temperature=3.0).learn(task, examples, "en", "linear")


def test_the_losses_that_can_be_asked_for_are_those_that_there_are() -> None:
    assert declared(FinetuneSettings)["distillation_loss"].about.allowed == ("", *LOSSES)
    assert set(LOSSES) == {name for names in LOSSES_OF.values() for name in names}


def test_settings_of_a_student_are_checked_before_training(school: Path, world: Path, tmp_path: Path) -> None:
    base = settings_for(world, tmp_path / "x", data=str(school / "data"))
    for change, message in (
        ({"alpha": 0.5}, r"--alpha: got 0.5 without a teacher; name its file with --teacher"),
        ({"distillation_loss": "kl"}, r"--distillation-loss: got 'kl' without a teacher"),
        ({"teacher": str(tmp_path / "no.parquet")}, r"no.parquet: expected a file of teachers' outputs .*found nothing"),
        ({"teacher": str(school / "xnli.parquet"), "alpha": 1.5}, r"--alpha: got 1.5, expected a number from 0 to 1"),
        ({"teacher": str(school / "xnli.parquet"), "train_files": (str(world / "data/test-qaa.tsv"),)},
         r"has no row for .* training examples"),
        ({"teacher": str(school / "xnli.parquet"), "data": str(school / "bare"), "alpha": 0.5}, r"240 of 240 rows have no label"),
    ):
        with pytest.raises(UserError, match=message):
            plan(replace(base, **change))  # type: ignore[arg-type]
    planned = plan(replace(base, teacher=str(school / "xnli.parquet"), data=str(school / "bare")))
    assert planned.lesson is not None and planned.stage.settings["teacher"]["loss"] == "soft-ce"
    assert "--teacher" in planned.stage.printed() and not (tmp_path / "x.training").exists()
    plain = plan(base)
    assert "teacher" not in plain.stage.settings and "alpha" not in plain.stage.settings
