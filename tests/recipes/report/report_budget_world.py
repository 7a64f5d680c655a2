"""A replication as files: four arms, three seeds, four languages, three tasks, three earlier budgets and the end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.recipes.report.report_world import COUNT, record, write_artefacts, write_gold, write_scores

LANGUAGES = ("qab", "qac", "qad", "qae")
SEEDS = (1, 2, 3)
BUDGETS = (50, 150, 400, 600)
"""The last is the finished embedding's."""
RIGHT = {"standard": (22, 26, 36, 40), "forgetting": (26, 28, 33, 37), "temporary forgetting": (25, 29, 37, 41),
         "matched control": (22, 26, 36, 39)}
"""Right answers of 60 at each budget: forgetting is ahead up to 150 updates and behind from 400 on."""
TASKS: dict[str, dict[str, Any]] = {
    "xnli": {}, "udpos": {"task": "udpos", "version": "ud-2", "chance": 1 / 17, "words": 900},
    "panx": {"task": "panx", "version": "rahimi-2019", "metric": "f1", "chance": None, "words": 900}}


def right(arm: str, language: str, seed: int, place: int) -> int:
    """Seeds move both arms alike, and a little apart: a paired test sees through the first."""
    apart = (seed + list(RIGHT).index(arm) + place) % 3 == 0 and language in ("qab", "qac")
    return RIGHT[arm][place] + 2 * seed - LANGUAGES.index(language) + apart


def cells(run: Path, arm: str, seed: int, place: int, task: str, languages: tuple[str, ...]) -> list[tuple[dict[str, Any], str]]:
    """The records of one results.json."""
    found = []
    for language in languages:
        content, predictions = record(run, arm, language, range(right(arm, language, seed, place)), seed=seed,
                                      updates=BUDGETS[place], **TASKS[task])
        content["embedding"]["path"] = f"run/{arm}-{seed}/{language}" + ("" if place == 3 else f"/at/{BUDGETS[place]:06d}")
        if place == 3:
            content["embedding"]["made"]["planned_updates"] = 600
        if task != "xnli":
            content["data"] = {"files": [f"{task}/{language}.tsv"], "sha256": f"{task}-{language}"}
            content["body"] |= {"path": f"run/{arm}-{seed}/{task}", "fingerprint": f"{task}-{arm}-{seed}"}
            content["predictions"] = f"xnli/{task}-{language}.tsv"
        found.append((content, predictions))
    return found


def make_replication(run: Path, arms: tuple[str, ...] = tuple(RIGHT), languages: tuple[str, ...] = LANGUAGES) -> Path:
    for language in languages:
        write_gold(run / "data", language)
    for arm in arms:
        for seed in SEEDS:
            write_artefacts(run, arm, "qab", seed, place=f"{arm}-{seed}")
            for place, updates in enumerate(BUDGETS):
                for task in TASKS:
                    write_scores(run / f"{arm}-{seed}" / f"{task}-{updates}", cells(run, arm, seed, place, task, languages))
    return run


assert max(right(arm, language, seed, 3) for arm in RIGHT for language in LANGUAGES for seed in SEEDS) <= COUNT
