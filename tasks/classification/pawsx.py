"""PAWS-X: do two sentences of the same words say the same (Zhang et al. 2019; in seven languages Yang et al. 2019)? Accuracy.

Train on English (`train-en.tsv`, or PAWS-Wiki's `train.tsv`), evaluate in each language. The English dev and test sets of PAWS-X
are parts of the dev set of PAWS-Wiki: never train on that.
"""

from __future__ import annotations

from tasks.classification.columns import Table, labels_as
from tasks.classification.task import ClassificationTask
from tasks.definition import register
from tasks.reading.files import SPLITS

LANGUAGES = ("de", "en", "es", "fr", "ja", "ko", "zh")
LABELS = ("different", "paraphrase")
TABLE = Table("pawsx", ("sentence1",), ("sentence2",), ("label",), words=labels_as(LABELS),
              headless=("sentence1", "sentence2", "label"))

PAWSX = register(ClassificationTask(name="pawsx", version="1.0", languages=LANGUAGES, splits=SPLITS, labels=LABELS,
                                    reader=TABLE, available=TABLE.available, further=("f1",)))
