"""Tatoeba: 1,000 sentences and their translations (Artetxe and Schwenk 2019; in XTREME Hu et al. 2020). Accuracy, both ways."""

from __future__ import annotations

from tasks.definition import register
from tasks.retrieval.files import THREE_LETTERS, aligned
from tasks.retrieval.task import RetrievalTask

TATOEBA = register(RetrievalTask(name="tatoeba", version="1.0", languages=tuple(THREE_LETTERS), splits=("dev", "test"),
                                 metric="accuracy", reader=aligned))
