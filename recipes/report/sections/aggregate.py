"""One number for an arm over several tasks, as XTREME has it (Hu et al. 2020): over languages, then over tasks."""

from __future__ import annotations

from collections.abc import Sequence

from recipes.report.page.blocks import Table, Text, Value, percent
from recipes.report.results.cells import Matrix

SPLITS = ("test", "dev")
"""Which split stands for a task that was scored on several: the first of these, else the first there is."""


def one_split(matrices: Sequence[Matrix]) -> list[Matrix]:
    """One matrix for each task, in the order of the tasks."""
    by_task: dict[str, list[Matrix]] = {}
    for matrix in matrices:
        by_task.setdefault(matrix.task, []).append(matrix)
    return [next((matrix for split in SPLITS for matrix in found if matrix.split == split), found[0])
            for found in by_task.values()]


def aggregate_table(matrices: Sequence[Matrix]) -> Table | None:
    """Rows: arms under each condition; columns: the tasks' means over their adapted languages, and the mean of those.

    An arm that lacks a task has no mean over tasks. None where fewer than two tasks were scored in adapted languages.
    """
    chosen = [matrix for matrix in one_split(matrices) if any(mean.values for mean in matrix.means)]
    if len(chosen) < 2:
        return None
    conditions = list(dict.fromkeys(mean.condition for matrix in chosen for mean in matrix.means))
    arms = list(dict.fromkeys(arm for matrix in chosen for arm in matrix.arms))
    rows: list[list[Value]] = []
    for condition in conditions:
        for arm in arms:
            shares = [next((mean.values[arm].value for mean in matrix.means
                            if mean.condition == condition and arm in mean.values), None) for matrix in chosen]
            if all(share is None for share in shares):
                continue
            known = [share for share in shares if share is not None]
            whole = sum(known) / len(known) if len(known) == len(chosen) else None
            rows.append([arm, *([condition] if any(conditions) else []),
                         *("–" if share is None else Text(percent(share), share) for share in (*shares, whole))])
    head = ["arm", *(["condition"] if any(conditions) else []),
            *(f"{matrix.task} {matrix.split} ({matrix.metric}, {_languages(matrix)})" for matrix in chosen), "mean of the tasks"]
    return Table("Over tasks, %: the mean over the adapted languages of each task, and the mean of the tasks", head, rows)


def _languages(matrix: Matrix) -> str:
    counts = sorted({len(mean.languages) for mean in matrix.means})
    shown = str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    return f"{shown} language{'' if counts == [1] else 's'}"
