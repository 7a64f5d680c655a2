"""CoNLL's columns: the chunks of CoNLL-2000, and label sets of one's own."""

from __future__ import annotations

from tasks.definition import register
from tasks.tagging.task import SPLITS, TaggingTask, bio

CHUNKS = ("ADJP", "ADVP", "CONJP", "INTJ", "LST", "NP", "PP", "PRT", "SBAR", "UCP", "VP")
"""Chunk types of the CoNLL-2000 shared task (Tjong Kim Sang and Buchholz 2000)."""

CONLL2000 = register(TaggingTask("conll2000", "1.0", ("en",), SPLITS, labels=bio(CHUNKS), layout="columns"))
CONLL = register(TaggingTask("conll", "1.0", (), SPLITS, labels=(), layout="columns"))
