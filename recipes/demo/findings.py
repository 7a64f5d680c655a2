"""What a demo found, in words and tables; every number is computed from its records (`recipes.demo.records.collect`)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from recipes.demo.arms import described
from recipes.demo.records import by_seed
from recipes.demo.settings import ARMS, CONTROL, FORGETTING, MAIN, SCALED, STANDARD, TEMPORARY, same_rates
from tasks import statistics
from tasks.statistics import Estimate

PAIRS = ((TEMPORARY, CONTROL), (TEMPORARY, SCALED), (FORGETTING, SCALED), (SCALED, STANDARD), (FORGETTING, STANDARD))
"""Arms that are compared, as far as they are there: the first pair differs in nothing but the resets. Beside them, every further
arm with the control's rates is compared with the control."""
MEASURES = {"loss": ("held-out loss, bits", 3, -1), "share": ("nearest word is the translation, share", 3, 1),
            "accuracy": ("zero-shot accuracy", 3, 1)}
"""Figure of a cell -> its name, decimals, and whether more (1) or less (-1) is better."""
ALT = "Held-out loss, alignment and zero-shot accuracy by adaptation updates, and the base language's loss"
"""The picture in words."""
PRIMARY = 60
"""Budget of the primary endpoint, in updates: the loss of the first pair there was fixed before any run (docs/forgetting.md)."""


@dataclass(frozen=True)
class Gap:
    """A difference between two arms at a budget, paired by seed.

    Attributes:
        interval: mean and 95 % interval over seeds (Student's t); of one seed the value alone.
        p: of a paired t test, NaN for one seed.
    """

    one: str
    other: str
    measure: str
    budget: int
    interval: Estimate
    p: float

    @property
    def told(self) -> bool:
        """Whether the interval leaves zero out."""
        return self.interval.low > 0 or self.interval.high < 0

    @property
    def better(self) -> bool:
        return self.interval.value * MEASURES[self.measure][2] > 0


def gap(results: dict[str, Any], one: str, other: str, measure: str, budget: int) -> Gap | None:
    """The difference `one` − `other`; None where no seed has both."""
    first, second = (by_seed(results["cells"], measure, arm=arm, budget=budget) for arm in (one, other))
    differences = [first[seed] - second[seed] for seed in first if seed in second]
    if not differences:
        return None
    if len(differences) == 1:
        return Gap(one, other, measure, budget, Estimate(differences[0], -math.inf, math.inf, 1), math.nan)
    return Gap(one, other, measure, budget, statistics.over_seeds(differences), statistics.paired_t(differences))


def arms_of(results: dict[str, Any]) -> list[str]:
    """The arms that are there, those without resets first."""
    first = (STANDARD, SCALED, CONTROL, TEMPORARY, FORGETTING)
    return sorted(results["settings"]["arms"], key=[*first, *(arm for arm in ARMS if arm not in first)].index)


def further(results: dict[str, Any]) -> tuple[list[str], list[str]]:
    """Of the arms that are variants of `temporary`: those that have the control's learning rates, and the others."""
    arms = [arm for arm in arms_of(results) if arm not in MAIN]
    matched = [arm for arm in arms if same_rates(arm, CONTROL)]
    return matched, [arm for arm in arms if arm not in matched]


def pairs_of(results: dict[str, Any]) -> list[tuple[str, str]]:
    """The comparisons that the arms allow; the last only where the others are not there."""
    arms = results["settings"]["arms"]
    found = [pair for pair in [*PAIRS[:-1], *((arm, CONTROL) for arm in further(results)[0])] if set(pair) <= set(arms)]
    return found or [pair for pair in PAIRS[-1:] if set(pair) <= set(arms)]


def primary_budget(results: dict[str, Any]) -> int:
    budgets = results["settings"]["budgets"]
    return PRIMARY if PRIMARY in budgets else min(budgets)


def crossing(results: dict[str, Any], one: str, other: str) -> tuple[int, int] | None:
    """The two neighbouring budgets between which the mean difference of the loss changes its sign first."""
    found = [(budget, made.interval.value) for budget in results["settings"]["budgets"]
             if (made := gap(results, one, other, "loss", budget))]
    return next(((low, high) for (low, a), (high, b) in itertools.pairwise(found) if a * b < 0), None)


def shown(values: Sequence[float], digits: int) -> str:
    """Mean with the standard deviation between seeds."""
    if not values:
        return "–"
    mean = sum(values) / len(values)
    if len(values) == 1:
        return f"{mean:.{digits}f}"
    return f"{mean:.{digits}f} ({statistics.standard_error(values) * math.sqrt(len(values)):.{digits}f})"


def table(results: dict[str, Any], measure: str) -> str:
    """Markdown: arms by budgets, mean over seeds with the standard deviation between them."""
    _, digits, _ = MEASURES[measure]
    budgets = [budget for budget in results["settings"]["budgets"] if by_seed(results["cells"], measure, budget=budget)]
    lines = ["| arm | " + " | ".join(f"{budget} updates" for budget in budgets) + " |", "|---" * (len(budgets) + 1) + "|"]
    for arm in arms_of(results):
        cells = [shown(list(by_seed(results["cells"], measure, arm=arm, budget=budget).values()), digits) for budget in budgets]
        lines.append(f"| {arm} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def english_table(results: dict[str, Any]) -> str:
    """Markdown: what each arm costs the base language."""
    lines = ["| arm | held-out loss, bits | accuracy |", "|---|---|---|"]
    for arm in arms_of(results):
        cells = [shown(list(by_seed(results["bodies"], name, arm=arm).values()), 3) for name in ("loss", "accuracy")]
        lines.append(f"| {arm} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def gaps(results: dict[str, Any]) -> list[tuple[Gap, float]]:
    """Every comparison with its p corrected (Holm) over all but the primary one, whose own p stays as it is."""
    found = [made for one, other in pairs_of(results) for measure in MEASURES for budget in results["settings"]["budgets"]
             if (made := gap(results, one, other, measure, budget))]
    first = primary(results)
    others = statistics.holm([one.p for one in found if one != first])
    corrected = iter(others)
    return [(one, one.p if one == first else next(corrected)) for one in found]


def primary(results: dict[str, Any]) -> Gap | None:
    """The endpoint that was fixed beforehand; None where the demo has not its two arms or not its budget."""
    there = PAIRS[0] in pairs_of(results) and PRIMARY in results["settings"]["budgets"]
    return gap(results, *PAIRS[0], "loss", PRIMARY) if there else None


def leading(results: dict[str, Any]) -> Gap | None:
    """What the findings begin with: the primary endpoint, else the first comparison at the smallest budget."""
    pairs = pairs_of(results)
    return primary(results) or (gap(results, *pairs[0], "loss", primary_budget(results)) if pairs else None)


def _interval(one: Gap) -> str:
    digits, value = MEASURES[one.measure][1], one.interval
    if value.count == 1:
        return f"{value.value:+.{digits}f}"
    return f"{value.value:+.{digits}f} [{value.low:+.{digits}f}, {value.high:+.{digits}f}]"


def _p(value: float) -> str:
    return "–" if math.isnan(value) else "< 0.001" if value < 0.001 else f"{value:.3f}"


def gap_table(results: dict[str, Any]) -> str:
    """Markdown: every comparison, with the primary one marked."""
    first = primary(results)
    lines = ["| comparison | figure | updates | difference [95 % interval] | p |", "|---|---|---|---|---|"]
    for one, p in gaps(results):
        told = _p(p) + (" (primary)" if one == first else "")
        lines.append(f"| {one.one} − {one.other} | {MEASURES[one.measure][0]} | {one.budget} | {_interval(one)} | {told} |")
    return "\n".join(lines)


def headline(results: dict[str, Any]) -> list[str]:
    """The answer in sentences."""
    first, sentences = leading(results), []
    if first is None:
        return ["No two arms can be compared: run the demo with more of them."]
    seeds = first.interval.count
    if seeds == 1:
        verdict = "one seed says nothing of the spread between bodies"
    elif not first.told:
        verdict = "not told from zero"
    else:
        verdict = f"{first.one} is {'ahead' if first.better else 'behind'}"
    sentences.append(f"**After {first.budget} updates, {first.one} − {first.other} in held-out loss: {_interval(first)} bits "
                     f"over {seeds} seed{'s' if seeds > 1 else ''}: {verdict}.**")
    for one, other in pairs_of(results):
        found = [made for budget in results["settings"]["budgets"] if (made := gap(results, one, other, "loss", budget))]
        text = "; ".join(f"{made.budget}: {_interval(made)}{' *' if made.told else ''}" for made in found)
        turn = crossing(results, one, other)
        told = f"the sign changes between {turn[0]} and {turn[1]} updates" if turn else "the sign does not change"
        sentences.append(f"{one} − {other}, loss by updates: {text}; {told}.")
    return sentences


def write_findings(results: dict[str, Any]) -> str:
    """The page: the picture, the answer, tables, and what can be read from them."""
    settings = results["settings"]
    seeds = ", ".join(map(str, settings["seeds"]))
    return "\n".join([
        "# Does forgetting help? The miniature world" + (", ELECTRA" if settings["backbone"] == "electra" else ""),
        "",
        f"![{ALT}](curves.png)",
        "",
        *(f"- {sentence}" for sentence in headline(results)),
        "",
        f"Seeds {seeds}, each with a world, texts and bodies of its own; languages {', '.join(settings['languages'])}. "
        "Differences are paired by seed, intervals are Student's t over seeds (* leaves zero out); in tables: mean over seeds, "
        "in brackets the standard deviation between them. Every budget is a run of its own whose learning rate has come down to "
        "0, its peak found by `adapt --lr auto`." + _rows(settings.get("initialiser", "random")),
        "",
        *(f"- {arm}: {described(arm, settings['backbone'], settings['updates'])}" for arm in ARMS if arm in settings["arms"]),
        "",
        "## Held-out loss of the new embeddings (bits per hidden token)",
        "",
        table(results, "loss"),
        "",
        "## Words whose nearest base word is their translation (share)",
        "",
        table(results, "share"),
        "",
        *(_zero_shot(results) if settings["scored"] else []),
        "## What it costs the base language",
        "",
        english_table(results),
        "",
        "## All comparisons",
        "",
        "p is a paired t test's, corrected after Holm over all comparisons"
        + (" but the primary one, which was fixed beforehand." if primary(results) else "."),
        *_not_compared(results),
        "",
        gap_table(results),
        "",
    ])


def _not_compared(results: dict[str, Any]) -> list[str]:
    """Arms that stand in the tables alone, and why."""
    matched, others = further(results)
    alone = [] if CONTROL in results["settings"]["arms"] else matched
    return [f"Not compared, {why}: {', '.join(arms)}; their means stand in the tables."
            for arms, why in ((others, "as their learning rates are not the control's"), (alone, f"as `{CONTROL}` is not there"))
            if arms]


def _rows(initialiser: str) -> str:
    if initialiser == "random":
        return ""
    return (f" The rows of every new embedding begin as the initialiser `{initialiser}` makes them; where it reads a dictionary, "
            "it is the world's own.")


def _zero_shot(results: dict[str, Any]) -> list[str]:
    n = next(cell["n"] for cell in results["cells"] if "n" in cell)
    return [
        f"## Zero-shot accuracy (NLI, test split, n = {n:,} a seed and language, chance {results['chance']:.3f})",
        "",
        "The task body was trained on the base language; no labelled example of another language was seen.",
        "",
        table(results, "accuracy"),
        "",
    ]
