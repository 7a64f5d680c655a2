"""Bodies that learned several tasks at once beside those that learned one: a row of tasks, paired by seed (Liu et al. 2019)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from recipes.report.page.blocks import Table, Value, probability, scored
from recipes.report.results.arms import UNTRAINED, several, single
from recipes.report.results.cells import Matrix, Row, matched
from recipes.report.sections.aggregate import one_split
from tasks import statistics


def multitask_table(matrices: Sequence[Matrix]) -> Table | None:
    """Rows: arms in the language that they learned their tasks in; columns: tasks, and their mean over those that all arms have.
    Below each multi-task arm its difference from the same body trained on each task alone, over matched seeds.

    None where no body learned several tasks.
    """
    chosen = one_split(matrices)
    arms = list(dict.fromkeys(arm for matrix in chosen for arm in matrix.arms))
    if not any(map(several, arms)):
        return None
    cells = {(matrix.task, arm): row.cells[arm] for matrix in chosen for row in matrix.rows if _own(row)
             for arm in arms if arm in row.cells}
    shared = [matrix for matrix in chosen if all((matrix.task, arm) in cells for arm in arms)]
    rows: list[list[Value]] = []
    for arm in arms:
        own = [cells.get((matrix.task, arm)) for matrix in chosen]
        by_seed: dict[Any, list[float]] = {}
        for matrix in shared:
            for score in cells[matrix.task, arm].scores:
                by_seed.setdefault(score.seeds, []).append(float(score.record["score"]))
        rows.append([arm, *("–" if cell is None else scored(cell.estimate) for cell in own), *_mean(by_seed, len(shared), False)])
        alone = single(arm)
        if not several(arm) or alone not in arms:
            continue
        gaps: list[Value] = []
        between: dict[Any, list[float]] = {}
        for matrix in chosen:
            pairs = [(cells[matrix.task, one]) for one in (alone, arm) if (matrix.task, one) in cells]
            found = matched(*pairs) if len(pairs) == 2 else []
            each = {two.seeds: float(two.record["score"]) - float(one.record["score"]) for one, two in found}
            gaps.append(scored(statistics.over_seeds(list(each.values())), signed=True) if len(each) > 1
                        else scored(_one(next(iter(each.values()))), signed=True) if each else "–")
            if matrix in shared:
                for seeds, gap in each.items():
                    between.setdefault(seeds, []).append(gap)
        rows.append([f"… less {alone}", *gaps, *_mean(between, len(shared), True)])
    head = ["arm", *(f"{matrix.task} {matrix.split} ({matrix.metric})" for matrix in chosen),
            f"mean of {len(shared)}", "p, paired t"]
    return Table("Several tasks at once, %: scores in the language of training, and the difference from one task at a time over "
                 "matched seeds, in points [95 % interval over seeds]", head, rows)


def _own(row: Row) -> bool:
    """Whether a row is of the language of training alone (of questions: on both sides), by heads that were trained."""
    return not row.adapted and row.languages[0] == row.languages[1] and not row.condition.startswith(UNTRAINED)


def _mean(by_seed: Mapping[Any, Sequence[float]], tasks: int, signed: bool) -> list[Value]:
    """The mean over tasks with its interval over the seeds that have all of them; of differences also p."""
    whole = [float(np.mean(values)) for _, values in sorted(by_seed.items(), key=str) if len(values) == tasks]
    if not tasks or not whole:
        return ["–", ""]
    if len(whole) == 1:
        return [scored(_one(whole[0]), signed=signed), ""]
    return [scored(statistics.over_seeds(whole), signed=signed), probability(statistics.paired_t(whole)) if signed else ""]


def _one(value: float) -> statistics.Estimate:
    """A number without an interval."""
    return statistics.Estimate(value, float("nan"), float("nan"), 1)
