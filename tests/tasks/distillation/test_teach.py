"""What teachers say, in a file: the outputs of a body, averages of several, translations, and what is refused."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import softmax

from adapt.artefacts.embedding import Embedding
from pretrain.artefacts.body import Body
from pretrain.base.errors import UserError
from recipes.cli import main
from tasks.distillation.settings import TeachSettings
from tasks.distillation.soft_labels import SoftLabels, key_of, read
from tasks.distillation.teach import teach
from tasks.distillation.teaching import ClassTeaching, ValueTeaching, same_examples
from tasks.encoding import encode_examples
from tasks.heads.model import task_model
from tasks.predict import head_outputs
from tasks.registry import get_task
from tests.tasks.conftest import LABELS, pairs, write_pairs

from .conftest import teach as relexify_teach

SHARED = Path(os.environ.get("RELEXIFY_SHARED") or Path(__file__).resolve().parents[4] / "shared") / "data"


def taught(school: Path, body: object, embedding: object, output: Path, **changes: Any) -> SoftLabels:
    """A file made by a call."""
    bodies = body if isinstance(body, tuple) else (str(body),)
    values = {"data": str(school / "data"), "device": "cpu", **changes}
    return teach(TeachSettings(body=bodies, embedding=(str(embedding),), output=str(output), **values), quiet=True)


def test_the_file_holds_what_the_body_says(school: Path, world: Path, finetuned: Path) -> None:
    found = read(school / "xnli.parquet")
    body, embedding = Body.load(finetuned), Embedding.load(world / "qaa")
    examples: Any = get_task("xnli").read(school / "data", "train", "qaa")
    encoded = encode_examples(embedding.tokenizer, examples.examples, 64)
    expected = np.empty((240, 3))
    with torch.inference_mode():
        for numbers, logits in head_outputs(task_model(body, embedding), encoded.tokens, "xnli", 500):
            expected[numbers] = logits.numpy()
    np.testing.assert_allclose(np.stack(found.columns["logits"]), expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(np.stack(found.columns["probabilities"]), softmax(expected, axis=1), rtol=1e-3, atol=1e-5)
    right = np.stack(found.columns["logits"]).argmax(1) == [item.label for item in examples.examples]
    assert right.mean() > 0.9
    assert found.keys == [key_of(item.text_a, item.text_b) for item in examples.examples]


def test_the_header_says_what_it_is(school: Path, world: Path, finetuned: Path) -> None:
    header = read(school / "xnli.parquet").header
    assert (header["task"], header["form"], header["labels"]) == ("xnli", "classes", list(LABELS))
    assert (header["temperature"], header["average"]) == (1.0, "probabilities")
    assert (header["language"], header["split"]) == ("qaa", "train")
    examples = get_task("xnli").read(school / "data", "train", "qaa")
    assert header["data"]["sha256"] == header["read"]["sha256"] == examples.sha256()
    body, (teacher,) = Body.load(finetuned), header["teachers"]
    assert (teacher["fingerprint"], teacher["lineage"]) == (body.fingerprint, body.lineage)
    assert teacher["embedding"] == Embedding.load(world / "qaa").record()["fingerprint"]


def test_averages_of_several_teachers(school: Path, world: Path, finetuned: Path, untrained: Path, tmp_path: Path) -> None:
    one, other = (np.stack(taught(school, body, world / "qaa", tmp_path / f"{number}.parquet").columns["logits"])
                  for number, body in enumerate((finetuned, untrained)))
    both = taught(school, (str(finetuned), str(untrained)), world / "qaa", tmp_path / "p.parquet", temperature=2.0)
    expected = (softmax(one / 2, axis=1) + softmax(other / 2, axis=1)) / 2
    np.testing.assert_allclose(np.stack(both.columns["probabilities"]), expected, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(np.stack(both.columns["logits"]), (one + other) / 2, rtol=1e-5, atol=1e-6)
    assert [item["fingerprint"] for item in both.teachers] == [Body.load(path).fingerprint for path in (finetuned, untrained)]
    logits = taught(school, (str(finetuned), str(untrained)), world / "qaa", tmp_path / "l.parquet", average="logits")
    expected = softmax((one + other) / 2, axis=1)
    np.testing.assert_allclose(np.stack(logits.columns["probabilities"]), expected, rtol=1e-5, atol=1e-7)


def test_a_teacher_with_labels_in_another_order_is_put_in_the_tasks(school: Path, world: Path, finetuned: Path,
                                                                    tmp_path: Path) -> None:
    body = Body.load(finetuned)
    turn = [2, 0, 1]
    tensors = {name: tensor[turn].contiguous() if name.startswith("heads.xnli.out_proj") else tensor
               for name, tensor in body.tensors.items()}
    record = {**(body.task or {}), "labels": [LABELS[place] for place in turn]}
    replace(body, tensors=tensors, task=record).save(tmp_path / "turned")
    found = taught(school, tmp_path / "turned", world / "qaa", tmp_path / "t.parquet")
    assert found.header["labels"] == list(LABELS)
    np.testing.assert_allclose(np.stack(found.columns["logits"]), np.stack(read(school / "xnli.parquet").columns["logits"]),
                               rtol=1e-4, atol=1e-4)


def test_labels_that_are_read_as_one_add_up(school: Path, world: Path, finetuned: Path, tmp_path: Path) -> None:
    """RTE calls neutral and contradiction not_entailment: its probability is the sum of theirs."""
    rows = pairs("qaa", 12, 5)
    names = ("entailment", "not_entailment", "not_entailment")
    lines = [f"{number}\t{a}\t{b}\t{names[label]}" for number, (a, b, label) in enumerate(rows)]
    (tmp_path / "dev-qaa.tsv").write_text("\n".join(["index\tsentence1\tsentence2\tlabel", *lines]) + "\n")
    write_pairs(tmp_path / "three.tsv", rows)
    two = taught(school, finetuned, world / "qaa", tmp_path / "2.parquet", task="rte", data=str(tmp_path), split="dev")
    three = taught(school, finetuned, world / "qaa", tmp_path / "3.parquet", train_files=(str(tmp_path / "three.tsv"),))
    shares = np.stack(three.columns["probabilities"])
    assert two.header["labels"] == ["entailment", "not_entailment"]
    expected = np.stack([shares[:, 0], shares[:, 1:].sum(1)], 1)
    np.testing.assert_allclose(np.stack(two.columns["probabilities"]), expected, rtol=1e-5, atol=1e-7)


def test_a_translation_is_found_by_its_own_texts(school: Path, world: Path, finetuned: Path, tmp_path: Path) -> None:
    found = taught(school, finetuned, world / "qaa", tmp_path / "t.parquet", student_language="qab")
    student: Any = get_task("xnli").read(school / "data", "train", "qab")
    assert found.keys == [key_of(item.text_a, item.text_b) for item in student.examples]
    assert (found.header["language"], found.header["read"]["language"]) == ("qab", "qaa")
    assert found.header["data"]["sha256"] == student.sha256() != found.header["read"]["sha256"]
    np.testing.assert_array_equal(np.stack(found.columns["logits"]), np.stack(taught(
        school, finetuned, world / "qaa", tmp_path / "u.parquet").columns["logits"]))


def test_translations_are_paired_by_their_ids(school: Path, world: Path, finetuned: Path, tmp_path: Path) -> None:
    """A side that lacks rows, or has them in another order, is no obstacle."""
    lines = (school / "data" / "train-qab.tsv").read_text(encoding="utf-8").splitlines()
    (tmp_path / "some.tsv").write_text("\n".join([lines[0], *lines[:100:-3]]) + "\n", encoding="utf-8")
    found = taught(school, finetuned, world / "qaa", tmp_path / "t.parquet", student_language="qab",
                   student_files=(str(tmp_path / "some.tsv"),))
    whole = read(school / "xnli.parquet")
    assert found.ids[0] == "239" and len(found) == 47
    for row, identifier in enumerate(found.ids):
        np.testing.assert_allclose(found.columns["logits"][row], whole.columns["logits"][int(identifier)], rtol=1e-3, atol=1e-4)


def test_what_is_no_translation_is_refused(school: Path, world: Path, finetuned: Path, tmp_path: Path,
                                           caplog: pytest.LogCaptureFixture) -> None:
    rows = pairs("qab", 240, 1)

    def asked(name: str, other: list[tuple[str, str, int]], change: tuple[str, str] = ("", "")) -> SoftLabels:
        path = tmp_path / f"{name}.tsv"
        write_pairs(path, other)
        if change[0]:
            path.write_text(path.read_text(encoding="utf-8").replace(*change), encoding="utf-8")
        return taught(school, finetuned, world / "qaa", tmp_path / f"{name}.parquet", student_language="qab",
                      student_files=(str(path),))

    with pytest.raises(UserError, match=r"train-qaa.tsv and .*more.tsv: 240 and 241 examples, whose ids are numbers of rows"):
        asked("more", [*rows, rows[0]])
    with pytest.raises(UserError, match=r"turned.tsv: 240 of 240 examples have another gold .*first: id 0, 0 there, 1 here"):
        asked("turned", [(a, b, (label + 1) % 3) for a, b, label in rows])
    with pytest.raises(UserError, match=r"240 and 240 examples, whose ids are not the same, nor all different"):
        asked("twice", rows, ("\n7\t", "\n6\t"))
    assert not list(tmp_path.glob("*.parquet"))
    assert len(asked("one", [*rows[:5], (*rows[5][:2], 0), *rows[6:]])) == 240
    assert "1 of 240 examples have another gold on the other side (first: id 5, 2 there, 0 here)" in caplog.text


def test_numbers_of_rows_say_nothing_where_a_row_is_missing() -> None:
    class Rows:
        def __init__(self, count: int) -> None:
            self.files, self.count = [f"{count}.tsv"], count

        def __len__(self) -> int:
            return self.count

    class Numbered:
        def ids(self, rows: Rows) -> list[str]:
            return [str(number) for number in range(rows.count)]

    with pytest.raises(UserError, match=r"4 and 3 examples, whose ids are numbers of rows"):
        same_examples(Numbered(), Rows(4), Rows(3))  # type: ignore[arg-type]


@pytest.mark.realdata
@pytest.mark.skipif(not (SHARED / "xnli").is_dir(), reason="no real data")
def test_published_translations_are_the_same_examples() -> None:
    for name, count in (("xnli", 2490), ("pawsx", 1900)):
        task = get_task(name)
        english = task.unlabelled(SHARED / name, "dev", "en")
        for language in ("de", "zh"):
            student: Any = task.unlabelled(SHARED / name, "dev", language)
            found = same_examples(task.teaching(), english, student)
            assert len(found) == len(student) >= count


def test_examples_need_no_labels(school: Path, world: Path, finetuned: Path, tmp_path: Path) -> None:
    found = taught(school, finetuned, world / "qaa", tmp_path / "t.parquet", data=str(school / "bare"))
    labelled = read(school / "xnli.parquet")
    assert found.keys == labelled.keys and found.header["data"]["sha256"] != labelled.header["data"]["sha256"]


def test_values_are_averaged() -> None:
    class Task:
        name, labels, heads = "stsb", ("score",), ("classification",)

    teaching = ValueTeaching()
    teaching.task = Task()
    found = teaching.average([np.array([1.0, 2.0]), np.array([2.0, 5.0])], "probabilities", 1.0)
    assert [row.tolist() for row in found["values"]] == [[1.5], [3.5]]
    with pytest.raises(UserError, match=r"--temperature 2: stsb has values, which have none"):
        teaching.average([np.array([1.0])], "probabilities", 2.0)
    assert ClassTeaching.form == "classes" and ValueTeaching.parallel


def test_mistakes_are_one_line_and_nothing_is_lost(school: Path, world: Path, finetuned: Path, tmp_path: Path,
                                                   capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "t.parquet"
    other = tmp_path / "text.parquet"
    other.write_text("mine")
    words = ["--body", finetuned, "--embedding", world / "qaa", "--data", school / "data", "--output", output]
    for more, message in (
        (["--body", world / "body"], "this body has no task head"),
        (["--embedding", school / "qaa", "--body", finetuned, "--body", finetuned], "3 --body and 2 --embedding"),
        (["--task", "panx"], "the task body does 'xnli', asked for 'panx'"),
        (["--task", "tatoeba"], "tatoeba: teachers are for classification, regression, multiple choice, question answering and"),
        (["--task", "cola"], "the task body does 'xnli', asked for 'cola'"),
        (["--output", tmp_path / "t.tsv"], "expected a file that ends in .parquet"),
        (["--output", other, "--overwrite"], "--overwrite replaces files of teachers' outputs only"),
        (["--output", other], "the output already exists"),
        (["--output", tmp_path, "--overwrite"], "expected a file that ends in .parquet"),
        (["--student-file", other], "--student-file without --student-language"),
        (["--temperature", 0], "--temperature: got 0.0, expected a number above 0"),
        (["--average", "both"], "--average: got 'both', expected one of probabilities, logits"),
        (["--embedding", school / "qaa", "--body", finetuned], "is 24 wide, the body takes 32"),
    ):
        assert relexify_teach(*words, *more) == 2, more
        said = capsys.readouterr().err
        assert said.startswith("relexify: error: ") and message in said and said.count("\n") == 1, said
    assert other.read_text() == "mine" and not output.exists()
    assert relexify_teach(*words) == 0
    assert "what one teacher says of 240 examples of xnli train (qaa)" in capsys.readouterr().out
    assert relexify_teach(*words) == 2 and relexify_teach(*words, "--overwrite") == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["t.parquet", "text.parquet"]


def test_a_file_is_inspected(school: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(school / "xnli.parquet")]) == 0
    said = capsys.readouterr().out
    assert "what teachers say of 240 examples, verified" in said and "task: xnli" in said
    (tmp_path / "x.parquet").write_bytes((school / "xnli.parquet").read_bytes()[:200])
    assert main(["inspect", str(tmp_path / "x.parquet")]) == 2
    assert "expected a file of teachers' outputs in Parquet" in capsys.readouterr().err
