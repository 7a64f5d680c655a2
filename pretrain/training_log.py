"""What a stage's log tells: the figures of its validations, and its losses and learning rates as it went."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

CURVE = ("loss", "accuracy", "exact_match", "f1", "ppl", "mlm_loss", "rtd_loss", "generator_accuracy", "sampled_accuracy",
         "replaced", "rtd_accuracy", "rtd_precision", "rtd_recall", "rtd_auc")
"""Figures of a validation that an artefact's curve keeps."""


def parse_log_line(line: str) -> tuple[str, dict[str, Any]]:
    """`(tag, values)` of a JSON line of fairseq's log, or `("", {})`."""
    parts = line.rstrip("\n").split(" | ", 3)
    if len(parts) == 4 and parts[2] in ("train_inner", "train", "valid") and parts[3].startswith("{"):
        try:
            return parts[2], json.loads(parts[3])
        except json.JSONDecodeError:
            return "", {}
    return "", {}


def read_curve(folder: str | Path, subset: str = "valid", also: Sequence[str] = ()) -> list[dict[str, float]]:
    """The held-out curve of a stage from its log: `{update, loss, …}`; a repeated update keeps its last value.

    Args:
        also: names of figures to keep beside those of CURVE.
    """
    points: dict[int, dict[str, float]] = {}
    with open(Path(folder) / "train.log", encoding="utf-8") as file:
        for line in file:
            tag, stats = parse_log_line(line)
            if tag == subset:
                update = int(float(stats[f"{subset}_num_updates"]))
                values = {k.removeprefix(f"{subset}_"): _number(v) for k, v in stats.items()}
                points[update] = {"update": update, **{k: v for k, v in values.items()
                                                      if v is not None and (k in CURVE or k in also)}}
    return [points[key] for key in sorted(points)]


def read_training(folder: str | Path, most: int = 600) -> list[dict[str, float]]:
    """What was logged while a stage trained: `{update, loss, lr}`, with forgetting also `lr_embedding`; figures of a repeated
    update keep their last value.

    Args:
        most: points to keep; of more, neighbours are averaged and stand at the last update of theirs.
    """
    points: dict[int, dict[str, float]] = {}
    with open(Path(folder) / "train.log", encoding="utf-8", errors="replace") as file:
        for line in file:
            tag, stats = parse_log_line(line)
            if tag == "train_inner" and (loss := _number(stats.get("loss"))) is not None and "num_updates" in stats:
                rates = {key: rate for key in ("lr", "lr_embedding") if (rate := _number(stats.get(key))) is not None}
                update = int(float(stats["num_updates"]))
                points[update] = {"update": update, "loss": loss, **rates}
    every = [points[key] for key in sorted(points)]
    size = max(1, -(-len(every) // most))
    groups = [every[start:start + size] for start in range(0, len(every), size)]
    return [{**group[-1], "loss": sum(point["loss"] for point in group) / len(group)} for group in groups]


def _number(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None
