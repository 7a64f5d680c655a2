"""SST-2: is a phrase of a film review positive (Socher et al. 2013)? Accuracy."""

from __future__ import annotations

from tasks.classification.columns import Table, labels_as
from tasks.classification.task import ClassificationTask
from tasks.definition import register
from tasks.reading.files import SPLITS

LABELS = ("negative", "positive")
TABLE = Table("sst2", ("sentence",), words=labels_as(LABELS), folder="SST-2", hub="sst2")

SST2 = register(ClassificationTask(name="sst2", version="1.0", languages=("en",), splits=SPLITS, labels=LABELS,
                                   reader=TABLE, available=TABLE.available))
