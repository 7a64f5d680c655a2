"""CoLA: is a sentence acceptable (Warstadt et al. 2019)? Matthews' correlation. Its train and dev files have no header."""

from __future__ import annotations

from tasks.classification.columns import Table, labels_as
from tasks.classification.task import ClassificationTask
from tasks.definition import register
from tasks.reading.files import SPLITS

LABELS = ("unacceptable", "acceptable")
TABLE = Table("cola", ("sentence",), words=labels_as(LABELS), headless=("source", "label", "mark", "sentence"),
              folder="CoLA", hub="cola", identifier=("index", "idx"))

COLA = register(ClassificationTask(name="cola", version="1.1", languages=("en",), splits=SPLITS, labels=LABELS,
                                   reader=TABLE, available=TABLE.available, metric="matthews", further=("accuracy",)))
