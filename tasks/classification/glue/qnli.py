"""QNLI: does a sentence hold the answer to a question (Wang et al. 2019, from SQuAD)? Accuracy."""

from __future__ import annotations

from tasks.classification.columns import Table, labels_as
from tasks.classification.task import ClassificationTask
from tasks.definition import register
from tasks.reading.files import SPLITS

LABELS = ("entailment", "not_entailment")
TABLE = Table("qnli", ("question",), ("sentence",), words=labels_as(LABELS), folder="QNLI", hub="qnli")

QNLI = register(ClassificationTask(name="qnli", version="2.0", languages=("en",), splits=SPLITS, labels=LABELS,
                                   reader=TABLE, available=TABLE.available))
