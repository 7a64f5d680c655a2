"""What a finished demo holds: losses, alignments and scores, collected from its artefacts into plain numbers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pretrain.base.files import read_json

if TYPE_CHECKING:
    from recipes.demo.settings import DemoSettings


def collect(root: Path, settings: DemoSettings) -> dict[str, Any]:
    """Everything that the page says.

    Returns:
        `settings`; `chance` of the task; `cells`: one for each seed, arm, language and budget, with held-out loss (bits),
        alignment, learning rate and, where it was scored, accuracy; `bodies`: of each seed and arm the base language's loss and
        accuracy.
    """
    from adapt.artefacts.embedding import Embedding
    from pretrain.artefacts.body import Body
    from recipes.demo.alignment import aligned
    from recipes.world import BASE, World

    cells, bodies, chance = [], [], 0.0
    for seed in settings.seeds:
        world = World(seed)
        for arm in settings.arms:
            place = root / f"seed-{seed}" / arm
            scores = {budget: {one["language"]: one for one in read_json(place / f"scores-{budget:06d}" / "results.json")}
                      for budget in settings.scored}
            base = Embedding.load(place / "en" / "embedding")
            for code in settings.languages:
                for budget in settings.budgets:
                    new = Embedding.load(place / code / "at" / f"{budget:06d}")
                    cell = {"seed": seed, "arm": arm, "language": code, "budget": budget,
                            "loss": new.made.get("held_out_mlm_loss", new.made["held_out_loss_bits"]), "lr": new.made["lr"],
                            **{key: value for key, value in asdict(aligned(world, base, new)).items() if key != "candidates"}}
                    if budget in scores:
                        score = scores[budget][code]
                        chance = score["chance"]
                        cell.update(accuracy=score["score"], n=score["n"])
                    cells.append(cell)
            bodies.append({"seed": seed, "arm": arm, "loss": Body.load(place / "en" / "body").made["held_out_loss_bits"]})
            if settings.scored:
                english = scores[max(settings.scored)][BASE]
                bodies[-1].update(accuracy=english["score"], n=english["n"])
    return {"settings": {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(settings).items()},
            "chance": chance, "cells": cells, "bodies": bodies}


def by_seed(rows: Iterable[dict[str, Any]], name: str, **where: Any) -> dict[int, float]:
    """Seed -> mean over languages of a figure, of the rows in which `where` holds and that have it."""
    found: dict[int, list[float]] = {}
    for row in rows:
        if name in row and all(row[key] == value for key, value in where.items()):
            found.setdefault(row["seed"], []).append(float(row[name]))
    return {seed: sum(values) / len(values) for seed, values in sorted(found.items())}
