"""How much an initialiser knew of a new language: rows made of the source's rows, and how much of the text they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from adapt.initialise import Request
from adapt.initialise.texts import prepared
from pretrain.base.vocabulary import SPECIALS

COVERAGE = "coverage"
"""Under this name the state of the fairseq task, which every checkpoint holds, keeps it."""
NAMES = ("rows_from_source", "rows_ordinary", "text_from_source")
"""What an embedding's record says of it."""
SAMPLE = 1_000_000
"""Pieces from the begin of the training text that are counted: enough for a share, and soon read."""


def coverage(request: Request) -> dict[str, Any]:
    """What an embedding's record says of a start that has just been made; empty where the initialiser only draws.

    `rows_from_source`: ordinary rows (no specials, no mask) that are copies or mixtures of the source's rows. `rows_ordinary`:
    of so many. `text_from_source`: their share of the running ordinary pieces among the first million of the prepared training
    text; not there without text.
    """
    if not request.from_source:
        return {}
    rows = request.shape[0]
    made = np.zeros(rows, dtype=bool)
    made[request.from_source[-1]] = True  # tables of a pair come from the same rows
    ordinary = slice(len(SPECIALS), rows - 1)
    found: dict[str, Any] = {"rows_from_source": int(made[ordinary].sum()), "rows_ordinary": rows - 1 - len(SPECIALS)}
    if request.data is not None:
        counts = np.bincount(prepared(request).tokens[:SAMPLE], minlength=rows)[ordinary]
        if total := int(counts.sum()):
            found["text_from_source"] = round(int(counts[made[ordinary]].sum()) / total, 6)
    return found


def of_checkpoint(state: Mapping[str, Any]) -> dict[str, Any]:
    """What the run that wrote a checkpoint counted; empty for one from before it was counted."""
    return dict((state.get("task_state") or {}).get(COVERAGE) or {})


def described(made: Mapping[str, Any]) -> str:
    """A line about an embedding's start, from its record; empty where the record says nothing."""
    if "rows_from_source" not in made:
        return ""
    text = made.get("text_from_source")
    share = f", {text:.1%} of the running pieces of the text" if text is not None else ""
    return (f"initialiser {made['initialiser']}: {made['rows_from_source']:,} of {made['rows_ordinary']:,} rows were copied or "
            f"mixed from the source's{share}; the others were drawn")
