"""A run as files, written in milliseconds: records, predictions, gold data, curves and artefacts without any tensor."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tasks.classification.nli import XNLI
from tasks.definition import standard_error, wilson_interval

LABELS = XNLI.labels
COUNT = 60
"""Examples a language; gold labels go round."""


def gold(language: str, count: int = COUNT) -> list[tuple[str, str, int]]:
    return [(f"{language} premise {number}", f"hypothesis {number}", number % 3) for number in range(count)]


def write_gold(folder: Path, language: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    rows = "".join(f"{number}\t{a}\t{b}\t{label}\n" for number, (a, b, label) in enumerate(gold(language)))
    (folder / f"test-{language}.tsv").write_text("id\tpremise\thypothesis\tlabel\n" + rows, encoding="utf-8")


def body_made(arm: str, seed: int, **recipe: Any) -> dict[str, Any]:
    forgetting = {"every": 0, "start": 0, "until": 0, "reset": "normal", "scope": "embedding", "std": 0.02}
    if arm != "standard":
        forgetting["every"] = 100
    if arm == "temporary forgetting":
        forgetting["until"] = 600
    if arm == "matched control":
        forgetting["reset"] = "none"
    return {"recipe": {"data": "run/data/qaa", "output": f"run/{arm}/en", "updates": 1000, "lr": 0.002, "seed": seed, **recipe},
            "seed": seed, "updates": 1000, "language": "qaa", "tokens_per_update": 1024, "forgetting": forgetting}


def record(run: Path, arm: str, language: str, right: Sequence[int], *, seed: int = 1, updates: int | None = 600,
           data: str = "run/data", **changes: Any) -> tuple[dict[str, Any], str]:
    """A record as evaluate writes it, and its predictions: the examples numbered in `right` are right."""
    labels = [label for _, _, label in gold(language)]
    chosen = set(right)
    predicted = [LABELS[label if number in chosen else (label + 1) % 3] for number, label in enumerate(labels)]
    share = len(chosen) / COUNT
    made = {"initialiser": "random", "special_rows": "copy", "seed": seed, "updates": updates,
            "tokens_seen": (updates or 0) * 1024, "data_sha256": f"text-{language}"} if updates else \
        {"initialiser": "pre-training", "seed": seed, "updates": 1000}
    place = f"run/{arm}/{language}" if updates in (600, None) else f"run/{arm}/{language}/at/{updates:06d}"
    found = {
        "score": share, "n": COUNT, "correct": len(chosen), "standard_error": standard_error(share, COUNT),
        "interval_95": list(wilson_interval(share, COUNT)), "task": "xnli", "version": "1.0", "split": "test",
        "language": language, "metric": "accuracy", "chance": 1 / 3, "seed": seed,
        "body": {"path": f"run/{arm}/nli", "fingerprint": f"task-{arm}-{seed}", "lineage": f"body-{arm}-{seed}", "seed": seed,
                 "updates": 500, "body_made": body_made(arm, seed)},
        "embedding": {"path": place, "fingerprint": f"embedding-{arm}-{language}-{seed}-{updates}",
                      "lineage": f"body-{arm}-{seed}", "made": made},
        "data": {"files": [f"{data}/test-{language}.tsv"], "sha256": XNLI.read("", "test", language, [
            run / "data" / f"test-{language}.tsv"]).sha256(), "dropped": 0},
        "max_length": 64, "precision": "fp32", "device": "cpu", "predictions": f"xnli/test-{language}.tsv",
        "software": {"python": "3.11.7", "torch": "2.13.0"},
    }
    return {**found, **changes}, "".join(f"{name}\n" for name in predicted)


def write_scores(folder: Path, records: Sequence[tuple[dict[str, Any], str]]) -> Path:
    """A folder as evaluate writes it."""
    (folder / "xnli").mkdir(parents=True)
    for content, predictions in records:
        (folder / content["predictions"]).write_text(predictions, encoding="utf-8")
    path = folder / "results.json"
    path.write_text(json.dumps([content for content, _ in records]), encoding="utf-8")
    return path


def write_json(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")


def write_artefacts(run: Path, arm: str, language: str, seed: int = 1, place: str = "") -> None:
    """The records of a body and of an embedding with its saved steps, and their curves; in folder `place`, default that of the
    arm."""
    folder = run / (place or arm)
    write_json(folder / "en" / "body" / "body.json", {
        "kind": "body", "fingerprint": f"body-{arm}-{seed}", "lineage": f"body-{arm}-{seed}", "task": None, "parameters": 1000,
        "architecture": {"layers": 4, "width": 128}, "made": body_made(arm, seed)})
    write_json(folder / "en" / "curves.json", [{"update": 500, "loss": 3.0}, {"update": 1000, "loss": 2.0}])
    for step, updates in (("", 600), ("at/000150", 150)):
        write_json(folder / language / step / "embedding.json", {
            "fingerprint": f"embedding-{arm}-{language}-{seed}-{updates}", "lineage": f"body-{arm}-{seed}", "language": language,
            "made": {"initialiser": "random", "seed": seed, "updates": updates, "data_sha256": f"text-{language}",
                     **({"tokens_seen": 614400} if updates == 600 else {})}})
    write_json(folder / language / "curves.json", [
        {"update": 150, "loss": 4.0, "tokens": 153600}, {"update": 600, "loss": 2.5, "tokens": 614400}])


RIGHT: Mapping[str, Mapping[str, Sequence[int]]] = {
    "standard": {"qaa": range(48), "qab": range(30), "qac": range(20)},
    "forgetting": {"qaa": range(45), "qab": range(2, 44), "qac": range(19)},
}
"""qab: 14 gained and 2 lost; qac: one lost."""


def make_run(run: Path, seed: int = 1) -> Path:
    """Two arms, the source language and two new ones, each scored after 150 and 600 updates; with a commands.sh."""
    commands = []
    for language in ("qaa", "qab", "qac"):
        write_gold(run / "data", language)
    for arm, right in RIGHT.items():
        write_scores(run / arm / "scores-150", [
            record(run, arm, language, right[language][:len(right[language]) // 2], seed=seed, updates=150)
            for language in ("qab", "qac")])
        write_scores(run / arm / "scores-600", [
            record(run, arm, language, right[language], seed=seed, updates=None if language == "qaa" else 600)
            for language in ("qaa", "qab", "qac")])
        for language in ("qab", "qac"):
            write_artefacts(run, arm, language, seed)
        commands += [f"relexify pretrain demo.yaml data=run/data output=run/{arm}/en",
                     f"relexify adapt --body run/{arm}/en --data run/data/qab --output run/{arm}/qab",
                     f"relexify finetune --body run/{arm}/en --data run/data --output run/{arm}/nli",
                     f"relexify evaluate --body run/{arm}/nli --embedding run/{arm}/qab --output run/{arm}/scores-600"]
    (run / "commands.sh").write_text("\n".join(["# how it was made", "relexify world --output run/world", *commands]) + "\n")
    return run
