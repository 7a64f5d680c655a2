"""One task adaptation under several seeds: a folder of task bodies, their scores side by side, and the median run.

Fine-tuning on few examples varies with the seed, and some runs never leave what guessing scores. Clark et al. (2020) report
the median of ten runs; others report runs without the degenerate ones. The record holds both, and the rule.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np

from adapt.artefacts.resources import SEEDS, SEEDS_FORMAT, SEEDS_VERSION
from pretrain.artefacts.body import SEVERAL, Body
from pretrain.base.disk import check_place
from pretrain.base.errors import UserError
from pretrain.base.files import cleaning, read_json, read_record, refuse_existing, replace_folder, write_json
from pretrain.base.locks import claimed, sweep_files
from pretrain.stage import changes
from tasks.learning import finetune as alone
from tasks.multitask import train as several
from tasks.multitask.recipe import MEAN
from tasks.multitask.settings import MultitaskSettings
from tasks.settings import FinetuneSettings
from tasks.statistics import over_seeds
from tasks.tables import aligned

SETTINGS = "settings.json"
"""What all runs of the folder have in common."""
KIND = "runs over seeds"
REPLACEMENT = ".replacement"
"""Added to the name of an output while `--overwrite` trains what will take its place."""


Settings = TypeVar("Settings", bound=FinetuneSettings | MultitaskSettings)


class Train(Protocol):
    """A training that writes a body, as `tasks.learning.finetune.finetune` does."""

    def __call__(self, settings: Any, *, quiet: bool = ..., keep: bool = ..., restart: bool = ...) -> Body: ...


@dataclass(frozen=True)
class Training:
    """One kind of training.

    Attributes:
        identity: what decides the result of a run with these settings.
    """

    train: Train
    identity: Any


def training_of(settings: FinetuneSettings | MultitaskSettings) -> Training:
    """The training that these settings are of: one task, or a mixture."""
    if isinstance(settings, MultitaskSettings):
        return Training(several.multitask, lambda one: several.plan(one, quiet=True).stage.settings)
    return Training(alone.finetune, lambda one: alone.plan(one, quiet=True).stage.settings)


def parse_seeds(text: str) -> list[int]:
    """`1,2,3` -> [1, 2, 3].

    Raises:
        UserError: not a list of whole numbers, or one that stands twice.
    """
    try:
        seeds = [int(part) for part in text.split(",")]
    except ValueError:
        seeds = []
    if not seeds or min(seeds) < 0 or len(set(seeds)) < len(seeds):
        raise UserError(f"--seeds {text!r}: expected different whole numbers with commas between them, as 1,2,3,4,5")
    return seeds


def run_folder(seed: int) -> str:
    """Name of the folder of a run."""
    return f"seed-{seed}"


def settings_of(settings: Settings, seed: int) -> Settings:
    """The settings of one run: they write a folder inside the common output."""
    return replace(settings, seed=seed, output=str(Path(settings.output) / run_folder(seed)))


def train_seeds(settings: Settings, seeds: Sequence[int], margin: float = 0.02, overwrite: bool = False,
                quiet: bool = False, keep: bool = False, restart: bool = False) -> dict[str, Any]:
    """Trains a body for each seed, on a task or on a mixture, in `OUTPUT/seed-N` and writes `OUTPUT/seeds.json`.

    Finished runs are left as they are, a run that was cut off resumes. Seeds of earlier calls stay in the record: it grows,
    and no run can be left out of it.

    Args:
        seeds: `settings.seed` is not used.
        margin: a run has failed where its dev score is not more than this above what reading nothing scores.
        overwrite: begin anew, in `OUTPUT.replacement`; that takes the place of the runs in OUTPUT when all of it is there.
        keep, restart: as for `finetune`, of each run.

    Returns:
        The record, see `record_of`.

    Raises:
        UserError: a mistake in the settings or files, or an OUTPUT that holds something else or runs with other settings.
    """
    if not 0 <= margin <= 1:
        raise UserError(f"--failed-margin {margin}: expected a share from 0 to 1")
    output = Path(settings.output)
    common = training_of(settings).identity(settings_of(settings, seeds[0]))
    common.pop("seed")
    with claimed(output):
        refuse_existing(output, True, KIND) if overwrite else _check_runs(output, common)
        if not (overwrite and output.exists()):
            return _train(settings, seeds, common, margin, quiet, keep, restart)
        beside = replace(settings, output=str(output.with_name(output.name + REPLACEMENT)))
        with claimed(beside.output):
            _check_runs(Path(beside.output), common)
            record = _train(beside, seeds, common, margin, quiet, keep, restart)
        replace_folder(Path(beside.output), output)
    return record


def _train(settings: Settings, seeds: Sequence[int], common: dict[str, Any], margin: float, quiet: bool, keep: bool,
           restart: bool) -> dict[str, Any]:
    """Trains what is missing in the output and writes its record."""
    output = Path(settings.output)
    if not (output / SETTINGS).exists():
        write_json(output / SETTINGS, common)
    sweep_files(output)
    done = []
    if (output / SEEDS).exists():
        earlier = read_record(output / SEEDS, "the record of runs over seeds", SEEDS_FORMAT, SEEDS_VERSION)
        done = [run.integer("seed") for run in earlier.tables("runs")]
    bodies = {}
    for seed in sorted({*done, *seeds}):
        one = settings_of(settings, seed)
        if (Path(one.output) / "body.json").exists() and not cleaning(one.output):
            bodies[seed] = Body.load(one.output)
        else:
            bodies[seed] = training_of(one).train(one, quiet=quiet, keep=keep, restart=restart)
    record = record_of(bodies, margin)
    write_json(output / SEEDS, record)
    return record


def _check_runs(output: Path, common: dict[str, Any]) -> None:
    """Refuses an output that holds something else than runs over seeds, or such runs with other settings."""
    check_place(output)
    path = output / SETTINGS
    if not path.exists():
        if output.exists() and (not output.is_dir() or any(output.iterdir())):
            raise UserError(f"{output}: already holds something other than runs over seeds; name another --output")
        return
    if changed := changes(read_json(path), common):
        raise UserError(f"{output}: holds runs with other settings ({changed}); repeat those to go on, name another --output, or "
                        "pass --overwrite to replace them")


def record_of(bodies: dict[int, Body], margin: float) -> dict[str, Any]:
    """The content of `seeds.json`: every run, the rule for failed ones, figures of all runs beside those of the kept ones.

    `median` names the run with the median dev score of all runs, failed ones included; of an even number the lower one.
    """
    first = next(iter(bodies.values()))
    task = first.task or {}
    dev = dev_of(first)
    baseline = dev.get("baseline") or {"score": 0.0, "what": "nothing is known to score without reading"}
    runs = []
    for seed, body in bodies.items():
        own = dev_of(body)
        runs.append({"seed": seed, "folder": run_folder(seed), "score": own["score"], "standard_error": own["standard_error"],
                     "updates": body.made["updates"], "fingerprint": body.fingerprint,
                     "failed": own["score"] - baseline["score"] <= margin + 1e-9})
    ranked = sorted(runs, key=lambda run: (run["score"], run["seed"]))
    median = ranked[(len(ranked) - 1) // 2]
    return {
        "format": SEEDS_FORMAT, "version": SEEDS_VERSION, "task": task["name"], "task_version": task["version"],
        "metric": MEAN if task["name"] == SEVERAL else task["metric"], "split": dev["split"], "language": dev["language"],
        "n": dev["n"],
        "data_sha256": dev["data_sha256"], "lineage": first.lineage,
        "failed_rule": {"margin": margin, "baseline": baseline, "failed": f"{dev['split']} score <= baseline + margin"},
        "failed": [run["seed"] for run in runs if run["failed"]],
        "all": summary_of([run["score"] for run in runs]),
        "kept": summary_of([run["score"] for run in runs if not run["failed"]]),
        "median": {key: median[key] for key in ("seed", "folder", "score", "failed")},
        "runs": runs,
        **({"tasks": {name: {"metric": own["metric"], **(summary_of([(body.task or {})["tasks"][name]["dev"]["score"]
                                                                     for body in bodies.values()]) or {})}
                      for name, own in task["tasks"].items()}} if task["name"] == SEVERAL else {}),
    }


def dev_of(body: Body) -> dict[str, Any]:
    """What a body scored on its dev split; of a body of several tasks the mean over them, and of what guessing scores there."""
    task = body.task or {}
    if task["name"] != SEVERAL:
        return dict(task["dev"])
    every = [one["dev"] for one in task["tasks"].values()]

    def mean(values: Sequence[float]) -> float:
        return float(np.mean(values))

    return {"split": " ".join(dict.fromkeys(one["split"] for one in every)), "language": every[0]["language"],
            "n": sum(one["n"] for one in every), "score": mean([one["score"] for one in every]),
            "standard_error": float(np.sqrt(np.sum([one["standard_error"] ** 2 for one in every])) / len(every)),
            "data_sha256": "+".join(one["data_sha256"] for one in every),
            "baseline": {"score": mean([(one.get("baseline") or {"score": 0.0})["score"] for one in every]),
                         "what": "the mean over the tasks of what reading nothing scores"}}


def summary_of(scores: Sequence[float]) -> dict[str, Any] | None:
    """Count, mean, standard deviation (n - 1), median, extremes and Student's 95 % interval of the mean; None of no run."""
    if not scores:
        return None
    made: dict[str, Any] = {"count": len(scores), "mean": float(np.mean(scores)), "sd": None, "median": float(np.median(scores)),
                             "min": min(scores), "max": max(scores), "interval_95": None}
    if len(scores) > 1:
        estimate = over_seeds(scores)
        made.update(sd=float(np.std(scores, ddof=1)), interval_95=[estimate.low, estimate.high])
    return made


def _figures(made: dict[str, Any], names: Sequence[str]) -> list[str]:
    """Those of `summary_of` as a table shows them."""
    return ["-" if made.get(name) is None else str(made[name]) if name == "count" else f"{made[name]:.3f}" for name in names]


def table(record: dict[str, Any], output: str | Path) -> str:
    """The record for the terminal: each run, all runs beside the kept ones, and which run stands for the folder."""
    rows = [["seed", "score", "updates", ""]]
    rows += [[str(run["seed"]), f"{run['score']:.3f}", f"{run['updates']:,}", "failed" if run["failed"] else ""]
             for run in record["runs"]]
    names = ("count", "mean", "sd", "median", "min", "max")
    sides = [["", *names]]
    for side in ("all", "kept"):
        made = record[side] or {"count": 0}
        sides.append([side, *_figures(made, names)])
    rule, median = record["failed_rule"], record["median"]
    each = [["task", "metric", *names], *([name, made["metric"], *_figures(made, names)]
                                          for name, made in (record.get("tasks") or {}).items())]
    what = f"mean of {len(each) - 1} tasks" if len(each) > 1 else record["task"]
    lines = [f"{what} {record['split']} ({record['language']}), {record['metric']} as a share, n = {record['n']:,}; "
             "each run's checkpoint was chosen on this split", aligned(rows, left=1), aligned(sides, left=1),
             *([aligned(each, left=2)] if len(each) > 1 else []),
             f"failed: not more than {rule['margin']} above {rule['baseline']['score']:.3f} ({rule['baseline']['what']})",
             f"{output} stands for {output}/{median['folder']}, the median run"]
    if median["failed"]:
        lines.append("the median run has itself failed: do not use it; more seeds, a lower --lr or a longer --warmup may help")
    return "\n".join(lines)
