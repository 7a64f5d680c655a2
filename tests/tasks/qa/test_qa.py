"""Question answering from end to end: training through fairseq, scores, files, pairs of languages, mistakes."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from adapt.artefacts.embedding import Embedding
from pretrain.artefacts.body import Body
from pretrain.base.errors import UserError
from recipes.cli import main
from tasks.evaluate import evaluate
from tasks.heads.model import task_model
from tasks.learning.finetune import finetune, plan
from tasks.qa.family import answer, table
from tasks.qa.features import WindowSettings
from tasks.qa.task import QATask
from tasks.registry import get_task
from tasks.settings import FinetuneSettings
from tests.killing import ROOT, kill_finetune_at, warm

from ..conftest import settings_for
from .qa_world import question_files, write_questions


def qa_task(name: str) -> QATask:
    task = get_task(name)
    assert isinstance(task, QATask)
    return task


def qa_settings(world: Path, questions: Path, output: Path, **changes: Any) -> FinetuneSettings:
    """A run of a few seconds over windows of at most 24 tokens, so that most contexts have several."""
    values = {"task": "squad", "data": str(questions / "one"), "updates": 60, "max_length": 24, "stride": 8, "max_question": 6}
    return settings_for(world, output, **{**values, **changes})


@pytest.fixture(scope="module")
def questions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_questions(tmp_path_factory.mktemp("questions") / "data")


@pytest.fixture(scope="module")
def squad(world: Path, questions: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A body that learned to answer."""
    pytest.importorskip("fairseq")
    output = tmp_path_factory.mktemp("qa") / "squad"
    finetune(qa_settings(world, questions, output), quiet=True, keep=True)
    return output


@pytest.fixture(scope="module", params=["joint_span", "span"])
def squad2(request: pytest.FixtureRequest, world: Path, questions: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A body that also learned when there is no answer, with either head."""
    pytest.importorskip("fairseq")
    output = tmp_path_factory.mktemp("qa2") / request.param
    finetune(qa_settings(world, questions, output, task="squad2", data=str(questions / "two"), head=request.param, updates=120),
             quiet=True)
    return output


def test_it_learns_and_the_record_says_how(squad: Path, world: Path) -> None:
    body = Body.load(squad)
    assert body.task is not None and body.lineage == Body.load(world / "body").fingerprint
    assert (body.task["name"], body.task["head"], body.task["metric"], body.task["labels"]) == ("squad", "span", "f1", [])
    assert body.task["windows"] == {"max_length": 24, "stride": 8, "max_question": 6}
    assert body.task["dev"]["score"] > 0.9 and body.task["dev"]["n"] == 40
    assert body.made["train_windows"] > body.made["train_windows_with_answer"] >= 160
    assert body.task["answer_tokens"] >= 1 and body.made["train_questions_unplaced"] == 0


def test_the_best_f1_of_whole_questions_chooses_the_checkpoint(squad: Path) -> None:
    curve = json.loads((squad / "curves.json").read_text())
    body = Body.load(squad)
    assert body.task is not None
    best = max(point["f1"] for point in curve)
    # what the training process summed over its batches is what the exported body scores on its own
    assert best == pytest.approx(100 * body.task["dev"]["score"], abs=1e-2)
    assert body.made["updates"] in {point["update"] for point in curve if point["f1"] == pytest.approx(best, abs=1e-3)}


def test_the_embedding_stays_as_it_was(squad: Path, world: Path) -> None:
    from pretrain.base.checkpoints import load_checkpoint

    state = load_checkpoint(squad.with_name("squad.training") / "checkpoint_last.pt")
    assert not any("embed_tokens" in name or name.startswith("lm_head") for name in state["model"])
    start, body = Body.load(world / "body"), Body.load(squad)
    assert any(not torch.equal(body.tensors[name], tensor) for name, tensor in start.tensors.items())


@pytest.mark.slow
def test_resume_after_kill_is_exact(squad: Path, world: Path, questions: Path, tmp_path: Path) -> None:
    settings = qa_settings(world, questions, tmp_path / "squad")
    cut = kill_finetune_at(20, tmp_path / "squad.training" / "train.log", settings)
    assert "done training" not in cut
    assert finetune(settings, quiet=True).fingerprint == Body.load(squad).fingerprint


def test_zero_shot_records_and_official_files(squad: Path, world: Path, questions: Path, tmp_path: Path) -> None:
    output = tmp_path / "scores"
    records = evaluate(squad, [world / "qaa", world / "qab"], qa_task("squad"), questions / "one", "test", output, quiet=True)
    assert [record["language"] for record in records] == ["qaa", "qab"] and records[0]["f1"] > 90
    assert json.loads((output / "results.json").read_text()) == records
    for record in records:
        gold = questions / "one" / f"test-{record['language']}.json"
        predictions = output / record["predictions"]
        contexts = {qa["id"]: p["context"] for p in json.loads(gold.read_text())["data"][0]["paragraphs"] for qa in p["qas"]}
        nbest = json.loads((predictions.with_name(f"test-{record['language']}.nbest.json")).read_text())
        for key, text in json.loads(predictions.read_text()).items():
            first = nbest[key][0]
            assert contexts[key][first["start"]:first["end"]] == first["text"] == text
            assert sum(one["probability"] for one in nbest[key]) == pytest.approx(1, rel=1e-5, abs=1e-4)
        done = subprocess.run([sys.executable, "-m", "recipes.cli", "score-predictions", "--task", "squad", "--language",
                               record["language"], "--gold", str(gold), "--predictions", str(predictions)],
                              cwd=ROOT, capture_output=True, text=True, check=True)
        assert {key: json.loads(done.stdout)[key] for key in ("exact_match", "f1")} == \
            {key: record[key] for key in ("exact_match", "f1")}
        assert record["score"] == pytest.approx(record["f1"] / 100) and record["n"] == 40
        assert record["windows"]["count"] > 40 and record["embedding"]["lineage"] == record["body"]["lineage"]
    text = table(records)
    assert text.splitlines()[0].split()[:3] == ["language", "split", "exact"] and "mean of 2" in text


def test_predictions_do_not_depend_on_batches(squad: Path, world: Path, questions: Path) -> None:
    embedding = Embedding.load(world / "qaa")
    items = qa_task("squad").read(questions / "one", "test", "qaa").questions
    model = task_model(Body.load(squad), embedding)
    runs = [answer(model, "squad", embedding.tokenizer, items, WindowSettings(24, 8, 6), max_tokens=size)[0]
            for size in (1, 100, 100_000)]
    assert {key: one.best for key, one in runs[0].items()} == {key: one.best for key, one in runs[1].items()} \
        == {key: one.best for key, one in runs[2].items()}


def test_unanswerable_questions(squad2: Path, world: Path, questions: Path, tmp_path: Path) -> None:
    body = Body.load(squad2)
    assert body.task is not None and 0 <= body.task["no_answer_threshold"] <= 1
    (record,) = evaluate(squad2, [world / "qaa"], qa_task("squad2"), questions / "two", "dev", tmp_path / "out", quiet=True)
    assert record["f1"] == pytest.approx(100 * body.task["dev"]["score"])
    assert record["f1"] == pytest.approx(record["best_f1"])  # the threshold was searched on this very split
    assert record["f1"] > 80 and record["NoAns_total"] > 0 and record["HasAns_f1"] > 70 and record["NoAns_f1"] > 70
    stem = tmp_path / "out" / "squad2" / "dev-qaa"
    said = json.loads(stem.with_name("dev-qaa.json").read_text())
    odds = json.loads(stem.with_name("dev-qaa.no-answer.json").read_text())
    assert {key for key, text in said.items() if not text} == \
        {key for key, one in odds.items() if one > body.task["no_answer_threshold"]}


def test_all_pairs_of_context_and_question_language(squad: Path, world: Path, questions: Path, tmp_path: Path) -> None:
    output = tmp_path / "mlqa"
    records = evaluate(squad, [world / "qaa", world / "qab"], qa_task("mlqa"), questions / "mlqa", "dev", output,
                          pairs="all", quiet=True)
    pairs = [(record["language"], record["question_language"]) for record in records]
    assert pairs == [("qaa", "qaa"), ("qaa", "qab"), ("qab", "qaa"), ("qab", "qab")]
    mixed = records[1]
    assert mixed["embedding"]["fingerprint"] != mixed["question_embedding"]["fingerprint"]
    assert mixed["rules"].startswith("mlqa+") and (output / "mlqa" / "dev-context-qaa-question-qab.json").exists()
    text = table(records)
    assert text.splitlines()[1].split() == ["context", "\\", "question", "qaa", "qab"]
    same = evaluate(squad, [world / "qaa"], qa_task("mlqa"), questions / "mlqa", "dev", tmp_path / "same", quiet=True)
    assert same[0]["f1"] == records[0]["f1"]


def test_baselines(squad: Path, world: Path, questions: Path, tmp_path: Path) -> None:
    (record,) = evaluate(world / "body", [world / "qaa"], qa_task("squad"), questions / "one", "test", tmp_path / "u",
                            untrained_head=True, quiet=True)
    assert record["head"]["trained_on"] is None and record["f1"] < 60
    (trained,) = evaluate(squad, [world / "qaa"], qa_task("squad"), questions / "one", "test", tmp_path / "t", quiet=True)
    assert trained["first_span"]["f1"] < trained["f1"]


BLOCKED = """import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("fairseq", "hydra", "omegaconf"):
            raise ImportError(name)
sys.meta_path.insert(0, Blocker())
from recipes.cli import main
sys.exit(main(sys.argv[1:]))
"""


def test_evaluation_needs_no_fairseq(squad: Path, world: Path, questions: Path, tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", BLOCKED, "evaluate", "--body", str(squad), "--embedding", str(world / "qaa"),
                           "--task", "squad", "--data", str(questions / "one"), "--output", str(tmp_path / "out"), "--quiet"],
                          cwd=ROOT, capture_output=True, text=True, check=False, env=warm(OMP_NUM_THREADS="1"))
    assert done.returncode == 0, done.stderr
    assert "qaa" in done.stdout


@pytest.mark.parametrize(("changes", "message"), [
    ({"task": "xquad"}, "xquad has no training split; train on squad"),
    ({"head": "spam"}, "unknown head for squad 'spam'"),
    ({"stride": 50}, r"--stride 50: expected 1 to \d+"),
    ({"max_length": 65}, "--max-length 65 exceeds the body's 64 positions"),
    ({"max_question": 30}, "no room is left for a context"),
    ({"task": "xnli", "data": "DATA"}, "--stride and --max-question belong to question answering"),
])
def test_settings_that_cannot_work(world: Path, questions: Path, tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        plan(qa_settings(world, questions, tmp_path / "out", **changes))


def test_mistakes_of_evaluation(squad: Path, finetuned: Path, world: Path, questions: Path, tmp_path: Path) -> None:
    def run(body: Path, task: str = "squad", split: str = "test", **more: Any) -> None:
        evaluate(body, [world / "qaa"], qa_task(task), questions / "one", split, tmp_path / "out", quiet=True, **more)

    with pytest.raises(UserError, match="has no task head; train one first"):
        run(world / "body")
    with pytest.raises(UserError, match="does 'xnli', which answers no questions"):
        run(finetuned)
    with pytest.raises(UserError, match="only mlqa has questions and contexts in different languages"):
        run(squad, pairs="all")
    with pytest.raises(UserError, match="XQuAD has no dev split"):
        run(squad, task="xquad", split="dev")
    with pytest.raises(UserError, match="unknown pairs"):
        run(squad, pairs="every")
    with pytest.raises(UserError, match="--max-answer-tokens 0"):
        run(squad, max_answer=0)
    assert not (tmp_path / "out").exists()


def test_a_question_answering_body_does_no_nli(squad: Path, world: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="the task body does 'squad', asked for 'xnli'"):
        evaluate(squad, [world / "qaa"], "xnli", world / "data", "test", tmp_path / "out", quiet=True)


def test_unanswerable_dev_questions_need_the_right_task(world: Path, questions: Path, tmp_path: Path) -> None:
    settings = qa_settings(world, questions, tmp_path / "out")
    with pytest.raises(UserError, match="squad2"):
        plan(replace(settings, dev_files=(str(questions / "two" / "dev-qaa.json"),)))


@pytest.mark.slow
def test_questions_that_are_left_out_are_said_once_and_stand_in_the_log(world, tmp_path, capfd):
    """The command counts them, its training process does so too: one line for the user."""
    pytest.importorskip("fairseq")
    content = question_files(40, 1, "qaa")
    for paragraph in content["data"][0]["paragraphs"][:7]:
        paragraph["qas"][0]["answers"] = [{"text": "absent", "answer_start": 0}]
    (tmp_path / "train-qaa.json").write_text(json.dumps(content))
    (tmp_path / "dev-qaa.json").write_text(json.dumps(question_files(10, 2, "qaa")))
    words = ["finetune", "--body", world / "body", "--embedding", world / "qaa", "--task", "squad", "--data", tmp_path,
             "--output", tmp_path / "out", "--updates", 4, "--validate-every", 2, "--threads", 1, "--keep-checkpoints", "--quiet"]
    assert main(list(map(str, words))) == 0
    lines = [line for line in capfd.readouterr().err.splitlines() if "left out" in line]
    assert len(lines) == 1 and lines[0].startswith("relexify: warning: ") and "7 of 40 questions are left out" in lines[0]
    assert "7 of 40 questions are left out" in (tmp_path / "out.training" / "train.log").read_text()
