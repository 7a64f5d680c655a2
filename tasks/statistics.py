"""Statistics of scores: intervals, paired tests, corrections, gains. Inputs are plain numbers, nothing is read from files.

Two kinds of spread are kept apart. Over *examples*: the same trained model on other test examples. Over *seeds*: other
trainings. The first says nothing of the second. Examples count as independent of each other, although three XNLI pairs
share a premise and several questions a paragraph; intervals over examples are therefore somewhat too narrow.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

LEVEL = 0.95
"""Confidence of all intervals unless said otherwise."""
RESAMPLES = 2_000
"""Resamples of a bootstrap interval."""
FLIPS = 10_000
"""Random sign flips of a permutation test; the smallest p that it can give is 1 / (FLIPS + 1)."""
EXACT_FLIPS = 14
"""Up to so many differing pairs all sign flips are enumerated instead."""
FEW = 32
"""Up to so many distinct values a resample is drawn as counts of the values, which is the same distribution, much faster."""
ROUNDING = 1e-12
BLOCK = 4_000_000
"""Numbers drawn at a time: bounds memory, changes nothing."""


@dataclass(frozen=True)
class Estimate:
    """A value with the interval [low, high] around it, in the unit of the value, and the count behind it."""

    value: float
    low: float
    high: float
    count: int


def _values(values: ArrayLike, least: int, what: str) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or len(array) < least:
        raise ValueError(f"{what}: expected at least {least} numbers in a row, got shape {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError(f"{what}: not all numbers are finite")
    return array


def standard_error(values: ArrayLike) -> float:
    """Standard error of the mean: sample standard deviation (n - 1) over the root of n; needs two values."""
    array = _values(values, 2, "standard error")
    return float(array.std(ddof=1) / math.sqrt(len(array)))


def _percentiles(means: NDArray[np.float64], level: float) -> tuple[float, float]:
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _resamples(draw: np.random.Generator, count: int, resamples: int) -> Iterator[NDArray[np.int64]]:
    """Which of `count` examples stand in each resample [R, count], some rows at a time."""
    rows = max(1, BLOCK // count)
    for start in range(0, resamples, rows):
        yield draw.integers(0, count, (min(rows, resamples - start), count))


def bootstrap(values: ArrayLike, level: float = LEVEL, resamples: int = RESAMPLES, seed: int = 1) -> Estimate:
    """Mean with its percentile bootstrap interval over examples (Efron 1979).

    Args:
        values: one score per example.
        seed: of an own generator; the global ones are neither used nor changed.
    """
    array = _values(values, 1, "bootstrap")
    draw = np.random.default_rng(seed)
    distinct, counts = np.unique(array, return_counts=True)
    if len(distinct) <= FEW:
        drawn = draw.multinomial(len(array), counts / len(array), resamples)
        return Estimate(float(array.mean()), *_percentiles(drawn @ distinct / len(array), level), len(array))
    means = np.concatenate([array[drawn].mean(1) for drawn in _resamples(draw, len(array), resamples)])
    return Estimate(float(array.mean()), *_percentiles(means, level), len(array))


def bootstrap_share(correct: int, count: int, level: float = LEVEL, resamples: int = RESAMPLES, seed: int = 1) -> Estimate:
    """`bootstrap` of `correct` ones and `count - correct` zeros, whose resampled sums are binomial: no examples needed."""
    if not 0 <= correct <= count or count < 1:
        raise ValueError(f"{correct} of {count} is no share")
    means = np.random.default_rng(seed).binomial(count, correct / count, resamples) / count
    return Estimate(correct / count, *_percentiles(means, level), count)


@dataclass(frozen=True)
class Resampled(Estimate):
    """An estimate with the standard deviation of its resamples, which estimates the standard error."""

    error: float


def bootstrap_counts(counts: ArrayLike, score: Callable[[NDArray[np.int64]], float], level: float = LEVEL,
                     resamples: int = RESAMPLES, seed: int = 1) -> Resampled:
    """Any score of a table of counts (a confusion matrix) with its percentile bootstrap interval over the examples counted."""
    table = np.asarray(counts, dtype=np.int64)
    total = int(table.sum())
    if total < 1 or (table < 0).any():
        raise ValueError(f"bootstrap of counts: expected counts of at least one example, got {total}")
    drawn = np.random.default_rng(seed).multinomial(total, table.ravel() / total, resamples)
    values = np.array([score(row.reshape(table.shape)) for row in drawn])
    return Resampled(score(table), *_percentiles(values, level), total, float(values.std(ddof=1)))


def bootstrap_ratio(numerators: ArrayLike, denominators: ArrayLike, level: float = LEVEL, resamples: int = RESAMPLES,
                    seed: int = 1) -> Estimate:
    """Ratio of two sums over examples with its percentile bootstrap interval: both parts of an example are drawn together.

    F1 of entities is such a ratio over sentences, 2 * right / (predicted + gold). Resamples whose denominators are all zero
    do not count.
    """
    above, below = _pair(numerators, denominators, "bootstrap of a ratio")
    if below.sum() == 0:
        raise ValueError("bootstrap of a ratio: all denominators are zero")
    ratios = []
    for drawn in _resamples(np.random.default_rng(seed), len(above), resamples):
        sums = below[drawn].sum(1)
        ratios.append(above[drawn].sum(1)[sums != 0] / sums[sums != 0])
    return Estimate(float(above.sum() / below.sum()), *_percentiles(np.concatenate(ratios), level), len(above))


def bootstrap_pairs(first: ArrayLike, second: ArrayLike, level: float = LEVEL, resamples: int = RESAMPLES,
                    seed: int = 1) -> Resampled:
    """Pearson's correlation of two scores per example with its percentile bootstrap interval over examples.

    Resamples in which either score is constant do not count; the correlation of a constant is 0.
    """
    x, y = _pair(first, second, "bootstrap of a correlation")
    x, y = ((each - each.mean()) / (each.std() or 1.0) for each in (x, y))  # the sums below would cancel otherwise
    rows = np.stack([x, y, x * x, y * y, x * y])

    def correlation(means: NDArray[np.float64]) -> NDArray[np.float64]:
        spread = (means[2] - means[0] ** 2) * (means[3] - means[1] ** 2)
        kept = spread > ROUNDING
        return (means[4] - means[0] * means[1])[kept] / np.sqrt(spread[kept])

    whole = correlation(rows.mean(1)[:, None])
    values = np.concatenate([correlation(rows[:, drawn].mean(2))
                             for drawn in _resamples(np.random.default_rng(seed), len(x), resamples)])
    if not len(whole) or not len(values):
        return Resampled(0.0, 0.0, 0.0, len(x), 0.0)
    return Resampled(float(whole[0]), *_percentiles(values, level), len(x), float(values.std(ddof=1)))


def ratio_standard_error(numerators: ArrayLike, denominators: ArrayLike) -> float:
    """Standard error of the ratio of two sums over examples, linearised (Cochran 1977, section 6.4); 0 for one example."""
    above, below = _pair(numerators, denominators, "standard error of a ratio")
    if len(above) < 2:
        return 0.0
    rest = above - above.sum() / below.sum() * below
    return float(math.sqrt(len(above) / (len(above) - 1) * (rest ** 2).sum()) / below.sum())


def over_seeds(values: ArrayLike, level: float = LEVEL) -> Estimate:
    """Mean over seeds with Student's t interval (n - 1 degrees of freedom); needs two seeds."""
    array = _values(values, 2, "interval over seeds")
    mean = float(array.mean())
    half = float(stats.t.ppf((1 + level) / 2, len(array) - 1)) * standard_error(array)
    return Estimate(mean, mean - half, mean + half, len(array))


def paired_t(differences: ArrayLike) -> float:
    """Two-sided p of a paired t test: do the differences of seed-matched runs have mean zero?

    NaN where all differences are one and the same number but zero: no spread, no test. 1 where all are zero. What arithmetic
    leaves behind the twelfth decimal of a share is neither a spread nor a difference.
    """
    array = _values(differences, 2, "paired t test")
    if np.ptp(array) < ROUNDING:
        return 1.0 if abs(array[0]) < ROUNDING else math.nan
    return float(stats.ttest_1samp(array, 0.0).pvalue)


def mcnemar(first: ArrayLike, second: ArrayLike) -> float:
    """Two-sided p of McNemar's exact test: two models on the same examples, right (1) or wrong (0) each.

    Given that the models disagree, either is right equally often under the null hypothesis: a binomial test of the
    examples that only one of them has right (McNemar 1947, exact form). 1 where they never disagree.
    """
    one, two = _pair(first, second, "McNemar")
    if not np.isin(one, (0, 1)).all() or not np.isin(two, (0, 1)).all():
        raise ValueError("McNemar: expected 0 or 1 per example; for other scores take sign_flip")
    gained, lost = int((two > one).sum()), int((one > two).sum())
    return float(stats.binomtest(gained, gained + lost).pvalue) if gained + lost else 1.0


def _pair(first: ArrayLike, second: ArrayLike, what: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    one, two = _values(first, 1, what), _values(second, 1, what)
    if len(one) != len(two):
        raise ValueError(f"{what}: {len(one)} and {len(two)} examples are not paired")
    return one, two


def sign_flip(differences: ArrayLike, flips: int = FLIPS, seed: int = 1) -> float:
    """Two-sided p of the paired permutation test: each example's difference could as well have the other sign.

    Exact for up to `EXACT_FLIPS` differences that are not zero, else from `flips` seeded draws, the observed one counted
    in (Phipson and Smyth 2010), so that p is never 0.
    """
    array = _values(differences, 1, "sign flip")
    array = array[array != 0]
    observed = abs(float(array.sum())) * (1 - 1e-12)
    if len(array) <= EXACT_FLIPS:
        signs = np.array(list(itertools.product((1.0, -1.0), repeat=len(array))))
        return float((np.abs(signs @ array) >= observed).mean()) if len(array) else 1.0
    draw = np.random.default_rng(seed)
    distinct, counts = np.unique(np.abs(array), return_counts=True)
    if len(distinct) <= FEW:
        sums = (2 * draw.binomial(counts, 0.5, (flips, len(counts))) - counts) @ distinct
        return (int((np.abs(sums) >= observed).sum()) + 1) / (flips + 1)
    rows = max(1, BLOCK // len(array))
    as_large = 0
    for start in range(0, flips, rows):
        count = min(rows, flips - start)
        kept = draw.integers(0, 2, (count, len(array)), dtype=np.int8)
        as_large += int((np.abs(2 * (kept @ array) - array.sum()) >= observed).sum())
    return (as_large + 1) / (flips + 1)


def paired_bootstrap(first: ArrayLike, second: ArrayLike, level: float = LEVEL, resamples: int = RESAMPLES,
                     seed: int = 1) -> Estimate:
    """Mean difference second - first on the same examples, with the bootstrap interval that keeps pairs together."""
    one, two = _pair(first, second, "paired bootstrap")
    return bootstrap(two - one, level, resamples, seed)


def _ratio_pair(first: ArrayLike, second: ArrayLike, what: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    one, two = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if one.shape != two.shape or one.ndim != 2 or one.shape[1] != 2 or not len(one):
        raise ValueError(f"{what}: {one.shape} and {two.shape} are not paired numerators and denominators")
    return one, two


def _ratios(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """numerator / denominator of [..., 2]; 0 where there is nothing to divide by."""
    return np.divide(sums[..., 0], sums[..., 1], out=np.zeros(sums.shape[:-1]), where=sums[..., 1] != 0)


def paired_ratio_bootstrap(first: ArrayLike, second: ArrayLike, level: float = LEVEL, resamples: int = RESAMPLES,
                           seed: int = 1) -> Estimate:
    """Difference second - first of two ratios of sums over the same examples, with the bootstrap interval that keeps pairs
    together.

    Args:
        first, second: numerator and denominator of each example [N, 2].
    """
    one, two = _ratio_pair(first, second, "paired bootstrap of ratios")
    gaps = [_ratios(two[drawn].sum(1)) - _ratios(one[drawn].sum(1))
            for drawn in _resamples(np.random.default_rng(seed), len(one), resamples)]
    value = float(_ratios(two.sum(0)) - _ratios(one.sum(0)))
    return Estimate(value, *_percentiles(np.concatenate(gaps), level), len(one))


def swap_test(first: ArrayLike, second: ArrayLike, flips: int = FLIPS, seed: int = 1) -> float:
    """Two-sided p of a difference of two ratios of sums: each example's results could as well be the other system's.

    The paired permutation test for scores that are no mean over examples, as F1 of entities (Noreen 1989; Yeh 2000). Exact for
    up to `EXACT_FLIPS` differing examples, else from `flips` seeded draws with the observed one counted in.

    Args:
        first, second: numerator and denominator of each example [N, 2].
    """
    one, two = _ratio_pair(first, second, "swap test")
    observed = abs(float(_ratios(two.sum(0)) - _ratios(one.sum(0)))) * (1 - 1e-12)
    change = (two - one)[(one != two).any(1)]
    if not len(change):
        return 1.0

    def as_large(swapped: NDArray[Any]) -> int:
        moved = swapped @ change
        return int((np.abs(_ratios(two.sum(0) - moved) - _ratios(one.sum(0) + moved)) >= observed).sum())

    if len(change) <= EXACT_FLIPS:
        every = np.array(list(itertools.product((0.0, 1.0), repeat=len(change)))).reshape(-1, len(change))
        return as_large(every) / len(every)
    draw = np.random.default_rng(seed)
    rows = max(1, BLOCK // len(change))
    found = sum(as_large(draw.integers(0, 2, (min(rows, flips - start), len(change)), dtype=np.int8))
                for start in range(0, flips, rows))
    return (found + 1) / (flips + 1)


def holm(p_values: Sequence[float]) -> list[float]:
    """p values corrected for testing all of them (Holm 1979), in the order given: reject where the result is < alpha.

    NaN stays NaN and does not count as a test.
    """
    tested = sorted((p, place) for place, p in enumerate(p_values) if not math.isnan(p))
    result = [math.nan] * len(p_values)
    largest = 0.0
    for rank, (p, place) in enumerate(tested):
        largest = max(largest, min(1.0, p * (len(tested) - rank)))
        result[place] = largest
    return result


def relative_gains(baseline: Mapping[str, float], arm: Mapping[str, float]) -> dict[str, float]:
    """(arm - baseline) / baseline for each key that both have, as a share; keys with a baseline of 0 are left out."""
    return {key: arm[key] / value - 1 for key, value in baseline.items() if key in arm and value > 0}


def mean_of_relative_gains(baseline: Mapping[str, float], arm: Mapping[str, float]) -> float:
    """Mean over languages of each language's relative gain: how Chen et al. (2023) average; NaN without languages."""
    gains = relative_gains(baseline, arm)
    return sum(gains.values()) / len(gains) if gains else math.nan


def relative_gain_of_means(baseline: Mapping[str, float], arm: Mapping[str, float]) -> float:
    """Relative gain of the mean over the languages that both have; low baselines do not inflate it."""
    both = [key for key in baseline if key in arm]
    below = sum(baseline[key] for key in both)
    return sum(arm[key] for key in both) / below - 1 if below > 0 else math.nan


def updates_to_share(curve: Sequence[tuple[float, float]], share: float = 0.9, floor: float = 0.0) -> float | None:
    """The first point of a curve that reaches `share` of the way from `floor` to its last score.

    Only measured points count, nothing is interpolated: the answer depends on where was measured.

    Args:
        curve: (updates or tokens, score) pairs, in any order; the last is the one with the largest first number.
        floor: 0 as in Chen et al. (2023), or the score of chance, so that a model that learnt nothing has no speed.

    Returns:
        That point's first number; None for an empty curve, or where the last score is not above `floor`.
    """
    points = sorted(curve)
    if not points or points[-1][1] <= floor:
        return None
    target = floor + share * (points[-1][1] - floor)
    return next(at for at, score in points if score >= target - 1e-12)
