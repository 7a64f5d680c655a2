"""STS-B: how alike are two sentences, from 0 to 5 (Cer et al. 2017)? A regression; Pearson's and Spearman's correlation."""

from __future__ import annotations

from tasks.classification.columns import Table
from tasks.classification.regression import RegressionTask
from tasks.definition import register
from tasks.reading.files import SPLITS

TABLE = Table("stsb", ("sentence1",), ("sentence2",), ("score", "label"), span=(0.0, 5.0), folder="STS-B", hub="stsb")

STSB = register(RegressionTask(name="stsb", version="1.0", languages=("en",), splits=SPLITS, span=TABLE.span,
                               reader=TABLE, available=TABLE.available))
