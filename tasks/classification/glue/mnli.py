"""MNLI: inference over ten genres (Williams et al. 2018), matched and mismatched. Accuracy.

The same pairs as task `xnli` trains on, under GLUE's names of files and splits; `dev` is the matched one.
"""

from __future__ import annotations

from tasks.classification.columns import Table, labels_as
from tasks.classification.nli import LABELS, THREE_WAY
from tasks.classification.task import ClassificationTask
from tasks.definition import register

MATCHED, MISMATCHED = "validation_matched", "validation_mismatched"
TABLE = Table(
    "mnli", ("sentence1", "premise"), ("sentence2", "hypothesis"), ("gold_label", "label"), words=labels_as(LABELS),
    folder="MNLI",
    stems={"train": ("train", "multinli*train"), "dev": ("dev_matched", "multinli*dev_matched"),
           "dev_matched": ("dev_matched", "multinli*dev_matched"),
           "dev_mismatched": ("dev_mismatched", "multinli*dev_mismatched")},
    hub="mnli", hub_splits={"train": "train", "dev": MATCHED, "dev_matched": MATCHED, "dev_mismatched": MISMATCHED,
                            "test_matched": "test_matched", "test_mismatched": "test_mismatched"})

MNLI = register(ClassificationTask(name="mnli", version="1.0", languages=("en",), labels=LABELS, reader=TABLE,
                                   splits=("train", "dev", "dev_matched", "dev_mismatched", "test_matched", "test_mismatched"),
                                   available=TABLE.available, bodies_of=THREE_WAY))
