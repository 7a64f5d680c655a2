"""The demo's picture: loss, alignment and zero-shot accuracy by budget, and what each arm costs the base language."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from recipes.demo.findings import MEASURES, arms_of, crossing, pairs_of
from recipes.demo.records import by_seed
from recipes.demo.settings import ARMS, CONTROL, FORGETTING, MAIN, SCALED, STANDARD, TEMPORARY
from tasks import statistics

COLOURS = {STANDARD: "#000000", SCALED: "#56B4E9", CONTROL: "#0072B2", TEMPORARY: "#D55E00", FORGETTING: "#E69F00"}
"""Of Okabe and Ito's palette: told apart by colour-blind readers too."""
FURTHER = ("#009E73", "#CC79A7", "#F0E442", "#777777")
"""Colours of the further arms, by turns; then their lines are dashed, then dotted."""


def look(arm: str) -> tuple[str, str]:
    """Colour and style of an arm's line."""
    if arm in COLOURS:
        return COLOURS[arm], "-"
    turn, place = divmod([one for one in ARMS if one not in MAIN].index(arm), len(FURTHER))
    return FURTHER[place], ("-", "--", ":")[turn]


def _mean(values: Sequence[float]) -> tuple[float, float]:
    """Mean and half-width of its 95 % interval over seeds; 0 for one seed."""
    if len(values) < 2:
        return values[0], 0.0
    found = statistics.over_seeds(values)
    return found.value, found.high - found.value


def picture(results: dict[str, Any], path: Path) -> None:
    """Draws a PNG."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    arms = arms_of(results)
    measures = [measure for measure in MEASURES if by_seed(results["cells"], measure)]
    widths = [3.0] * len(measures) + [2.0]
    figure, axes = pyplot.subplots(1, len(widths), figsize=(1.36 * sum(widths), 3.9), layout="constrained",
                                   gridspec_kw={"width_ratios": widths})
    for axis, measure in zip(axes[:-1], measures, strict=True):
        for place, arm in enumerate(arms):
            points = [(budget, *_mean(list(found.values()))) for budget in results["settings"]["budgets"]
                      if (found := by_seed(results["cells"], measure, arm=arm, budget=budget))]
            aside = 1.03 ** (place - len(arms) / 2)
            axis.errorbar([at * aside for at, _, _ in points], [value for _, value, _ in points], [half for _, _, half in points],
                          color=look(arm)[0], linestyle=look(arm)[1], marker="o", markersize=4, capsize=2, label=arm)
        axis.set_xscale("log")
        axis.set_xticks(results["settings"]["budgets"], [str(budget) for budget in results["settings"]["budgets"]])
        axis.minorticks_off()
        axis.set_title(MEASURES[measure][0], fontsize=10)
        axis.set_xlabel("adaptation updates (a run each)")
        if measure == "accuracy":
            axis.axhline(results["chance"], color="#777777", linestyle=":")
    pairs = pairs_of(results)
    if pairs and (turn := crossing(results, *pairs[0])):
        at = math.sqrt(turn[0] * turn[1])
        axes[0].axvline(at, color="#777777", linestyle="--")
        axes[0].text(at, axes[0].get_ylim()[1], f" {' and '.join(pairs[0])} cross", fontsize=8, va="top")
    losses = [_mean(list(by_seed(results["bodies"], "loss", arm=arm).values())) for arm in arms]
    axes[-1].barh(range(len(arms)), [value for value, _ in losses], xerr=[half for _, half in losses],
                 color=[look(arm)[0] for arm in arms])
    axes[-1].set_yticks(range(len(arms)), arms)
    axes[-1].set_title("cost: base language's loss, bits", fontsize=10)
    axes[0].legend(frameon=False, fontsize=8)
    figure.savefig(path, dpi=130)
    pyplot.close(figure)
