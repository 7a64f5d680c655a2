"""`relexify report`: all results below the folders of a run as one self-contained HTML page and one Markdown page.

Read without loading a model, so it works on any machine and while the run still goes on. The same records give the same
pages byte for byte: they hold no date.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from pretrain.base.errors import UserError, unknown
from pretrain.base.files import atomic_file, atomic_folder, refuse_existing
from pretrain.base.outputs import makes
from recipes.report.page.blocks import Block, Commands, Items, Paragraph, Section, interval, number_of, percent
from recipes.report.page.layout import Picture, Report
from recipes.report.results import arms as report_arms
from recipes.report.results import examples as report_examples
from recipes.report.results.cells import EXAMPLES_DOWN, EXAMPLES_UP, MARKS, SEEDS_DOWN, SEEDS_UP, Matrix, Mean, matrices
from recipes.report.results.collect import collect
from recipes.report.results.commands import trace
from recipes.report.results.records import Collected
from recipes.report.sections import budgets as report_budgets
from recipes.report.sections.aggregate import aggregate_table
from recipes.report.sections.curves import loss_figures, score_figures, speed
from recipes.report.sections.losses import loss_tables
from recipes.report.sections.multitask import multitask_table
from recipes.report.sections.pretraining import pretraining, training
from recipes.report.sections.tables import (
    artefact_table,
    cell_table,
    comparison_table,
    data_table,
    environment_table,
    gain_table,
    matrix_table,
    record_table,
    settings_table,
    stage_table,
    unit,
)

logger = logging.getLogger(__name__)

PAGES = ("report.html", "report.md")
AVERAGES = ("Two averages that need not agree: the mean of relative gains averages each language's own gain and is what Chen et "
            "al. (2023) print; languages near chance inflate it. The relative gain of means compares the two averages.")
ERRORS = ("Over seeds: how far the mean of other trainings would lie off. Over examples: how far the score of these very "
          "trainings would on other test examples; of several seeds it is that of their mean. Examples of tagging are sentences.")
UNSCORED = ("No task was scored (`relexify evaluate`). The held-out losses of the new embeddings are compared below, under "
            "“Along the adaptation”.")
READING = [
    "A score is zero-shot, unless its arm says otherwise: the task was learnt from labelled examples of the source language "
    "only, and the embedding of the language named was put in its place. Accuracy and F1 are in percent, differences in points.",
    "Square brackets hold a 95 % interval. With two or more seeds it is Student's t over seeds: what another training would "
    "give. With one seed it is a bootstrap over test examples: what other examples would give to this very model. It then "
    "says nothing about other trainings.",
    "Marks compare an arm with the baseline on the same seeds and examples, corrected (Holm) over the languages of a "
    "table, at 0.05: " + "; ".join(f"{mark} {text}" for mark, text in MARKS.items()) + ". No mark: no difference shown, "
    "which is not the same as no difference.",
    "Over examples the test is McNemar's exact one for accuracy, and random sign flips for F1 or where several seeds "
    "share the examples; over seeds it is a paired t test.",
]


def build(runs: Sequence[str | Path], baseline: str = "", title: str = "") -> Report:
    """Collects, compares and lays out.

    Args:
        baseline: the arm that the others are compared with; empty: `standard`, else the matched control, else
            the first arm.

    Raises:
        UserError: a folder that is missing, no usable record, or an unknown baseline.
    """
    found = load(runs)
    known = report_arms.sort_arms([score.arm for score in found.scores] or list(found.arms.values()))
    if baseline and baseline not in known:
        raise unknown("arm", baseline, known)
    tables = matrices(found.scores, baseline)
    every = report_arms.sort_arms([*found.arms.values(), *(score.arm for score in found.scores)])
    styles = {arm: place for place, arm in enumerate(every)}
    commands, chains = trace(found)
    grown = report_budgets.growths(found.scores, baseline)
    sections = [
        Section("results", "Results", _results(tables)),
        *([Section("budgets", "By budget", report_budgets.blocks(grown, styles))] if grown else []),
        Section("curves", "Along the adaptation", _curves(found, styles, baseline)),
        Section("pretraining-loss", "Pre-training", [*pretraining(found, styles), *training(found, styles)]),
        Section("settings", "Settings", _settings(found), "how bodies and embeddings were made"),
        Section("environment", "Environment", [environment_table(found)]),
        Section("commands", "Commands", [
            Paragraph("In the order in which they were planned; the list of all records says which lead to a number. Paths are "
                      "as they were typed, so they hold in the folder they were typed in."),
            Commands([(number, known.line, known.source) for number, known in enumerate(commands, 1)])],
            f"{number_of(len(commands), 'command')} that reproduce{'s' if len(commands) == 1 else ''} the numbers"),
        Section("cells", "Errors", [Paragraph(ERRORS), *(cell_table(matrix) for matrix in tables)], "both errors of every cell"),
        Section("records", "All records", [record_table(found, chains), data_table(found)],
                f"{number_of(len(found.scores), 'record')}, each with its commands and its test data"),
        Section("artefacts", "Artefacts", [
            Paragraph("Fingerprints as recorded (SHA-256 of the tensors); `relexify inspect FOLDER` computes them anew. An "
                      "embedding fits every body of its lineage."), artefact_table(found)], "fingerprints and hashes"),
    ]
    problems = [f"{problem.file}: {problem.text}" for problem in found.problems]
    for problem in problems:
        logger.warning(problem)
    named = ", ".join(run.resolve().name for run in found.runs)
    return Report(title or f"relexify: {named}", _summary(found, tables, grown), problems, sections,
                  report_budgets.main_curve(grown, styles))


def load(runs: Sequence[str | Path]) -> Collected:
    """Everything below `runs`, with arms, conditions, examples and intervals filled in."""
    found = collect(runs)
    report_arms.label(found)
    report_examples.fill(found)
    return found


def _results(tables: Sequence[Matrix]) -> list[Block]:
    if not tables:
        return [Paragraph(UNSCORED)]
    arms = report_arms.sort_arms([arm for matrix in tables for arm in matrix.arms])
    blocks: list[Block] = [Items([*report_arms.meanings(arms), *READING])]
    blocks += [table for table in (multitask_table(tables), aggregate_table(tables)) if table is not None]
    for matrix in tables:
        blocks.append(matrix_table(matrix))
        gains, compared = gain_table(matrix), comparison_table(matrix)
        if gains:
            blocks += [gains, Paragraph(AVERAGES)]
        if compared:
            blocks.append(compared)
    return blocks


def _curves(found: Collected, styles: dict[str, int], baseline: str) -> list[Block]:
    quick = speed(found)
    blocks = [*score_figures(found, styles), *([quick] if quick else [])]
    if quick:
        blocks.append(Paragraph("Only points that were scored count, nothing is interpolated. An arm that ends low reaches "
                                "90 % of its own score soon; the last column therefore counts from chance, "
                                "where the records say what it is."))
    elif found.scores and not blocks:
        blocks.append(Paragraph("No adaptation run was scored at more than one update; `relexify adapt --save-embeddings-at` "
                                "keeps the embeddings of earlier updates for that."))
    return [*blocks, *loss_figures(found, styles), *loss_tables(found, baseline)]


def _settings(found: Collected) -> list[Block]:
    blocks: list[Block] = [table for table in (*settings_table(found), stage_table(found)) if table is not None]
    return blocks or [Paragraph("The records say nothing about how the bodies were made.")]


def _summary(found: Collected, tables: Sequence[Matrix], grown: Sequence[report_budgets.Growth]) -> list[str]:
    if not found.scores:
        adapted = sum(one.kind == "embedding" and bool(one.curve) for one in found.artefacts)
        return [f"{number_of(adapted, 'adapted embedding')}, none of them scored on a task: arms "
                f"{'; '.join(report_arms.sort_arms(list(found.arms.values())))}."]
    seeds = sorted({str(score.seeds[0]) for score in found.scores})
    arms = report_arms.sort_arms([score.arm for score in found.scores])
    sentences = [
        f"{number_of(len(found.scores), 'record')}: arms {'; '.join(arms)}; "
        f"pre-training seed{'s' if len(seeds) > 1 else ''} {', '.join(seeds)}."]
    for matrix in tables:
        for mean in matrix.means:
            sentences += [_sentence(matrix, mean)]
    sentences += report_budgets.sentences(grown)
    if len(seeds) == 1:
        sentences.append("One seed: the intervals are over test examples and say nothing about the spread between trainings.")
    if found.repeated:
        sentences.append(f"{number_of(found.repeated, 'record')} found twice, of which each counts once.")
    return sentences


def _sentence(matrix: Matrix, mean: Mean) -> str:
    counts = sorted({cell.count for row in matrix.rows if row.condition == mean.condition for cell in row.cells.values()})
    where = f"{matrix.task}, split {matrix.split}" + (f", {mean.condition}" if mean.condition else "")
    values = "; ".join(f"{arm} {interval(value)}" for arm, value in mean.values.items())
    languages = f"mean of {', '.join(mean.languages)}" if len(mean.languages) > 1 else mean.languages[0]
    text = f"{where}, {unit(matrix.metric)}, {languages} (n = {' or '.join(counts)} each): {values}."
    told = []
    for arm, (gap, _, _) in mean.gains.items():
        compared = [row.comparisons[arm] for row in matrix.rows
                    if row.condition == mean.condition and row.adapted and arm in row.comparisons]
        over_seeds = any(one.seeds > 1 for one in compared)
        up, down = (SEEDS_UP, SEEDS_DOWN) if over_seeds else (EXAMPLES_UP, EXAMPLES_DOWN)
        better, worse = (sum(one.mark == mark for one in compared) for mark in (up, down))
        told.append(f"{arm} {interval(gap, signed=True)}, over {'seeds' if over_seeds else 'examples'} marked better in {better} "
                    f"and worse in {worse} of {len(compared)} languages")
    if told:
        text += f" Against {matrix.baseline}, in points: {'; '.join(told)}."
    if matrix.chance:
        text += f" Chance is {percent(matrix.chance)}."
    return text


def write(report: Report, output: str | Path, overwrite: bool = False) -> None:
    """Writes `OUTPUT/report.html` and `OUTPUT/report.md`, both or neither.

    Raises:
        UserError: an existing output.
    """
    from recipes.report.page.html import render
    from recipes.report.page.markdown import render as render_markdown

    with atomic_folder(output, overwrite) as folder:
        for name, text in zip(PAGES, (render(report), render_markdown(report)), strict=True):
            (folder / name).write_text(text, encoding="utf-8")


def write_curve(report: Report, path: str | Path) -> None:
    """Writes the score by budget of every task, with the differences from the baseline, as one SVG picture.

    Raises:
        UserError: nothing was scored at two budgets.
    """
    from recipes.report.page.svg import standalone

    if not report.curve:
        raise UserError("--curve: nothing was scored at two budgets or more; `relexify adapt --budgets` makes, "
                        "`--save-embeddings-at` keeps embeddings of several lengths, `relexify evaluate` scores them")
    with atomic_file(path) as temporary:
        temporary.write_text(standalone(report.curve), encoding="utf-8")


@makes("a report")
def report(runs: Sequence[str | Path], output: str | Path, baseline: str = "", title: str = "", overwrite: bool = False,
           curve: str | Path = "", picture: str | Path = "", told: str = "") -> Report:
    """Builds and writes a report.

    Args:
        curve: a file for the main curve too, see `write_curve`; empty: none.
        picture: a PNG file that stands first on the HTML page, `told` in words; empty: none.

    Raises:
        UserError: existing output, or one that holds something else than a report; see `build` and `write_curve`.
    """
    if curve:
        refuse_existing(curve, overwrite)
        if Path(curve).suffix.lower() != ".svg":
            raise UserError(f"--curve {curve}: the picture is SVG; give it a name that ends in .svg")
    made = build(runs, baseline, title)
    if picture:
        made.picture = Picture(Path(picture).read_bytes(), told)
    if curve:
        write_curve(made, curve)
    write(made, output, overwrite)
    return made

