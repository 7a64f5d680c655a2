"""Curves of a report: zero-shot score and held-out loss along the adaptation, loss along pre-training, and how soon."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from recipes.report.page.blocks import Block, Figure, Line, Panel, Table, Text, Value, counted, percent, scored
from recipes.report.results.arms import sort_arms
from recipes.report.results.cells import Cell
from recipes.report.results.records import PRETRAINING, Artefact, Collected, Score
from tasks import statistics

NAN = math.nan
BARS = ("Bars: 95 % interval over examples. With several seeds: thin lines are seeds, the thick one their mean with its interval "
        "over seeds. ")
ON_THE_WAY = ("The last point is the finished embedding: the one with the lowest held-out loss, which need not be the last "
              "update; the mean of several stands at the mean of their updates.")
OWN_RUNS = "Every point is a finished embedding: the end of a run of its own."
AXES = {"updates": "adaptation updates", "tokens": "tokens seen (with repetition)"}


def _at(score: Score, axis: str) -> float | None:
    return score.updates if axis == "updates" else score.tokens


def series_of(scores: Sequence[Score]) -> dict[str, dict[str, list[Score]]]:
    """Arm -> adaptation run -> its scores in the order of updates, the finished one last; of one test, language and
    condition."""
    found: dict[str, dict[str, list[Score]]] = {}
    for score in sorted(scores, key=lambda score: (str(score.seeds), score.final, score.updates or 0)):
        found.setdefault(score.arm, {}).setdefault(f"{score.base} {score.lineage} {score.seeds}", []).append(score)
    return {arm: found[arm] for arm in sort_arms(list(found))}


def _groups(found: Collected) -> dict[tuple[str, str, str], dict[tuple[str, str], list[Score]]]:
    """(task, split, condition) -> languages -> scores of adapted embeddings, where any run was scored more than once."""
    groups: dict[tuple[str, str, str], dict[tuple[str, str], list[Score]]] = {}
    for score in found.scores:
        if score.adapted and score.updates is not None:
            groups.setdefault((*score.test, score.condition), {}).setdefault(score.languages, []).append(score)
    grown = {}
    for key in sorted(groups):
        languages = {pair: scores for pair, scores in sorted(groups[key].items())
                     if any(len(run) > 1 for runs in series_of(scores).values() for run in runs.values())}
        if languages:
            grown[key] = languages
    return grown


def score_figures(found: Collected, styles: dict[str, int]) -> list[Block]:
    """Score against updates and against tokens, a panel a language."""
    blocks: list[Block] = []
    for number, ((task, split, condition), languages) in enumerate(_groups(found).items()):
        first = next(iter(languages.values()))[0].record
        chance = first.get("chance")
        ends = all(score.annealed for scores in languages.values() for score in scores)
        for axis in AXES:
            panels, rows = [], []
            for pair, scores in languages.items():
                lines, names = [], pair[0] if pair[0] == pair[1] else f"{pair[0]}, questions in {pair[1]}"
                for arm, runs in series_of(scores).items():
                    for run in runs.values():
                        points = [(float(at), *_bounds(score)) for score in run if (at := _at(score, axis)) is not None]
                        lines.append(Line(arm, styles[arm], points, thin=len(runs) > 1))
                    rows += _score_rows(names, arm, list(runs.values()), axis)
                    if len(runs) > 1:
                        lines.append(Line(arm, styles[arm], pooled_scores([line.points for line in lines if line.name == arm])))
                if any(line.points for line in lines):
                    panels.append(Panel(names, lines, (float(chance), "chance") if chance else None, share=True))
            if panels:
                blocks.append(Figure(
                    f"score-{number}-{axis}", _caption(
                        f"{task}, split {split}: score {'by budget' if ends else 'along the adaptation'}", condition),
                    AXES[axis], f"{first.get('metric', 'score')}, %", panels,
                    Table(f"{task}, {split}: every point", ["language", "arm", AXES[axis], "score, % [95 %]", "n", "each seed, %",
                                                            "seeds"], rows),
                    {line.name: line.style for panel in panels for line in panel.lines}, axis,
                    BARS + (OWN_RUNS if ends else ON_THE_WAY)))
    return blocks


def _caption(text: str, condition: str) -> str:
    return f"{text} ({condition})" if condition else text


def _bounds(score: Score) -> tuple[float, float, float]:
    return score.estimate.value, score.estimate.low, score.estimate.high


def _score_rows(name: str, arm: str, runs: Sequence[Sequence[Score]], axis: str) -> list[list[Value]]:
    """A row a point of an arm's curve; runs of several seeds share one where they were scored at the same place."""
    together: dict[tuple[float, bool], list[Score]] = {}
    for run in runs:
        for score in run:
            if (at := _at(score, axis)) is not None:
                together.setdefault((float(at), score.final), []).append(score)
    rows: list[list[Value]] = []
    for (at, final), scores in sorted(together.items(), key=lambda item: (item[0][1], item[0][0])):
        cell = Cell(arm, scores)
        counts = sorted({score.estimate.count for score in scores})
        told = ", finished" if final and not all(score.annealed for score in scores) else ""
        rows.append([name, arm, Text(f"{at:,.0f}" + told, at), scored(cell.estimate),
                     counted(counts[-1]), " ".join(percent(float(score.record["score"])) for score in scores),
                     " ".join(str(score.seeds[0]) for score in scores)])
    return rows


Point = tuple[float, float, float, float]


def _pooled(runs: Sequence[Sequence[Point]]) -> list[Point]:
    """Mean over runs, with its t interval, at the points that all of them have."""
    common = set.intersection(*({point[0] for point in run} for run in runs))
    pooled = []
    for at in sorted(common):
        found = statistics.over_seeds([next(point[1] for point in run if point[0] == at) for run in runs])
        pooled.append((at, found.value, found.low, found.high))
    return pooled


def pooled_scores(runs: Sequence[Sequence[Point]]) -> list[Point]:
    """Mean over seeds of earlier points at the updates that all have, and of the finished embeddings, which stop at updates
    of their own, at the mean of these; intervals cut at 0 and 1."""
    runs = [run for run in runs if run]
    if len(runs) < 2:
        return []
    earlier = _pooled([run[:-1] for run in runs])
    last = statistics.over_seeds([run[-1][1] for run in runs])
    at = sum(run[-1][0] for run in runs) / len(runs)
    return [(x, y, max(0.0, low), min(1.0, high)) for x, y, low, high in [*earlier, (at, last.value, last.low, last.high)]]


def adaptations(found: Collected) -> dict[str, dict[str, list[Artefact]]]:
    """Condition -> language -> the new embeddings whose loss was measured along the adaptation. Of those that were never scored
    the initialiser is the condition, where there are several."""
    conditions = {score.base: score.condition for score in found.scores if score.final}
    groups: dict[str, dict[str, list[Artefact]]] = {}
    measured = [one for one in found.artefacts
                if one.kind == "embedding" and one.curve and one.made.get("initialiser") != PRETRAINING]
    starts = {str(one.made.get("initialiser")) for one in measured if one.folder.as_posix() not in conditions}
    for one in measured:
        unscored = str(one.made.get("initialiser")) if len(starts) > 1 else ""
        condition = conditions.get(one.folder.as_posix(), unscored)
        groups.setdefault(condition, {}).setdefault(str(one.record.get("language")), []).append(one)
    return groups


def loss_figures(found: Collected, styles: dict[str, int]) -> list[Block]:
    """Held-out loss of the growing embeddings against updates and against tokens, a panel a language."""
    blocks: list[Block] = []
    for number, (condition, languages) in enumerate(sorted(adaptations(found).items())):
        for axis in AXES:
            panels = []
            rows: list[list[Value]] = []
            for language, members in sorted(languages.items()):
                named = [(found.arms.get(run.lineage, run.shown), run) for run in members]
                panels.append(loss_panel(language, named, styles, "update" if axis == "updates" else "tokens"))
                rows += _loss_rows(language, panels[-1])
            if rows:
                blocks.append(Figure(
                    f"loss-{number}-{axis}", _caption("Held-out loss of the new embeddings", condition), AXES[axis],
                    "held-out loss, bits", panels,
                    Table("Held-out loss: every point", ["language", "arm", AXES[axis], "bits per hidden token", "each seed"],
                          rows),
                    {line.name: line.style for panel in panels for line in panel.lines}, axis,
                    "Bits per hidden token of a language's held-out text; lower is better. It wavers: few tokens are hidden."))
    return blocks


def _loss_rows(language: str, panel: Panel) -> list[list[Value]]:
    """A row an arm and place: the mean over its runs, and each of them."""
    together: dict[tuple[str, float], list[float]] = {}
    several = {line.name for line in panel.lines if line.thin}
    for line in panel.lines:
        if line.thin or line.name not in several:  # the thick line of several seeds is their mean
            for point in line.points:
                together.setdefault((line.name, point[0]), []).append(point[1])
    return [[language, arm, Text(f"{at:,.0f}", at), Text(f"{sum(each) / len(each):.3f}", sum(each) / len(each)),
             " ".join(f"{loss:.3f}" for loss in each)] for (arm, at), each in together.items()]


def loss_panel(title: str, runs: Sequence[tuple[str, Artefact]], styles: dict[str, int], axis: str = "update",
               training: bool = False) -> Panel:
    """A line a run, and the mean of each arm's runs; of held-out curves, or of what was logged in training."""
    count = {arm: sum(other == arm for other, _ in runs) for arm, _ in runs}
    lines = []
    for arm in sort_arms(list(count)):
        own = [[(float(point[axis]), float(point["loss"]), NAN, NAN) for point in (run.training if training else run.curve)
                if point.get(axis) is not None and point.get("loss") is not None] for other, run in runs if other == arm]
        lines += [Line(arm, styles.setdefault(arm, len(styles)), points, thin=count[arm] > 1) for points in own]
        if count[arm] > 1:
            lines.append(Line(arm, styles[arm], _pooled(own)))
    return Panel(title, [line for line in lines if line.points])


def speed(found: Collected) -> Table | None:
    """How soon each arm reaches 90 % of its own final score; None where no adaptation run was scored more than once. Budgets that
    are runs of their own are no points on one run's way."""
    rows: list[list[Value]] = []
    for (task, split, condition), languages in _groups(found).items():
        for pair, scores in languages.items():
            for arm, runs in series_of(scores).items():
                grown = [run for run in runs.values() if len(run) > 1 and not any(score.annealed for score in run)]
                if grown:
                    rows.append(_speed_row(" / ".join(dict.fromkeys(pair)), f"{task}, {split}", condition, arm, grown))
    head = ["language", "task, split", "condition", "arm", "seeds", "n", "final score, % [95 %]", "first scored at, updates",
            "that is % of the final score", "updates to 90 % of the score", "updates to 90 % of what is above chance"]
    if not rows:
        return None
    keep = [place for place, _ in enumerate(head) if place != 2 or any(row[2] for row in rows)]
    return Table("How soon the final score is reached (each arm against its own)", [head[place] for place in keep],
                 [[row[place] for place in keep] for row in rows])


def _speed_row(language: str, test: str, condition: str, arm: str, runs: Sequence[Sequence[Score]]) -> list[Value]:
    """One arm in one language; of several seeds every one's own figure, and all sorted by their mean. Where a record does not say
    what chance is (F1), nothing is counted from it."""
    finals, soon, above, first, shares = [run[-1] for run in runs], [], [], [], []
    for run in runs:
        final, said = run[-1].estimate, run[-1].record.get("chance")
        chance = math.inf if said is None else float(said)  # nothing is known to be above one that is not known
        curve = [(float(score.updates or 0), score.estimate.value) for score in run
                 if (score.updates or 0) <= (run[-1].updates or 0)]
        soon.append(statistics.updates_to_share(curve))
        # at chance there is nothing to reach: the interval of the final score must lie above it
        above.append(statistics.updates_to_share(curve, floor=chance) if final.low > chance else None)
        first.append(min(curve)[0])
        shares.append(min(curve)[1] / final.value if final.value else None)
    return [language, test, condition, arm, " ".join(str(final.seeds[0]) for final in finals),
            counted(max(final.estimate.count for final in finals)), scored(Cell(arm, finals).estimate), _each(first, "–"),
            _each(shares, "–", percent), _each(soon, "–"),
            _each(above, "–" if runs[0][-1].record.get("chance") is None else "not above chance")]


def _each(values: Sequence[float | None], nothing: str, shown: Callable[[float], str] = lambda value: f"{value:,.0f}") -> Text:
    """The figure of every run, once where all are the same; sorted by the mean of those that have one."""
    told = [nothing if value is None else shown(value) for value in values]
    known = [value for value in values if value is not None]
    return Text(" / ".join(told if len(set(told)) > 1 else told[:1]), sum(known) / len(known) if known else None)
