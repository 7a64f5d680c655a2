"""QQP: do two questions ask the same (Quora's question pairs)? Accuracy, and F1 of the duplicates.

A few rows of the official training file are cut short; they are left out and counted, as everybody does.
"""

from __future__ import annotations

from tasks.classification.columns import Table, labels_as
from tasks.classification.task import ClassificationTask
from tasks.definition import register
from tasks.reading.files import SPLITS

LABELS = ("not_duplicate", "duplicate")
TABLE = Table("qqp", ("question1",), ("question2",), ("is_duplicate", "label"), words=labels_as(LABELS), folder="QQP", hub="qqp",
              cut=True)

QQP = register(ClassificationTask(name="qqp", version="1.0", languages=("en",), splits=SPLITS, labels=LABELS,
                                  reader=TABLE, available=TABLE.available, further=("f1",)))
