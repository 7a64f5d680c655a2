"""The figures of one pair from what was observed of it, see docs/electra.md for what each of them means."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from recipes.sampling.observe import FROM_G, FROM_S, Candidates, Observed

BINS = 10
"""Bins of the histogram of confidence, of one width."""
OVERCONFIDENT = 0.9
"""From this probability of its favourite on, the generator counts as over-confident at a position: the last bin."""
PARTS = ("all", "correct", "replaced")
"""Candidates by truth: all; the original sampled; another token sampled."""


@dataclass(frozen=True)
class Figure:
    """One number of one pair. `value` is None where it is not defined: too few or constant numbers."""

    name: str
    subset: str
    value: float | None
    n: int
    """Positions, candidates or tokens that it is computed from."""


def histogram(confidence: NDArray[np.float32]) -> NDArray[np.int64]:
    """Positions by max p_G in BINS bins of [0, 1]; a border belongs to the bin above it, 1 to the last."""
    # multiplied in double: fp32 0.9 lies below 0.9, and counts as such
    index = np.minimum((confidence.astype(np.float64) * BINS).astype(np.int64), BINS - 1)
    return np.bincount(index, minlength=BINS)


def correlation(kind: str, first: NDArray[np.floating], second: NDArray[np.floating]) -> float | None:
    """Pearson's or Spearman's, None for fewer than three pairs or where one side is constant."""
    first, second = first.astype(np.float64), second.astype(np.float64)
    if len(first) < 3 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return None
    test = stats.pearsonr if kind == "pearson" else stats.spearmanr
    value = float(test(first, second).statistic)
    return value if math.isfinite(value) else None


def area(logit: NDArray[np.floating], replaced: NDArray[np.bool_]) -> float | None:
    """Area under the ROC curve (Mann and Whitney 1947), None without tokens of both kinds."""
    positives, negatives = logit[replaced], logit[~replaced]
    if not len(positives) or not len(negatives):
        return None
    pairs = float(len(positives)) * len(negatives)
    return float(stats.mannwhitneyu(positives, negatives, method="asymptotic").statistic) / pairs


def within(position: NDArray[np.int64], ids: NDArray[np.int64], first: NDArray[np.floating],
           second: NDArray[np.floating]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Both values less their means at the position, at positions with at least two different candidates."""
    if not len(position):
        return np.zeros(0), np.zeros(0)
    _, group = np.unique(position, return_inverse=True)
    count = np.bincount(group)
    low, high = np.full(len(count), np.iinfo(np.int64).max), np.full(len(count), -1)
    np.minimum.at(low, group, ids)
    np.maximum.at(high, group, ids)
    kept = (low < high)[group]
    one, two = ((value - (np.bincount(group, value) / count)[group])[kept] for value in (first, second))
    return one, two


def _mean(values: NDArray) -> float | None:
    return float(values.mean(dtype=np.float64)) if len(values) else None


def _correlations(sampler: str, drawn: Candidates, head: str) -> list[Figure]:
    """Estimated against true loss: the head's estimate, and the surprisal -log p_G that needs no head."""
    found = []
    for part, chosen in zip(PARTS, (np.ones_like(drawn.correct), drawn.correct, ~drawn.correct), strict=True):
        subset, n = f"{sampler}/{part}", int(chosen.sum())
        log_loss, surprisal = drawn.log_loss[chosen].astype(np.float64), -drawn.log_p[chosen].astype(np.float64)
        position, ids = drawn.position[chosen], drawn.ids[chosen]

        def compare(name: str, one: NDArray, other: NDArray, subset: str = subset) -> Figure:
            return Figure(name, subset, correlation("spearman" if "spearman" in name else "pearson", one, other), len(one))

        loss = np.exp(log_loss)
        if head != "none":
            estimate = drawn.log_estimate[chosen].astype(np.float64)
            found.append(compare("head_spearman", estimate, log_loss))
            if head == "loss":
                found += [compare("head_pearson", np.exp(estimate), loss),
                          Figure("estimated_loss", subset, _mean(np.exp(estimate) / math.log(2)), n)]
            found.append(compare("head_log_pearson", estimate, log_loss))
            if part != "correct":  # always the same candidate
                found.append(compare("head_within", *within(position, ids, estimate, log_loss)))
        found += [compare("surprisal_spearman", surprisal, log_loss), compare("surprisal_pearson", surprisal, loss)]
        if part != "correct":
            found.append(compare("surprisal_within", *within(position, ids, surprisal, log_loss)))
        found.append(Figure("true_loss", subset, _mean(loss / math.log(2)), n))
    return found


def _discrimination(sampler: str, drawn: Candidates) -> list[Figure]:
    """How well the discriminator does when replacements are drawn with `sampler`."""
    found = [Figure("correct_samples", f"{sampler}/hidden", _mean(drawn.correct), len(drawn.correct))]
    for part, chosen in (("all", np.ones_like(drawn.hidden)), ("hidden", drawn.hidden)):
        logit, replaced = drawn.logit[chosen].astype(np.float64), drawn.replaced[chosen]
        subset, n = f"{sampler}/{part}", len(logit)
        loss = np.logaddexp(0, np.where(replaced, -logit, logit)) / math.log(2)
        found += [
            Figure("replaced", subset, _mean(replaced), n),
            Figure("rtd_accuracy", subset, _mean((logit > 0) == replaced), n),
            Figure("rtd_auc", subset, area(logit, replaced), n),
            Figure("rtd_recall", subset, _mean(logit[replaced] > 0), int(replaced.sum())),
            Figure("rtd_loss", subset, _mean(loss), n),
        ]
    return found


def figures(observed: Observed) -> list[Figure]:
    """Every figure of one pair. Shares and probabilities from 0 to 1, losses and entropies in bits."""
    at = observed.positions
    found = [Figure(name, "hidden", _mean(values), len(values)) for name, values in (
        ("overconfident", at.confidence.astype(np.float64) >= OVERCONFIDENT), ("confidence", at.confidence),
        ("generator_accuracy", at.right), ("entropy_p_G", at.entropy_g))]
    if observed.head != "none":
        found += [Figure(name, subset, _mean(values), len(values)) for name, subset, values in (
            ("entropy_p_S", "hidden", at.entropy_s), ("total_variation", "hidden", at.distance),
            ("effective_samples", "p_S alone", at.effective), ("effective_samples", "mixture", at.effective_mixed))]
    for sampler in (FROM_G, FROM_S):
        if sampler in observed.candidates:
            drawn = observed.candidates[sampler]
            found += [*_discrimination(sampler, drawn), *_correlations(sampler, drawn, observed.head)]
    return found
