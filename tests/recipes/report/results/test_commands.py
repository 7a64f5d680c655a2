"""Commands rebuilt from records: one for all tasks of a body where one can be, else one a task; folders, the hub."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import Any

import pytest

from recipes.commands.scoring.evaluate import add_arguments
from recipes.report.results.commands import rebuild
from recipes.report.results.records import Score
from tasks.registry import get_task


def score(task: str, *files: str, language: str = "en", **changes: Any) -> Score:
    record = {"task": task, "split": "dev", "language": language, "score": 0.5, "n": 4, "data": {"files": list(files)},
              "body": {"path": "runs/glue", "lineage": "b"}, "embedding": {"path": f"runs/{language}"}, **changes}
    return Score(Path("results.json"), Path(), "", record, "", True, None)


def lines(*scores: Score) -> list[str]:
    return [known.line for known in rebuild(scores, "runs/scores")]


def test_all_tasks_of_a_body_are_scored_by_one_command_that_names_none() -> None:
    line, = lines(score("rte", "glue/RTE/dev.tsv"), score("cola", "glue/CoLA/dev.tsv"),
                  score("rte", "glue/RTE/dev.tsv", language="sw"))
    assert line == ("relexify evaluate --body runs/glue --split dev --data glue --output runs/scores --embedding runs/en "
                    "--embedding runs/sw")
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    assert parser.parse_args(shlex.split(line)[2:]).data == "glue"


def test_it_finds_what_the_records_name(tmp_path: Path) -> None:
    """The folder above is named for tasks alone that look for their own folder in it."""
    (tmp_path / "RTE").mkdir()
    file = tmp_path / "RTE" / "dev.tsv"
    file.write_text("index\tsentence1\tsentence2\tlabel\n0\ta\tb\tentailment\n1\ta\tc\tnot_entailment\n")
    line, = lines(score("rte", str(file)), score("cola", str(tmp_path / "CoLA" / "dev.tsv")))
    data = shlex.split(line)[shlex.split(line).index("--data") + 1]
    assert get_task("rte").read(data, "dev", "en").files == [str(file)]


def test_tasks_in_one_folder_need_no_folder_of_their_own() -> None:
    line, = lines(score("xnli", "data/dev-en.tsv"), score("panx", "data/dev-en.tsv"))
    assert "--data data " in line and "--task" not in line


@pytest.mark.parametrize("apart", ["xnli/dev-en.tsv", "glue/xnli/dev-en.tsv", "hf:facebook/xnli/en/validation"])
def test_where_no_one_folder_has_all_data_each_task_has_a_command_and_an_output(apart: str) -> None:
    """The mixture's file that named the folders is in no record."""
    found = lines(score("rte", "glue/RTE/dev.tsv"), score("xnli", apart), score("xnli", apart, language="sw"))
    assert [line.split()[4:6] for line in found] == [["--task", "rte"], ["--task", "xnli"]]
    assert ["--output runs/scores-rte " in found[0], "--output runs/scores-xnli " in found[1]] == [True, True]
    assert "runs/sw" in found[1] and "runs/sw" not in found[0] and "--data glue/RTE " in found[0]


@pytest.mark.parametrize(("task", "place", "data"), [
    ("xnli", "hf:facebook/xnli/en/test", "hf:facebook/xnli"), ("xnli", "hf:xnli/en/test", "hf:xnli"),
    ("rte", "hf:nyu-mll/glue/rte/validation", "hf:nyu-mll/glue"), ("rte", "hf:glue/rte/validation", "hf:glue"),
    ("squad", "hf:rajpurkar/squad/validation", "hf:rajpurkar/squad"), ("squad", "hf:squad/validation", "hf:squad"),
    ("own-task", "somewhere/dev.tsv", "somewhere")])
def test_data_as_it_was_named(task: str, place: str, data: str) -> None:
    line, = lines(score(task, place))
    assert f"--task {task} --split dev --data {data} " in line


def test_a_record_without_files_says_so() -> None:
    assert "--data DATA " in lines(score("rte"))[0] and "--data DATA " in lines(score("rte"), score("cola"))[0]
