"""Arms against each other at every adaptation budget: means over languages, paired differences, where their sign changes.

A budget is how long an embedding was adapted (the embeddings of `adapt --save-embeddings-at` and the finished one), or how much
text there was (`prepare --tokens`). At each budget the means are over the same languages; a difference is paired by seed.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from recipes.report.page.blocks import (
    NOTHING,
    Block,
    Figure,
    Line,
    Panel,
    Paragraph,
    Table,
    Text,
    Value,
    percent,
    probability,
    scored,
    sort_key,
)
from recipes.report.results.arms import sort_arms
from recipes.report.results.cells import MARKS, Comparison, Matrix, Mean, matrix_of, pick_baseline
from recipes.report.results.records import Score
from recipes.report.sections.tables import unit
from tasks import statistics
from tasks.statistics import Estimate

UPDATES, TEXT = "updates", "text"
AXES = {"updates": "adaptation updates", "tokens": "tokens seen (with repetition)", TEXT: "tokens of text"}
NOTE = ("In each pair of plots, left: mean over the languages named, with its 95 % interval; right: difference from {baseline} "
        "on the same seeds, with its 95 % interval; above 0 the arm is better. Intervals are Student's t over seeds; with one "
        "seed they are over examples and say nothing of other trainings. Arms stand a little beside each other so that their "
        "bars can be seen.")


@dataclass
class Budget:
    """All arms at one budget.

    Attributes:
        at: updates, or tokens of text: what budgets are ordered by.
        tokens: seen by then; None where nothing says it, or where the budget is text.
        finished: the embedding that the adaptation chose, rather than one saved on the way.
        annealed: every embedding here ended a run of its own, at this budget and at the others.
        comparisons: arm -> its mean difference from the baseline; p is corrected over the budgets.
    """

    at: int
    tokens: int | None
    finished: bool
    matrix: Matrix
    mean: Mean
    annealed: bool = False
    comparisons: dict[str, Comparison] = field(default_factory=dict)


@dataclass
class Growth:
    """One task and split under one condition, along its budgets.

    Attributes:
        kind: `updates` or `text`.
        languages: what means are over: those that every arm has at every budget where it has any.
        left_out: adapted languages that are not.
    """

    test: tuple[str, str]
    condition: str
    kind: str
    baseline: str
    arms: list[str]
    languages: list[str]
    left_out: list[str]
    budgets: list[Budget]

    @property
    def name(self) -> str:
        """Task and split, and the condition where there is one."""
        return f"{self.test[0]}, split {self.test[1]}" + (f" ({self.condition})" if self.condition else "")

    @property
    def metric(self) -> str:
        """What was scored."""
        return self.budgets[0].matrix.metric


def growths(scores: Sequence[Score], baseline: str = "") -> list[Growth]:
    """Every task, split and condition that was scored at two budgets or more."""
    groups: dict[tuple[str, tuple[str, str], str], dict[tuple[int, bool], list[Score]]] = {}
    for score in scores:
        if not score.adapted:
            continue
        if score.updates is not None:
            place = (_planned(score) if score.final else score.updates, score.final)
            groups.setdefault((UPDATES, score.test, score.condition), {}).setdefault(place, []).append(score)
        if score.final and score.text is not None:
            groups.setdefault((TEXT, score.test, score.besides_text), {}).setdefault((score.text, False), []).append(score)
    found = []
    for (kind, test, condition), budgets in sorted(groups.items(), key=lambda group: (group[0][0] != UPDATES, group[0][1:])):
        if kind == UPDATES:
            budgets = _one_end(budgets)
        made = _growth(kind, test, condition, budgets, baseline) if len(budgets) > 1 else None
        if made:
            found.append(made)
    return found


def _planned(score: Score) -> int:
    """How long the adaptation of a finished embedding took: it may be an earlier one, of the lowest held-out loss."""
    planned = score.made.get("planned_updates")
    return int(planned) if isinstance(planned, int) and planned else score.updates or 0


def _tokens(score: Score) -> int | None:
    """Tokens that an embedding cost: of a finished one, those of the whole adaptation."""
    if not score.final or not score.tokens or not score.updates:
        return score.tokens
    return round(score.tokens * _planned(score) / score.updates)


def _one_end(budgets: dict[tuple[int, bool], list[Score]]) -> dict[tuple[int, bool], list[Score]]:
    """Finished embeddings as one budget: where records do not tell what was planned, they ended at updates of their own."""
    ends = {at: scores for (at, finished), scores in budgets.items() if finished}
    rest = {key: scores for key, scores in budgets.items() if not key[1]}
    if ends:
        everything = [score for scores in ends.values() for score in scores]
        rest[round(sum(at * len(scores) for at, scores in ends.items()) / len(everything)), True] = everything
    return rest


def _growth(kind: str, test: tuple[str, str], condition: str, budgets: dict[tuple[int, bool], list[Score]],
            wanted: str) -> Growth | None:
    """None where no language is left that several budgets share."""
    arms = sort_arms([score.arm for scores in budgets.values() for score in scores])
    baseline = pick_baseline(arms, wanted)
    have = {(arm, key): {score.languages for score in scores if score.arm == arm}
            for key, scores in budgets.items() for arm in arms}
    filled = sorted((pairs for pairs in have.values() if pairs), key=len)
    shared: set[tuple[str, str]] = set()
    while filled and not shared:  # what has the fewest languages goes first where nothing is common to all
        shared = set.intersection(*filled)
        filled = filled[1:]
    made = []
    for at, finished in sorted(budgets):
        scores = [score for score in budgets[at, finished] if score.languages in shared
                  and shared <= have[score.arm, (at, finished)]]
        matrix = matrix_of(test, [_unconditioned(score) for score in scores], baseline) if scores else None
        if matrix is None or not matrix.means:
            continue
        tokens = [_tokens(score) for score in scores]
        seen = round(sum(filter(None, tokens)) / len(tokens)) if kind == UPDATES and all(tokens) else None
        made.append(Budget(at, seen, finished, matrix, matrix.means[0], all(score.annealed for score in scores)))
    if len(made) < 2:
        return None
    _compare(made, arms, baseline)
    every = {score.languages for scores in budgets.values() for score in scores}
    return Growth(test, condition, kind, baseline, arms, _names(shared), _names(every - shared), made)


def _unconditioned(score: Score) -> Score:
    """All scores of a budget are of one condition here, so that they make one mean."""
    return replace(score, condition="")


def _names(pairs: set[tuple[str, str]]) -> list[str]:
    return sorted(" / ".join(dict.fromkeys(pair)) for pair in pairs)


def _compare(budgets: Sequence[Budget], arms: Sequence[str], baseline: str) -> None:
    """Paired t tests of the mean differences, corrected (Holm) over the budgets, each arm by itself."""
    for arm in arms:
        family = []
        for budget in budgets:
            if arm not in budget.mean.gains:
                continue
            gaps = budget.mean.gaps[arm]
            several = len(gaps) > 1
            family.append(Comparison(arm, budget.mean.gains[arm][0], f"{len(gaps)} matched seeds" if several else
                                     "examples, widest case", len(gaps), "", math.nan,
                                     statistics.paired_t(gaps) if several else math.nan))
            budget.comparisons[arm] = family[-1]
        for one, corrected in zip(family, statistics.holm([one.p_seeds for one in family]), strict=True):
            one.p_seeds_holm = corrected


def label(growth: Growth, budget: Budget) -> str:
    """A budget in words."""
    unit_of = "tokens of text" if growth.kind == TEXT else "updates"
    return f"{budget.at:,} {unit_of}" + (", finished" if budget.finished and not budget.annealed else "")


def crossings(growth: Growth, arm: str) -> str:
    """Where the sign of an arm's mean difference changes, and where it is told from zero; empty without a difference."""
    found = [(label(growth, budget), budget.comparisons[arm]) for budget in growth.budgets if arm in budget.comparisons]
    if not found:
        return ""
    told = [(name, one) for name, one in found if abs(one.difference.value) > statistics.ROUNDING]
    changes = [f"between {name} ({percent(one.difference.value, True)}) and {later} ({percent(other.difference.value, True)})"
               for (name, one), (later, other) in itertools.pairwise(told)
               if (one.difference.value > 0) != (other.difference.value > 0)]
    if changes:
        text = f"the sign of the mean difference changes {' and '.join(changes)}"
    elif told:
        where = "all" if len(told) == len(found) else f"{len(told)} of"
        side = "above" if told[0][1].difference.value > 0 else "below"
        text = f"the mean difference is {side} zero at {where} {len(found)} budgets"
    else:
        text = "no mean difference at any budget"
    marked = [f"{name} {one.mark}" for name, one in found if one.mark]
    seeds = max(one.seeds for _, one in found)
    if seeds < 2:
        return f"{arm}: {text} (one seed, so no test over trainings)"
    return f"{arm}: {text}; told from zero over {seeds} seeds " + (f"at {', '.join(marked)}" if marked else "at no budget")


def sentences(found: Sequence[Growth]) -> list[str]:
    """One sentence for each growth in which arms are compared."""
    return [f"{growth.name}, mean over {', '.join(growth.languages)}, by budget against {growth.baseline}: {'. '.join(told)}."
            for growth in found if (told := _told(growth))]


def _told(growth: Growth) -> list[str]:
    return [text for arm in growth.arms if (text := crossings(growth, arm))]


def blocks(found: Sequence[Growth], styles: dict[str, int]) -> list[Block]:
    """Figures, means by arm and budget, differences with their tests, and every language by itself."""
    made: list[Block] = [Paragraph(NOTE.format(baseline=" or ".join(dict.fromkeys(growth.baseline for growth in found))))]
    for number, growth in enumerate(found):
        axes = [UPDATES, "tokens"] if growth.kind == UPDATES else [TEXT]
        made += [one for axis in axes if (one := figure(growth, styles, axis, number)) is not None]
        made += [mean_table(growth), *([against] if (against := difference_table(growth)) else [])]
        told = [f"{text[0].upper()}{text[1:]} (paired t test, Holm over budgets)." for text in _told(growth)]
        if growth.left_out:
            told.append(f"Not in these means, because not every arm has them at every budget: {', '.join(growth.left_out)}.")
        made += [Paragraph(text) for text in told]
    return made


def main_curve(found: Sequence[Growth], styles: dict[str, int]) -> list[Figure]:
    """The figures that a README shows: over updates, or over text where nothing was scored along the updates."""
    kinds = [growth for growth in found if growth.kind == UPDATES] or found
    drawn = [figure(growth, styles, growth.kind, number) for number, growth in enumerate(kinds)]
    return [one for one in drawn if one is not None]


def panels(growth: Growth, styles: dict[str, int], axis: str) -> list[Panel]:
    """Mean score by budget, and difference from the baseline by budget."""
    points = [(float(at), budget) for budget in growth.budgets
              if (at := budget.tokens if axis == "tokens" else budget.at) is not None]
    saved = [at for at, budget in points if not budget.finished and not budget.annealed]
    if saved:  # an end that lies among the points saved on the way would not be told from them
        points = [(at, budget) for at, budget in points if not budget.finished or at > 1.02 * max(saved)]
    if len(points) < 2:
        return []
    chance = growth.budgets[0].matrix.chance
    means = [Line(arm, styles[arm], [(at, *_bounds(budget.mean.values[arm])) for at, budget in points
                                     if arm in budget.mean.values]) for arm in growth.arms]
    gaps = [Line(arm, styles[arm], [(at, *_bounds(budget.comparisons[arm].difference)) for at, budget in points
                                    if arm in budget.comparisons]) for arm in growth.arms if arm != growth.baseline]
    title = growth.test[0] + (f" ({growth.condition})" if growth.condition else "")
    ticks = [at for at, _ in points]
    made = [Panel(f"{title}: mean of {len(growth.languages)}", [line for line in means if line.points],
                  (chance, "chance") if chance else None, share=True, ticks=ticks)]
    if any(line.points for line in gaps):
        made.append(Panel(f"{title}: against {growth.baseline}", [line for line in gaps if line.points], (0.0, ""), share=True,
                          ticks=ticks, y="difference, points"))
    return made


def _bounds(estimate: Estimate) -> tuple[float, float, float]:
    return estimate.value, estimate.low, estimate.high


def figure(growth: Growth, styles: dict[str, int], axis: str, number: int) -> Figure | None:
    """The curve that answers which arm wins at which budget; None where fewer than two points have such an x."""
    drawn = panels(growth, styles, axis)
    if not drawn:
        return None
    return Figure(f"budget-{number}-{axis}", f"{growth.name}: mean over {', '.join(growth.languages)} by budget", AXES[axis],
                  unit(growth.metric), drawn, language_table(growth), {arm: styles[arm] for arm in growth.arms},
                  "" if axis == TEXT else axis, own=True)


def mean_table(growth: Growth) -> Table:
    """Means over the languages: a row a budget, a column an arm."""
    seen = any(budget.tokens is not None for budget in growth.budgets)
    rows: list[list[Value]] = []
    for budget in growth.budgets:
        cells: list[Value] = []
        for arm in growth.arms:
            mark = budget.comparisons[arm].mark if arm in budget.comparisons else ""
            value = budget.mean.values.get(arm)
            cells.append(scored(value, mark=(mark, MARKS.get(mark, ""))) if value else NOTHING)
        tokens = Text(f"{budget.tokens:,}", budget.tokens) if budget.tokens is not None else NOTHING
        rows.append([Text(label(growth, budget), budget.at), *([tokens] if seen else []), *cells,
                     " / ".join(dict.fromkeys(budget.mean.bases.values()))])
    chance = growth.budgets[0].matrix.chance
    return Table(f"{growth.name}: {unit(growth.metric)}, mean over {', '.join(growth.languages)} [95 %], by budget"
                 + (f"; chance {percent(chance)}" if chance else ""),
                 ["budget", *(["tokens seen"] if seen else []), *growth.arms, "interval over"], rows)


def difference_table(growth: Growth) -> Table | None:
    """Each arm against the baseline at each budget, with the tests."""
    rows: list[list[Value]] = [
        [Text(label(growth, budget), budget.at), arm, scored(one.difference, True, (one.mark, MARKS.get(one.mark, ""))),
         Text(percent(budget.mean.gains[arm][1], True), sort_key(budget.mean.gains[arm][1])), one.basis,
         *(Text(probability(p), sort_key(p)) for p in (one.p_seeds, one.p_seeds_holm))]
        for arm in growth.arms for budget in growth.budgets if (one := budget.comparisons.get(arm))]
    head = ["budget", "arm", "mean difference, points [95 %]", "mean of relative gains, %", "interval over", "p, seeds",
            "p, Holm over budgets"]
    return Table(f"{growth.name}: against {growth.baseline} by budget", head, rows) if rows else None


def language_table(growth: Growth) -> Table:
    """Every language at every budget, pooled over seeds."""
    rows: list[list[Value]] = []
    for language, budget in itertools.product(growth.languages, growth.budgets):
        row = next((row for row in budget.matrix.rows if " / ".join(dict.fromkeys(row.languages)) == language), None)
        if row is not None:
            cells: list[Value] = [scored(row.cells[arm].estimate) if arm in row.cells else NOTHING for arm in growth.arms]
            rows.append([language, Text(label(growth, budget), budget.at), *cells,
                         " / ".join(dict.fromkeys(cell.count for cell in row.cells.values())),
                         " / ".join(dict.fromkeys(cell.basis for cell in row.cells.values()))])
    return Table(f"{growth.name}: every language by budget", ["language", "budget", *growth.arms, "n", "interval over"], rows)
