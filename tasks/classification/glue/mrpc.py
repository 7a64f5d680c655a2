"""MRPC: do two sentences of the news say the same (Dolan and Brockett 2005)? Accuracy, and F1 of the equivalent."""

from __future__ import annotations

from tasks.classification.columns import Table, labels_as
from tasks.classification.task import ClassificationTask
from tasks.definition import register
from tasks.reading.files import SPLITS

LABELS = ("not_equivalent", "equivalent")
TABLE = Table("mrpc", ("#1 String", "sentence1"), ("#2 String", "sentence2"), ("Quality", "label"), words=labels_as(LABELS),
              folder="MRPC", hub="mrpc")

MRPC = register(ClassificationTask(name="mrpc", version="1.0", languages=("en",), splits=SPLITS, labels=LABELS,
                                   reader=TABLE, available=TABLE.available, further=("f1",)))
