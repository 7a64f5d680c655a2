"""Evaluation: scores, records, predictions in XTREME's layout, exact swaps, and no need of fairseq."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from adapt.artefacts.assemble import swap
from adapt.artefacts.embedding import Embedding
from pretrain.artefacts.body import Body
from pretrain.base.errors import UserError
from tasks.classification.family import predict, score, table
from tasks.classification.nli import XNLI
from tasks.definition import standard_error, wilson_interval
from tasks.encoding import encode_examples, pad
from tasks.evaluate import body_record, evaluate
from tasks.heads.model import task_model
from tasks.predict import choose_device
from tasks.registry import get_task
from tests.killing import warm

from .conftest import LABELS, make_embedding

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(("examples", "said"), [("qab", {"embedding_language": "qaa"}), ("qaa", {})])
def test_a_result_says_whose_embedding_a_body_learned_with_where_its_examples_had_another_language(untrained: Path, examples: str,
                                                                                                  said: dict[str, str]) -> None:
    """As after `finetune --source-language`."""
    body = Body.load(untrained)
    body.made["embedding_language"] = "qaa"
    body.task = {**(body.task or {}), "dev": {"language": examples}}
    record = body_record(untrained, body)
    assert {name: record[name] for name in ("embedding_language",) if name in record} == said


def test_results_records_and_predictions(untrained: Path, world: Path, tmp_path: Path) -> None:
    output = tmp_path / "scores"
    records = evaluate(untrained, [world / "qaa", world / "qab"], "xnli", world / "data", "test", output, quiet=True)
    assert [record["language"] for record in records] == ["qaa", "qab"]
    assert json.loads((output / "results.json").read_text()) == records
    for record in records:
        language = record["language"]
        cell = json.loads((output / "xnli" / f"test-{language}.json").read_text())
        assert cell == record
        predicted = (output / "xnli" / f"test-{language}.tsv").read_text().splitlines()
        gold = [LABELS[e.label or 0] for e in get_task("xnli").read(world / "data", "test", language).examples]
        assert len(predicted) == len(gold) == record["n"] == 90 and set(predicted) <= set(LABELS)
        share = sum(p == g for p, g in zip(predicted, gold, strict=True)) / 90
        assert record["score"] == share
        assert record["standard_error"] == pytest.approx(math.sqrt(share * (1 - share) / 90))
        low, high = record["interval_95"]
        assert low <= share <= high and record["chance"] == pytest.approx(1 / 3)
        assert [record[key] for key in ("task", "version", "split", "metric")] == ["xnli", "1.0", "test", "accuracy"]
        assert record["body"]["fingerprint"] == Body.load(untrained).fingerprint
        assert record["body"]["lineage"] == record["embedding"]["lineage"] == Body.load(world / "body").fingerprint
        assert record["embedding"]["fingerprint"] == Embedding.load(world / language).record()["fingerprint"]
        assert record["seed"] == 3 and record["software"]["torch"] == torch.__version__
    text = table(records)
    assert text.splitlines()[0].split() == ["language", "split", "accuracy", "n", "chance"]
    assert f"{records[0]['score']:.3f} ± " in text and text.splitlines()[-1].startswith("mean of 2")


@pytest.mark.parametrize(("metric", "said"), [("macro_f1", {}), ("matthews", {"chance": 0.0})])
def test_a_record_says_chance_where_it_is_known(metric: str, said: dict[str, float], untrained: Path, world: Path,
                                                tmp_path: Path) -> None:
    """What a guess scores in F1 hangs on how frequent the labels are; no correlation is expected of it."""
    task = replace(XNLI, metric=metric)
    records = evaluate(untrained, [world / "qaa"], task, world / "data", "test", tmp_path / "out", quiet=True)
    assert {key: records[0][key] for key in ("chance",) if key in records[0]} == said
    assert table(records).splitlines()[0].split() == ["language", "split", metric, "n"]


def test_finetuned_body_scores_high_on_its_language(finetuned: Path, world: Path, tmp_path: Path) -> None:
    (record,) = evaluate(finetuned, [world / "qaa"], "xnli", world / "data", "test", tmp_path / "out", quiet=True)
    assert record["score"] > 0.9
    (dev,) = evaluate(finetuned, [world / "qaa"], "xnli", world / "data", "dev", tmp_path / "dev", quiet=True)
    task = Body.load(finetuned).task
    assert task is not None and dev["score"] == task["dev"]["score"]


def test_batch_size_and_order_do_not_change_predictions(untrained: Path, world: Path) -> None:
    embedding = Embedding.load(world / "qaa")
    model = task_model(Body.load(untrained), embedding)
    examples = get_task("xnli").read(world / "data", "test", "qaa").examples
    encoded = encode_examples(embedding.tokenizer, examples, 64)
    wanted = predict(model, encoded, "xnli")
    for max_tokens in (1, 64, 1000):
        assert np.array_equal(predict(model, encoded, "xnli", max_tokens), wanted)
    turned = encode_examples(embedding.tokenizer, examples[::-1], 64)
    assert np.array_equal(predict(model, turned, "xnli")[::-1], wanted)


def test_swap_there_and_back_restores_the_logits_bit_for_bit(untrained: Path, world: Path) -> None:
    first, second = Embedding.load(world / "qaa"), Embedding.load(world / "qab")
    model = task_model(Body.load(untrained), first)
    examples = get_task("xnli").read(world / "data", "test", "qaa").examples
    tokens = pad(encode_examples(first.tokenizer, examples, 64).tokens)
    before = model(tokens, task="xnli")
    swap(model, second)
    assert not torch.equal(model(tokens.clamp(max=second.weight.size(0) - 1), task="xnli"), before)
    swap(model, first)
    assert torch.equal(model(tokens, task="xnli"), before)


def test_several_languages_score_as_each_alone(untrained: Path, world: Path, tmp_path: Path) -> None:
    names = ["qaa", "qab"]
    evaluate(untrained, [world / n for n in names], "xnli", world / "data", "test", tmp_path / "all", quiet=True)
    for name in names:
        evaluate(untrained, [world / name], "xnli", world / "data", "test", tmp_path / name, quiet=True, max_tokens=100)
        file = f"xnli/test-{name}.tsv"
        assert (tmp_path / name / file).read_text() == (tmp_path / "all" / file).read_text()


@pytest.mark.parametrize("task", ["xnli", "panx"])
@pytest.mark.parametrize(("option", "flag"), [
    ({"max_answer": 12}, "--max-answer-tokens"), ({"stride": 4}, "--stride"), ({"max_question": 5}, "--max-question"),
    ({"pairs": "all"}, "--pairs")])
def test_options_of_question_answering_are_refused_elsewhere(task, option, flag, untrained, world, tmp_path):
    with pytest.raises(UserError, match=f"{flag}.* belongs? to question answering, not to {task}; leave"):
        evaluate(untrained, [world / "qaa"], task, world / "data", "test", tmp_path / "scores", quiet=True, **option)
    assert not (tmp_path / "scores").exists()


def test_stripped_labels_are_refused(untrained: Path, world: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    lines = (world / "data" / "test-qab.tsv").read_text(encoding="utf-8").splitlines()
    stripped = [lines[0], *(line.rpartition("\t")[0] + "\tneutral" for line in lines[1:])]
    (data / "test-qab.tsv").write_text("\n".join(stripped) + "\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"all 90 labels are 'neutral'; the labels of this test file were stripped"):
        evaluate(untrained, [world / "qab"], "xnli", data, "test", tmp_path / "out", quiet=True)
    assert not (tmp_path / "out").exists()


def test_mistakes(untrained: Path, world: Path, tmp_path: Path) -> None:
    data, out = world / "data", tmp_path / "out"
    shutil.copytree(world / "qaa", tmp_path / "damaged")
    with open(tmp_path / "damaged" / "embedding.safetensors", "r+b") as file:
        file.truncate(100)
    make_embedding("qab", "f" * 64, 1).save(tmp_path / "foreign")
    nan = make_embedding("qab", Body.load(world / "body").lineage, 1)
    nan.weight[7, 3] = math.nan
    nan.save(tmp_path / "nan")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    for arguments, message in (
        ((world / "body", [world / "qaa"], "xnli", data, "test", out), r"no task head"),
        ((untrained, [tmp_path / "foreign"], "xnli", data, "test", out), r"lineage f{12}, this body's lineage is"),
        ((untrained, [tmp_path / "damaged"], "xnli", data, "test", out), r"truncated or damaged"),
        ((untrained, [tmp_path / "nan"], "xnli", data, "test", out), r"NaN or infinite values"),
        ((untrained, [world / "body"], "xnli", data, "test", out), r"expected the record of an embedding"),
        ((untrained, [world / "qaa", world / "qaa"], "xnli", data, "test", out), r"both embeddings of 'qaa'"),
        ((untrained, [], "xnli", data, "test", out), r"--embedding is missing"),
        ((untrained, [world / "qaa"], "xnli", data, "dev_matched", out), r"no dev_matched data in 'qaa'"),
        ((untrained, [world / "qaa"], "xnli", data, "val", out), r"unknown split"),
        ((untrained, [world / "qaa"], "xnli", data, "test", tmp_path / "full"), r"already exists"),
    ):
        with pytest.raises(UserError, match=message):
            evaluate(*arguments, quiet=True)  # type: ignore[arg-type]
    assert not out.exists() and not list(tmp_path.glob(".*"))
    with pytest.raises(UserError, match=r"unknown device 'gpu'"):
        choose_device("gpu")


def test_labels_of_another_order_are_mapped_by_name(untrained: Path, world: Path, tmp_path: Path) -> None:
    body = Body.load(untrained)
    order = [2, 0, 1]
    tensors = {name: tensor[order] if name.startswith("heads.xnli.out_proj") else tensor
               for name, tensor in body.tensors.items()}
    assert body.task is not None
    Body(body.config, tensors, body.lineage, body.backbone, body.made,
         {**body.task, "labels": [LABELS[i] for i in order]}).save(tmp_path / "turned")
    for path in (untrained, tmp_path / "turned"):
        evaluate(path, [world / "qaa"], "xnli", world / "data", "test", tmp_path / f"out-{path.name}", quiet=True)
    first, second = (tmp_path / f"out-{name}" / "xnli" / "test-qaa.tsv" for name in ("untrained", "turned"))
    assert first.read_text() == second.read_text()


def test_scores_against_hand_computed_values() -> None:
    result = score(["entailment"] * 3 + ["neutral"], ["entailment", "neutral", "entailment", "neutral"], XNLI)
    assert result["score"] == 0.75 and result["correct"] == 3 and result["n"] == 4
    assert result["standard_error"] == pytest.approx(0.216506, rel=1e-6, abs=1e-6)
    assert result["predicted_labels"] == {"entailment": 3, "neutral": 1}
    assert wilson_interval(0.75, 4) == pytest.approx((0.300642, 0.954413), rel=1e-6, abs=1e-5)  # Wilson 1927, z = 1.96
    assert wilson_interval(1.0, 10)[1] == pytest.approx(1.0) and standard_error(1.0, 10) == 0


def test_works_where_fairseq_is_not_installed(untrained: Path, world: Path, tmp_path: Path) -> None:
    script = """import sys, argparse
sys.modules["fairseq"] = None
from recipes.commands.scoring import evaluate
parser = argparse.ArgumentParser()
evaluate.add_arguments(parser)
sys.exit(evaluate.run(parser.parse_args(sys.argv[1:])))
"""
    words = ["--body", str(untrained), "--embedding", str(world / "qaa"), "--embedding", str(world / "qab"), "--data",
             str(world / "data"), "--output", str(tmp_path / "out"), "--quiet"]
    done = subprocess.run([sys.executable, "-c", script, *words], cwd=ROOT, capture_output=True, text=True, env=warm())
    assert done.returncode == 0, done.stderr
    assert "qab" in done.stdout and "mean of 2" in done.stdout


def test_arguments_need_no_heavy_import() -> None:
    script = """import sys, argparse
from recipes.commands.scoring import evaluate
from recipes.commands.training import finetune
for module in (evaluate, finetune):
    parser = argparse.ArgumentParser()
    module.add_arguments(parser)
    assert "--output" in parser.format_help()
print(sorted({"torch", "numpy", "fairseq", "datasets", "omegaconf"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
