"""Tasks from outside the package: registered by a file, fine-tuned, evaluated and reported without an edit anywhere else."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from recipes.cli import main
from tasks import registry
from tasks.definition import REGISTRY

from .conftest import WORDS

OWN = Path(__file__).with_name("own_tasks.py")


@pytest.fixture(autouse=True)
def forgotten(monkeypatch):
    """What a test registers is gone after it."""
    from tasks.classification.metrics import METRICS

    registry.load_all()
    tasks, metrics = dict(REGISTRY), dict(METRICS)
    monkeypatch.setattr(registry, "_read", set())
    monkeypatch.setenv(registry.TASKS_FROM, "")
    yield
    for known, kept in ((REGISTRY, tasks), (METRICS, metrics)):
        known.clear()
        known.update(kept)


def write_own(folder: Path) -> Path:
    """Train, dev and test files of the three tasks, in both languages."""
    folder.mkdir()
    for language, (*plain, marker, other) in WORDS.items():
        for split, count, seed in (("train", 160, 1), ("dev", 40, 2), ("test", 40, 3)):
            draw = random.Random(seed)
            marked, asked, slashed = [], [], []
            for number in range(count):
                text = draw.choices(plain, k=draw.randint(4, 9))
                at = draw.randrange(len(text))
                full = [*text[:at], marker, *text[at + 1:]]
                marked.append(f"{' '.join(full if number % 3 == 0 else text)} => {'marked' if number % 3 == 0 else 'plain'}")
                asked.append(f"{' '.join(full)} ? {other} ! {marker}")
                slashed.append(" ".join(f"{word}/{'V' if word == marker else 'N'}" for word in full))
            for ending, lines in (("marked", marked), ("asked", asked), ("slashed", slashed)):
                (folder / f"{split}.{language}.{ending}").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def relexify(*words: object) -> None:
    assert main([str(word) for word in words]) == 0


@pytest.mark.parametrize(("task", "metric", "least"), [
    ("marked", "phi", 0.8), ("asked", "f1", 0.8), ("slashed", "accuracy", 0.95)])
def test_it_is_learned_scored_and_reported(task, metric, least, world, tmp_path, capsys):
    pytest.importorskip("fairseq")
    data = write_own(tmp_path / "own")
    own = ("--tasks-from", OWN)
    relexify("finetune", *own, "--body", world / "body", "--embedding", world / "qaa", "--task", task, "--data", data, "--output",
             tmp_path / "run" / task, "--updates", 120, "--lr", 5e-3, "--batch-size", 16, "--validate-every", 20, "--threads", 1,
             "--dropout", 0, "--attention-dropout", 0, "--cpu", "--quiet")
    body = json.loads((tmp_path / "run" / task / "body.json").read_text())
    assert body["task"]["name"] == task and body["task"]["metric"] == metric
    assert all(metric in point for point in json.loads((tmp_path / "run" / task / "curves.json").read_text()))
    relexify("evaluate", *own, "--body", tmp_path / "run" / task, "--embedding", world / "qaa", "--embedding", world / "qab",
             "--task", task, "--split", "test", "--data", data, "--output", tmp_path / "run" / "scores", "--quiet")
    records = json.loads((tmp_path / "run" / "scores" / "results.json").read_text())
    assert [record["language"] for record in records] == ["qaa", "qab"]
    assert all(record["task"] == task and record["metric"] == metric for record in records)
    assert records[0]["score"] >= least
    assert records[0]["interval_95"][0] <= records[0]["score"] <= records[0]["interval_95"][1]
    table = capsys.readouterr().out
    assert f"{records[0]['score']:.3f}" in table or f"{100 * records[0]['score']:.1f}" in table
    relexify("report", *own, tmp_path / "run", "--output", tmp_path / "report")
    page = (tmp_path / "report" / "report.md").read_text(encoding="utf-8")
    assert f"{task}, split test" in page and f"{100 * records[0]['score']:.1f}" in page
    assert "unknown task" not in page


def test_the_metric_of_a_task_is_the_one_that_is_computed(tmp_path):
    """A constant prediction has an accuracy, but no correlation with anything."""
    import numpy as np

    registry.tasks_from([str(OWN)])
    from tasks.classification.family import score

    gold = ["plain"] * 30 + ["marked"] * 10
    assert score(["plain"] * 40, gold, REGISTRY["marked"])["score"] == 0
    found = score(["plain"] * 25 + ["marked"] * 5 + ["marked"] * 8 + ["plain"] * 2, gold, REGISTRY["marked"])
    tn, fp, fn, tp = 25, 5, 2, 8
    by_hand = (tp * tn - fp * fn) / np.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
    assert found["score"] == pytest.approx(by_hand, rel=1e-12) and found["accuracy"] == 33 / 40
    assert found["confusion"] == [[25, 5], [2, 8]]


@pytest.mark.parametrize(("text", "message"), [
    ("import nothing_of_that_name\n",
     r"own\.py:1: does not import \(ModuleNotFoundError: No module named 'nothing_of_that_name'\)"),
    ("x = 1\n\ndef broken(:\n", r"own\.py:3: does not import \(SyntaxError"),
    ("from tasks.qa.squad import SQUAD\nfrom tasks.definition import register\nregister(SQUAD)\n",
     r"own\.py:3: does not import \(ValueError: task 'squad' is registered twice\)"),
    ("x = 1\nraise SystemExit(0)\n", r"own\.py:2: does not import \(SystemExit: 0\)"),
    ("x = 1\n", r"own\.py: registers no task"),
])
def test_a_file_that_does_not_import_is_named_with_its_line(text, message, tmp_path, capsys):
    (tmp_path / "own.py").write_text(text)
    code = main(["evaluate", "--tasks-from", str(tmp_path / "own.py"), "--body", "b", "--embedding", "e", "--data", "d",
                 "--output", "o"])
    said = capsys.readouterr().err
    assert code == 2 and said.count("\n") == 1
    import re

    assert re.search(message, said), said


def test_nothing_of_a_file_that_fails_stays_registered(tmp_path):
    from pretrain.base.errors import UserError
    from tasks.classification.metrics import METRICS

    before = set(REGISTRY), set(METRICS)
    (tmp_path / "own.py").write_text(OWN.read_text() + "\nraise KeyError('late')\n")
    with pytest.raises(UserError, match="KeyError: 'late'"):
        registry.tasks_from([str(tmp_path / "own.py")])
    assert (set(REGISTRY), set(METRICS)) == before


def test_predictions_of_another_system_are_scored_by_own_reader_and_rules(tmp_path, capsys):
    gold = tmp_path / "any-name"
    gold.write_text("a b c ? which ! b\nd e f ? which ! e\n")
    (tmp_path / "said.json").write_text(json.dumps({"test-0": "b", "test-1": "E"}))  # the rules compare as written
    relexify("score-predictions", "--tasks-from", OWN, "--task", "asked", "--language", "qaa", "--gold", gold, "--predictions",
             tmp_path / "said.json")
    found = json.loads(capsys.readouterr().out)
    assert (found["task"], found["total"], found["exact_match"], found["f1"]) == ("asked", 2, 50, 50)
    assert found["rules"] == "as written"


def test_a_file_that_is_not_there(tmp_path, capsys):
    assert main(["evaluate", "--tasks-from", str(tmp_path / "no.py"), "--body", "b", "--embedding", "e", "--data", "d",
                 "--output", "o"]) == 2
    assert "no.py: expected a Python file that registers tasks" in capsys.readouterr().err


def test_an_installed_package_brings_tasks_by_an_entry_point(monkeypatch):
    class Entry:
        name, value, dist = "mine", "my_package.tasks", None

        def load(self):
            import runpy

            runpy.run_path(str(OWN))

    monkeypatch.setattr(registry, "_packages_read", False)
    monkeypatch.setattr(registry, "entry_points", lambda group: [Entry()] if group == "relexify.tasks" else [])
    assert registry.get_task("slashed").name == "slashed"


def test_a_package_whose_tasks_do_not_import_is_named(monkeypatch):
    from pretrain.base.errors import UserError

    class Entry:
        name, value, dist = "mine", "my_package.tasks", None

        def load(self):
            raise ImportError("no torch today")

    monkeypatch.setattr(registry, "_packages_read", False)
    monkeypatch.setattr(registry, "entry_points", lambda group: [Entry()])
    with pytest.raises(UserError, match=r"my_package\.tasks .*do not import: ImportError: no torch today"):
        registry.load_all()


@pytest.mark.slow
def test_a_run_knows_them_in_all_of_its_processes(world, tmp_path):
    """The plan reads the task's files, the cells of fine-tuning and evaluation are processes of their own."""
    for package in ("fairseq", "snakemake"):
        pytest.importorskip(package)
    write_own(tmp_path / "own")
    draw = random.Random(1)
    for language, words in WORDS.items():
        lines = [" ".join(draw.choices(words, k=8)) for _ in range(200)]
        (tmp_path / f"{language}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    short = {"updates": 4, "validate_every": 2, "batch_size": 4}
    recipe = {"base": "qaa", "prepare": {"vocab_size": 60, "documents": "line"},
              "languages": {code: {"text": str(tmp_path / f"{code}.txt")} for code in WORDS},
              "arms": {"ready": {"body": str(world / "body"), "embedding": str(world / "qaa")}}, "seeds": [1],
              "budgets": {"updates": [4]}, "adapt": {"tokens_per_sample": 32, "batch_size": 4, "validate_every": 2},
              "tasks": {"marked": {"data": str(tmp_path / "own"), "finetune": short}}, "finally": []}
    (tmp_path / "run.yaml").write_text(json.dumps(recipe))
    relexify("run", tmp_path / "run.yaml", "--tasks-from", OWN, "--output", tmp_path / "run", "--cores", 1, "--quiet")
    scored = [json.loads(path.read_text()) for path in sorted((tmp_path / "run" / "evaluate").glob("*/results.json"))]
    assert sorted(record["language"] for records in scored for record in records) == ["qaa", "qab"]
    assert all(record["task"] == "marked" and record["metric"] == "phi" for records in scored for record in records)
