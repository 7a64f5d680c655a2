"""Every family's data sets and criteria: a teacher's rows reach the batch, and the loss is the teacher's, without one label."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from adapt.artefacts.embedding import Embedding
from pretrain.artefacts.body import Body, load_body
from tasks.distillation.losses import soft_cross_entropy, value_mse
from tasks.distillation.settings import TeachSettings
from tasks.distillation.soft_labels import read
from tasks.distillation.teach import teach
from tasks.heads.model import TaskModel, task_model
from tasks.multitask.member import Member, members_of
from tasks.multitask.policy import Policy
from tasks.multitask.recipe import Entry, Mixture
from tasks.qa.teaching import window_shares
from tasks.tagging.panx import PANX
from tests.tasks.choice.test_choice import arct_lines
from tests.tasks.conftest import CONFIG, pairs
from tests.tasks.qa.qa_world import question_files

KINDS = {"xnli": ("classification", 3), "stsb": ("classification", 1), "arct": ("classification", 1), "squad": ("span", 0),
         "panx": ("tagging", 7)}
"""Task -> its head and outputs."""


def write_bare(folder: Path) -> None:
    """Training files of every task, without gold: its column stays, where a task's files have one."""
    folder.mkdir()
    lines = [f"{number}\t{a}\t{b}\t" for number, (a, b, _) in enumerate(pairs("qaa", 9, 1))]
    for name, header in (("xnli", "id\tpremise\thypothesis\tlabel"), ("stsb", "index\tsentence1\tsentence2\tscore")):
        (folder / name).mkdir()
        (folder / name / "train-qaa.tsv").write_text("\n".join([header, *lines]) + "\n")
    (folder / "arct").mkdir()
    head, *rows = arct_lines("qaa", 9, 1)
    cells = [row.split("\t") for row in rows]
    bare = ["\t".join([*row[:3], "", *row[4:]]) for row in cells]
    (folder / "arct" / "train-qaa.tsv").write_text("\n".join([head, *bare]) + "\n")
    content = question_files(5, 1, "qaa")
    for paragraph in content["data"][0]["paragraphs"]:
        paragraph["qas"][0]["answers"] = []
    (folder / "panx").mkdir()
    words = [" ".join(pair[:2]).split() for pair in pairs("qaa", 5, 1)]
    (folder / "panx" / "train-qaa.tsv").write_text("".join("".join(f"{word}\n" for word in row) + "\n" for row in words))
    (folder / "squad").mkdir()
    (folder / "squad" / "train-qaa.json").write_text(json.dumps(content))


def task_body(world: Path, name: str, seed: int) -> Body:
    """A body with a drawn head that says something else of each example."""
    kind, outputs = KINDS[name]
    start = Body.load(world / "body")
    model = TaskModel(CONFIG, 8)
    load_body(model, start)
    torch.manual_seed(seed)
    model.add_head(name, kind, outputs)
    with torch.no_grad():
        for parameter in model.heads[name].parameters():
            parameter.normal_(0, 0.5)
    labels = {7: list(PANX.labels), 3: ["entailment", "neutral", "contradiction"], 1: ["score"], 0: []}[outputs]
    task = {"name": name, "version": "1.0", "head": kind, "labels": labels, "metric": "x", "windows": {}, "answer_tokens": 2,
            "candidates": 2}
    return Body.of_model(model, lineage=start.lineage, task=task, made={"seed": seed})


def member(world: Path, folder: Path, name: str, **entry: Any) -> Member:
    body, embedding = Body.load(world / "body"), Embedding.load(world / "qaa")
    mixture = Mixture({name: Entry(data=str(folder / name), **entry)}, Policy())
    return members_of(mixture, body, embedding, 1)[name]


@pytest.mark.parametrize("name", list(KINDS))
def test_the_loss_of_a_batch_is_the_teachers(name: str, world: Path, tmp_path: Path) -> None:
    pytest.importorskip("fairseq")
    from importlib import import_module

    from fairseq.criterions import CRITERION_REGISTRY

    import tasks.trainer.plugin  # noqa: F401

    write_bare(tmp_path / "data")
    teacher = tmp_path / "teacher"
    task_body(world, name, 5).save(teacher)
    teach(TeachSettings(body=(str(teacher),), embedding=(str(world / "qaa"),), data=str(tmp_path / "data" / name), task=name,
                        output=str(tmp_path / "t.parquet"), device="cpu"), quiet=True)
    one = member(world, tmp_path / "data", name, teacher=str(tmp_path / "t.parquet"))
    data = import_module(one.definition.trainer).load(one, "train", [], True)
    batch = data.collater([3, 0, 2])
    model = task_model(task_body(world, name, 6), Embedding.load(world / "qaa"))  # without dropout
    model.zero_grad()
    model.training = name == "panx"  # the model alone, not its layers: in validation, which has no teacher, entities are counted
    loss, count, _ = CRITERION_REGISTRY[one.definition.criterion](one)(model, batch)
    loss.backward()
    items = sum(batch["words"]) if name == "panx" else 3
    assert count == items
    assert any(parameter.grad is not None and bool(parameter.grad.any()) for parameter in model.heads.parameters())
    columns = read(tmp_path / "t.parquet").columns
    with torch.no_grad():
        if name == "squad":
            rows = data.kept[[3, 0, 2]]
            shares = window_shares(data.windows, rows, columns, 1.0)
            logits = model.spans(batch["tokens"], name, batch["full"], allowed=batch["allowed"]).logits
            expected = soft_cross_entropy(logits, shares).sum() / 2
        else:
            outputs = model(batch["tokens"], full=batch["full"], task=name)
            if name == "panx":
                outputs = outputs[batch["rows"], batch["columns"]]
            column = columns["values" if name == "stsb" else "probabilities"]
            own = torch.cat([torch.tensor(column[number]) for number in (3, 0, 2)]).view(items, -1)
            expected = (value_mse(outputs[:, 0], own[:, 0]) if name == "stsb" else
                        soft_cross_entropy(outputs.view(items, -1), own)).sum()
    torch.testing.assert_close(loss.detach(), expected, rtol=1e-4, atol=1e-5)


def test_questions_without_answers_are_trained_on_with_a_teacher_alone(world: Path, tmp_path: Path) -> None:
    from pretrain.base.errors import UserError

    write_bare(tmp_path / "data")
    task_body(world, "squad", 5).save(tmp_path / "teacher")
    teach(TeachSettings(body=(str(tmp_path / "teacher"),), embedding=(str(world / "qaa"),), data=str(tmp_path / "data" / "squad"),
                        task="squad", output=str(tmp_path / "t.parquet"), device="cpu"), quiet=True)
    one = member(world, tmp_path / "data", "squad", teacher=str(tmp_path / "t.parquet"))
    train: Any = one.train()
    one.learn(train)
    assert one.family.items(train, one.embedding) >= 5 and one.family.made()["train_windows_with_answer"] == 0
    with pytest.raises(UserError, match=r"5 of 5 questions have no answers"):
        member(world, tmp_path / "data", "squad", teacher=str(tmp_path / "t.parquet"), alpha=0.5).train()
    with pytest.raises(UserError, match=r"tasks.squad.head joint_span: learns from no teacher; of squad do those of kind span"):
        member(world, tmp_path / "data", "squad", teacher=str(tmp_path / "t.parquet"), head="joint_span").learn(train)
