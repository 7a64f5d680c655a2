"""SciTail: does a sentence of a text support the answer to a question of a science exam (Khot et al. 2018)? Accuracy.

Bodies of three-way inference do it too: what contradicts does not entail. The official `tsv_format` files have no header.
"""

from __future__ import annotations

from tasks.classification.columns import Table, labels_as
from tasks.classification.nli import THREE_WAY
from tasks.classification.task import ClassificationTask
from tasks.definition import register
from tasks.reading.files import SPLITS

LABELS = ("entails", "neutral")
TABLE = Table("scitail", ("premise", "sentence1"), ("hypothesis", "sentence2"), ("label", "gold_label"),
              words=labels_as(LABELS, ("entailment", "not_entailment")), headless=("premise", "hypothesis", "label"),
              folder="tsv_format", stems={split: (split, f"scitail_1.0_{split}") for split in SPLITS}, hub="tsv_format")

SCITAIL = register(ClassificationTask(name="scitail", version="1.0", languages=("en",), splits=SPLITS, labels=LABELS,
                                      reader=TABLE, available=TABLE.available, bodies_of=THREE_WAY,
                                      read_as=(("entailment", "entails"), ("contradiction", "neutral"))))
