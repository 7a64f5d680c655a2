"""Metrics of classification against cases computed by hand."""

from __future__ import annotations

import math
import subprocess
import sys
import warnings

import numpy as np
import pytest
import scipy.stats

from tasks.classification.metrics import accuracy, confusion, f1, macro_f1, matthews, pearson, spearman


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


@pytest.mark.parametrize(("matrix", "expected"), [
    ([[25, 5], [2, 8]], 16 / 23),  # 2 * 8 over 8 + 8 + 5 + 2
    ([[5, 0], [5, 0]], 0.0), ([[5, 0], [0, 0]], 0.0), ([[0, 0], [0, 5]], 1.0),
])
def test_f1_of_the_second_label(matrix, expected):
    assert f1(np.array(matrix)) == pytest.approx(expected, rel=1e-12)


def test_f1_wants_two_labels():
    with pytest.raises(ValueError, match="f1 is of two labels, the task has 3"):
        f1(np.eye(3, dtype=np.int64))


def test_macro_f1():
    # labels of F1 2*2/6, 2*2/6, 2*3/8
    assert macro_f1(np.array([[2, 1, 0], [0, 2, 1], [1, 0, 3]])) == pytest.approx((4 / 6 + 4 / 6 + 6 / 8) / 3, rel=1e-12)
    assert macro_f1(np.array([[3, 0, 0], [0, 0, 0], [0, 0, 0]])) == pytest.approx(1 / 3, rel=1e-12)


def test_matthews_of_two_labels_is_pearsons_correlation_of_the_numbers():
    draw = np.random.default_rng(1)
    gold, own = draw.integers(0, 2, 200), draw.integers(0, 2, 200)
    own[:120] = gold[:120]
    assert matthews(confusion(gold, own, 2)) == pytest.approx(scipy.stats.pearsonr(gold, own).statistic, rel=1e-9)


def test_correlations_by_hand():
    """Deviations (-1.5, -.5, .5, 1.5) and (-3, -1, -2, 6); ranks (1, 2, 3, 4) and (1, 3, 2, 4)."""
    gold, own = np.array([1.0, 2, 3, 4]), np.array([1.0, 3, 2, 10])
    assert pearson(gold, own) == pytest.approx((4.5 + 0.5 - 1 + 9) / math.sqrt(5 * 50), rel=1e-12)
    assert spearman(gold, own) == pytest.approx(1 - 6 * 2 / (4 * 15), rel=1e-12)


def test_spearman_shares_the_rank_of_ties():
    gold, own = np.array([1.0, 1, 2, 3]), np.array([4.0, 5, 5, 9])  # ranks 1.5 1.5 3 4 and 1 2.5 2.5 4
    assert spearman(gold, own) == pytest.approx(pearson(np.array([1.5, 1.5, 3, 4]), np.array([1, 2.5, 2.5, 4])), rel=1e-12)


@pytest.mark.parametrize("correlation", [pearson, spearman])
def test_nothing_correlates_with_a_constant(correlation):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert correlation(np.arange(4.0), np.ones(4)) == 0 == correlation(np.ones(4), np.arange(4.0))
