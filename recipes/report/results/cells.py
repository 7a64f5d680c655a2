"""From single records to what a reader compares: cells pooled over seeds, paired comparisons, means, curves.

All scores are shares from 0 to 1 here; the pages print percent.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from recipes.report.results.arms import CONTROL, STANDARD, base_of, body_arm, sort_arms
from recipes.report.results.records import Score
from tasks import statistics
from tasks.statistics import Estimate

ALPHA = 0.05
SEEDS_UP, SEEDS_DOWN, EXAMPLES_UP, EXAMPLES_DOWN = "▲", "▼", "△", "▽"
MARKS = {SEEDS_UP: "better than the baseline over seeds", SEEDS_DOWN: "worse than the baseline over seeds",
         EXAMPLES_UP: "better over examples, for these trainings only",
         EXAMPLES_DOWN: "worse over examples, for these trainings only"}


@dataclass
class Cell:
    """The final scores of one arm in one row, pooled over its seeds."""

    arm: str
    scores: list[Score]

    @property
    def estimate(self) -> Estimate:
        """Over seeds (Student's t) where there are two or more; else over examples."""
        if len(self.scores) > 1:
            return _inside(statistics.over_seeds([float(score.record["score"]) for score in self.scores]))
        return self.scores[0].estimate

    @property
    def basis(self) -> str:
        """What the interval was taken over."""
        return f"{len(self.scores)} seeds" if len(self.scores) > 1 else f"examples, {self.scores[0].interval}"

    @property
    def over_examples(self) -> tuple[float, Estimate] | None:
        """Standard error and bootstrap interval over examples of the mean over seeds; None where examples are not at hand, or
        where seeds were scored on other ones."""
        examples = [score.examples for score in self.scores if score.examples is not None]
        if len({score.data_sha256 for score in self.scores}) > 1 or len(examples) < len(self.scores):
            return None
        total = np.sum(examples, axis=0)
        if len(total) < 2 or (total.ndim == 2 and not total[:, 1].any()):
            return None
        if total.ndim == 2:
            return statistics.ratio_standard_error(*total.T), statistics.bootstrap_ratio(*total.T)
        return statistics.standard_error(total / len(self.scores)), statistics.bootstrap(total / len(self.scores))

    @property
    def error_over_seeds(self) -> float:
        """Standard error of the mean over seeds; NaN for one."""
        return statistics.standard_error([score.record["score"] for score in self.scores]) if len(self.scores) > 1 else math.nan

    @property
    def count(self) -> str:
        """Examples per seed."""
        counts = sorted({int(score.record["n"]) for score in self.scores})
        return f"{counts[0]:,}" if len(counts) == 1 else f"{counts[0]:,} to {counts[-1]:,}"


@dataclass
class Comparison:
    """One arm against the baseline in one row, on the same examples and seeds.

    Attributes:
        difference: arm - baseline, as a share.
        basis: what its interval was taken over.
        p_examples: of McNemar's exact test, the sign-flip test or the swap test; NaN where examples are not at hand.
        p_seeds: of a paired t test over matched seeds; NaN for fewer than two. `_holm`: corrected over the rows.
    """

    arm: str
    difference: Estimate
    basis: str
    seeds: int
    test: str
    p_examples: float
    p_seeds: float
    p_examples_holm: float = math.nan
    p_seeds_holm: float = math.nan

    @property
    def mark(self) -> str:
        """One of `MARKS`, or empty."""
        if self.p_seeds_holm < ALPHA:
            return SEEDS_UP if self.difference.value > 0 else SEEDS_DOWN
        if self.p_examples_holm < ALPHA and self.difference.value != 0:
            return EXAMPLES_UP if self.difference.value > 0 else EXAMPLES_DOWN
        return ""


@dataclass
class Row:
    """One language (or pair of languages) under one condition."""

    languages: tuple[str, str]
    condition: str
    adapted: bool
    cells: dict[str, Cell] = field(default_factory=dict)
    comparisons: dict[str, Comparison] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The language, or both of a mixed pair."""
        context, question = self.languages
        return context if context == question else f"{context}, questions in {question}"


@dataclass
class Mean:
    """Means over the adapted languages that all arms have, under one condition.

    Attributes:
        gains: arm -> (mean difference, mean of relative gains, relative gain of means) against the baseline.
        gaps: arm -> the mean difference of each matched seed that all languages have.
    """

    condition: str
    languages: list[str]
    values: dict[str, Estimate]
    bases: dict[str, str]
    gains: dict[str, tuple[Estimate, float, float]]
    gaps: dict[str, list[float]]


@dataclass
class Matrix:
    """All rows of one task and split."""

    task: str
    split: str
    metric: str
    chance: float
    baseline: str
    arms: list[str]
    rows: list[Row]
    means: list[Mean]


def matrices(scores: Sequence[Score], baseline: str = "") -> list[Matrix]:
    """One matrix a task and split, from final scores."""
    finals = [score for score in scores if score.final]
    return [matrix_of(test, [score for score in finals if score.test == test], baseline)
            for test in sorted({score.test for score in finals})]


def pick_baseline(arms: Sequence[str], wanted: str = "") -> str:
    """`wanted` where it is there, or else another arm of the same bodies; else a standard arm, a matched control, the first.

    Where no body learned its task in the base language alone, every arm is a `standard, learned in de+en`, and so on.
    """
    if wanted in arms:
        return wanted
    body = body_arm(wanted)
    return next((arm for arm in arms if wanted and body_arm(arm) == body), None) \
        or next((arm for kind in (STANDARD, CONTROL) for arm in arms if base_of(arm) == kind), arms[0])


def matrix_of(test: tuple[str, str], scores: Sequence[Score], baseline: str) -> Matrix:
    """The matrix of these scores, which are all of one task and split."""
    arms = sort_arms([score.arm for score in scores])
    baseline = pick_baseline(arms, baseline)
    rows: dict[tuple[tuple[str, str], str], Row] = {}
    for score in scores:
        row = rows.setdefault((score.languages, score.condition), Row(score.languages, score.condition, score.adapted))
        row.cells.setdefault(score.arm, Cell(score.arm, [])).scores.append(score)
    ordered = sorted(rows.values(), key=lambda row: (row.condition, row.adapted, row.languages))
    first = scores[0].record
    matrix = Matrix(*test, str(first.get("metric", "score")), float(first.get("chance") or 0), baseline, arms, ordered, [])
    for row in ordered:
        for cell in row.cells.values():
            cell.scores.sort(key=lambda score: str(score.seeds))
            if arms and cell.arm != baseline and baseline in row.cells:
                compared = compare(row.cells[baseline], cell)
                if compared:
                    row.comparisons[cell.arm] = compared
    _correct(ordered)
    matrix.means = [mean for condition in dict.fromkeys(row.condition for row in ordered)
                    if (mean := _mean(matrix, condition)) is not None]
    return matrix


def _inside(estimate: Estimate) -> Estimate:
    """The interval of a score cut at 0 and 1: Student's t knows no bounds."""
    return Estimate(estimate.value, max(0.0, estimate.low), min(1.0, estimate.high), estimate.count)


def _correct(rows: Iterable[Row]) -> None:
    """Holm over the rows of one condition, for each arm by itself."""
    families: dict[tuple[str, str], list[Comparison]] = {}
    for row in rows:
        for comparison in row.comparisons.values():
            families.setdefault((row.condition, comparison.arm), []).append(comparison)
    for family in families.values():
        for one, examples, seeds in zip(family, statistics.holm([one.p_examples for one in family]),
                                        statistics.holm([one.p_seeds for one in family]), strict=True):
            one.p_examples_holm, one.p_seeds_holm = examples, seeds


def matched(baseline: Cell, arm: Cell) -> list[tuple[Score, Score]]:
    """The scores of both arms with the same seeds on the same data, in the order of the seeds."""
    known = {(score.seeds, score.data_sha256): score for score in baseline.scores}
    return [(known[key], score) for score in arm.scores if (key := (score.seeds, score.data_sha256)) in known]


def compare(baseline: Cell, arm: Cell) -> Comparison | None:
    """The comparison of two cells; None where they share no seed on the same data."""
    pairs = matched(baseline, arm)
    if not pairs:
        return None
    gaps = [float(two.record["score"]) - float(one.record["score"]) for one, two in pairs]
    p_examples, test = _test_examples(pairs)
    if len(pairs) > 1:
        return Comparison(arm.arm, statistics.over_seeds(gaps), f"{len(pairs)} matched seeds", len(pairs), test, p_examples,
                          statistics.paired_t(gaps))
    one, two = pairs[0]
    if one.examples is not None and two.examples is not None:
        paired = statistics.paired_bootstrap if one.examples.ndim == 1 else statistics.paired_ratio_bootstrap
        return Comparison(arm.arm, paired(one.examples, two.examples), "examples, paired bootstrap", 1, test, p_examples,
                          math.nan)
    half = math.hypot(one.estimate.high - one.estimate.low, two.estimate.high - two.estimate.low) / 2
    return Comparison(arm.arm, Estimate(gaps[0], gaps[0] - half, gaps[0] + half, two.estimate.count),
                      "examples, not paired", 1, test, math.nan, math.nan)


def _test_examples(pairs: Sequence[tuple[Score, Score]]) -> tuple[float, str]:
    """p over examples, and of which test; NaN where examples are not at hand.

    Each distinct example counts once: what several seeds give on it is averaged (for ratios of sums: summed) first.
    """
    by_data: dict[str, list[tuple[NDArray[np.float64], NDArray[np.float64]]]] = {}
    for one, two in pairs:
        if one.examples is None or two.examples is None:
            return math.nan, "examples not at hand"
        by_data.setdefault(one.data_sha256, []).append((one.examples, two.examples))
    below, above = (np.concatenate([np.sum([pair[side] for pair in each], axis=0) / (len(each) if each[0][0].ndim == 1 else 1)
                                    for each in by_data.values()]) for side in (0, 1))
    if below.ndim == 2:
        return statistics.swap_test(below, above), "swapped sentences"
    differences = above - below
    whole = bool(np.isin(differences, (-1.0, 0.0, 1.0)).all())
    if whole and pairs[0][0].record.get("metric") == "accuracy":
        return statistics.mcnemar((differences < 0).astype(float), (differences > 0).astype(float)), "McNemar, exact"
    return statistics.sign_flip(differences), "sign flips"


def _mean(matrix: Matrix, condition: str) -> Mean | None:
    rows = [row for row in matrix.rows if row.condition == condition and row.adapted]
    arms = [arm for arm in matrix.arms if any(arm in row.cells for row in rows)]
    rows = [row for row in rows if all(arm in row.cells for arm in arms)]
    if not rows or not arms:
        return None
    values, bases, gains, gaps = {}, {}, {}, {}
    for arm in arms:
        values[arm], bases[arm] = _over_rows([row.cells[arm] for row in rows])
    if matrix.baseline in arms:
        below = {row.name: row.cells[matrix.baseline].estimate.value for row in rows}
        for arm in arms:
            if arm == matrix.baseline or not all(arm in row.comparisons for row in rows):
                continue
            above = {row.name: row.cells[arm].estimate.value for row in rows}
            gaps[arm] = _gaps(rows, matrix.baseline, arm)
            gains[arm] = (_gap_over_rows(rows, arm, gaps[arm]), statistics.mean_of_relative_gains(below, above),
                          statistics.relative_gain_of_means(below, above))
    return Mean(condition, [row.name for row in rows], values, bases, gains, gaps)


def _over_rows(cells: Sequence[Cell]) -> tuple[Estimate, str]:
    """Mean over languages: its t interval over the seeds that all languages have; for one seed the mean of the languages'
    intervals, which is the widest case (languages whose examples are translations of each other move together)."""
    shared = set.intersection(*({score.seeds for score in cell.scores} for cell in cells))
    value = float(np.mean([cell.estimate.value for cell in cells]))
    if len(shared) > 1:
        per_seed = [float(np.mean([score.record["score"] for cell in cells for score in cell.scores if score.seeds == seeds]))
                    for seeds in sorted(shared, key=str)]
        return _inside(statistics.over_seeds(per_seed)), f"{len(shared)} seeds"
    return _widest([cell.estimate for cell in cells], value), "examples, widest case"


def _gaps(rows: Sequence[Row], baseline: str, arm: str) -> list[float]:
    """Mean over the rows of arm - baseline, for each matched seed that all rows have."""
    pairs = [{two.seeds: float(two.record["score"]) - float(one.record["score"])
              for one, two in matched(row.cells[baseline], row.cells[arm])} for row in rows]
    shared = set.intersection(*(set(one) for one in pairs))
    return [float(np.mean([one[seeds] for one in pairs])) for seeds in sorted(shared, key=str)]


def _gap_over_rows(rows: Sequence[Row], arm: str, gaps: Sequence[float]) -> Estimate:
    if len(gaps) > 1:
        return statistics.over_seeds(gaps)
    estimates = [row.comparisons[arm].difference for row in rows]
    return _widest(estimates, float(np.mean([one.value for one in estimates])))


def _widest(estimates: Sequence[Estimate], value: float) -> Estimate:
    return Estimate(value, float(np.mean([one.low for one in estimates])), float(np.mean([one.high for one in estimates])),
                    sum(one.count for one in estimates))
