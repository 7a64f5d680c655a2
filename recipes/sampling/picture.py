"""The picture of an analysis: confidence of the generator, correlations, accuracy under the two samplers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from recipes.sampling.arms import Result, arm_mean, by_arm
from recipes.sampling.figures import BINS, PARTS
from recipes.sampling.observe import FROM_G, FROM_S

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito's palette without yellow: told apart by colour-blind readers too; markers differ as well."""
MARKERS = "osD^vPX"


def picture(results: Sequence[Result], path: Path) -> None:
    """One PNG of four panels; points are means over runs, bars their standard errors, dots the single runs."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    arms = by_arm(results)
    figure, axes = pyplot.subplots(1, 4, figsize=(19, 4.8), layout="constrained")
    styles: dict[str, dict[str, Any]] = {arm: {"color": COLOURS[n % len(COLOURS)], "marker": MARKERS[n % len(MARKERS)]}
                                         for n, arm in enumerate(arms)}
    panels = (_confidence, _correlations, _accuracies("all", "Accuracy of the discriminator\nall tokens"),
              _accuracies("hidden", "Accuracy of the discriminator\nhidden positions"))
    for axis, panel in zip(axes, panels, strict=True):
        panel(axis, arms, styles)
    handles = [pyplot.Line2D([], [], label=arm, **style) for arm, style in styles.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=min(6, len(arms)), frameon=False)
    figure.savefig(path, dpi=130)
    pyplot.close(figure)


def _points(axis: Any, at: float, runs: list[Result], name: str, subset: str, style: dict[str, Any],
            hollow: bool = False) -> None:
    found = arm_mean(runs, name, subset)
    if found.value is None:
        return
    axis.errorbar(at, found.value, yerr=found.error, capsize=3, markersize=7,
                  markerfacecolor="white" if hollow else style["color"], **style)
    singles = [value for run in runs if (value := run.value(name, subset)) is not None]
    if len(singles) > 1:
        axis.plot([at] * len(singles), singles, linestyle="", marker=".", markersize=4, color=style["color"], alpha=0.6)


def _confidence(axis: Any, arms: dict[str, list[Result]], styles: dict[str, dict[str, Any]]) -> None:
    centres = (np.arange(BINS) + 0.5) / BINS
    for arm, runs in arms.items():
        shares = np.mean([np.array(run.bins) / sum(run.bins) for run in runs], axis=0)
        axis.plot(centres, shares, **styles[arm])
    axis.set(title="Confidence of the generator", xlabel="max p_G at a hidden position", ylabel="share of hidden positions",
             xlim=(0, 1), xticks=np.linspace(0, 1, 6))
    axis.set_ylim(bottom=0)


def _correlations(axis: Any, arms: dict[str, list[Result]], styles: dict[str, dict[str, Any]]) -> None:
    step = 0.8 / len(arms)
    for place, part in enumerate(PARTS):
        for number, (arm, runs) in enumerate(arms.items()):
            at = place - 0.4 + (number + 0.5) * step
            sampler = "p_S" if runs[0].run.head != "none" else "p_G"
            _points(axis, at, runs, "head_spearman", f"{sampler}/{part}", styles[arm])
            _points(axis, at, runs, "surprisal_spearman", f"{sampler}/{part}", styles[arm], hollow=True)
    axis.axhline(0, color="#777777", linewidth=0.8)
    axis.set(title="Estimated and true loss of the discriminator\n(filled: hardness head; hollow: surprisal -log p_G)",
             ylabel="Spearman's correlation", xticks=range(len(PARTS)), xticklabels=[f"{part} samples" for part in PARTS],
             xlim=(-0.5, len(PARTS) - 0.5))


def _accuracies(part: str, title: str) -> Any:
    def panel(axis: Any, arms: dict[str, list[Result]], styles: dict[str, dict[str, Any]]) -> None:
        step = 0.6 / len(arms)
        for number, (arm, runs) in enumerate(arms.items()):
            where = [side - 0.3 + (number + 0.5) * step for side in (0, 1)]
            means = [arm_mean(runs, "rtd_accuracy", f"{sampler}/{part}").value for sampler in (FROM_G, FROM_S)]
            for at, sampler in zip(where, (FROM_G, FROM_S), strict=True):
                _points(axis, at, runs, "rtd_accuracy", f"{sampler}/{part}", styles[arm])
            if None not in means:
                axis.plot(where, means, color=styles[arm]["color"], linewidth=1)
        axis.set(title=title, ylabel="accuracy", xticks=(0, 1), xticklabels=("from p_G", "from p_S"), xlim=(-0.5, 1.5))
    return panel
