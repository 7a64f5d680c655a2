"""Arms against each other in how well their new embeddings model the language: held-out loss after the same number of updates, of
each language too, and after the short trainings by which `adapt --lr auto` finds its rate."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from recipes.report.page.blocks import NOTHING, Paragraph, Table, Text, Value, probability, sort_key
from recipes.report.results.arms import sort_arms
from recipes.report.results.cells import pick_baseline
from recipes.report.results.records import Artefact, Collected
from recipes.report.sections.curves import adaptations
from tasks import statistics

MOST_POINTS = 12
"""Updates that a table compares; of more, evenly spaced ones with the first and the last."""
MOST_OF_A_LANGUAGE = 4
"""Updates that the table of each language has; of more, the last alone."""
NOTE = ("Held-out loss, arms against {baseline}: mean over the languages and seeds that all arms have, at the updates where all "
        "of these were measured. Below zero the arm models the new languages better. Student's 95 % interval and paired t test "
        "over seeds, Holm over all lines of a table. An embedding that models a language better need not transfer better.")
RATES_NOTE = ("The search for the learning rate trains every start for so many updates at each rate. At a rate that is too low "
              "for one arm another may look far ahead; what counts is each at its own best.")

Losses = dict[tuple[str, Any, str], dict[float, float]]
"""(arm, seeds of body and embedding, language) -> update, or rate -> loss."""


def loss_tables(found: Collected, baseline: str = "") -> list[Table | Paragraph]:
    """Tables for each condition in which two arms or more were measured at common updates; with a note before the first. Then the
    same of common rates of their searches."""
    tables: list[Table] = []
    rates: list[Table] = []
    for condition, languages in sorted(adaptations(found).items()):
        losses, tokens = _losses(found, languages, _curve)
        compared = _Compared.of(losses, baseline)
        if compared:
            tables += [compared.means(condition, tokens), *compared.each(condition)]
        searched = _Compared.of(_losses(found, languages, _search)[0], baseline)
        if searched:
            rates.append(searched.searched(condition, _search_updates(languages)))
    arms = sort_arms(list(found.arms.values()))
    note = [Paragraph(NOTE.format(baseline=pick_baseline(arms, baseline)))] if tables else []
    return [*note, *tables, *([Paragraph(RATES_NOTE)] if rates else []), *rates]


def _curve(run: Artefact) -> dict[float, float]:
    return {int(point["update"]): float(point["loss"]) for point in run.curve
            if point.get("update") is not None and point.get("loss") is not None}


def _search(run: Artefact) -> dict[float, float]:
    """Of each rate that `adapt --lr auto` tried the held-out loss after it; nothing where the record has none."""
    tried = _search_record(run).get("tried")
    return {float(one["rate"]): float(one["loss"]) for one in (tried if isinstance(tried, list) else [])
            if isinstance(one, dict) and isinstance(one.get("rate"), int | float) and isinstance(one.get("loss"), int | float)}


def _search_record(run: Artefact) -> dict[str, Any]:
    search = run.made.get("lr_search")
    return search if isinstance(search, dict) else {}


def _search_updates(languages: Mapping[str, Sequence[Artefact]]) -> list[int]:
    found = {_search_record(run).get("updates") for runs in languages.values() for run in runs}
    return sorted(one for one in found if isinstance(one, int))


def _losses(found: Collected, languages: Mapping[str, Sequence[Artefact]],
            points: Callable[[Artefact], dict[float, float]]) -> tuple[Losses, dict[float, float]]:
    """All curves of a condition, and the tokens seen at each update. Where the arms of a seed read different data in a language,
    it is left out there: bits per piece of two tokenizers are not the same unit."""
    seeds = {one.fingerprint: one.made.get("seed") for one in found.artefacts if one.kind == "body"}
    seeds |= {score.lineage: score.body_made.get("seed") for score in found.scores if score.body_made}
    losses: Losses = {}
    tokens: dict[float, float] = {}
    for language, runs in languages.items():
        texts: dict[Any, set[str]] = {}
        pairs = [(run, (seeds.get(run.lineage), run.made.get("seed"))) for run in runs]
        for run, pair in pairs:
            texts.setdefault(pair, set()).add(str(run.made.get("data_sha256")))
        for run, pair in pairs:
            if len(texts[pair]) > 1:
                continue
            losses[found.arms.get(run.lineage, run.shown), pair, language] = points(run)
            tokens |= {int(point["update"]): float(point["tokens"]) for point in run.curve
                       if point.get("tokens") and point.get("update") is not None}
    return losses, tokens


class _Compared:
    """Arms at the points that every one of their runs has."""

    def __init__(self, losses: Losses, baseline: str, arms: list[str], seeds: list[Any], languages: list[str], at: list[float]):
        self.losses, self.baseline, self.arms = losses, baseline, arms
        self.seeds, self.languages, self.at = seeds, languages, at

    @classmethod
    def of(cls, losses: Losses, wanted: str) -> _Compared | None:
        """None where there is nothing to compare: one arm, no seed with all languages, or no common point."""
        arms = sort_arms([arm for arm, _, _ in losses])
        if len(arms) < 2:
            return None
        runs = set.intersection(*({(seeds, language) for other, seeds, language in losses if other == arm} for arm in arms))
        # every seed has every language: else means over different languages would be compared
        languages = sorted({language for _, language in runs})
        seeds = [one for one in sorted({seeds for seeds, _ in runs}, key=str)
                 if all((one, language) in runs for language in languages)]
        if not seeds:
            return None
        curves = [losses[arm, one, language] for arm in arms for one in seeds for language in languages]
        at = sorted(set.intersection(*map(set, curves)))
        if len(at) > MOST_POINTS:
            at = [at[round(place * (len(at) - 1) / (MOST_POINTS - 1))] for place in range(MOST_POINTS)]
        return cls(losses, pick_baseline(arms, wanted), arms, seeds, languages, at) if at else None

    def _mean(self, arm: str, at: float, languages: Sequence[str]) -> list[float]:
        """The mean over languages of each seed."""
        return [sum(self.losses[arm, one, language][at] for language in languages) / len(languages) for one in self.seeds]

    def _rows(self, lines: Sequence[tuple[list[Value], float, Sequence[str]]]) -> list[list[Value]]:
        """A row an arm for each line: its first cells, its point, its languages. Holm over all that is compared."""
        gaps = {(place, arm): [mine - other for mine, other in zip(self._mean(arm, at, languages),
                                                                   self._mean(self.baseline, at, languages), strict=True)]
                for place, (_, at, languages) in enumerate(lines) for arm in self.arms if arm != self.baseline}
        p_values = {key: statistics.paired_t(gap) if len(self.seeds) > 1 else float("nan") for key, gap in gaps.items()}
        corrected = dict(zip(p_values, statistics.holm(list(p_values.values())), strict=True))
        rows: list[list[Value]] = []
        for place, (cells, at, languages) in enumerate(lines):
            for arm in self.arms:
                each = self._mean(arm, at, languages)
                mean = sum(each) / len(each)
                tests: list[Value] = [NOTHING, NOTHING, NOTHING] if arm == self.baseline else [
                    _bits(gaps[place, arm]),
                    *(Text(probability(p), sort_key(p)) for p in (p_values[place, arm], corrected[place, arm]))]
                rows.append([*cells, arm, Text(f"{mean:.3f}", mean), *tests])
        return rows

    def _title(self, what: str, condition: str, languages: Sequence[str] = ()) -> str:
        numbers = ", ".join(str(one[0]) for one in self.seeds)
        over = f": mean over {', '.join(languages)}" if languages else ""
        return (f"{what} against {self.baseline}" + (f" ({condition})" if condition else "") + over
                + f"; seed{'s' if len(self.seeds) > 1 else ''} {numbers}")

    def means(self, condition: str, tokens: Mapping[float, float]) -> Table:
        """The mean over the languages at every point."""
        lines: list[tuple[list[Value], float, Sequence[str]]] = [
            ([Text(f"{at:,}", at), Text(f"{tokens[at]:,.0f}", tokens[at]) if at in tokens else NOTHING], at, self.languages)
            for at in self.at]
        return Table(self._title("Held-out loss of the new embeddings", condition, self.languages),
                     ["updates", "tokens seen", *MEASURED], self._rows(lines))

    def each(self, condition: str) -> list[Table]:
        """Each language by itself, where there are several."""
        if len(self.languages) < 2:
            return []
        at = self.at if len(self.at) <= MOST_OF_A_LANGUAGE else self.at[-1:]
        lines: list[tuple[list[Value], float, Sequence[str]]] = [
            ([Text(f"{one:,}", one), language], one, [language]) for one in at for language in self.languages]
        return [Table(self._title("Held-out loss of each new language", condition), ["updates", "language", *MEASURED],
                      self._rows(lines))]

    def searched(self, condition: str, updates: Sequence[int]) -> Table:
        """The mean over the languages after the trainings of the search, at every rate."""
        lines: list[tuple[list[Value], float, Sequence[str]]] = [([Text(f"{at:g}", at)], at, self.languages) for at in self.at]
        told = f"Held-out loss after {' or '.join(map(str, updates))} updates at each rate of the search"
        return Table(self._title(told, condition, self.languages), ["rate", *MEASURED], self._rows(lines))


MEASURED = ["arm", "bits per hidden token", "difference, bits [95 %]", "p, seeds", "p, Holm"]


def _bits(gaps: Sequence[float]) -> Text:
    """The mean of paired differences, with Student's interval where there are several."""
    if len(gaps) == 1:
        return Text(f"{gaps[0]:+.3f}".replace("-", "−"), gaps[0])
    mean = statistics.over_seeds(gaps)
    return Text(f"{mean.value:+.3f} [{mean.low:+.3f}, {mean.high:+.3f}]".replace("-", "−"), mean.value)
