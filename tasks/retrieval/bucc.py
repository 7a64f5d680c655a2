"""BUCC: find the translations hidden in two corpora (Zweigenbaum et al. 2018). F1 of the pairs found."""

from __future__ import annotations

from tasks.definition import register
from tasks.retrieval.files import comparable
from tasks.retrieval.task import RetrievalTask

BUCC = register(RetrievalTask(name="bucc", version="2018", languages=("de", "en", "fr", "ru", "zh"),
                              splits=("sample", "training", "dev", "test"), metric="f1", reader=comparable, mining=True))
