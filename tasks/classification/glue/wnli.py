"""WNLI: does a sentence follow once a pronoun is replaced (Levesque et al. 2012)? Accuracy.

Its dev set shares sentences with the training set under the other label, so that what learns by heart scores below chance there.
"""

from __future__ import annotations

from tasks.classification.columns import Table, labels_as
from tasks.classification.task import ClassificationTask
from tasks.definition import register
from tasks.reading.files import SPLITS

LABELS = ("not_entailment", "entailment")
TABLE = Table("wnli", ("sentence1",), ("sentence2",), words=labels_as(LABELS), folder="WNLI", hub="wnli")

WNLI = register(ClassificationTask(name="wnli", version="1.0", languages=("en",), splits=SPLITS, labels=LABELS,
                                   reader=TABLE, available=TABLE.available))
