"""Arms against each other in how well their new embeddings model the language: held-out loss after the same number of updates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from recipes.report.page.blocks import NOTHING, Paragraph, Table, Text, Value, probability, sort_key
from recipes.report.results.arms import sort_arms
from recipes.report.results.cells import pick_baseline
from recipes.report.results.records import Artefact, Collected
from recipes.report.sections.curves import adaptations
from tasks import statistics

MOST_POINTS = 12
"""Updates that a table compares; of more, evenly spaced ones with the first and the last."""
NOTE = ("Held-out loss, arms against {baseline}: mean over the languages and seeds that all arms have, at the updates where all "
        "of these were measured. Below zero the arm models the new languages better. Student's 95 % interval and paired t test "
        "over seeds, Holm over all lines of a table. An embedding that models a language better need not transfer better.")

Losses = dict[tuple[str, Any, str], dict[int, float]]
"""(arm, seeds of body and embedding, language) -> update -> loss."""


def loss_tables(found: Collected, baseline: str = "") -> list[Table | Paragraph]:
    """A table for each condition in which two arms or more were measured at common updates; with a note before the first."""
    tables: list[Table] = []
    for condition, languages in sorted(adaptations(found).items()):
        losses, tokens = _losses(found, languages)
        table = _table(losses, tokens, condition, baseline)
        tables += [table] if table else []
    arms = sort_arms(list(found.arms.values()))
    return [Paragraph(NOTE.format(baseline=pick_baseline(arms, baseline))), *tables] if tables else []


def _losses(found: Collected, languages: Mapping[str, Sequence[Artefact]]) -> tuple[Losses, dict[int, float]]:
    """All curves of a condition, and the tokens seen at each update. Languages whose arms read different data are left out:
    bits per piece of two tokenizers are not the same unit."""
    seeds = {one.fingerprint: one.made.get("seed") for one in found.artefacts if one.kind == "body"}
    seeds |= {score.lineage: score.body_made.get("seed") for score in found.scores if score.body_made}
    losses: Losses = {}
    tokens: dict[int, float] = {}
    for language, runs in languages.items():
        if len({str(run.made.get("data_sha256")) for run in runs}) > 1:
            continue
        for run in runs:
            key = (found.arms.get(run.lineage, run.shown), (seeds.get(run.lineage), run.made.get("seed")), language)
            points = [point for point in run.curve if point.get("update") is not None and point.get("loss") is not None]
            losses[key] = {int(point["update"]): float(point["loss"]) for point in points}
            tokens |= {int(point["update"]): float(point["tokens"]) for point in points if point.get("tokens")}
    return losses, tokens


def _table(losses: Losses, tokens: Mapping[int, float], condition: str, wanted: str) -> Table | None:
    arms = sort_arms([arm for arm, _, _ in losses])
    if len(arms) < 2:
        return None
    baseline = pick_baseline(arms, wanted)
    runs = set.intersection(*({(seeds, language) for other, seeds, language in losses if other == arm} for arm in arms))
    # every seed has every language: else means over different languages would be compared
    languages = sorted({language for _, language in runs})
    seeds = [one for one in sorted({seeds for seeds, _ in runs}, key=str)
             if all((one, language) in runs for language in languages)]
    if not seeds:
        return None
    at = sorted(set.intersection(*(set(losses[arm, one, language]) for arm in arms for one in seeds for language in languages)))
    if len(at) > MOST_POINTS:
        at = [at[round(place * (len(at) - 1) / (MOST_POINTS - 1))] for place in range(MOST_POINTS)]
    if not at:
        return None

    def means(arm: str, update: int) -> list[float]:
        return [sum(losses[arm, one, language][update] for language in languages) / len(languages) for one in seeds]

    gaps = {(update, arm): [mine - other for mine, other in zip(means(arm, update), means(baseline, update), strict=True)]
            for update in at for arm in arms if arm != baseline}
    p_values = {key: statistics.paired_t(gap) if len(seeds) > 1 else float("nan") for key, gap in gaps.items()}
    corrected = dict(zip(p_values, statistics.holm(list(p_values.values())), strict=True))
    rows: list[list[Value]] = []
    for update in at:
        for arm in arms:
            mean = sum(means(arm, update)) / len(seeds)
            tests: list[Value] = [NOTHING, NOTHING, NOTHING] if arm == baseline else [
                _bits(gaps[update, arm]),
                *(Text(probability(p), sort_key(p)) for p in (p_values[update, arm], corrected[update, arm]))]
            seen: Value = Text(f"{tokens[update]:,.0f}", tokens[update]) if update in tokens else NOTHING
            rows.append([Text(f"{update:,}", update), seen, arm, Text(f"{mean:.3f}", mean), *tests])
    numbers = ", ".join(str(one[0]) for one in seeds)
    return Table(f"Held-out loss of the new embeddings against {baseline}" + (f" ({condition})" if condition else "")
                 + f": mean over {', '.join(languages)}; seed{'s' if len(seeds) > 1 else ''} {numbers}",
                 ["updates", "tokens seen", "arm", "bits per hidden token", "difference, bits [95 %]", "p, seeds", "p, Holm"],
                 rows)


def _bits(gaps: Sequence[float]) -> Text:
    """The mean of paired differences, with Student's interval where there are several."""
    if len(gaps) == 1:
        return Text(f"{gaps[0]:+.3f}".replace("-", "−"), gaps[0])
    mean = statistics.over_seeds(gaps)
    return Text(f"{mean.value:+.3f} [{mean.low:+.3f}, {mean.high:+.3f}]".replace("-", "−"), mean.value)
