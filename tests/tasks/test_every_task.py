"""Every registered task goes through every verb, on a few invented examples: trained, scored, predicted, reported, exported."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import relexify
from pretrain.artefacts.body import Body
from pretrain.base.errors import UserError
from recipes.cli import main
from tasks.choice.task import ChoiceTask
from tasks.classification.columns import Table
from tasks.classification.regression import RegressionTask
from tasks.classification.task import ClassificationTask
from tasks.definition import REGISTRY, Definition
from tasks.evaluate import evaluate
from tasks.learning.finetune import export, plan
from tasks.qa.task import QATask
from tasks.registry import get_task, load_all
from tasks.retrieval.task import RetrievalTask
from tasks.tagging.task import TaggingTask
from tests.training import train_line

from .conftest import WORDS, settings_for
from .qa.qa_world import question_files

load_all()
NAMES = sorted(name for name, one in REGISTRY.items() if type(one).__module__.startswith("tasks."))
TRAINED = [name for name in NAMES if "train" in REGISTRY[name].splits]
BODY_OF = {"ax": "mnli", "ax2": "rte", "xquad": "squad", "mlqa": "squad"}
"""Tasks without a training split -> the task whose body does them."""
LANGUAGE, OTHER = WORDS
COUNT = 24
OWN_LABELS = ("O", "B-X", "I-X")
"""Of a task whose labels the user names."""


def texts(draw: random.Random) -> str:
    return " ".join(draw.choices(WORDS[LANGUAGE], k=4))


def row_of(task: Definition, number: int, draw: random.Random) -> dict[str, Any]:
    """A row under the columns of the task's files."""
    if isinstance(task, ChoiceTask):
        return {**{name: texts(draw) for name in task.texts}, task.gold: number % task.candidates, "id": f"p{number}"}
    reader = getattr(task, "reader", None)
    columns = ((reader.first[0], *reader.second[:1]), reader.gold[0]) if isinstance(reader, Table) else (
        ("premise", "hypothesis"), "label")
    gold: Any = number % 5 if isinstance(task, RegressionTask) else task.labels[number % len(task.labels)]  # type: ignore[attr-defined]
    return {**{name: texts(draw) for name in columns[0]}, columns[1]: gold}


def write_data(task: Definition, folder: Path) -> None:
    """Files of every split that is looked for here."""
    folder.mkdir(exist_ok=True)
    for seed, split in enumerate(("train", "dev", "test")):
        draw, own = random.Random(seed), folder / f"{split}-{LANGUAGE}"
        if isinstance(task, QATask):
            content = json.dumps(question_files(COUNT, seed, LANGUAGE, impossible=0.4 if task.unanswerable else 0.0))
            for name in (f"{split}-{LANGUAGE}", f"tydiqa.goldp.{LANGUAGE}.{split}", f"xquad.{LANGUAGE}",
                         f"{split}-context-{LANGUAGE}-question-{LANGUAGE}"):
                (folder / f"{name}.json").write_text(content)
        elif isinstance(task, TaggingTask):
            labels, gap = task.labels or OWN_LABELS, "\t" if task.layout == "tsv" else " "
            lines = [f"{draw.choice(WORDS[LANGUAGE])}{gap}{labels[n % len(labels)]}\n" + "\n" * (n % 4 == 3)
                     for n in range(4 * COUNT)]
            own.with_suffix(".tsv" if task.layout == "tsv" else ".txt").write_text("".join(lines))
        elif not isinstance(task, RetrievalTask):
            rows = [json.dumps(row_of(task, number, draw)) + "\n" for number in range(COUNT)]
            own.with_suffix(".jsonl").write_text("".join(rows))
    if isinstance(task, RetrievalTask):
        for code in (LANGUAGE, OTHER):
            draw = random.Random(1)
            lines = [" ".join(draw.choices(WORDS[code], k=4)) for _ in range(COUNT)]
            (folder / f"dev.{LANGUAGE}-{OTHER}.{code}").write_text("\n".join(lines) + "\n")
            numbered = [f"{code}-{number}\t{line}" for number, line in enumerate(lines)]
            (folder / f"{LANGUAGE}-{OTHER}.dev.{code}").write_text("\n".join(numbered) + "\n")
        (folder / f"{LANGUAGE}-{OTHER}.dev.gold").write_text(f"{LANGUAGE}-1\t{OTHER}-1\n{LANGUAGE}-2\t{OTHER}-2\n")


@pytest.fixture(scope="module")
def data_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    root = tmp_path_factory.mktemp("data")

    def made(name: str) -> Path:
        if not (root / name).exists():
            write_data(REGISTRY[name], root / name)
        return root / name

    return made


@pytest.fixture(scope="module")
def body_of(world: Path, data_of: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The task body of a task, trained for two updates in this process."""
    root = tmp_path_factory.mktemp("bodies")

    def made(name: str) -> Path:
        if isinstance(REGISTRY[name], RetrievalTask):
            return world / "body"
        name = BODY_OF.get(name, name)
        if not (root / name).exists():
            labels = root / "labels.txt"
            labels.write_text("\n".join(OWN_LABELS) + "\n")
            settings = settings_for(world, root / "x", task=name, data=str(data_of(name)), updates=2, validate_every=2, lr=1e-3,
                                    labels=str(labels) if name == "conll" else "")
            planned = plan(settings)
            export(train_line(planned.stage.words(), root / f"{name}.training") / "checkpoint_best.pt", settings,
                   planned)[0].save(root / name)
        return root / name

    return made


def splits_of(task: Definition) -> str:
    return next(split for split in ("dev", "test") if split in task.splits)


@pytest.mark.parametrize("name", TRAINED)
def test_it_is_trained(name: str, body_of: Callable[[str], Path]) -> None:
    pytest.importorskip("fairseq")
    task = Body.load(body_of(name)).task
    assert task is not None and task["name"] == name and task["metric"] == REGISTRY[name].metric
    assert task["dev"]["n"] >= COUNT and task["head"] == REGISTRY[name].heads[0]


@pytest.mark.parametrize("name", NAMES)
def test_it_is_scored_and_reported(name: str, world: Path, body_of: Callable[[str], Path], data_of: Callable[[str], Path],
                                   tmp_path: Path) -> None:
    pytest.importorskip("fairseq")
    task = REGISTRY[name]
    embeddings = [world / LANGUAGE, *([world / OTHER] if isinstance(task, RetrievalTask) else [])]
    (record,) = evaluate(body_of(name), embeddings, task, data_of(name), splits_of(task),
                         tmp_path / "run" / "scores", quiet=True, device="cpu")
    assert record["task"] == name and record["n"] > 0 and -1 <= record["score"] <= 1
    assert (tmp_path / "run" / "scores" / record["predictions"]).exists()
    assert task.table([record])
    assert main(["report", str(tmp_path / "run"), "--output", str(tmp_path / "report")]) == 0
    assert f"{name}, split {record['split']}" in (tmp_path / "report" / "report.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", TRAINED)
def test_it_is_predicted(name: str, world: Path, body_of: Callable[[str], Path]) -> None:
    pytest.importorskip("fairseq")
    model = relexify.load(body_of(name), world / LANGUAGE, device="cpu")
    for columns in model.columns:
        words: dict[str, Any] = {key: "tilo mapu reno" for key in columns}
        if "words" in words:
            words["words"] = words["words"].split()
        (found,) = model.predict_rows([words])
        assert found["language"] == LANGUAGE and len(found) > 1
    with pytest.raises(UserError, match="expected"):
        model.predict_rows([{"something": "else"}])


SUFFIX = {ClassificationTask: "ForSequenceClassification", RegressionTask: "ForSequenceClassification",
          ChoiceTask: "ForMultipleChoice", QATask: "ForQuestionAnswering", TaggingTask: "ForTokenClassification"}


@pytest.mark.parametrize("name", TRAINED)
def test_it_is_exported(name: str, world: Path, body_of: Callable[[str], Path], tmp_path: Path,
                        capsys: pytest.CaptureFixture[str]) -> None:
    """To the class of transformers that does such a task, which opens without a tensor missing; or refused with what to do."""
    pytest.importorskip("fairseq")
    transformers = pytest.importorskip("transformers")
    words = ["export", "--body", str(body_of(name)), "--embedding", str(world / LANGUAGE), "--to", "huggingface", "--output",
             str(tmp_path / "out")]
    if (Body.load(body_of(name)).task or {})["head"] == "joint_span":
        assert main(words) == 2 and "--head span to export" in capsys.readouterr().err
        return
    assert main(words) == 0
    suffix = next(suffix for kind, suffix in SUFFIX.items() if isinstance(REGISTRY[name], kind))
    auto = getattr(transformers, f"AutoModel{suffix}")
    model, info = auto.from_pretrained(tmp_path / "out", output_loading_info=True)
    assert type(model).__name__.endswith(suffix) and not info["missing_keys"]
    if isinstance(REGISTRY[name], RegressionTask):  # else the pipeline would squeeze the value into a probability
        assert model.config.num_labels == 1 and model.config.problem_type == "regression"


def test_what_is_not_trained_says_what_is() -> None:
    for name in NAMES:
        if name not in TRAINED:
            task = get_task(name)
            assert isinstance(task, RetrievalTask) or BODY_OF[name] in TRAINED
