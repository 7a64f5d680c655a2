"""Few-shot learning from several bodies: shares of a task's training examples, several subsamples each (Liu et al. 2019, MT-DNN,
table 7: 0.1, 1, 10 and 100 % of SNLI and SciTail, five subsamples).

The dev score of each run counts, as in the paper; it chose the run's checkpoint. Subsample k is drawn and trained with seed k, so
that bodies are compared on the same examples, pair by pair.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from adapt.artefacts.resources import embedding_of
from pretrain.artefacts.body import Body
from pretrain.base.disk import check_place
from pretrain.base.errors import UserError
from pretrain.base.files import cleaning, read_json, read_object, write_json
from pretrain.base.locks import claimed, sweep_files
from pretrain.stage import changes
from tasks.learning import finetune as alone
from tasks.learning.seeds import SETTINGS, summary_of
from tasks.settings import FinetuneSettings
from tasks.statistics import over_seeds, paired_t
from tasks.tables import aligned

RECORD = "few-shot.json"
VOLATILE = ("seed", "share", "share_seed", "body", "embedding", "updates", "lr")
"""What differs between runs of one folder, or follows from what does."""


@dataclass(frozen=True)
class Run:
    """One training: which body, which share, which subsample."""

    body: str
    share: float
    subsample: int
    settings: FinetuneSettings


def parse_shares(text: str) -> list[float]:
    """`0.001,0.01,0.1,1` -> shares, in rising order.

    Raises:
        UserError: not a list of different shares above 0, at most 1.
    """
    try:
        shares = [float(part) for part in text.split(",")]
    except ValueError:
        shares = []
    if not shares or not all(0 < share <= 1 for share in shares) or len(set(shares)) < len(shares):
        raise UserError(f"--shares {text!r}: expected different shares above 0, at most 1, with commas between them, as "
                        "0.001,0.01,0.1,1")
    return sorted(shares)


def names_of(bodies: Sequence[str]) -> dict[str, str]:
    """Body -> what it is called: the last part of its path that tells all apart.

    Raises:
        UserError: none, or one that is named twice.
    """
    if not bodies or len({Path(body).resolve() for body in bodies}) < len(bodies):
        raise UserError("--body: name each body once, at least one")
    paths = [[part for part in Path(body).resolve().parts if part != "/"] for body in bodies]
    for parts in range(1, 1 + max(map(len, paths))):
        names = ["-".join(path[-parts:]) for path in paths]
        if len(set(names)) == len(names) and all(names):
            return dict(zip(bodies, names, strict=True))
    raise UserError(f"--body: {', '.join(bodies)}: no names tell these folders apart; rename one")


def runs_of(settings: FinetuneSettings, bodies: Sequence[str], shares: Sequence[float], subsamples: int) -> list[Run]:
    """All trainings; each writes `OUTPUT/BODY/SHARE/K`."""
    if subsamples < 1:
        raise UserError(f"--subsamples {subsamples}: expected at least 1")
    return [Run(name, share, number, replace(settings, body=body, share=share, share_seed=number, seed=number,
                                             output=str(Path(settings.output) / name / f"{share:g}" / str(number))))
            for body, name in names_of(bodies).items() for share in shares for number in range(1, subsamples + 1)]


def few_shot(settings: FinetuneSettings, bodies: Sequence[str], shares: Sequence[float], subsamples: int, quiet: bool = False,
             said: Callable[[str], None] = lambda text: None) -> dict[str, Any]:
    """Trains each body on each share and subsample and writes `OUTPUT/few-shot.json`.

    Finished runs are left as they are, one that was cut off resumes; more bodies, shares and subsamples can be added.

    Args:
        settings: of all trainings; body, output, share and seeds of each are its own.
        said: told of each run before it begins.

    Raises:
        UserError: a mistake in settings or files, or an output that holds something else or was made with other settings.
    """
    runs = runs_of(settings, bodies, shares, subsamples)
    output = Path(settings.output)
    made = alone.plan(replace(runs[0].settings, share=1.0), quiet=True).stage.settings
    common = {key: value for key, value in made.items() if key not in VOLATILE} | {
        "given_updates": settings.updates, "given_lr": settings.lr}
    with claimed(output):
        _check(output, common)
        sweep_files(output)
        if not (output / SETTINGS).exists():
            write_json(output / SETTINGS, common)
        trained = []
        for number, run in enumerate(runs, 1):
            said(f"{number:,} of {len(runs):,}: {run.body}, {run.share:g} of the examples, subsample {run.subsample}")
            trained.append((run, _trained(run, quiet)))
        record = record_of(trained)
        write_json(output / RECORD, record)
    return record


def _trained(run: Run, quiet: bool) -> Body:
    """The body of a run, trained where it is not there."""
    place = Path(run.settings.output)
    if not (place / "body.json").exists() or cleaning(place):
        return alone.finetune(run.settings, quiet=quiet)
    body = Body.load(place)
    start = alone.body_fingerprint(run.settings)
    if body.made["body_fingerprint"] != start:
        raise UserError(f"{place}: was trained from another body than {run.settings.body} is now; name another --output")
    if len(run.settings.embedding) < 2:  # several are compared with the other settings
        used = embedding_of(run.settings.body, next(iter(run.settings.embedding), ""))
        record = read_object(used / "embedding.json", "the record of the embedding")
        if record.get("fingerprint") != body.made.get("embedding_fingerprint"):
            raise UserError(f"{place}: was trained with another embedding than {used} is now; name another --output")
    return body


def _check(output: Path, common: dict[str, Any]) -> None:
    """Refuses an output that holds something else, or runs with other settings."""
    check_place(output)
    if (output / SETTINGS).exists():
        if changed := changes(read_json(output / SETTINGS), common):
            raise UserError(f"{output}: holds runs with other settings ({changed}); repeat those to go on, or name another "
                            "--output")
    elif output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise UserError(f"{output}: already holds something other than few-shot runs; name another --output")


def record_of(trained: Sequence[tuple[Run, Body]]) -> dict[str, Any]:
    """The content of `few-shot.json`: every run, figures of each body and share over subsamples, and each body's difference from
    the last one named, paired by subsample."""
    first = trained[0][1].task or {}
    rows = [{"body": run.body, "share": run.share, "subsample": run.subsample, "examples": body.made["train_examples"],
             "score": (body.task or {})["dev"]["score"], "n": (body.task or {})["dev"]["n"], "updates": body.made["updates"],
             "fingerprint": body.fingerprint} for run, body in trained]
    bodies = list(dict.fromkeys(run.body for run, _ in trained))
    cells = []
    for share in dict.fromkeys(run.share for run, _ in trained):
        scores = {body: {row["subsample"]: row["score"] for row in rows if row["body"] == body and row["share"] == share}
                  for body in bodies}
        for body in bodies:
            cell: dict[str, Any] = {"body": body, "share": share,
                                    "examples": next(row["examples"] for row in rows if row["share"] == share),
                                    **(summary_of(list(scores[body].values())) or {})}
            if body != bodies[-1]:
                gaps = [score - scores[bodies[-1]][number] for number, score in scores[body].items()]
                cell["difference"] = _difference(gaps)
            cells.append(cell)
    return {"task": first["name"], "metric": first["metric"], "split": first["dev"]["split"],
            "language": first["dev"]["language"], "baseline": first["dev"].get("baseline"), "against": bodies[-1],
            "cells": cells, "runs": rows}


def _difference(gaps: Sequence[float]) -> dict[str, Any]:
    """Mean with Student's 95 % interval and the p of a paired t test over subsamples; of one the number alone, and no p where all
    are the same."""
    found: dict[str, Any] = {"mean": float(np.mean(gaps)), "interval_95": None, "p": None}
    if len(gaps) > 1:
        estimate, p = over_seeds(gaps), paired_t(gaps)
        found.update(interval_95=[estimate.low, estimate.high], p=None if math.isnan(p) else p)
    return found


def table(record: dict[str, Any]) -> str:
    """The record for the terminal: a line a share, mean ± sd of each body, and the differences in points."""
    bodies = list(dict.fromkeys(cell["body"] for cell in record["cells"]))
    lines = [["share", "examples", *bodies, *(f"{body} - {record['against']}" for body in bodies[:-1])]]
    for share in dict.fromkeys(cell["share"] for cell in record["cells"]):
        own = [cell for cell in record["cells"] if cell["share"] == share]
        lines.append([f"{100 * share:g} %", f"{own[0]['examples']:,}", *(
            f"{100 * cell['mean']:.1f}" + ("" if cell["sd"] is None else f" ± {100 * cell['sd']:.1f}") for cell in own),
            *(_gap(cell["difference"]) for cell in own if "difference" in cell)])
    base = record["baseline"]
    counts = sorted({cell["count"] for cell in record["cells"]})
    return "\n".join([
        f"{record['task']} {record['split']} ({record['language']}), {record['metric']} in %, mean ± sd of "
        f"{' to '.join(map(str, dict.fromkeys((counts[0], counts[-1]))))} subsamples"
        + (f"; reading nothing scores {100 * base['score']:.1f}" if base else ""),
        aligned(lines, left=1)])


def _gap(found: dict[str, Any]) -> str:
    text = f"{100 * found['mean']:+.1f}"
    if found["interval_95"] is None:
        return text
    low, high = found["interval_95"]
    return f"{text} [{100 * low:+.1f}, {100 * high:+.1f}]" + ("" if found["p"] is None else f" p={found['p']:.2g}")
