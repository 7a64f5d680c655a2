"""Multiple choice: learned, scored, predicted, reported and exported by name; the files of its tasks."""

from __future__ import annotations

import json
import logging
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from adapt.formats.huggingface_export import export
from pretrain.artefacts.body import ELECTRA, ROBERTA, Body
from pretrain.base.errors import UserError
from recipes.cli import main
from tasks.choice.family import encode, outputs, score
from tasks.choice.task import Choice, Choices
from tasks.heads.export import head_of
from tasks.heads.model import task_model
from tasks.learning.finetune import finetune
from tasks.registry import get_task
from tests.tasks.conftest import WORDS, make_embedding, settings_for
from tests.tasks.electra_tools import electra_body
from tests.tasks.heads.test_export import task_body

HEADER = "#id\twarrant0\twarrant1\tcorrectLabelW0orW1\treason\tclaim\tdebateTitle\tdebateInfo"


def relexify(*words: object) -> None:
    assert main([str(word) for word in words]) == 0


def arct_lines(language: str, count: int, seed: int) -> list[str]:
    """Points whose right warrant repeats a word of the reason; the claim says nothing."""
    draw = random.Random(seed)
    lines = [HEADER]
    for number in range(count):
        first, second, *_ = draw.sample(WORDS[language][:4], 3)
        right = number % 2
        warrants = [first, second] if right == 0 else [second, first]
        lines.append(f"{number}\t{warrants[0]}\t{warrants[1]}\t{right}\t{first} {first}\t{WORDS[language][4]}\ttitle\tinfo")
    return lines


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("arct")
    for language in WORDS:
        for split, count, seed in (("train", 240, 1), ("dev", 60, 2), ("test", 60, 3)):
            (folder / f"{split}-{language}.tsv").write_text("\n".join(arct_lines(language, count, seed)) + "\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def trained(world: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("fairseq")
    output = tmp_path_factory.mktemp("run") / "arct"
    relexify("finetune", "--body", world / "body", "--embedding", world / "qaa", "--task", "arct", "--data", data, "--output",
             output, "--updates", 200, "--lr", 5e-3, "--batch-size", 16, "--validate-every", 20, "--threads", 1, "--dropout", 0,
             "--attention-dropout", 0, "--cpu", "--quiet")
    return output


def test_it_is_learned_scored_predicted_and_reported(trained: Path, world: Path, data: Path, tmp_path: Path,
                                                     capsys: pytest.CaptureFixture[str]) -> None:
    task = json.loads((trained / "body.json").read_text())["task"]
    assert (task["labels"], task["candidates"], task["metric"]) == (["score"], 2, "accuracy")
    assert task["dev"]["score"] > 0.85 and task["dev"]["baseline"] == {"score": 0.5, "what": "the place that is right most often"}
    best = max(point["accuracy"] for point in json.loads((trained / "curves.json").read_text()))
    assert best == pytest.approx(100 * task["dev"]["score"], rel=1e-4)
    relexify("evaluate", "--body", trained, "--embedding", world / "qaa", "--embedding", world / "qab", "--task", "arct",
             "--split", "test", "--data", data, "--output", tmp_path / "run" / "scores", "--quiet")
    record, other = json.loads((tmp_path / "run" / "scores" / "results.json").read_text())
    chosen = (tmp_path / "run" / "scores" / "arct" / "test-qaa.tsv").read_text().split()
    assert record["score"] == np.mean([int(own) == number % 2 for number, own in enumerate(chosen)]) > 0.85
    assert other["language"] == "qab" and record["chance"] == 0.5 and record["gold"] == [30, 30]
    relexify("report", tmp_path / "run", "--output", tmp_path / "report")
    assert "arct, split test: accuracy" in (tmp_path / "report" / "report.md").read_text(encoding="utf-8")
    capsys.readouterr()
    relexify("predict", "--body", trained, "--embedding", world / "qaa", "--text", "kove", "mapu mapu", "tilo", "mapu", "--quiet")
    found = json.loads(capsys.readouterr().out)
    assert found["choice"] == 1 and sum(found["probabilities"].values()) == pytest.approx(1)


def test_a_batch_does_not_change_the_outputs(trained: Path, world: Path, data: Path) -> None:
    from adapt.artefacts.embedding import Embedding

    embedding, task = Embedding.load(world / "qaa"), get_task("arct")
    model = task_model(Body.load(trained), embedding)
    encoded = encode(embedding.tokenizer, task.read(data, "test", "qaa").items, 64, 2)
    whole, single = (outputs(model, encoded, "arct", 2, max_tokens) for max_tokens in (8192, 1))
    np.testing.assert_allclose(whole, single, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("kind", "backbone", "changes", "family"), [
    ("classification", ROBERTA, {}, "Roberta"), ("classification", ROBERTA, {"relative_buckets": 32}, "MPNet"),
    ("classification", ELECTRA, {"embedding_width": 8, "segments": 2}, "Electra"), ("linear", ELECTRA, {}, "Electra")])
def test_transformers_multiple_choice_has_the_same_logits(kind: str, backbone: str, changes: dict[str, int], family: str,
                                                          tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    body = task_body(kind, backbone, ("score",), **changes)
    body = replace(body, task={**(body.task or {}), "candidates": 4})
    embedding, shape = make_embedding("qaa", body.lineage, 1, width=body.config.embedding_width), body.config
    assert export(body, embedding, tmp_path / "out", head=head_of(body)) == [f"{family}ForMultipleChoice"]
    theirs, info = transformers.AutoModelForMultipleChoice.from_pretrained(tmp_path / "out", output_loading_info=True)
    assert not any(info[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys")), info
    row = ("tilo mapu", ("kove buna", "sadi", "reno tilo mapu", "mapu"))
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "out")
    inputs = tokenizer([row[0]] * 4, list(row[1]), return_tensors="pt", padding=True)
    with torch.no_grad():
        found = theirs.eval()(**{name: value[None] for name, value in inputs.items()}).logits[0]
    encoded = encode(embedding.tokenizer, [Choice("0", tuple((row[0], ending) for ending in row[1]), None)], 64,
                     1 if shape.segments > 1 else 2)
    ours = outputs(task_model(body, embedding), encoded, "xnli", 4)[0]
    assert ours.std() > 0.05
    np.testing.assert_allclose(found.numpy(), ours, rtol=1e-4, atol=3e-5)


def test_swag_is_read_with_its_commas_and_quotes(tmp_path: Path) -> None:
    header = ",video-id,fold-ind,startphrase,sent1,sent2,gold-source,ending0,ending1,ending2,ending3,label"
    (tmp_path / "val.csv").write_text(f'{header}\n0,v1,3,"x, y","She said ""no"", loudly.",He,gold,"runs, far.",sits.,"a",b,0\n')
    found = get_task("swag").read(tmp_path, "dev", "en")
    assert found.items == [
        Choice("v1", tuple(('She said "no", loudly.', f"He {end}") for end in ("runs, far.", "sits.", "a", "b")), 0)
    ]


@pytest.mark.parametrize(("task", "options"), [
    ("arct", (("Claim. Reason!", "W0"), ("Claim. Reason!", "W1"))), ("arct-w", (("W0", None), ("W1", None))),
    ("arct-rw", (("Reason!", "W0"), ("Reason!", "W1"))), ("arct-cw", (("Claim.", "W0"), ("Claim.", "W1")))])
def test_what_each_variant_of_arct_reads(task: str, options: tuple[Any, ...], tmp_path: Path) -> None:
    (tmp_path / "dev-full.txt").write_text(f"{HEADER}\np1\tW0\tW1\t1\tReason!\tClaim\tt\ti\n")
    assert get_task(task).read(tmp_path, "dev", "en").items == [Choice("p1", options, 1)]


@pytest.mark.parametrize(("row", "message"), [
    ("p1\tW0\tW1\t2\tR\tC\tt\ti", r":2: correctLabelW0orW1 is '2'; expected a number from 0 to 1"),
    ("p1\tW0\t\t1\tR\tC\tt\ti", r":2: warrant1 is ''; expected a text"), ("p1\tW0\tW1", r":2: no column 'claim'"),
    ("p1\tW0\tW1\t\tR\tC\tt\ti", r"1 of 1 rows have no label .first: id p1."), ("", "no items for dev")])
def test_what_cannot_be_used_is_named_with_its_line(row: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "dev-en.tsv").write_text(f"{HEADER}\n{row}\n")
    with pytest.raises(UserError, match=message):
        get_task("arct").read(tmp_path, "dev", "en")


def test_both_of_a_pair(tmp_path: Path) -> None:
    lines = [HEADER, "a\tW0\tW1\t0\tR\tC\tt\ti", "b\tW0\tW1\t1\tR\tC\tt\ti", "a-adversarial\tW0\tW1\t1\tR\tnot C\tt\ti",
             "b-adversarial\tW0\tW1\t0\tR\tnot C\tt\ti"]
    (tmp_path / "test-adv-negated.csv").write_text("\n".join(lines) + "\n")
    found = get_task("arct").read(tmp_path, "test_adversarial", "en")
    assert found.pairs == [(0, 2), (1, 3)]
    scored = score(np.array([0, 1, 1, 1]), found, 2)
    assert (scored["score"], scored["pair_consistency"], scored["pairs"]) == (0.75, 0.5, 2)
    record = {**scored, "language": "en", "split": "test_adversarial", "chance": 0.5}
    assert get_task("arct").table([record]).splitlines()[0].split("  ")[-3:] == [" both of a pair", "n", "chance"]


def test_a_score_that_guessing_would_beat_is_said(trained: Path, world: Path, data: Path, tmp_path: Path, caplog: Any) -> None:
    """The learned cue on the other side: what the body does right in the test set, it does wrong here."""
    turned = [line.split("\t") for line in (data / "test-qaa.tsv").read_text(encoding="utf-8").splitlines()]
    for cells in turned[1:]:
        cells[3] = str(1 - int(cells[3]))
    (tmp_path / "test-qaa.tsv").write_text("".join("\t".join(cells) + "\n" for cells in turned), encoding="utf-8")
    with caplog.at_level(logging.WARNING):
        relexify("evaluate", "--body", trained, "--embedding", world / "qaa", "--task", "arct", "--split", "test", "--data",
                 tmp_path, "--output", tmp_path / "scores", "--quiet")
    assert "arct in qaa: accuracy 0." in caplog.text and "is below chance (0.500)" in caplog.text


def test_the_same_items_have_the_same_hash() -> None:
    items = [Choice("a", (("x", "y"), ("x", "z")), 0)]
    assert Choices(items).sha256() == Choices([Choice("b", items[0].options, 0)]).sha256()
    assert Choices(items).sha256() != Choices([Choice("a", items[0].options, 1)]).sha256()


@pytest.mark.parametrize("task", ["arct", "stsb"])
def test_an_electra_body_learns_choices_and_values_with_a_rate_for_each_layer(task: str, tmp_path: Path) -> None:
    pytest.importorskip("fairseq")
    body = electra_body()
    body.save(tmp_path / "body")
    make_embedding("qaa", body.lineage, 1, body.config.embedding_width).save(tmp_path / "qaa")
    draw = random.Random(1)
    for split in ("train", "dev"):
        lines = [HEADER if task == "arct" else "score\tsentence1\tsentence2"]
        for number in range(120):
            plain, right = draw.choice(WORDS["qaa"][:3]), number % 2
            first, second = ("kove", "buna")[right], ("buna", "kove")[right]
            lines.append(f"{number}\t{first} {plain}\t{second} {plain}\t{right}\tsadi\ttilo\tt\ti" if task == "arct" else
                         f"{5 * right}\ttilo mapu\t{first} {plain}")
        (tmp_path / f"{split}-qaa.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    settings = settings_for(tmp_path, tmp_path / "out", task=task, head="linear", data=str(tmp_path), layer_decay=0.9, lr=1e-2)
    finetune(settings, quiet=True)
    trained = Body.load(tmp_path / "out")
    assert trained.backbone == ELECTRA and trained.made["layer_decay"] == 0.9
    assert trained.task is not None and trained.task["dev"]["score"] > 0.9
