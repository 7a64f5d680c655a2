"""RTE: does one text follow from another (Dagan et al. 2006 and three later years)? Accuracy.

Bodies of inference in three labels do it too: what is neutral or contradicts is not entailed.
"""

from __future__ import annotations

from tasks.classification.columns import Table, labels_as
from tasks.classification.nli import THREE_WAY
from tasks.classification.task import ClassificationTask
from tasks.definition import register
from tasks.reading.files import SPLITS

LABELS = ("entailment", "not_entailment")
TABLE = Table("rte", ("sentence1", "premise"), ("sentence2", "hypothesis"), words=labels_as(LABELS), folder="RTE", hub="rte")

RTE = register(ClassificationTask(name="rte", version="1.0", languages=("en",), splits=SPLITS, labels=LABELS,
                                  reader=TABLE, available=TABLE.available, bodies_of=THREE_WAY,
                                  read_as=(("neutral", "not_entailment"), ("contradiction", "not_entailment"))))
