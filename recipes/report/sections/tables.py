"""Tables of a report: the matrix, the comparisons, settings, software, artefacts, and every record by itself."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from recipes.report.page.blocks import Table, Text, Value, code, counted, percent, probability, scored, sort_key
from recipes.report.results.arms import VOLATILE, sort_arms
from recipes.report.results.cells import MARKS, Matrix
from recipes.report.results.records import Collected
from tasks.statistics import Estimate


def unit(metric: str) -> str:
    """How a metric is printed."""
    return {"f1": "F1, %"}.get(metric, f"{metric}, %")


def matrix_table(matrix: Matrix) -> Table:
    """Rows: languages; columns: arms, each score with its interval and mark."""
    conditions = any(row.condition for row in matrix.rows)
    head = ["language", *(["condition"] if conditions else []), *matrix.arms, "n", "interval over"]
    rows: list[list[Value]] = []
    for row in matrix.rows:
        cells: list[Value] = []
        for arm in matrix.arms:
            if arm not in row.cells:
                cells.append("–")
                continue
            mark = row.comparisons[arm].mark if arm in row.comparisons else ""
            estimate = row.cells[arm].estimate
            cells.append(scored(estimate, mark=(mark, MARKS.get(mark, ""))))
        name = row.name if row.adapted else f"{row.name} (source, not adapted)"
        rows.append([name, *([row.condition] if conditions else []), *cells,
                     " / ".join(dict.fromkeys(cell.count for cell in row.cells.values())),
                     " / ".join(dict.fromkeys(cell.basis for cell in row.cells.values()))])
    for mean in matrix.means:
        if len(mean.languages) > 1:
            cells = [scored(mean.values[arm]) if arm in mean.values else "–" for arm in matrix.arms]
            rows.append([f"mean of {len(mean.languages)} adapted", *([mean.condition] if conditions else []), *cells, "as above",
                         " / ".join(dict.fromkeys(mean.bases.values()))])
    return Table(f"{matrix.task}, split {matrix.split}: {unit(matrix.metric)} [95 % interval]"
                 + (f"; chance {percent(matrix.chance)}" if matrix.chance else ""), head, rows)


def cell_table(matrix: Matrix) -> Table:
    """Every cell with both kinds of error: over seeds, and over examples."""
    conditions = any(row.condition for row in matrix.rows)
    rows: list[list[Value]] = []
    for row in matrix.rows:
        for arm in matrix.arms:
            if arm not in row.cells:
                continue
            cell, examples = row.cells[arm], row.cells[arm].over_examples
            own = cell.scores[0].record.get("standard_error") if len(cell.scores) == 1 else None
            error = examples[0] if examples else float(own) if isinstance(own, int | float) else math.nan
            value = cell.estimate.value
            rows.append([row.name, *([row.condition] if conditions else []), arm, Text(percent(value), value),
                         counted(len(cell.scores)), _error(cell.error_over_seeds), _error(error),
                         Text(_bounds(examples[1])) if examples else "–", cell.count])
    head = ["language", *(["condition"] if conditions else []), "arm", "score, %", "seeds", "standard error over seeds",
            "standard error over examples", "bootstrap over examples, 95 %", "n"]
    return Table(f"{matrix.task}, split {matrix.split}: every cell with its errors, in points", head, rows)


def _error(value: float) -> Text:
    return Text("–" if math.isnan(value) else f"{100 * value:.2f}", sort_key(value))


def _bounds(estimate: Estimate) -> str:
    return f"[{percent(estimate.low)}, {percent(estimate.high)}]"


def comparison_table(matrix: Matrix) -> Table | None:
    """Every arm against the baseline; None where there is nothing to compare."""
    conditions = any(row.condition for row in matrix.rows)
    rows: list[list[Value]] = []
    for row in matrix.rows:
        for arm, one in row.comparisons.items():
            rows.append([row.name, *([row.condition] if conditions else []), arm,
                         scored(one.difference, True, (one.mark, MARKS.get(one.mark, ""))),
                         one.basis, row.cells[arm].count, str(one.seeds), one.test,
                         *(Text(probability(p), sort_key(p)) for p in (one.p_examples, one.p_examples_holm, one.p_seeds,
                                                                       one.p_seeds_holm))])
    head = ["language", *(["condition"] if conditions else []), "arm", "difference, points [95 %]", "interval over", "n",
            "seeds", "test over examples", "p, examples", "p, Holm", "p, seeds", "p, seeds, Holm"]
    return Table(f"{matrix.task}, split {matrix.split}: against {matrix.baseline}", head, rows) if rows else None


def gain_table(matrix: Matrix) -> Table | None:
    """Gains averaged over the adapted languages, both ways."""
    rows: list[list[Value]] = []
    for mean in matrix.means:
        for arm, (gap, of_relative, of_means) in mean.gains.items():
            rows.append([*([mean.condition] if any(m.condition for m in matrix.means) else []), arm, str(len(mean.languages)),
                         scored(gap, True), mean.bases[arm], Text(percent(of_relative, True), of_relative),
                         Text(percent(of_means, True), of_means)])
    head = [*(["condition"] if any(m.condition for m in matrix.means) else []), "arm", "languages",
            "mean difference, points [95 %]", "interval over", "mean of relative gains, %", "relative gain of means, %"]
    return Table(f"{matrix.task}, split {matrix.split}: gains over {matrix.baseline}", head, rows) if rows else None


def record_table(found: Collected, chains: Mapping[Path, Sequence[int]]) -> Table:
    """Every record by itself, with the command that wrote it and the file it stands in."""
    rows: list[list[Value]] = []
    for score in sorted(found.scores, key=lambda score: (*score.test, *score.languages, score.arm, score.shown)):
        chain = chains[score.file]
        rows.append([" / ".join(dict.fromkeys(score.languages)), *score.test, score.arm,
                     " ".join(map(str, dict.fromkeys(score.seeds))),
                     counted(score.updates) if score.updates is not None else "not adapted",
                     scored(score.estimate), _error(float(score.record.get("standard_error") or math.nan)),
                     counted(score.estimate.count),
                     Text("", chain[-1], links=tuple((f"[{number}]", f"command-{number}") for number in chain)),
                     code(score.shown)])
    return Table("All records", ["language", "task", "split", "arm", "seeds", "adaptation updates", "score, % [95 %]",
                                 "standard error", "n", "commands, in order", "file"], rows)


def _joined(values: Sequence[Any]) -> str:
    return " / ".join(dict.fromkeys("–" if value is None else str(value) for value in values))


def settings_table(found: Collected) -> tuple[Table | None, Table | None]:
    """Settings of pre-training, a column an arm: those in which arms differ, and those that all share."""
    made: dict[str, list[dict[str, Any]]] = {}
    for lineage in dict.fromkeys(score.lineage for score in found.scores):
        body = next(score.body_made for score in found.scores if score.lineage == lineage)
        here = next((one.record for one in found.artefacts if one.kind == "body" and one.fingerprint == lineage), {})
        made.setdefault(found.arms[lineage], []).append(_flat(body, here))
    order = sort_arms(list(made))
    flat = {arm: made[arm] for arm in order}
    keys = list(dict.fromkeys(key for arm in order for one in flat[arm] for key in one))
    different: list[list[Value]] = []
    same: list[list[Value]] = []
    for key in keys:
        values = [_joined([one.get(key) for one in flat[arm]]) for arm in order]
        if len(set(values)) > 1 and key not in VOLATILE:
            different.append([code(key), *values])
        else:
            same.append([code(key), _joined([one.get(key) for arm in order for one in flat[arm]])])
    return (Table("Pre-training: what the arms differ in", ["setting", *order], different) if different else None,
            Table("Pre-training: what they share", ["setting", "value"], same) if same else None)


def _flat(made: dict[str, Any], record: dict[str, Any]) -> dict[str, Any]:
    """Settings of a body by name: its recipe, what else its record says, and its real shape where the body is at hand."""
    recipe = made.get("recipe")
    flat = dict(recipe) if isinstance(recipe, dict) else {"recipe": recipe} if recipe else {}
    shape = record.get("architecture") or {}
    for name, value in shape.items():
        flat[name] = flat.get(name) or value  # 0 in a recipe: the architecture's own value
    if record.get("parameters"):
        flat["parameters of the body"] = f"{record['parameters']:,}"
    for key, value in made.items():
        if key == "environment":
            continue
        if isinstance(value, dict) and key != "recipe":
            flat = {f"{key.replace('forgetting', 'forget')}_{name}": each for name, each in value.items()} | flat
        elif key != "recipe":
            flat.setdefault(key, value)
    return flat


def stage_table(found: Collected) -> Table | None:
    """Settings of task adaptation and language adaptation, as far as the artefacts record them."""
    rows: list[list[Value]] = []
    for artefact in found.artefacts:
        made = artefact.made
        if artefact.kind == "task body":
            stage, what = "task adaptation", str((artefact.record.get("task") or {}).get("name", ""))
        elif artefact.kind == "embedding" and made.get("tokens_seen") is not None:
            stage, what = "language adaptation", str(artefact.record.get("language"))
        else:
            continue
        told = ", ".join(f"{key} {value}" for key, value in made.items()
                         if isinstance(value, int | float | str | bool) and not key.endswith(("sha256", "fingerprint")))
        rows.append([stage, what, found.arms.get(artefact.lineage, "–"), told, code(artefact.shown)])
    head = ["stage", "of", "arm", "settings", "folder"]
    return Table("Task and language adaptation, as recorded", head, rows) if rows else None


def environment_table(found: Collected) -> Table:
    """Versions and machines, a column a stage that records them; more than one value where runs differ."""
    stages: dict[str, list[dict[str, Any]]] = {
        "pre-training": [score.body_made for score in found.scores],
        "language adaptation": [score.made for score in found.scores], "task adaptation": []}
    names = {"body": "pre-training", "embedding": "language adaptation", "task body": "task adaptation"}
    for artefact in found.artefacts:
        stages[names[artefact.kind]].append(artefact.made)
    recorded = {stage: [made["environment"] for made in each if isinstance(made.get("environment"), dict)]
                for stage, each in stages.items()}
    recorded["evaluation"] = [{**(score.record.get("software") or {}), "device": score.record.get("device"),
                               "precision": score.record.get("precision")} for score in found.scores]
    columns = [stage for stage, each in recorded.items() if each]
    keys = list(dict.fromkeys(key for stage in columns for one in recorded[stage] for key in one))
    rows: list[list[Value]] = [[key, *(_joined([one[key] for one in recorded[stage] if one.get(key) is not None]) or "–"
                                       for stage in columns)] for key in keys]
    return Table("What the stages ran with" + ("" if len(columns) > 1 else " (only evaluations recorded it)"), ["what", *columns],
                 rows)


def artefact_table(found: Collected) -> Table:
    """Fingerprints of all artefacts below the run, and of those that records name but that do not lie there."""
    rows: list[list[Value]] = [
        [artefact.kind, str(artefact.record.get("language") or (artefact.record.get("task") or {}).get("name") or "–"),
         found.arms.get(artefact.lineage, "–"), code(artefact.shown), code(artefact.fingerprint),
         code(artefact.lineage), code(str(artefact.made.get("data_sha256") or "–"))]
        for artefact in found.artefacts]
    known = {artefact.fingerprint for artefact in found.artefacts}
    for score in found.scores:
        for kind, part in (("task body", "body"), ("embedding", "embedding"), ("embedding", "question_embedding")):
            record = score.record.get(part) or {}
            fingerprint = record.get("fingerprint")
            if fingerprint and fingerprint not in known:
                known.add(fingerprint)
                name = score.test[0] if part == "body" else score.languages[part == "question_embedding"]
                rows.append([kind, name, score.arm, code(f"{record.get('path', '')} (elsewhere, as the record says)"),
                             code(str(fingerprint)), code(str(record.get("lineage") or "–")),
                             code((record.get("made") or {}).get("data_sha256") or "–")])
    return Table("Artefacts", ["kind", "of", "arm", "folder", "fingerprint (SHA-256)", "lineage", "trained on data (SHA-256)"],
                 rows)


def data_table(found: Collected) -> Table:
    """What was scored: files and hashes of the test data."""
    rows: list[list[Value]] = []
    for score in found.scores:
        data = score.record.get("data") or {}
        row: list[Value] = [" / ".join(dict.fromkeys(score.languages)), *score.test, f"{score.record['n']:,}",
                            code(", ".join(map(str, data.get("files") or ["–"]))), code(score.data_sha256 or "–"),
                            "no: " + score.unpaired if score.unpaired else "yes"]
        if row not in rows:
            rows.append(row)
    return Table("Test data", ["language", "task", "split", "n", "file", "SHA-256 of the data", "read for paired tests"], rows)
