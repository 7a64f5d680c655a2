"""The evaluation benchmark: both loops answer the same questions alike, and its figures are of this run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from recipes.bench import qa as bench_qa


def test_both_loops_give_the_same_answers(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench_qa.main(["--questions", "10", "--layers", "1", "--width", "32", "--vocab-size", "600", "--repeats", "1"]) == 0
    lines = capsys.readouterr().out.strip().splitlines()
    result = json.loads(lines[-1])
    assert result["questions"] == 20 and result["windows"] >= 20
    # the padded loop tries 20 x 20 spans of each window, ours all of them: near-ties may differ
    assert all(share >= 0.9 for share in result["equal_answers"].values())
    assert set(result["ratio"]) == set(result["windows_per_s"]) - {"ours"}


def test_a_folder_without_the_files_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench_qa.main([str(tmp_path)]) == 2
    assert "no xquad.CODE.json there" in capsys.readouterr().err
