"""GLUE's tasks: the official layout of each file, the published sizes, and bodies that do another task's set."""

from __future__ import annotations

import json
import os
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from adapt.artefacts.embedding import Embedding
from pretrain.artefacts.body import Body
from pretrain.base.errors import UserError
from tasks.classification.family import by_category, score
from tasks.classification.glue.ax import AX2
from tasks.classification.metrics import matthews
from tasks.encoding import encode_examples
from tasks.evaluate import evaluate
from tasks.heads.model import task_model
from tasks.registry import get_task

SHARED = Path(os.environ.get("RELEXIFY_SHARED") or Path(__file__).resolve().parents[5] / "shared") / "data"
real = [pytest.mark.realdata, pytest.mark.skipif(not (SHARED / "glue").is_dir(), reason="no real data")]

OFFICIAL = [
    ("cola", "train", "CoLA/train.tsv", None, 'gj04\t1\t\tThe "boat" sank.', (1, 'The "boat" sank.', None)),
    ("cola", "dev", "CoLA/dev.tsv", None, "gj04\t0\t*\tThem sank.", (0, "Them sank.", None)),
    ("sst2", "train", "SST-2/train.tsv", "sentence\tlabel", "a `` smart '' film \t1", (1, "a `` smart '' film", None)),
    ("mrpc", "dev", "MRPC/dev.tsv", "Quality\t#1 ID\t#2 ID\t#1 String\t#2 String", '0\t1\t2\t"A b.\tC d.', (0, '"A b.', "C d.")),
    ("qqp", "dev", "QQP/dev.tsv", "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate", "9\t1\t2\tHow?\tWhy?\t1",
     (1, "How?", "Why?")),
    ("qnli", "dev", "QNLI/dev.tsv", "index\tquestion\tsentence\tlabel", "0\tWho?\tHe.\tnot_entailment", (1, "Who?", "He.")),
    ("rte", "dev", "RTE/dev.tsv", "index\tsentence1\tsentence2\tlabel", "0\tA.\tB.\tentailment", (0, "A.", "B.")),
    ("wnli", "dev", "WNLI/dev.tsv", "index\tsentence1\tsentence2\tlabel", "0\tA.\tB.\t1", (1, "A.", "B.")),
    (
        "mnli",
        "dev_mismatched",
        "MNLI/dev_mismatched.tsv",
        "index\tpromptID\tpairID\tgenre\tsentence1_binary_parse\tsentence2_binary_parse\tsentence1_parse\tsentence2_parse\tsentence1\t"
        "sentence2\tlabel1\tlabel2\tlabel3\tlabel4\tlabel5\tgold_label",
        "0\t75290\t75290c\tletters\t( A )\t( B )\t(ROOT)\t(ROOT)\tA.\tB.\tc\tc\tc\tc\tc\tcontradiction",
        (2, "A.", "B."),
    ),
    ("ax", "test", "AX/diagnostic-full.tsv",
     "Lexical Semantics\tPredicate-Argument Structure\tLogic\tKnowledge\tDomain\tPremise\tHypothesis\tLabel",
     "\t\tNegation;Double negation\t\tArtificial\tA.\tB.\tneutral", (1, "A.", "B.")),
    ("snli", "dev", "snli_1.0_dev.jsonl", None, '{"gold_label": "neutral", "sentence1": "A.", "sentence2": "B.", "pairID": "x1"}',
     (1, "A.", "B.")),
    ("scitail", "test", "tsv_format/scitail_1.0_test.tsv", None, "A.\tB.\tentails", (0, "A.", "B.")),
    ("anli", "dev_r2", "R2/dev.jsonl", None, '{"uid": "u", "context": "A.", "hypothesis": "B.", "label": "c"}', (2, "A.", "B.")),
    ("pawsx", "dev", "dev-de.tsv", None, "A.\tB.\t1", (1, "A.", "B.")),
]


@pytest.mark.parametrize(("task", "split", "name", "header", "line", "expected"), OFFICIAL, ids=[case[2] for case in OFFICIAL])
def test_official_files(task: str, split: str, name: str, header: str | None, line: str, expected: tuple[object, ...],
                        tmp_path: Path) -> None:
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(filter(None, (header, line))) + "\n", encoding="utf-8")
    loaded = get_task(task).read(tmp_path, split, "de" if task == "pawsx" else "en")
    assert [(e.label, e.text_a, e.text_b) for e in loaded.examples] == [expected] and loaded.files == [str(path)]


def test_the_rounds_of_anli_together(tmp_path: Path) -> None:
    for number, label in enumerate("enc", 1):
        path = tmp_path / f"R{number}" / "test.jsonl"
        path.parent.mkdir()
        path.write_text(json.dumps({"uid": str(number), "context": "A.", "hypothesis": "B.", "label": label}) + "\n")
    assert [(e.id, e.label) for e in get_task("anli").read(tmp_path, "test", "en").examples] == [("1", 0), ("2", 1), ("3", 2)]
    with pytest.raises(UserError, match="no dev data of anli at all"):
        get_task("anli").read(tmp_path, "dev", "en")


def test_matthews_by_category() -> None:
    task = replace(AX2)
    gold = ["entailment", "not_entailment"] * 4
    own = ["entailment", "not_entailment", "not_entailment", "entailment"] * 2
    found = by_category(own, gold, {"logic": [0, 1, 4, 5], "logic: Negation": [2, 3]}, task)
    assert found == {"logic": {"score": 1.0, "n": 4}, "logic: Negation": {"score": -1.0, "n": 2}}
    assert score(own, gold, task)["score"] == matthews(np.array([[2, 2], [2, 2]]))


def test_accuracy_has_f1_beside_it() -> None:
    task = get_task("mrpc")
    gold = ["equivalent"] * 3 + ["not_equivalent"] * 2
    own = ["equivalent"] * 2 + ["not_equivalent"] * 2 + ["equivalent"]
    found = score(own, gold, task)
    assert found["score"] == 3 / 5 and found["further"] == {"f1": pytest.approx(4 / 6)}
    record = {**found, "language": "en", "split": "dev", "metric": "accuracy", "chance": 0.5}
    assert task.table([record]).splitlines()[0].split() == ["language", "split", "accuracy", "f1", "n", "chance"]
    assert "0.667" in task.table([record])


def test_a_body_of_three_way_inference_does_the_sets_of_others(untrained: Path, world: Path, tmp_path: Path) -> None:
    """Neutral and contradiction are one label of RTE; the same body's predictions under XNLI say so."""
    data = tmp_path / "data"
    data.mkdir()
    rows = [line.split("\t") for line in (world / "data" / "test-qaa.tsv").read_text(encoding="utf-8").splitlines()[1:]]
    (data / "dev-qaa.tsv").write_text("sentence1\tsentence2\tlabel\n" + "".join(f"{a}\t{b}\t{int(label != '0')}\n"
                                                                             for _, a, b, label in rows), encoding="utf-8")
    body, embedding = Body.load(untrained), Embedding.load(world / "qaa")
    encoded = encode_examples(embedding.tokenizer, get_task("xnli").read(world / "data", "test", "qaa").examples, 64)
    model = task_model(body, embedding)
    with torch.no_grad():
        logits = torch.cat([model(torch.from_numpy(ids).long()[None], task="xnli") for ids in encoded.tokens])
    name = "heads.xnli.out_proj.bias"  # under this bias a random head gives each of its labels
    replace(body, tensors={**body.tensors, name: body.tensors[name] - logits.mean(0)}).save(tmp_path / "body")
    record = evaluate(tmp_path / "body", [world / "qaa"], "rte", data, "dev", tmp_path / "rte", quiet=True)[0]
    evaluate(tmp_path / "body", [world / "qaa"], "xnli", world / "data", "test", tmp_path / "xnli", quiet=True)
    three = (tmp_path / "xnli" / "xnli" / "test-qaa.tsv").read_text().splitlines()
    two = (tmp_path / "rte" / "rte" / "dev-qaa.tsv").read_text().splitlines()
    assert two == ["entailment" if label == "entailment" else "not_entailment" for label in three] and len({*three}) == 3
    assert record["head"] == {"kind": "classification", "trained_on": "xnli"} and record["task"] == "rte"


def test_a_body_of_another_kind_is_refused(untrained: Path, world: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="the task body does 'xnli', asked for 'mrpc'"):
        evaluate(untrained, [world / "qaa"], "mrpc", tmp_path, "dev", tmp_path / "out", quiet=True)
    assert Body.load(untrained).task["name"] == "xnli"


SIZES = [("cola", "train", 8551, {0: 2528, 1: 6023}), ("cola", "dev", 1043, {0: 322, 1: 721}),
         ("sst2", "dev", 872, {0: 428, 1: 444}), ("sst2", "train", 67349, {0: 29780, 1: 37569}),
         ("mrpc", "train", 3668, {0: 1194, 1: 2474}), ("mrpc", "dev", 408, {0: 129, 1: 279}),
         ("qnli", "dev", 5463, {0: 2702, 1: 2761}), ("rte", "dev", 277, {0: 146, 1: 131}),
         ("wnli", "train", 635, {0: 323, 1: 312}), ("wnli", "dev", 71, {0: 40, 1: 31}), ("stsb", "train", 5749, {None: 5749}),
         ("stsb", "dev", 1500, {None: 1500}), ("ax2", "test", 1104, {0: 460, 1: 644})]


@pytest.mark.parametrize(("task", "split", "size", "labels"), [pytest.param(*case, marks=real) for case in SIZES])
def test_real_files_have_the_published_sizes(task: str, split: str, size: int, labels: dict[int | None, int]) -> None:
    loaded = get_task(task).read(SHARED / "glue", split, "en")
    assert len(loaded) == size and Counter(e.label for e in loaded.examples) == labels


@pytest.mark.realdata
@pytest.mark.skipif(not (SHARED / "scitail").is_dir(), reason="no real data")
def test_real_files_of_other_inference_and_paraphrase() -> None:
    sizes = [len(get_task("scitail").read(SHARED / "scitail", split, "en")) for split in ("train", "dev", "test")]
    assert sizes == [23596, 1304, 2126]
    assert len(get_task("pawsx").read(SHARED / "pawsx", "dev", "ko")) == 2000
    assert len(get_task("anli").read("", "test", "en", [SHARED / "nli_other" / "anli_test_r123.jsonl"])) == 3200
    assert len(get_task("snli").read("", "dev", "en", [SHARED / "nli_other" / "snli_dev.jsonl"])) == 9842
    groups = get_task("ax2").read(SHARED / "glue", "test", "en").groups
    assert len(groups["logic"]) == 364 and len(groups["logic: Negation"]) == 82


def test_a_guess_scores_its_share_of_accuracy_and_no_correlation() -> None:
    assert get_task("sst2").chance == 1 / 2
    assert get_task("xnli").chance == 1 / 3
    assert get_task("cola").chance == 0


def test_of_other_metrics_chance_is_not_known() -> None:
    """What a guess scores in F1 hangs on how frequent the labels are."""
    assert get_task("mrpc").with_metric("f1").chance is None
