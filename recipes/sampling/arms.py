"""From the figures of runs to those of arms: means over runs with their standard errors, and tests between arms."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats

from pretrain.base.errors import UserError
from recipes.sampling.figures import Figure
from recipes.sampling.runs import Run
from tasks.statistics import holm, paired_t, standard_error

TESTS = ("welch", "paired")
"""Between arms: Welch's t test of independent runs, or a t test of differences, runs paired in their order."""
ALPHA = 0.05


@dataclass(frozen=True)
class Result:
    """What one run gave."""

    run: Run
    figures: dict[tuple[str, str], Figure]
    """By name and subset."""
    bins: list[int]
    """Positions by confidence."""

    def value(self, name: str, subset: str) -> float | None:
        """A figure's value, None where undefined or absent."""
        figure = self.figures.get((name, subset))
        return figure.value if figure else None


@dataclass(frozen=True)
class Mean:
    """Over the runs of an arm."""

    value: float | None
    error: float | None
    """Standard error over runs; None for a single one."""
    runs: int
    """Runs in which the figure is defined."""

    def __str__(self) -> str:
        if self.value is None:
            return "–"
        return f"{self.value:.4f}" + (f" ± {self.error:.4f}" if self.error is not None else "")


@dataclass(frozen=True)
class Comparison:
    """One claim put to a test."""

    claim: int
    """1, 2 or 3: see `recipes.sampling.page`."""
    arm: str
    figure: str
    kind: str
    first: Mean
    """Baseline arm, or sampler p_G, or for claim 2 zero."""
    second: Mean
    difference: float | None
    p: float | None
    """Two-sided; None where there are too few runs or no spread."""
    p_holm: float | None = None
    """Corrected for all tests of the same claim."""


def by_arm(results: Sequence[Result]) -> dict[str, list[Result]]:
    """Results by arm, in the order given."""
    arms: dict[str, list[Result]] = {}
    for result in results:
        arms.setdefault(result.run.arm, []).append(result)
    return arms


def mean(values: Sequence[float | None]) -> Mean:
    """Mean and standard error of the values that are defined."""
    known = [value for value in values if value is not None]
    if not known:
        return Mean(None, None, 0)
    return Mean(float(np.mean(known)), standard_error(known) if len(known) > 1 else None, len(known))


def arm_mean(runs: Sequence[Result], name: str, subset: str) -> Mean:
    """A figure's mean over the runs of an arm."""
    return mean([run.value(name, subset) for run in runs])


def check_pairing(arms: dict[str, list[Result]]) -> None:
    """Refuses `paired` where the arms' runs do not correspond.

    Raises:
        UserError: another number of runs, or another order of recorded seeds.
    """
    (first, baseline), *others = arms.items()
    for arm, runs in others:
        seeds = [[run.run.record["seed"] for run in side] for side in (baseline, runs)]
        if len(baseline) != len(runs) or (None not in seeds[0] + seeds[1] and seeds[0] != seeds[1]):
            raise UserError(f"--test paired: the runs of {first!r} have the seeds {seeds[0]}, those of {arm!r} {seeds[1]}; "
                            "name them in one order, or take --test welch")


def _known(p: float) -> float | None:
    return float(p) if math.isfinite(p) else None


def between(first: Sequence[float], second: Sequence[float], kind: str) -> float | None:
    """Two-sided p that the arms have one mean; None with fewer than two runs a side or without spread."""
    if min(len(first), len(second)) < 2:
        return None
    if kind == "paired":
        return _known(paired_t(np.subtract(second, first)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # identical values: the result is NaN and says so
        return _known(stats.ttest_ind(first, second, equal_var=False).pvalue)


def against_zero(values: Sequence[float]) -> float | None:
    """Two-sided p of a one-sample t test; None with fewer than two runs or without spread."""
    return _known(paired_t(values)) if len(values) > 1 else None


def _comparison(claim: int, arm: str, figure: str, kind: str, first: Mean, second: Mean, p: float | None) -> Comparison:
    gap = None if first.value is None or second.value is None else second.value - first.value
    return Comparison(claim, arm, figure, kind, first, second, gap, p)


def compare(results: Sequence[Result], kind: str) -> list[Comparison]:
    """Every test of the page; p values corrected for the number of tests of the same claim (Holm 1979).

    Args:
        kind: of the tests between arms, a name in TESTS.
    """
    arms = by_arm(results)
    baseline = next(iter(arms.values()))
    found: list[Comparison] = []
    for arm, runs in arms.items():
        if runs is not baseline:
            one, two = ([_defined(run, "overconfident", "hidden") for run in side] for side in (baseline, runs))
            found.append(_comparison(1, arm, "overconfident, hidden", kind, mean(one), mean(two), between(one, two, kind)))
    for arm, runs in arms.items():
        for name, part in (("head_spearman", "correct"), ("head_spearman", "replaced"), ("head_within", "replaced")):
            known = [v for run in runs if (v := run.value(name, f"p_S/{part}")) is not None]
            if known:
                found.append(_comparison(2, arm, f"{name}, {part}", "t against 0", Mean(0.0, None, 0), mean(known),
                                         against_zero(known)))
    for arm, runs in arms.items():
        for name, part in (("rtd_accuracy", "all"), ("rtd_accuracy", "hidden"), ("rtd_auc", "all")):
            pairs = [(a, b) for run in runs if (a := run.value(name, f"p_G/{part}")) is not None
                     and (b := run.value(name, f"p_S/{part}")) is not None]
            if pairs:
                found.append(_comparison(3, arm, f"{name}, {part}", "t of differences", mean([a for a, _ in pairs]),
                                         mean([b for _, b in pairs]), against_zero([b - a for a, b in pairs])))
    for claim in {one.claim for one in found}:
        places = [place for place, one in enumerate(found) if one.claim == claim]
        corrected = holm([math.nan if (p := found[place].p) is None else p for place in places])
        for place, value in zip(places, corrected, strict=True):
            found[place] = replace(found[place], p_holm=_known(value))
    return found


def _defined(result: Result, name: str, subset: str) -> float:
    value = result.value(name, subset)
    assert value is not None, f"{name}, {subset} is defined for every pair"
    return value
