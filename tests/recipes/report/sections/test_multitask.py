"""Several tasks at once against one at a time: arms by how a body came to its tasks, means, differences paired by seed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from recipes.report.build import build, load
from recipes.report.results.arms import several, single, suffix
from recipes.report.results.cells import matrices
from recipes.report.sections.multitask import multitask_table

from ..report_world import record, write_gold, write_scores

HOW = {"": [], "multi": ["multitask"], "then": ["multitask", "finetune"]}
RIGHT = {"xnli": {"": (30, 36), "multi": (36, 39), "then": (36, 48)}, "snli": {"": (42, 42), "multi": (48, 51)}}
"""Right answers of 60 with seeds 1 and 2."""


@pytest.fixture
def run(tmp_path: Path) -> Path:
    place = tmp_path / "run"
    write_gold(place / "data", "qaa")
    for task, ways in RIGHT.items():
        for way, counts in ways.items():
            for seed, right in zip((1, 2), counts, strict=True):
                made, predictions = record(place, "standard", "qaa", range(right), seed=seed, updates=None, task=task)
                made["body"].update(fingerprint=f"{task}-{way}-{seed}", **({"stages": HOW[way]} if way else {}))
                made["embedding"]["fingerprint"] = f"en-{seed}"
                write_scores(place / f"{task}-{way}-{seed}", [(made, predictions)])
    return place


def test_the_table(run: Path) -> None:
    table = multitask_table(matrices(load([run]).scores))
    assert table is not None
    assert table.head == ["arm", "snli test (accuracy)", "xnli test (accuracy)", "mean of 1", "p, paired t"]
    rows = [[str(getattr(value, "text", value)).split(" [")[0] for value in row] for row in table.rows]
    # single: 50 and 60 %, 70 and 70; multi-task: 60 and 65, 80 and 85; then alone: 60 and 80, not scored on snli
    assert rows == [["standard", "70.0", "55.0", "55.0", ""], ["standard, multi-task", "82.5", "62.5", "62.5", ""],
                    ["… less standard", "+12.5", "+7.5", "+7.5", "0.20"],
                    ["standard, multi-task, then one task", "–", "70.0", "70.0", ""],
                    ["… less standard", "–", "+15.0", "+15.0", "0.20"]]


def test_a_head_that_was_drawn_stands_in_nobodys_place(run: Path) -> None:
    before = multitask_table(matrices(load([run]).scores))
    made, predictions = record(run, "standard", "qaa", range(6), seed=1, updates=None,
                               head={"type": "classification", "trained_on": None})
    made["body"].update(fingerprint="xnli-drawn")
    made["embedding"]["fingerprint"] = "en-1"
    write_scores(run / "drawn", [(made, predictions)])
    after = multitask_table(matrices(load([run]).scores))
    assert before is not None and after is not None
    assert [list(map(str, row)) for row in before.rows] == [list(map(str, row)) for row in after.rows]


def test_a_finished_embedding_under_one_body_alone_is_no_traceback(tmp_path: Path) -> None:
    write_gold(tmp_path / "data", "qab")
    for way, updates in (("", 600), ("multi", 200)):
        made, predictions = record(tmp_path, "standard", "qab", range(30), seed=1, updates=updates)
        made["body"].update(fingerprint=f"xnli-{way}", **({"stages": HOW[way]} if way else {}))
        write_scores(tmp_path / f"scores-{way}", [(made, predictions)])
    assert len(load([tmp_path]).scores) == 2


def test_means_are_over_tasks_that_all_arms_have(run: Path) -> None:
    for path in run.glob("*-then-*/results.json"):
        path.write_text(json.dumps([]))
    table = multitask_table(matrices(load([run]).scores))
    assert table is not None and table.head[-2] == "mean of 2"
    assert [str(getattr(row[3], "text", row[3])).split(" [")[0] for row in table.rows] == ["62.5", "72.5", "+10.0"]


def test_it_is_none_where_every_body_learned_one_task(run: Path) -> None:
    for path in [*run.glob("*-then-*/results.json"), *run.glob("*-multi-*/results.json")]:
        path.write_text(json.dumps([]))
    assert multitask_table(matrices(load([run]).scores)) is None


def test_the_report_says_what_the_arms_are(run: Path) -> None:
    made = build([run])
    text = repr(made.sections[0])
    assert "Several tasks at once" in text and "trained on several tasks at once" in text
    assert "does not say how the body was made" not in text


def test_names() -> None:
    assert suffix({"stages": ["multitask", "finetune"]}) == ", multi-task, then one task" and suffix({}) == ""
    assert single("minilm, multi-task, then one task") == single("minilm, multi-task") == single("minilm") == "minilm"
    assert several("minilm, multi-task") and not several("minilm")
