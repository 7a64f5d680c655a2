"""A task of values: learned, scored, predicted, reported and exported by its name."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest
import scipy.stats

from pretrain.base.errors import UserError
from recipes.cli import main
from tasks.classification.regression_family import score
from tasks.registry import get_task
from tasks.statistics import bootstrap_pairs
from tests.tasks.conftest import WORDS


def relexify(*words: object) -> None:
    assert main([str(word) for word in words]) == 0


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pairs that are the more alike the more of the second text is one word: values 0, 2.5 and 5."""
    folder = tmp_path_factory.mktemp("values")
    for language, (*plain, marker, other) in WORDS.items():
        for split, count, seed in (("train", 240, 1), ("dev", 60, 2), ("test", 60, 3)):
            draw, lines = random.Random(seed), ["index\tsentence1\tsentence2\tscore"]
            for number in range(count):
                second = [marker] * (number % 3) + [other] * (2 - number % 3)
                lines.append(f"{number}\t{' '.join(draw.choices(plain, k=2))}\t{' '.join(second)}\t{2.5 * (number % 3):.3f}")
            (folder / f"{split}-{language}.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def trained(world: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("fairseq")
    output = tmp_path_factory.mktemp("run") / "stsb"
    relexify("finetune", "--body", world / "body", "--embedding", world / "qaa", "--task", "stsb", "--data", data, "--output",
             output, "--updates", 120, "--lr", 5e-3, "--batch-size", 16, "--validate-every", 20, "--threads", 1, "--dropout", 0,
             "--attention-dropout", 0, "--cpu", "--quiet")
    return output


def test_it_is_learned_and_its_curve_is_pearsons(trained: Path) -> None:
    task = json.loads((trained / "body.json").read_text())["task"]
    assert (task["name"], task["metric"], task["labels"]) == ("stsb", "pearson", ["score"])
    assert task["dev"]["score"] > 0.9 and task["dev"]["further"]["spearman"] > 0.85
    assert task["dev"]["baseline"] == {"score": 0.0, "what": "one value for all"}
    best = max(point["pearson"] for point in json.loads((trained / "curves.json").read_text()))
    assert best == pytest.approx(100 * task["dev"]["score"], rel=1e-4)


def test_it_is_scored_reported_and_predicted(trained: Path, world: Path, data: Path, tmp_path: Path,
                                             capsys: pytest.CaptureFixture[str]) -> None:
    relexify("evaluate", "--body", trained, "--embedding", world / "qaa", "--embedding", world / "qab", "--task", "stsb",
             "--split", "test", "--data", data, "--output", tmp_path / "run" / "scores", "--quiet")
    table = capsys.readouterr().out.splitlines()
    assert table[0].split() == ["language", "split", "pearson", "spearman", "n"]
    record = json.loads((tmp_path / "run" / "scores" / "results.json").read_text())[0]
    values = np.loadtxt(tmp_path / "run" / "scores" / "stsb" / "test-qaa.tsv")
    gold = np.array([2.5 * (number % 3) for number in range(60)])
    assert record["score"] == pytest.approx(scipy.stats.pearsonr(gold, values).statistic, rel=1e-6) and record["score"] > 0.9
    assert record["further"]["spearman"] == pytest.approx(scipy.stats.spearmanr(gold, values).statistic, rel=1e-6)
    assert record["root_mean_squared_error"] == pytest.approx(float(np.sqrt(np.mean((gold - values) ** 2))), rel=1e-4)
    assert record["interval_95"][0] <= record["score"] <= record["interval_95"][1]
    relexify("report", tmp_path / "run", "--output", tmp_path / "report")
    assert "stsb, split test: pearson" in (tmp_path / "report" / "report.md").read_text(encoding="utf-8")
    capsys.readouterr()
    relexify("predict", "--body", trained, "--embedding", world / "qaa", "--text", "tilo mapu", "kove kove", "--quiet")
    assert json.loads(capsys.readouterr().out)["score"] == pytest.approx(5, abs=1.5)


def test_it_is_exported(trained: Path, world: Path, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    import torch

    import relexify as door

    relexify("export", "--body", trained, "--embedding", world / "qaa", "--to", "huggingface", "--output", tmp_path / "out")
    theirs = transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path / "out").eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "out")
    assert theirs.config.num_labels == 1
    with torch.no_grad():
        found = theirs(**tokenizer("tilo mapu", "kove buna", return_tensors="pt")).logits.item()
    ours = door.load(trained, world / "qaa", device="cpu")({"premise": "tilo mapu", "hypothesis": "kove buna"})["score"]
    assert found == pytest.approx(ours, rel=1e-4, abs=1e-4)


def test_the_bootstrap_of_a_correlation_covers_the_normal_theory() -> None:
    draw = np.random.default_rng(3)
    x = draw.normal(size=2000)
    y = 0.6 * x + 0.8 * draw.normal(size=2000)
    found, r = bootstrap_pairs(x, y + 1e6), scipy.stats.pearsonr(x, y)
    assert found.value == pytest.approx(r.statistic, rel=1e-6)
    low, high = r.confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.01)
    assert found.error == pytest.approx((1 - r.statistic ** 2) / np.sqrt(2000), rel=0.15)


def test_constant_values_score_nothing() -> None:
    found = score(np.full(5, 2.0), np.arange(5.0), get_task("stsb"))
    assert found["score"] == 0 and found["standard_error"] == 0 and found["further"] == {"spearman": 0.0}


@pytest.mark.parametrize(("rows", "message"), [
    (["A\tB\t1", "C\tD\t"], "1 of 2 rows have no value .first: id 1."), (["A\tB\t2", "C\tD\t2"], "all 2 values are 2;"),
    ([], "no examples for dev")])
def test_values_that_cannot_be_scored_are_refused(rows: list[str], message: str, tmp_path: Path) -> None:
    (tmp_path / "dev-en.tsv").write_text("\n".join(["sentence1\tsentence2\tscore", *rows]) + "\n")
    with pytest.raises(UserError, match=message):
        get_task("stsb").read(tmp_path, "dev", "en")
