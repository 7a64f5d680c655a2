"""Runs of one task over seeds, with and without those that learned nothing.

Fine-tuning on so few points fails for some seeds: a run is degenerate where it does not even fit its training set (accuracy below
0.80, Niven and Kao 2019). How many do is itself a result, so figures of all runs always stand beside those of the kept ones.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from adapt.artefacts.resources import SEEDS, SEEDS_FORMAT, SEEDS_VERSION
from pretrain.base.errors import UserError
from pretrain.base.files import atomic_folder, read_record, refuse_existing, write_json
from tasks.choice.family import below_chance
from tasks.definition import Definition
from tasks.evaluate import evaluate
from tasks.learning.seeds import summary_of
from tasks.registry import get_task
from tasks.tables import aligned

logger = logging.getLogger(__name__)

THRESHOLD = 0.8
"""Training accuracy below which a run is degenerate."""
NAMES = ("count", "mean", "sd", "median", "max")


def score_runs(folder: str | Path, embedding: str | Path, data: str | Path, splits: Sequence[str], output: str | Path,
               train_split: str = "train", threshold: float = THRESHOLD, device: str = "auto", overwrite: bool = False,
               quiet: bool = False) -> dict[str, Any]:
    """Scores every run of a folder of seeds on its training set and on `splits`; writes all records and `OUTPUT/runs.json`.

    Args:
        folder: what `finetune --seeds` wrote.
        splits: to score; of an adversarial one pair consistency too.
        train_split: what the runs were trained on.
        threshold: of the training accuracy, a share.

    Returns:
        The content of `runs.json`: each run, and for each split figures of all and of the kept runs.

    Raises:
        UserError: no folder of seeds, a threshold that is no share, missing data.
    """
    if not 0 <= threshold <= 1:
        raise UserError(f"--threshold {threshold}: expected a share from 0 to 1")
    refuse_existing(output, overwrite)
    seeds = read_record(Path(folder) / SEEDS, "the record of runs over seeds", SEEDS_FORMAT, SEEDS_VERSION)
    task = get_task(str(seeds.text("task")))
    wanted = list(dict.fromkeys([train_split, *splits]))
    runs: list[dict[str, Any]] = []
    with atomic_folder(output, overwrite) as target:
        for run in seeds.tables("runs"):
            place = target / str(run.text("folder"))
            place.mkdir()
            scores: dict[str, Any] = {}
            for split in wanted:
                record = evaluate(Path(folder) / run.text("folder"), [embedding], task, data, split, place / split, device=device,
                                  quiet=quiet)[0]
                scores[split] = {key: record[key] for key in ("score", "n", "pair_consistency") if key in record}
            runs.append({"seed": run.integer("seed"), "scores": scores,
                         "degenerate": scores[train_split]["score"] < threshold})
        content = record_of(runs, wanted, task, train_split, threshold)
        write_json(target / "runs.json", content)
    return content


def record_of(runs: Sequence[dict[str, Any]], splits: Sequence[str], task: Definition, train_split: str,
              threshold: float) -> dict[str, Any]:
    """The content of `runs.json` from the scores of the runs; warns of splits whose mean lies below chance over all runs."""
    kept = [run for run in runs if not run["degenerate"]]
    found: dict[str, Any] = {
        "task": task.name, "version": task.version,
        "rule": {"degenerate": f"{train_split} accuracy < threshold", "threshold": threshold},
        "degenerate": [run["seed"] for run in runs if run["degenerate"]], "splits": {}, "runs": list(runs)}
    chance = getattr(task, "chance", None)
    for split in splits:
        sides: dict[str, Any] = {}
        for name, side in (("all", runs), ("kept", kept)):
            sides[name] = summary_of([run["scores"][split]["score"] for run in side])
            both = [run["scores"][split]["pair_consistency"] for run in side if "pair_consistency" in run["scores"][split]]
            if both:
                sides[name]["pair_consistency"] = sum(both) / len(both)
        found["splits"][split] = sides
        high = (sides["all"] or {}).get("interval_95")
        if chance is not None and high is not None and high[1] < chance:
            logger.warning(below_chance(f"{task.name} {split}, mean of {len(runs)} runs", sides["all"]["mean"], chance))
    return found


def table(record: dict[str, Any]) -> str:
    """The record for the terminal: all runs and the kept ones of each split, and the rule."""
    paired = any("pair_consistency" in (side or {}) for sides in record["splits"].values() for side in sides.values())
    rows = [["split", "runs", *NAMES, *(["both of a pair"] if paired else [])]]
    for split, sides in record["splits"].items():
        for name in ("all", "kept"):
            side = sides[name] or {"count": 0}
            shown = ["-" if side.get(key) is None else str(side[key]) if key == "count" else f"{side[key]:.3f}" for key in NAMES]
            both = f"{side['pair_consistency']:.3f}" if "pair_consistency" in side else ""
            rows.append([split, name, *shown, *([both] if paired else [])])
    rule = record["rule"]
    told = ", ".join(map(str, record["degenerate"])) or "none"
    return "\n".join([aligned(rows), f"degenerate ({rule['degenerate']} {rule['threshold']:g}): {told}"])
