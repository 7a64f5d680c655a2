"""Metrics of classification against cases computed by hand."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest

from tasks.classification.metrics import accuracy, confusion, matthews


def test_rows_are_gold_and_columns_predicted():
    assert confusion(np.array([0, 0, 1, 2]), np.array([0, 1, 1, 0]), 3).tolist() == [[1, 1, 0], [0, 1, 0], [1, 0, 0]]


@pytest.mark.parametrize(("matrix", "expected"), [
    ([[25, 5], [2, 8]], 190 / math.sqrt(13 * 10 * 30 * 27)),  # (8*25 - 5*2) over the root of the four margins
    ([[2, 1, 0], [0, 2, 1], [1, 0, 3]], 36 / 66),  # (7*10 - 34) / (100 - 34), margins 3, 3, 4 both ways
    ([[7, 0], [0, 3]], 1.0),
    ([[0, 7], [3, 0]], -1.0),
    ([[5, 5], [5, 5]], 0.0),
])
def test_matthews(matrix, expected):
    assert matthews(np.array(matrix)) == pytest.approx(expected, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("matrix", [[[30, 0], [10, 0]], [[0, 0], [12, 28]], [[40, 0], [0, 0]]])
def test_matthews_of_one_label_is_nothing(matrix):
    assert matthews(np.array(matrix)) == 0
    assert accuracy(np.array(matrix)) > 0


def test_matthews_of_very_many_examples_does_not_overflow():
    small = np.array([[25, 5], [2, 8]])
    assert matthews(small * 10_000_000) == pytest.approx(matthews(small), rel=1e-12)


def test_metrics_need_no_package_that_only_training_brings():
    code = ("import sys; sys.modules.update(sklearn=None, fairseq=None)\n"
            "import numpy as np; from tasks.classification.metrics import get_metric\n"
            "print(get_metric('matthews')(np.array([[1, 0], [0, 1]])))")
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "1.0\n"
