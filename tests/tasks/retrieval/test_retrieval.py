"""Retrieval: files, scores and the whole way through `evaluate` and `report`, with a body that was never trained on a task."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path

import numpy as np
import pytest

from adapt.artefacts.embedding import Embedding
from pretrain.artefacts.body import Body
from pretrain.base.errors import UserError
from recipes.cli import main
from recipes.report.build import load
from recipes.report.results.commands import trace
from recipes.report.results.examples import Gold, example_scores
from tasks.registry import get_task
from tasks.retrieval.family import best_f1, mined
from tasks.retrieval.files import aligned, comparable
from tasks.retrieval.search import Found
from tests.tasks.conftest import WORDS
from tests.tasks.electra_tools import electra_body

TATOEBA = Path(os.environ.get("RELEXIFY_SHARED") or Path(__file__).resolve().parents[4] / "shared") / "data" / "tatoeba"


def relexify(*words: object) -> int:
    return main([str(word) for word in words])


def write(path: Path, *lines: str) -> None:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


@pytest.fixture(scope="module")
def twins(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two languages whose pieces have the same vectors: a translation is read as its original. And sentences of both."""
    root = tmp_path_factory.mktemp("twins")
    first, other = Embedding.load(world / "qaa"), Embedding.load(world / "qab")
    for one, two in zip(WORDS["qaa"], WORDS["qab"], strict=True):
        own, theirs = (embedding.tokenizer.encode_batch([word])[0] for embedding, word in ((first, one), (other, two)))
        for at, piece in enumerate(theirs):
            other.weight[piece] = first.weight[own[min(at, len(own) - 1)]]
    first.save(root / "qaa")
    other.save(root / "qab")
    draw = random.Random(1)
    numbers = [draw.sample(range(6), 3) for _ in range(60)]
    for language in WORDS:
        write(root / f"tatoeba.qaa-qab.{language}", *(" ".join(WORDS[language][n] for n in row) for row in numbers))
    return root


def test_it_is_scored_both_ways_and_reported(
    twins: Path, world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        relexify("evaluate", "--body", world / "body", "--embedding", twins / "qaa", "--embedding", twins / "qab", "--task",
                 "tatoeba", "--split", "test", "--data", twins, "--output", tmp_path / "run" / "scores", "--layer", 1, "--quiet")
        == 0
    )
    record, = json.loads((tmp_path / "run" / "scores" / "results.json").read_text())
    assert (record["language"], record["question_language"], record["n"], record["layer"]) == ("qab", "qaa", 60, 1)
    rows = [line.split("\t") for line in (tmp_path / "run" / "scores" / "tatoeba" / "test-qab-qaa.tsv").read_text().splitlines()]
    assert rows[0] == ["cosine forward", "cosine backward", "csls forward", "csls backward"] and len(rows) == 61
    for column, (method, way) in enumerate(
        (("cosine", "forward"), ("cosine", "backward"), ("csls", "forward"), ("csls", "backward"))
    ):
        share = np.mean([int(row[column]) == number for number, row in enumerate(rows[1:])])
        assert record["accuracy"][method][way] == pytest.approx(share, rel=1e-9)
    assert record["score"] == pytest.approx(record["accuracy"]["cosine"]["mean"]) and record["score"] > 0.1 > record["chance"]
    assert "qab" in capsys.readouterr().out
    assert relexify("report", tmp_path / "run", "--output", tmp_path / "report") == 0
    assert "tatoeba, split test: accuracy" in (tmp_path / "report" / "report.md").read_text(encoding="utf-8")
    found = load([tmp_path / "run"])
    (command,), _ = trace(found)
    assert command.words[-8:] == ["--embedding", str(twins / "qaa"), "--embedding", str(twins / "qab"), "--layer", "1",
                                  "--neighbours", "10"] and "--pairs" not in command.words
    assert example_scores(found.scores[0], Gold()).mean() == pytest.approx(record["score"])


def test_a_language_finds_itself(twins: Path, world: Path, tmp_path: Path) -> None:
    """The same sentences under the same vectors on both sides: each finds itself, in every layer and by an ELECTRA body too."""
    lines = list(dict.fromkeys((twins / "tatoeba.qaa-qab.qaa").read_text(encoding="utf-8").splitlines()))
    electra = electra_body()
    for body, width in ((Body.load(world / "body"), 32), (electra, electra.config.embedding_width)):
        place = tmp_path / str(width)
        body.save(place / "body")
        one = Embedding.load(twins / "qaa")
        one = Embedding(one.weight[:, :width].contiguous(), one.bias, one.tokenizer, "qaa", body.lineage)
        one.save(place / "qaa")
        Embedding(one.weight, one.bias, one.tokenizer, "qac", body.lineage).save(place / "qac")
        for language in ("qaa", "qac"):
            write(place / f"test.qac-qaa.{language}", *lines)
        assert (
            relexify("evaluate", "--body", place / "body", "--embedding", place / "qaa", "--embedding", place / "qac", "--task",
                     "tatoeba", "--data", place, "--output", place / "scores", "--quiet")
            == 0
        )
        record, = json.loads((place / "scores" / "results.json").read_text())
        assert record["accuracy"]["cosine"] == {"forward": 1.0, "backward": 1.0, "mean": 1.0}


@pytest.mark.parametrize(("words", "message"), [
    (("--embedding", "qaa"), "tatoeba needs the embeddings of two languages"),
    (("--embedding", "qaa", "--embedding", "qab", "--layer", "9"), "layer 9: this body has 2"),
    (("--embedding", "qaa", "--embedding", "qab", "--stride", "9"), "--max-answer-tokens belong to question answering"),
    (("--embedding", "qaa", "--embedding", "qab", "--neighbours", "0"), "neighbours"),
    (("--embedding", "qaa", "--embedding", "qab", "--data", "{body}"), "no aligned sentences of 'qab' and 'qaa'")])
def test_mistakes_are_one_line(words: tuple[str, ...], message: str, twins: Path, world: Path, tmp_path: Path,
                               capsys: pytest.CaptureFixture[str]) -> None:
    given = [str(twins / word) if word in WORDS else word.format(body=world / "body") for word in words]
    assert (
        relexify("evaluate", "--body", world / "body", "--task", "tatoeba", "--data", twins, "--output", tmp_path / "out", *given)
        == 2
    )
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def test_nothing_is_trained_and_other_families_know_no_layer(world: Path, untrained: Path, tmp_path: Path,
                                                             capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        relexify("finetune", "--body", world / "body", "--embedding", world / "qaa", "--task", "tatoeba", "--data", tmp_path,
                     "--output", tmp_path / "out") == 2
    )
    assert "tatoeba has no training split" in capsys.readouterr().err
    assert (
        relexify("evaluate", "--body", untrained, "--embedding", world / "qaa", "--data", world / "data", "--layer", 1,
                 "--output", tmp_path / "out")
        == 2
    )
    assert "--layer and --neighbours belong to retrieval, not to xnli" in capsys.readouterr().err


def test_files_in_three_letters_and_either_order(tmp_path: Path) -> None:
    write(tmp_path / "tatoeba.deu-eng.deu", "eins", "zwei", "")
    write(tmp_path / "tatoeba.deu-eng.eng", "one", "two")
    for first, second in (("de", "en"), ("en", "de")):
        found = aligned(tmp_path, "test", first, second)
        assert found.gold == {0: 0, 1: 1} and found.first == (["eins", "zwei"] if first == "de" else ["one", "two"])
    write(tmp_path / "tatoeba.deu-eng.eng", "one", "two", "three")
    with pytest.raises(UserError, match=r"deu-eng\.deu, .*deu-eng\.eng: 2 and 3 lines"):
        aligned(tmp_path, "test", "de", "en")
    write(tmp_path / "tatoeba.deu-eng.deu", "eins", "", "drei")
    with pytest.raises(UserError, match=r"deu-eng\.deu:2: an empty line"):
        get_task("tatoeba").read(tmp_path, "test", "de", question_language="en")


def test_buccs_files(tmp_path: Path) -> None:
    write(tmp_path / "fr-en.dev.fr", "fr-1\tun", "fr-2\tdeux", "fr-3\ttrois")
    write(tmp_path / "fr-en.dev.en", "en-1\ttwo", "en-2\tthree")
    write(tmp_path / "fr-en.dev.gold", "fr-2\ten-1", "fr-3\ten-2")
    found = comparable(tmp_path, "dev", "fr", "en")
    assert found.gold == {1: 0, 2: 1} and found.ids == (["fr-1", "fr-2", "fr-3"], ["en-1", "en-2"]) and len(found) == 2
    assert comparable(tmp_path, "dev", "en", "fr").gold == {0: 1, 1: 2}
    write(tmp_path / "fr-en.dev.gold", "fr-2\ten-9")
    with pytest.raises(UserError, match=r"dev\.gold:1: expected the ids of two sentences, got 'fr-2"):
        comparable(tmp_path, "dev", "fr", "en")


def test_mining_by_hand() -> None:
    """x0-y1 and x2-y0 choose each other, x1 chooses y1 in vain; right is x2-y0 alone of three pairs to find."""
    found = Found(np.array([1, 1, 0]), np.array([2, 0, 1]), np.array([0.9, 0.8, 0.7], dtype=np.float32), np.zeros(3, np.float32))
    pairs = mined(found)
    assert [(one, other) for one, other, _ in pairs] == [(0, 1), (2, 0)]
    best = best_f1(pairs, {2: 0, 1: 2, 0: 2})
    assert (best["f1"], best["precision"], best["recall"]) == (2 / 5, 1 / 2, 1 / 3) and best["threshold"] == pytest.approx(0.7)
    assert best_f1([(0, 0, 0.5), (1, 2, 0.5)], {0: 0})["f1"] == 2 / 3  # no threshold parts equal scores


def test_mining_is_evaluated(twins: Path, world: Path, tmp_path: Path) -> None:
    for language, name in (("qaa", "qaa"), ("qab", "qab")):
        lines = (twins / f"tatoeba.qaa-qab.{language}").read_text(encoding="utf-8").splitlines()
        write(tmp_path / f"qaa-qab.dev.{name}", *(f"{name}-{number}\t{line}" for number, line in enumerate(lines)))
    write(tmp_path / "qaa-qab.dev.gold", *(f"qaa-{number}\tqab-{number}" for number in range(40)))
    assert (
        relexify("evaluate", "--body", world / "body", "--embedding", twins / "qaa", "--embedding", twins / "qab", "--task",
                 "bucc", "--split", "dev", "--data", tmp_path, "--output", tmp_path / "scores", "--quiet")
        == 0
    )
    record, = json.loads((tmp_path / "scores" / "results.json").read_text())
    assert (
        record["metric"] == "f1" and record["n"] == 40 and 0 < record["score"] <= 1 and "upper bound" in record["threshold_rule"]
    )
    lines = (tmp_path / "scores" / "bucc" / "dev-qab-qaa.tsv").read_text().splitlines()
    assert lines[0] == "first\tsecond\tcsls" and lines[1].startswith("qab-")


@pytest.mark.realdata
@pytest.mark.skipif(not TATOEBA.is_dir(), reason="no real data")
def test_the_real_files() -> None:
    for code in ("ar", "bg", "zh", "de", "el", "fr", "hi", "ru", "es", "tr", "vi"):
        assert len(get_task("tatoeba").read(TATOEBA, "test", code, question_language="en")) == 1000
