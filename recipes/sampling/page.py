"""The summary of an analysis as Markdown and as a record; three claims of Hao et al. 2021 and what these runs say to them."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from recipes.sampling.arms import ALPHA, Comparison, Mean, Result, arm_mean, by_arm
from recipes.sampling.figures import BINS

CLAIMS = {
    1: "Fewer over-confident positions: with a hardness head and focal loss max p_G lies in [0.9, 1] less often",
    2: "The estimated loss correlates positively with the discriminator's true loss",
    3: "The discriminator is less accurate when replacements are drawn from p_S than from p_G",
}
CAVEATS = {
    1: "A weaker generator is less confident too: compare its accuracy, and read confidence above accuracy as over-confidence.",
    2: "On candidates drawn from p_S. Pearson's may rest on a few extreme candidates, Spearman's does not. "
       "`all` mixes samples of the original with replacements, whose losses differ as a whole; the tests are of the two apart. "
       "The estimate of `dist` is p_S/p_G, which lacks a factor of the "
       "position; in the correlation of logarithms within positions that factor falls out. Surprisal is -log p_G of the "
       "candidate, which needs no head.",
    3: "The share of replaced tokens differs between the samplers and accuracy depends on it (always answering `original` "
       "scores 1 - replaced); the AUC does not.",
}


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table, the first column flush left."""
    lines = ["| " + " | ".join(head) + " |", "|---|" + "---:|" * (len(head) - 1)]
    return "\n".join(lines + ["| " + " | ".join(map(str, row)) + " |" for row in rows])


def _p(value: float | None) -> str:
    return "–" if value is None else "< 0.0001" if value < 1e-4 else f"{value:.4f}"


def _signed(value: float | None) -> str:
    return "–" if value is None else f"{value:+.4f}"


def verdict(test: Comparison) -> str:
    """What a test says to its claim: the sign of the difference, and whether it is beyond chance over runs."""
    if test.difference is None:
        return "not defined"
    wanted = test.difference > 0 if test.claim == 2 else test.difference < 0
    direction = "as claimed" if wanted else "no difference" if test.difference == 0 else "the opposite"
    if test.p_holm is None:
        return f"{direction}, untested (too few runs or no spread)"
    return f"{direction}, {'significant' if test.p_holm < ALPHA else 'not significant'}"


def _tests(tests: Sequence[Comparison], first: str, second: str) -> str:
    return table(["arm", "figure", first, second, "difference", "test", "p", "p (Holm)", "verdict"],
                 [[t.arm, t.figure, t.first, t.second, _signed(t.difference), t.kind, _p(t.p), _p(t.p_holm), verdict(t)]
                  for t in tests])


def page(results: Sequence[Result], tests: Sequence[Comparison], settings: dict[str, Any]) -> str:
    """The page: the three claims, then every figure by arm, then the runs."""
    arms = by_arm(results)
    baseline = next(iter(arms))
    heads = {arm: runs[0].run.head for arm, runs in arms.items()}
    with_head = [arm for arm in arms if heads[arm] != "none"]

    def cells(arm: str, *wanted: tuple[str, str]) -> list[Mean]:
        return [arm_mean(arms[arm], *figure) for figure in wanted]

    positions = results[0].figures["overconfident", "hidden"].n
    parts = [
        f"# What the generator samples: {settings['data']}, {settings['split']}",
        f"{settings['blocks']:,} blocks of {settings['tokens_per_sample']} tokens, {positions:,} hidden positions "
        f"(share {settings['mask_prob']}, policy `{settings['mask_policy']}`), the same for every run; draws at each position "
        f"from each distribution: {settings['draws']}; seed {settings['seed']}. p_G is the generator's distribution at "
        f"temperature 1; p_S, where drawn from, has a share of {settings['mixture']} of p_G mixed in. Shares from 0 to 1; losses "
        "and entropies in bits. ± is the standard error over runs (trainings); it knows nothing of the choice of text. "
        f"Significant: p < {ALPHA}, corrected for the number of tests of the same claim (Holm). "
        f"Arms are compared with the first, `{baseline}`"
        + (" (" + {"welch": "Welch's t test, runs independent", "paired": "t test of differences, runs paired in their order"}[
            settings["test"]] + ")." if len(arms) > 1 else "."),
    ]
    for number, claim in CLAIMS.items():
        parts += [f"## {number}. {claim}", _evidence(number, arms, with_head, heads, cells)]
        chosen = [t for t in tests if t.claim == number]
        if chosen:
            parts.append(_tests(chosen, *{1: (baseline, "arm"), 2: ("chance", "arm"), 3: ("from p_G", "from p_S")}[number]))
        elif number == 1:
            parts.append("One arm: nothing to compare with.")
        parts.append(CAVEATS[number])
    keys = list(dict.fromkeys(key for result in results for key in result.figures))
    parts += ["## All figures",
              table(["figure", "subset", *arms], [[name, subset, *(cells(arm, (name, subset))[0] for arm in arms)]
                                                  for name, subset in keys]),
              "## Runs",
              table(["arm", "run", "seed", "updates", "hardness head", "focal γ", "mixture in training"],
                    [[r.run.arm, r.run.name, *("–" if (v := r.run.record[key]) is None else v for key in (
                        "seed", "updates", "hardness_head", "focal_gamma", "hardness_mixture"))] for r in results])]
    return "\n\n".join(parts) + "\n"


def _evidence(number: int, arms: dict[str, list[Result]], with_head: list[str], heads: dict[str, str], cells: Any) -> str:
    if number == 1:
        return table(["arm", "runs", "hardness head", "max p_G ≥ 0.9", "mean max p_G", "generator accuracy", "entropy of p_G"],
                     [[arm, len(runs), heads[arm], *cells(arm, *((name, "hidden") for name in (
                         "overconfident", "confidence", "generator_accuracy", "entropy_p_G")))] for arm, runs in arms.items()])
    if number == 2:
        rows = []
        for arm, head in heads.items():
            estimators = (head, "surprisal") if head != "none" else ("surprisal",)
            for estimator in estimators:
                prefix = "surprisal" if estimator == "surprisal" else "head"
                sampler = "p_S" if head != "none" else "p_G"
                rows.append([arm, estimator, sampler, *cells(
                    arm, *((f"{prefix}_spearman", f"{sampler}/{part}") for part in ("all", "correct", "replaced")),
                    *((f"{prefix}_pearson", f"{sampler}/{part}") for part in ("all", "replaced")),
                    (f"{prefix}_within", f"{sampler}/replaced"))])
        note = "" if with_head else "\n\nNo arm has a hardness head: there is no estimate, only the baseline."
        return table(["arm", "estimator", "drawn from", "Spearman, all", "correct", "replaced", "Pearson, all",
                      "replaced", "within positions, replaced"], rows) + note
    rows = [[arm, sampler, part, *cells(arm, *((name, f"{sampler}/{part}") for name in (
        "rtd_accuracy", "rtd_auc", "rtd_recall", "rtd_loss", "replaced")))]
        for arm in arms for part in ("all", "hidden") for sampler in (("p_G", "p_S") if heads[arm] != "none" else ("p_G",))]
    note = "" if len(with_head) == len(arms) else "\n\nAn arm without a hardness head has no p_S."
    return table(["arm", "drawn from", "positions", "accuracy", "AUC", "recall", "loss", "replaced"], rows) + note


def write_csv(results: Sequence[Result], folder: Path) -> None:
    """`figures.csv` and `histogram.csv`; an undefined value is empty."""
    with open(folder / "figures.csv", "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["arm", "run", "figure", "subset", "value", "n"])
        for result in results:
            for figure in result.figures.values():
                value = "" if figure.value is None else repr(figure.value)
                writer.writerow([result.run.arm, result.run.name, figure.name, figure.subset, value, figure.n])
    with open(folder / "histogram.csv", "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["arm", "run", "from", "to", "positions", "share"])
        for result in results:
            total = sum(result.bins)
            for number, count in enumerate(result.bins):
                writer.writerow([result.run.arm, result.run.name, number / BINS, (number + 1) / BINS, count, repr(count / total)])


def record(results: Sequence[Result], tests: Sequence[Comparison], settings: dict[str, Any]) -> dict[str, Any]:
    """The content of `summary.json`."""
    keys = list(dict.fromkeys(key for result in results for key in result.figures))
    return {
        "format": "relexify-sampling", "version": 1, "settings": settings,
        "runs": [result.run.record for result in results],
        "arms": {arm: [{"figure": name, "subset": subset, "mean": (found := arm_mean(runs, name, subset)).value,
                        "standard_error": found.error, "runs": found.runs} for name, subset in keys
                       if any((name, subset) in run.figures for run in runs)] for arm, runs in by_arm(results).items()},
        "tests": [asdict(test) for test in tests],
    }
