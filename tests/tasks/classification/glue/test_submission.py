"""A submission to GLUE against the documented layout: names, header, words or numbers, the test set's own order."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from pretrain.artefacts.body import Body, load_body
from recipes.cli import main
from tasks.classification.glue.submission import ENTRIES, lines_of
from tasks.heads.model import TaskModel
from tasks.registry import get_task
from tests.tasks.conftest import CONFIG

WORDS = ("tilo", "mapu", "reno", "sadi", "kove")


def write(path: Path, header: str, *rows: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")


@pytest.fixture(scope="module")
def bodies(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Task bodies of random heads for three tasks."""
    root, start = tmp_path_factory.mktemp("bodies"), Body.load(world / "body")
    for name in ("cola", "mnli", "stsb"):
        torch.manual_seed(5)
        task = get_task(name)
        model = TaskModel(CONFIG, 8)
        load_body(model, start)
        model.add_head(name, "classification", task.outputs)
        with torch.no_grad():
            model.heads[name].out_proj.weight.mul_(200)
        record = {"name": name, "version": task.version, "head": "classification", "labels": list(task.labels),
                  "metric": task.metric}
        Body.of_model(model, lineage=start.lineage, task=record, made={"seed": 5}).save(root / name)
    return root


@pytest.fixture(scope="module")
def glue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Test sets in the official layout, which say no label and here no language either."""
    root = tmp_path_factory.mktemp("glue")
    pairs = [(f"{a} {b}", f"{b} {a} {a}") for a in WORDS for b in WORDS if a != b]
    write(root / "test-qaa.tsv", "index\tsentence\tsentence1\tsentence2",
          *(f"{100 - number}\t{a} {b}\t{a}\t{b}" for number, (a, b) in enumerate(pairs)))
    for split in ("matched", "mismatched"):
        write(root / f"test_{split}-qaa.tsv", "index\tsentence1\tsentence2",
              *(f"{n}\t{a}\t{b}" for n, (a, b) in enumerate(pairs[:7])))
    return root


def test_the_files_of_a_submission(
    bodies: Path, glue: Path, world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out"
    words = ["submit-glue", *(f"--body={name}={bodies / name}" for name in ("cola", "mnli", "stsb")), "--embedding",
             world / "qaa", "--data", glue, "--output", output, "--quiet"]
    assert main(list(map(str, words))) == 0
    said = capsys.readouterr().out
    assert "also has SST-2.tsv, MRPC.tsv, QQP.tsv, QNLI.tsv, RTE.tsv, WNLI.tsv" in said and "AX.tsv" not in said
    names = {"CoLA.tsv", "STS-B.tsv", "MNLI-m.tsv", "MNLI-mm.tsv", "AX.tsv"}
    assert {path.name for path in output.iterdir()} == {*names, "submission.zip"}
    with zipfile.ZipFile(output / "submission.zip") as archive:
        assert {*archive.namelist()} == names
        assert all(archive.read(name) == (output / name).read_bytes() for name in names)
    rows = {name: [line.split("\t") for line in (output / name).read_text().splitlines()] for name in names}
    assert all(table[0] == ["index", "prediction"] for table in rows.values())
    assert [index for index, _ in rows["CoLA.tsv"][1:]] == [str(100 - number) for number in range(20)]
    assert {text for _, text in rows["CoLA.tsv"][1:]} <= {"0", "1"}
    assert {text for _, text in rows["MNLI-mm.tsv"][1:]} <= {"entailment", "neutral", "contradiction"}
    assert len(rows["MNLI-m.tsv"]) == 8 and len(rows["AX.tsv"]) == 21
    assert all(0 <= float(text) <= 5 and len(text.partition(".")[2]) == 3 for _, text in rows["STS-B.tsv"][1:])


def test_all_eleven_files_are_known() -> None:
    assert [entry.file for entry in ENTRIES] == ["CoLA.tsv", "SST-2.tsv", "MRPC.tsv", "STS-B.tsv", "QQP.tsv", "MNLI-m.tsv",
                                                 "MNLI-mm.tsv", "QNLI.tsv", "RTE.tsv", "WNLI.tsv", "AX.tsv"]


@pytest.mark.parametrize(("file", "predicted", "expected"), [
    ("WNLI.tsv", ["entailment", "not_entailment"], ["1", "0"]), ("QNLI.tsv", ["entailment", "not_entailment"], ["entailment",
                                                                                                              "not_entailment"]),
    ("SST-2.tsv", ["positive", "negative"], ["1", "0"]), ("QQP.tsv", ["not_duplicate", "duplicate"], ["0", "1"]),
    ("STS-B.tsv", np.array([-0.2, 5.4]), ["0.000", "5.000"]), ("STS-B.tsv", np.array([2.5, 1.23456]), ["2.500", "1.235"]),
], ids=["wnli", "qnli", "sst2", "qqp", "clipped", "rounded"])
def test_words_numbers_and_values(file: str, predicted: object, expected: list[str]) -> None:
    entry = next(entry for entry in ENTRIES if entry.file == file)
    assert lines_of(predicted, ["0", "1"], entry) == ["index\tprediction", f"0\t{expected[0]}", f"1\t{expected[1]}"]


@pytest.mark.parametrize(("given", "message"), [
    ("cola", "expected TASK=DIR"), ("colla=x", "did you mean 'cola'"), ("ax=x", "task of GLUE"), ("cola=/no/body", "/no/body")])
def test_mistakes_are_one_line(given: str, message: str, glue: Path, world: Path, tmp_path: Path,
                               capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["submit-glue", "--body", given, "--embedding", str(world / "qaa"), "--data", str(glue), "--output",
                 str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1 and not (tmp_path / "out").exists()
