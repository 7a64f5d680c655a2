"""AX: GLUE's diagnostic set of inference (Wang et al. 2019), done by bodies of three-way inference.

Matthews' correlation, of the whole and by category. GLUE's own file (`diagnostic.tsv`) has no labels: it is for submissions.
`diagnostic-full.tsv` has them. `ax2` has two labels,
as SuperGLUE's broadcoverage diagnostics (Wang et al. 2019): what is neutral or contradicts is not entailed.
"""

from __future__ import annotations

from tasks.classification.columns import Table, labels_as
from tasks.classification.nli import LABELS, THREE_WAY
from tasks.classification.task import ClassificationTask
from tasks.definition import register

PREMISE, HYPOTHESIS = ("Premise", "sentence1", "premise"), ("Hypothesis", "sentence2", "hypothesis")
CATEGORIES = ("Lexical Semantics", "Predicate-Argument Structure", "Logic", "Knowledge")
TABLE = Table("ax", PREMISE, HYPOTHESIS, ("Label", "label"), words=labels_as(LABELS), folder="AX",
              stems={"test": ("diagnostic-full", "diagnostic")}, hub="ax", hub_splits={"test": "test"}, groups=CATEGORIES)

AX = register(ClassificationTask(name="ax", version="1.0", languages=("en",), splits=("test",), labels=LABELS, reader=TABLE,
                                 available=TABLE.available, metric="matthews", further=("accuracy",), bodies_of=THREE_WAY))

TWO = ("entailment", "not_entailment")
TWO_TABLE = Table("ax2", PREMISE, HYPOTHESIS, ("Label", "label"), words=labels_as(TWO), folder="AX",
                  stems={"test": ("ax_2way", "AX-b")}, hub="axb", hub_splits={"test": "test"},
                  groups=("lexical-semantics", "predicate-argument-structure", "logic", "knowledge"))

AX2 = register(ClassificationTask(name="ax2", version="1.1", languages=("en",), splits=("test",), labels=TWO, reader=TWO_TABLE,
                                  available=TWO_TABLE.available, metric="matthews", further=("accuracy",),
                                  bodies_of=("rte", *THREE_WAY),
                                  read_as=(("neutral", "not_entailment"), ("contradiction", "not_entailment"))))
