"""SNLI: inference over captions of pictures (Bowman et al. 2015). Accuracy; pairs whose annotators did not agree are left out."""

from __future__ import annotations

from tasks.classification.columns import Table, labels_as
from tasks.classification.nli import LABELS, THREE_WAY
from tasks.classification.task import ClassificationTask
from tasks.definition import register
from tasks.reading.files import SPLITS

TABLE = Table("snli", ("sentence1", "premise"), ("sentence2", "hypothesis"), ("gold_label", "label"), words=labels_as(LABELS),
              folder="SNLI", stems={split: (split, f"snli_1.0_{split}") for split in SPLITS}, hub="plain_text")

SNLI = register(ClassificationTask(name="snli", version="1.0", languages=("en",), splits=SPLITS, labels=LABELS,
                                   reader=TABLE, available=TABLE.available, bodies_of=THREE_WAY))
