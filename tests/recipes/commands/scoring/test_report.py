"""`report` and `paper-tables`: their examples work as they are written, one after the other."""

from __future__ import annotations

import shlex
import shutil

import pytest

from recipes.cli import main
from recipes.commands.scoring import paper_tables, report
from tests.killing import ROOT
from tests.recipes.report.report_budget_world import make_replication
from tests.recipes.report.report_world import make_run
from tests.test_documents import commands

EXAMPLES = {"help": report.EXAMPLE + paper_tables.EXAMPLE, "page": (ROOT / "docs" / "report.md").read_text(encoding="utf-8")}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """The runs that the examples name; the demo's has the report that a demo writes."""
    folder = tmp_path_factory.mktemp("report")
    for name in ("demo-run", "seed-1", "seed-2", "seed-3"):
        make_run(folder / name)
    (folder / "demo-run" / "report").mkdir()
    (folder / "demo-run" / "report" / "report.html").write_text("")
    make_replication(folder / "replication", ("standard", "forgetting", "matched control"), ("qab", "qac"))
    return folder


@pytest.mark.parametrize("place", EXAMPLES)
def test_examples_run_as_they_are_written(place, world, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(shutil.copytree(world, tmp_path / "here"))
    lines = list(commands(EXAMPLES[place]))
    assert len(lines) == 4
    for line in lines:
        assert main(shlex.split(line)[1:]) == 0, (line, capsys.readouterr().err)
    assert (tmp_path / "here" / "replication.svg").is_file()


def test_the_baseline_without_a_word_is_the_matched_control_where_there_is_no_standard(world, tmp_path, capsys):
    only = make_replication(tmp_path / "two", ("forgetting", "matched control"), ("qab", "qac"))
    assert main(["report", str(only), "--output", str(tmp_path / "report")]) == 0
    assert "Against matched control, in points" in capsys.readouterr().out
