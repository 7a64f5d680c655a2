"""`python -m recipes.demo.seeds DEMO DEMO …`: several demos, one seed each, as one Markdown table.

Each row gives an arm's mean over the seeds with the standard deviation between them, and the mean of the paired
differences (forgetting - standard, same seed) with its 95 % interval from Student's t: between seeds, not examples.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pretrain.base.errors import UserError
from pretrain.base.files import read_json


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def deviation(values: Sequence[float]) -> float:
    """Standard deviation between seeds (n - 1)."""
    return math.sqrt(sum((value - mean(values)) ** 2 for value in values) / (len(values) - 1))


def paired(differences: Sequence[float]) -> tuple[float, float]:
    """Mean and half-width of its 95 % interval (Student's t, n - 1 degrees of freedom)."""
    from scipy import stats

    half = float(stats.t.ppf(0.975, len(differences) - 1)) * deviation(differences) / math.sqrt(len(differences))
    return mean(differences), half


def load(folders: Sequence[str | Path]) -> list[dict[str, Any]]:
    """The results of finished demos.

    Raises:
        UserError: fewer than two, a seed that stands twice, or demos of different sizes.
    """
    if len(folders) < 2:
        raise UserError(f"expected at least two demos of different seeds, got {len(folders)}")
    settings = [read_json(Path(folder) / "settings.json", "the settings of a demo") for folder in folders]
    seeds = [one.pop("seed") for one in settings]
    if len(set(seeds)) < len(seeds):
        raise UserError(f"the seeds are {seeds}; each demo needs a seed of its own")
    for folder, one in zip(folders, settings, strict=True):
        changed = [f"{key} is {one[key]!r}, not {settings[0].get(key)!r}" for key in one if one[key] != settings[0].get(key)]
        if changed:
            raise UserError(f"{folder}: was run with other settings than {folders[0]}: {'; '.join(changed)}")
    return [read_json(Path(folder) / "results.json", "the results of a finished demo") for folder in folders]


def table(results: Sequence[dict[str, Any]]) -> str:
    """Markdown: zero-shot accuracy by adaptation updates and language, F1 of questions, held-out loss of the embeddings."""
    lines = ["| updates | language | standard | forgetting | difference (95 % interval) |", "|---|---|---|---|---|"]
    arms = ("standard", "forgetting")
    for step in results[0]["arms"]["standard"]["scores"]:
        for code in results[0]["arms"]["standard"]["scores"][step]:
            values = {arm: [one["arms"][arm]["scores"][step][code]["score"] for one in results] for arm in arms}
            lines.append(_row(step, code, values))
    for code in results[0]["arms"]["standard"]["questions"]:
        found = {arm: [one["arms"][arm]["questions"][code]["score"] for one in results] for arm in arms}
        lines.append(_row("questions, F1", code, found))
    for code in results[0]["arms"]["standard"]["curves"]:
        best = {arm: [min(p["loss"] for p in one["arms"][arm]["curves"][code]) for one in results] for arm in arms}
        lines.append(_row("loss, bits", code, best))
    return "\n".join(lines)


def _row(first: str, code: str, values: dict[str, list[float]]) -> str:
    gap, half = paired([b - a for a, b in zip(values["standard"], values["forgetting"], strict=True)])
    cells = [f"{mean(values[arm]):.3f} (sd {deviation(values[arm]):.3f})" for arm in ("standard", "forgetting")]
    return f"| {first} | {code} | {cells[0]} | {cells[1]} | {gap:+.3f} ± {half:.3f} |"


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the table; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m recipes.demo.seeds", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("demo", nargs="+", help="folder of a finished `relexify demo`")
    try:
        results = load(parser.parse_args(arguments).demo)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    print(f"seeds {', '.join(str(one['seed']) for one in results)}\n\n{table(results)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
