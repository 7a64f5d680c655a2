"""Tagging from end to end in a tiny world: training, choice by F1, evaluation in two languages, RoBERTa and ELECTRA bodies."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from pretrain.artefacts.body import Body
from pretrain.base.errors import UserError
from pretrain.electra.networks import Discriminator
from recipes.cli import main
from recipes.report.build import report
from tasks.evaluate import evaluate
from tasks.heads.model import TaskModel, TokenHead
from tasks.learning.finetune import plan
from tasks.settings import FinetuneSettings
from tasks.tagging.panx import PANX
from tasks.tagging.scores import tag_scores
from tasks.tagging.udpos import UDPOS
from tasks.training import training_of

from ..conftest import CONFIG, settings_for
from .tagging_world import sentences, write_sentences, write_world


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_world(tmp_path_factory.mktemp("tagging"))


@pytest.fixture(scope="module")
def panx(world: Path, data: Path) -> Path:
    """A task body made by `finetune`."""
    pytest.importorskip("fairseq")
    from tasks.learning.finetune import finetune

    output = world / "runs" / "panx"
    finetune(tagging_settings(world, data, output), quiet=True)
    return output


def tagging_settings(world: Path, data: Path, output: Path, **changes: Any) -> FinetuneSettings:
    return settings_for(world, output, **{"data": str(data), "task": "panx", **changes})


def tag_body(world: Path, name: str = "panx", labels: tuple[str, ...] = PANX.labels) -> Body:
    """A body with a drawn head that says different labels of different tokens."""
    torch.manual_seed(5)
    start = Body.load(world / "body")
    head = TokenHead(CONFIG.width, len(labels), 0.0)
    with torch.no_grad():
        head.out_proj.weight.mul_(50)
    task = {"name": name, "version": "x", "head": "tagging", "labels": list(labels), "metric": "f1", "majority": labels[0]}
    tensors = {**start.tensors, **{f"heads.{name}.{key}": tensor for key, tensor in head.state_dict().items()}}
    return replace(start, tensors=tensors, task=task)


@pytest.fixture(scope="module")
def drawn(world: Path) -> Path:
    tag_body(world).save(world / "drawn")
    return world / "drawn"


def test_head_is_dropout_and_one_layer_on_every_token() -> None:
    model = TaskModel(CONFIG, 20)
    model.add_head("panx", "tagging", 7)
    model.eval()
    assert {name for name in model.state_dict() if name.startswith("heads.")} == {
        "heads.panx.out_proj.weight", "heads.panx.out_proj.bias"}
    logits = model(torch.tensor([[0, 5, 6, 2], [0, 7, 2, 1]]), task="panx")
    assert logits.shape == (2, 4, 7)
    torch.testing.assert_close(model(torch.tensor([[0, 7, 2]]), full=True, task="panx"), logits[1:, :3], rtol=1e-5, atol=1e-5)


def test_learns_and_chooses_by_f1_of_the_dev_split(panx: Path) -> None:
    body = Body.load(panx)
    assert body.task is not None
    assert body.task["labels"] == list(PANX.labels) and (body.task["metric"], body.task["majority"]) == ("f1", "O")
    assert body.task["dev"]["score"] > 0.9 and body.task["dev"]["n"] == 40
    assert body.task["dev"]["baseline"] == {"score": 0.0, "what": "O, the most frequent tag, everywhere"}
    curve = json.loads((panx / "curves.json").read_text())
    best = max(point["f1"] for point in curve)  # as fairseq's trainer summed it over batches
    assert best == pytest.approx(100 * body.task["dev"]["score"], abs=1e-3)
    assert {"loss", "accuracy", "f1"} <= set(curve[0])
    assert body.made["train_examples"] == 160 and body.made["train_words"] > 160


def test_records_and_predictions(panx: Path, world: Path, data: Path, tmp_path: Path) -> None:
    records = evaluate(panx, [world / "qaa", world / "qab"], PANX, data, "test", tmp_path / "out", quiet=True)
    assert json.loads((tmp_path / "out" / "results.json").read_text()) == records
    for record, code in zip(records, ("qaa", "qab"), strict=True):
        assert json.loads((tmp_path / "out" / "panx" / f"test-{code}.json").read_text()) == record
        blocks = (tmp_path / "out" / "panx" / f"test-{code}.tsv").read_text().split("\n\n")
        predicted = [block.split("\n") for block in blocks[:-1]]  # a line a word, an empty line after each sentence
        assert blocks[-1] == ""
        gold = [[tag for _, tag in row] for row in sentences(code, 40, 3)]
        assert {key: record[key] for key in tag_scores(gold, predicted, "f1")} == tag_scores(gold, predicted, "f1")
        assert (record["task"], record["metric"], record["split"], record["n"]) == ("panx", "f1", "test", 40)
        assert record["head"] == {"kind": "tagging", "trained_on": "panx"} and "chance" not in record
        low, high = record["interval_95"]
        assert low <= record["score"] <= high
    assert records[0]["score"] > 0.9 > records[1]["score"]  # qab's embedding was never adapted


@pytest.mark.slow
def test_an_electra_body_is_fine_tuned_alike(world: Path, data: Path, tmp_path: Path) -> None:
    pytest.importorskip("fairseq")
    from adapt.artefacts.embedding import Embedding
    from tasks.learning.finetune import finetune

    torch.manual_seed(1)
    model = Discriminator(CONFIG, 8)
    with torch.no_grad():
        for layer in model.encoder.layers.parameters():
            layer.mul_(4 if layer.ndim > 1 else 1)
    body = Body.of_model(model, backbone="electra", made={"seed": 1})
    body.save(tmp_path / "body")
    replace(Embedding.load(world / "qaa"), lineage=body.lineage).save(tmp_path / "qaa")
    finetune(tagging_settings(tmp_path, data, tmp_path / "panx"), quiet=True)
    assert Body.load(tmp_path / "panx").backbone == "electra"
    (record,) = evaluate(tmp_path / "panx", [tmp_path / "qaa"], PANX, data, "test", tmp_path / "out", quiet=True)
    assert record["score"] > 0.9


def test_windows_and_batches_change_no_prediction_of_a_short_sentence(drawn: Path, world: Path, data: Path,
                                                                      tmp_path: Path) -> None:
    found = []
    for number, more in enumerate(({}, {"max_tokens": 1}, {"max_tokens": 100})):
        evaluate(drawn, [world / "qaa"], PANX, data, "test", tmp_path / str(number), quiet=True, **more)
        found.append((tmp_path / str(number) / "panx" / "test-qaa.tsv").read_text())
    assert found[0] == found[1] == found[2] and len(set(found[0].split())) > 2


def test_long_sentences_are_cut_and_none_is_lost(drawn: Path, world: Path, tmp_path: Path) -> None:
    rows = sentences("qaa", 3, 4)
    rows[1] = [pair for row in sentences("qaa", 30, 5) for pair in row]
    write_sentences(tmp_path / "dev-qaa.tsv", rows)
    (record,) = evaluate(drawn, [world / "qaa"], PANX, tmp_path, "dev", tmp_path / "out", quiet=True)
    blocks = (tmp_path / "out" / "panx" / "dev-qaa.tsv").read_text().split("\n\n")[:-1]
    assert [len(block.split("\n")) for block in blocks] == [len(row) for row in rows]
    assert record["windows"] > 3 and record["n"] == 3


def test_parts_of_speech_have_accuracy_and_the_most_frequent_tag(world: Path, tmp_path: Path) -> None:
    tags = {"O": "NOUN", "B-PER": "PROPN", "I-PER": "PROPN", "B-LOC": "X"}
    rows = [[(word, tags[tag]) for word, tag in row] for row in sentences("qaa", 30, 3)]
    write_sentences(tmp_path / "data" / "test-qaa.tsv", rows)
    body = tag_body(world, "udpos", UDPOS.labels)
    assert body.task is not None
    replace(body, task={**body.task, "majority": "NOUN"}).save(tmp_path / "body")
    (record,) = evaluate(tmp_path / "body", [world / "qaa"], UDPOS, tmp_path / "data", "test", tmp_path / "out",
                                 quiet=True)
    words = [tag for row in rows for _, tag in row]
    assert record["majority"] == {"tag": "NOUN", "accuracy": 100 * words.count("NOUN") / len(words)}
    assert record["chance"] == 1 / 17 and record["metric"] == "accuracy"
    assert 100 * record["score"] == pytest.approx(record["tag_accuracy"])


@pytest.mark.slow
def test_own_labels_travel_with_the_task_body(world: Path, tmp_path: Path) -> None:
    pytest.importorskip("fairseq")
    from tasks.learning.finetune import finetune

    labels = tmp_path / "labels.txt"
    labels.write_text("I-LOC\nB-LOC\nO\nB-PER\nI-PER\n")
    for split, count in (("train", 80), ("dev", 20)):
        write_sentences(tmp_path / "data" / f"{split}-qaa.conll", sentences("qaa", count, 3), gap=" x ")
    settings = tagging_settings(world, tmp_path / "data", tmp_path / "body", task="conll", labels=str(labels), updates=5,
                                validate_every=5)
    body = finetune(settings, quiet=True)
    assert body.task is not None and body.task["labels"] == labels.read_text().split() and body.task["metric"] == "f1"
    assert main(["evaluate", "--body", str(tmp_path / "body"), "--embedding", str(world / "qaa"), "--task", "conll", "--split",
                 "dev", "--data", str(tmp_path / "data"), "--output", str(tmp_path / "out"), "--quiet"]) == 0
    (record,) = json.loads((tmp_path / "out" / "results.json").read_text())
    assert record["score"] == body.task["dev"]["score"]


def test_command_scores_an_untrained_head(world: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["evaluate", "--body", str(world / "body"), "--embedding", str(world / "qaa"), "--task", "panx", "--split", "dev",
             "--data", str(data), "--quiet", "--untrained-head", "--output"]
    assert main([*words, str(tmp_path / "one")]) == main([*words, str(tmp_path / "two")]) == 0
    one, two = (json.loads((tmp_path / name / "results.json").read_text())[0] for name in ("one", "two"))
    assert one["score"] == two["score"] < 0.5 and one["head"]["trained_on"] is None
    assert capsys.readouterr().out.split()[:5] == ["language", "split", "F1", "precision", "recall"]


def test_mistakes(drawn: Path, untrained: Path, world: Path, data: Path, tmp_path: Path,
                  capsys: pytest.CaptureFixture[str]) -> None:
    pair = ("--embedding", str(world / "qaa"), "--split", "dev", "--data", str(data), "--output", str(tmp_path / "out"))
    for words, message in (
        (("--body", str(untrained), "--task", "panx"), "the task body does 'xnli', asked for 'panx'"),
        (("--body", str(drawn), "--task", "panx", "--stride", "3"),
         "--pairs, --stride, --max-question and --max-answer-tokens belong to question answering, not to panx"),
        (("--body", str(drawn), "--task", "panx", "--max-length", "3"), "--max-length 3: expected at least 4"),
        (("--body", str(drawn), "--task", "panx", "--max-length", "65"), "exceeds the body's 64 positions"),
        (("--body", str(drawn), "--task", "conll", "--untrained-head"), "conll has no labels of its own; name a body"),
        (("--body", str(untrained), "--task", "xnli", "--untrained-head"), "--untrained-head belongs to question answering and"),
    ):
        assert main(["evaluate", *words, *pair]) == 2
        assert message in capsys.readouterr().err
    other = tag_body(world, "panx", PANX.labels[:5])
    other.save(tmp_path / "other")
    with pytest.raises(UserError, match=r"was trained on the labels .*finetune it anew"):
        evaluate(tmp_path / "other", [world / "qaa"], PANX, data, "dev", tmp_path / "out", quiet=True)
    for changes, message in (({"stride": 3}, "belong to question answering"), ({"head": "span"}, "unknown head for panx"),
                             ({"labels": "x"}, "panx has labels of its own"), ({"task": "conll"}, "--labels is missing")):
        with pytest.raises(UserError, match=message):
            plan(tagging_settings(world, data, tmp_path / "x", **changes))
    assert not (tmp_path / "out").exists()


def test_a_report_shows_tagging(panx: Path, world: Path, data: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    evaluate(panx, [world / "qaa", world / "qab"], PANX, data, "test", tmp_path / "run", quiet=True)
    with caplog.at_level(logging.WARNING):
        made = report([tmp_path / "run"], tmp_path / "report")
    text = (tmp_path / "report" / "report.md").read_text()
    (record, _) = json.loads((tmp_path / "run" / "results.json").read_text())
    assert "panx, split test: F1, %" in text and f"{100 * record['score']:.1f}" in text
    assert text.count("| yes |") == 2 and not made.problems  # both languages' sentences were read for paired tests


def test_labels_change_the_metric_of_a_family(world: Path) -> None:
    task = replace(PANX, labels=()).with_labels(labels=("N", "V"))
    family = training_of(task, Body.load(world / "body"), FinetuneSettings("b", "d", "o", task="conll"))
    assert family.record()["labels"] == ["N", "V"] and task.metric == "accuracy"
