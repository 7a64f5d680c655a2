"""Metrics of classification as functions of the confusion matrix, by name. All that is known of predictions stands in it, so the
trainer can sum it over batches and processes.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from pretrain.base.errors import unknown

Metric = Callable[[NDArray[np.int64]], float]
"""Confusion matrix [C, C], rows gold, columns predicted -> score; 1 is perfect."""
METRICS: dict[str, Metric] = {}


def register_metric(name: str) -> Callable[[Metric], Metric]:
    """Makes a metric known by its name; a name can be taken once."""
    def known(metric: Metric) -> Metric:
        if name in METRICS:
            raise ValueError(f"metric {name!r} is registered twice")
        METRICS[name] = metric
        return metric
    return known


def get_metric(name: str) -> Metric:
    """The metric of that name; UserError with the nearest name where there is none."""
    if name not in METRICS:
        raise unknown("metric", name, METRICS)
    return METRICS[name]


def confusion(gold: NDArray[np.int64], predicted: NDArray[np.int64], labels: int) -> NDArray[np.int64]:
    """How often each label was taken for each [C, C]: rows gold, columns predicted."""
    return np.bincount(gold * labels + predicted, minlength=labels * labels).reshape(labels, labels)


@register_metric("accuracy")
def accuracy(matrix: NDArray[np.int64]) -> float:
    """The share of right predictions."""
    return int(np.trace(matrix)) / int(matrix.sum())


@register_metric("matthews")
def matthews(matrix: NDArray[np.int64]) -> float:
    """Matthews' correlation coefficient (Matthews 1975; of more than two labels Gorodkin 2004, equation 8), as CoLA is scored; 0
    where gold or predictions have one label only."""
    count, right = int(matrix.sum()), int(np.trace(matrix))
    gold, predicted = matrix.sum(axis=1), matrix.sum(axis=0)
    spread_gold = count * count - int(gold @ gold)
    spread_predicted = count * count - int(predicted @ predicted)
    if not spread_gold or not spread_predicted:
        return 0.0
    return (right * count - int(gold @ predicted)) / math.sqrt(spread_gold * spread_predicted)


@register_metric("f1")
def f1(matrix: NDArray[np.int64]) -> float:
    """F1 of the second of two labels, as MRPC and QQP are scored (Wang et al. 2019, GLUE); 0 where it is neither gold nor
    predicted.

    Raises:
        ValueError: a task of more or fewer labels.
    """
    if matrix.shape != (2, 2):
        raise ValueError(f"f1 is of two labels, the task has {len(matrix)}; take macro_f1")
    below = 2 * int(matrix[1, 1]) + int(matrix[0, 1]) + int(matrix[1, 0])
    return 2 * int(matrix[1, 1]) / below if below else 0.0


@register_metric("macro_f1")
def macro_f1(matrix: NDArray[np.int64]) -> float:
    """Mean over the labels of their F1; a label that is neither gold nor predicted counts 0."""
    below = matrix.sum(axis=0) + matrix.sum(axis=1)
    return float(np.mean(2 * np.diag(matrix) / np.where(below, below, 1)))


Correlation = Callable[[NDArray[np.float64], NDArray[np.float64]], float]
"""Gold values [N], predicted values [N] -> correlation."""


def pearson(gold: NDArray[np.float64], predicted: NDArray[np.float64]) -> float:
    """Pearson's correlation; 0 where either is constant."""
    from scipy.stats import pearsonr

    return 0.0 if _constant(gold, predicted) else float(pearsonr(gold, predicted).statistic)


def spearman(gold: NDArray[np.float64], predicted: NDArray[np.float64]) -> float:
    """Spearman's correlation of ranks, ties sharing their mean rank; 0 where either is constant."""
    from scipy.stats import spearmanr

    return 0.0 if _constant(gold, predicted) else float(spearmanr(gold, predicted).statistic)


def _constant(*values: NDArray[np.float64]) -> bool:
    return any(len(each) < 2 or bool((each == each[0]).all()) for each in values)


CORRELATIONS: dict[str, Correlation] = {"pearson": pearson, "spearman": spearman}
"""How values are compared with values."""
