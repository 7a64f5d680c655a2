"""What planning and scheduling cost, without the work: seconds for runs of more and more cells.

    relexify bench run [--cells 125 250 500 1000 2000] [--cores 2] [--markdown]

Each size is planned (recipe -> commands and keys), handed to Snakemake as a dry run, and run with an executor that finishes each
job at once (`recipes/bench/simulated`). Processor seconds of one process each, so that a busy machine tells the same; they
include starting Python and Snakemake (`start`: a run of a few cells). The last line fits seconds - start = a * cells^b: b
is 1 where the cost is linear.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pretrain.base.errors import UserError
from recipes.workflow.execute import REPOSITORY, lay_out, locked, snakemake_arguments
from recipes.workflow.jobs import Plan
from recipes.workflow.plan import make_plan
from recipes.workflow.settings import load

SIZES = (125, 250, 500, 1000, 2000)
START = 10
"""Cells of the run whose cost is the start's."""
ARMS = 2
BUDGETS = 3
LANGUAGES = 14
PER_SEED = ARMS * (1 + LANGUAGES + 1 + 1 + BUDGETS)
"""Jobs of a seed: for each arm a body, 14 adaptations, a task body, its own score and one evaluation a budget."""


def write_recipe(folder: Path, cells: int) -> Path:
    """A recipe in the shape of the paper (two arms, 14 languages, three budgets, one task) with as many seeds as make about
    `cells` cells; of fewer than a seed's, one with a single language."""
    (folder / "text").mkdir(parents=True)
    codes = ["en", *(f"x-l{number:02}" for number in range(LANGUAGES if cells > PER_SEED else 1))]
    for code in codes:
        (folder / "text" / f"{code}.txt").write_text(f"{code}\n", encoding="utf-8")
    (folder / "task").mkdir()
    (folder / "task" / "train.tsv").write_text("\n", encoding="utf-8")
    pretraining = REPOSITORY / "recipes" / "pretrain"
    seeds = max(1, round((cells - LANGUAGES - 1) / PER_SEED))
    recipe = {
        "name": "bench", "base": "en", "languages": {code: {"text": str(folder / "text" / f"{code}.txt")} for code in codes},
        "arms": {arm: {"recipe": str(pretraining / f"demo-{arm}.yaml")} for arm in ("standard", "forgetting")},
        "seeds": list(range(1, seeds + 1)), "budgets": {"updates": [100, 300, 1000]},
        "tasks": {"xnli": {"data": str(folder / "task")}}, "finally": []}
    path = folder / "recipe.yaml"
    path.write_text(json.dumps(recipe), encoding="utf-8")  # JSON is YAML
    return path


def engine(root: Path, arguments: Sequence[str], log: Path) -> tuple[float, float]:
    """Processor seconds and seconds of one call of Snakemake on a laid-out run."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(
        [str(REPOSITORY), str(REPOSITORY / "recipes" / "bench" / "simulated"), os.environ.get("PYTHONPATH", "")])}
    words = [sys.executable, "-m", "recipes.workflow.engine", "--snakefile", "Snakefile", "--directory", ".", *arguments]
    started = time.monotonic()
    with open(log, "wb") as file:
        child = subprocess.Popen(words, cwd=root, stdin=subprocess.PIPE, stdout=file, stderr=subprocess.STDOUT, env=environment,
                                 start_new_session=True)
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = code = os.waitstatus_to_exitcode(status)
    if code:
        raise RuntimeError(f"Snakemake ended with code {code}\n{log.read_text(encoding='utf-8', errors='replace')[-2000:]}")
    return used.ru_utime + used.ru_stime, time.monotonic() - started


def measure(folder: Path, cells: int, cores: int) -> dict[str, Any]:
    """Seconds of the three steps for about so many cells."""
    recipe = write_recipe(folder, cells)
    started = time.process_time()
    plan: Plan = make_plan(load(recipe), folder / "store")
    root = folder / "run"
    root.mkdir()
    arguments = snakemake_arguments("local", cores, None, False)
    with locked(root):
        pending = plan.pending()
        lay_out(plan, root, pending)
    planned = time.process_time() - started
    dry, _ = engine(root, [*arguments, "--dry-run"], folder / "dry.log")
    run, wall = engine(root, [*arguments, "--executor", "simulated"], folder / "run.log")
    left = plan.pending()
    if left:
        raise RuntimeError(f"{len(left)} of {len(pending)} cells were not run")
    return {"cells": len(pending), "plan": planned, "dry": dry, "run": run, "wall": wall}


def exponent(sizes: Sequence[int], seconds: Sequence[float]) -> float:
    """b of the least-squares fit log(seconds) = log(a) + b log(size)."""
    xs, ys = [math.log(size) for size in sizes], [math.log(value) for value in seconds]
    x, y = sum(xs) / len(xs), sum(ys) / len(ys)
    return sum((a - x) * (b - y) for a, b in zip(xs, ys, strict=True)) / sum((a - x) ** 2 for a in xs)


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the table; returns the exit code."""
    parser = argparse.ArgumentParser(prog="relexify bench run", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, nargs="+", default=list(SIZES), metavar="N", help="(default 125 250 500 1000 2000)")
    parser.add_argument("--cores", type=int, default=2, help="jobs at a time (default 2)")
    parser.add_argument("--markdown", action="store_true", help="a Markdown table")
    args = parser.parse_args(argv)
    if min(args.cells) < 1:
        raise UserError(f"--cells {min(args.cells)}: expected at least 1")
    edge, between = ("| ", " | ") if args.markdown else ("", "  ")
    heads = ("cells", "plan, CPU s", "dry run, CPU s", "run, CPU s", "run, s", "CPU ms a cell")
    print(edge + between.join(f"{head:>14}" for head in heads) + edge[::-1])
    if args.markdown:
        print("|" + "---|" * len(heads))
    rows = [measured(START, args.cores) for _ in range(2)][1:]  # the first pays for imports
    for cells in sorted(args.cells):
        rows.append(measured(cells, args.cores))
    for row in rows:
        more = f"{1000 * (row['run'] - rows[0]['run']) / row['cells']:.1f}" if row is not rows[0] else "start"
        figures = (f"{row['cells']:,}", f"{row['plan']:.2f}", f"{row['dry']:.1f}", f"{row['run']:.1f}", f"{row['wall']:.0f}",
                   more)
        print(edge + between.join(f"{figure:>14}" for figure in figures) + edge[::-1], flush=True)
    if len(rows) > 2:
        fits = {name: exponent([row["cells"] for row in rows[1:]], [max(row[name] - rows[0][name], 1e-3) for row in rows[1:]])
                for name in ("plan", "dry", "run")}
        shown = ", ".join(f"{name} {value:.2f}" for name, value in fits.items())
        print(f"\nexponent b of (CPU seconds - start) = a cells^b: {shown}")
    return 0


def measured(cells: int, cores: int) -> dict[str, Any]:
    """`measure` in a folder that is removed afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        return measure(Path(folder) / "bench", cells, cores)
