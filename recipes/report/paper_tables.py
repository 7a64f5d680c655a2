"""`relexify paper-tables`: a run's results in the layout of the paper's three tables.

Chen et al. (2023), "Improving Language Plasticity via Pretraining with Active Forgetting": XNLI accuracy, MLQA F1 and XQuAD
F1, a column a language, two arms, the relative gain, and its mean over languages. Only numbers of the run are printed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pretrain.base.errors import UserError, unknown
from recipes.report.build import load
from recipes.report.page.blocks import NOTHING, Table, percent
from recipes.report.results.arms import sort_arms
from recipes.report.results.cells import Cell, Matrix, Row, compare, matrices
from recipes.report.sections.tables import unit
from tasks import statistics
from tasks.statistics import Estimate
from tasks.tables import aligned


@dataclass(frozen=True)
class Layout:
    """One of the paper's tables: its task and its languages in the order of its columns."""

    task: str
    title: str
    languages: tuple[str, ...]


LAYOUTS = (
    Layout("xnli", "XNLI, accuracy", ("vi", "sw", "es", "bg", "de", "fr", "el", "ru", "zh", "ur", "hi", "tr", "ar", "th")),
    Layout("mlqa", "MLQA, F1, question and context in one language", ("es", "vi", "de", "zh", "hi", "ar")),
    Layout("xquad", "XQuAD, F1", ("vi", "es", "ru", "de", "el", "zh", "hi", "ar", "th", "tr")),
)
SPLITS = ("test", "dev")
"""Which split is taken where several were scored and none is named."""


def paper_tables(runs: Sequence[str | Path], baseline: str, arm: str, split: str = "", markdown: bool = False) -> str:
    """All tables that the run's results allow, as text or Markdown; what is missing is said.

    Args:
        baseline, arm: names as the report gives them (`recipes.report.results.arms`).
        split: empty: test, else dev.

    Raises:
        UserError: an unknown arm, or no result of any of the three tasks for both arms.
    """
    found = load(runs)
    if not found.scores:
        raise UserError(f"{', '.join(map(str, runs))}: nothing to report: no results.json there; `relexify evaluate` writes them")
    arms = sort_arms([score.arm for score in found.scores])
    for name in (baseline, arm):
        if name not in arms:
            raise unknown("arm", name, arms)
    if baseline == arm:
        raise UserError(f"--baseline and --arm are both {arm!r}; name two arms of {', '.join(arms)}")
    parts, missing = [], []
    for layout in LAYOUTS:
        of_task = [matrix for matrix in matrices(found.scores, baseline) if matrix.task == layout.task]
        matrix = _split(of_task, split)
        made = [_table(layout, matrix, condition, baseline, arm, markdown) for condition in _conditions(matrix)] if matrix else []
        parts += [part for part in made if part]
        if not any(made):
            missing.append(f"{layout.title}: no results of both arms" + (f" on split {split}" if split else "") + ".")
    if not parts:
        tasks = ", ".join(sorted({score.test[0] for score in found.scores}))
        raise UserError(f"{', '.join(map(str, runs))}: no results of {baseline} and {arm} on xnli, mlqa or xquad"
                        + (f", split {split}" if split else "") + f" (found: {tasks})")
    return "\n\n".join([*parts, *missing])


def _split(of_task: Sequence[Matrix], wanted: str) -> Matrix | None:
    order = (wanted,) if wanted else SPLITS
    return next((matrix for name in order for matrix in of_task if matrix.split == name), None)


def _conditions(matrix: Matrix) -> list[str]:
    return list(dict.fromkeys(row.condition for row in matrix.rows if row.adapted))


def _table(layout: Layout, matrix: Matrix, condition: str, baseline: str, arm: str, markdown: bool) -> str:
    same = [row for row in matrix.rows if row.languages[0] == row.languages[1]]
    both = [row for row in same if baseline in row.cells and arm in row.cells]
    adapted = {row.languages[0]: row for row in both if row.adapted and row.condition == condition}
    source = {row.languages[0]: row for row in both if not row.adapted}
    if not adapted:
        return ""
    columns = [*(code for code in layout.languages if code in adapted), *sorted(set(adapted) - set(layout.languages))]
    cells = {name: {code: adapted[code].cells[name] for code in columns} for name in (baseline, arm)}
    values = {name: {code: cell.estimate.value for code, cell in each.items()} for name, each in cells.items()}
    gains = statistics.relative_gains(values[baseline], values[arm])
    rows: list[list[str]] = []
    for name in (baseline, arm):
        ends = [row.cells[name].estimate for row in source.values()]
        estimates = [cells[name][code].estimate for code in columns]
        mean = sum(values[name].values()) / len(columns)
        rows.append([name, *(percent(one.value) for one in estimates), percent(mean), *(percent(one.value) for one in ends)])
        rows.append(["  95 % from", *(percent(one.low) for one in estimates), "", *(percent(one.low) for one in ends)])
        rows.append(["  to", *(percent(one.high) for one in estimates), "", *(percent(one.high) for one in ends)])
    gap = {code: values[arm][code] - values[baseline][code] for code in columns}
    marks = {code: compared.mark for code in columns
             if (compared := adapted[code].comparisons.get(arm) or compare(cells[baseline][code], cells[arm][code]))}
    rows.append(["gain, points", *(f"{percent(gap[code], True)}{marks.get(code, '')}" for code in columns),
                 percent(sum(gap.values()) / len(gap), True),
                 *(percent(row.cells[arm].estimate.value - row.cells[baseline].estimate.value, True) for row in source.values())])
    rows.append(["relative gain, %", *(percent(gains[code], True) if code in gains else NOTHING for code in columns),
                 percent(statistics.mean_of_relative_gains(values[baseline], values[arm]), True),
                 *(percent(_relative(row, baseline, arm), True) for row in source.values())])
    head = ["", *columns, "avg", *(f"{code} (not adapted)" for code in source)]
    notes = _notes(layout, matrix, columns, cells, values, baseline, arm)
    title = f"{layout.title}, %, split {matrix.split}" + (f" ({condition})" if condition else "")
    if markdown:
        from recipes.report.page.markdown import table

        return "\n".join([table(Table(title, head, [list(row) for row in rows])), "", *(f"- {note}" for note in notes)])
    return "\n".join([title, aligned([head, *rows]), *(f"  {note}" for note in notes)])


def _relative(row: Row, baseline: str, arm: str) -> float:
    below: Estimate = row.cells[baseline].estimate
    return row.cells[arm].estimate.value / below.value - 1 if below.value else math.nan


def _notes(layout: Layout, matrix: Matrix, columns: Sequence[str], cells: Mapping[str, Mapping[str, Cell]],
           values: Mapping[str, Mapping[str, float]], baseline: str, arm: str) -> list[str]:
    absent = [code for code in layout.languages if code not in columns]
    extra = [code for code in columns if code not in layout.languages]
    counts = ", ".join(f"{code} {cells[baseline][code].count}" for code in columns)
    seeds = {name: sorted({len(cell.scores) for cell in each.values()}) for name, each in cells.items()}
    of_relative = statistics.mean_of_relative_gains(values[baseline], values[arm])
    of_means = statistics.relative_gain_of_means(values[baseline], values[arm])
    notes = [f"Mean of relative gains {percent(of_relative, True)} % (the paper's average), relative gain of means "
             f"{percent(of_means, True)} %, over {len(columns)} languages.",
             f"{unit(matrix.metric)}; n: {counts}; seeds: "
             + ", ".join(f"{name} {' to '.join(map(str, dict.fromkeys((each[0], each[-1]))))}" for name, each in seeds.items())
             + "; intervals over " + (" / ".join(dict.fromkeys(cell.basis for each in cells.values() for cell in each.values())))
             + "; marks as in the report (▲▼ over seeds, △▽ over examples)."]
    if absent:
        notes.append(f"Not run, left out: {', '.join(absent)}.")
    if extra:
        notes.append(f"Not in the paper's table: {', '.join(extra)}.")
    return notes
