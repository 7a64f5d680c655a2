"""ANLI: inference that was written to mislead models, in three rounds (Nie et al. 2020). Accuracy.

The archive keeps each round in a folder, `R1/dev.jsonl`; splits are `dev_r1` and so on. `train`, `dev` and `test` are all three.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tasks.classification.columns import Table
from tasks.classification.examples import Loaded
from tasks.classification.nli import LABELS, THREE_WAY
from tasks.classification.task import ClassificationTask
from tasks.definition import register
from tasks.reading.files import HUB

ROUNDS = ("r1", "r2", "r3")
WORDS = {word: index for index, name in enumerate(LABELS) for word in (name, name[0], str(index))}
WHOLE = ("train", "dev", "test")
SPLITS = (*WHOLE, *(f"{split}_{part}" for split in WHOLE for part in ROUNDS))
TABLE = Table("anli", ("context", "premise"), ("hypothesis",), ("label",), identifier=("uid", "id"), words=WORDS,
              stems={f"{split}_{part}": (f"{part.upper()}/{split}", f"{split}_{part}") for split in WHOLE for part in ROUNDS},
              hub="plain_text", hub_splits={f"{split}_{part}": f"{split}_{part}" for split in WHOLE for part in ROUNDS})


def read(data: str, split: str, language: str, files: Sequence[str] = ()) -> Loaded:
    """The pairs of a split; those of all rounds where the split names none and no file holds them together."""
    if files or split not in WHOLE:
        return TABLE(data, split, language, files)
    if not data.startswith(HUB):
        rounds = any(next(Path(data).glob(pattern), None) for pattern in (f"R?/{split}.jsonl*", f"{split}_r?.*"))
        if language in TABLE.available(data, split) or not rounds:
            return TABLE(data, split, language)
    parts = [TABLE(data, f"{split}_{part}", language) for part in ROUNDS]
    return Loaded([item for part in parts for item in part.examples], [name for part in parts for name in part.files],
                  sum(part.dropped for part in parts))


ANLI = register(ClassificationTask(name="anli", version="1.0", languages=("en",), splits=SPLITS, labels=LABELS,
                                   pair=True, reader=read,
                                   available=TABLE.available, bodies_of=THREE_WAY))
