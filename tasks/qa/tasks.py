"""Extractive question answering: SQuAD 1.1 and 2.0, XQuAD, MLQA, TyDiQA-GoldP.

One family: a body trained on any of them answers the questions of all. What differs is files, languages and the rules
of the score (`tasks.qa.scores`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.definition import Definition, register
from tasks.qa import data as qa_data
from tasks.qa.files import LANGUAGES, SPLITS


@dataclass(frozen=True, kw_only=True)
class QATask(Definition):
    """A question answering task.

    Attributes:
        unanswerable: some questions have no answer, and saying so is right (SQuAD 2.0).
        pairs: question and context may be in different languages (MLQA).
    """

    heads: tuple[str, ...] = ("span", "joint_span")
    metric: str = "f1"
    criterion: str = "modular_span"
    unanswerable: bool = False
    pairs: bool = False

    def read(self, data: str | Path, split: str, language: str, files: Sequence[str | Path] = (),
             question_language: str = "") -> qa_data.Questions:
        """The questions of a split on contexts in `language`, see `Definition.read`.

        Args:
            question_language: where it is not that of the contexts; MLQA alone has such pairs.
        """
        return qa_data.read(self.name, str(data), split, language, question_language or None, files)


def _task(name: str, version: str, **more: Any) -> QATask:
    return register(QATask(name, version, LANGUAGES[name], SPLITS[name], **more))


SQUAD = _task("squad", "1.1")
SQUAD2 = _task("squad2", "2.0", unanswerable=True, heads=("joint_span", "span"))
XQUAD = _task("xquad", "1.1")
MLQA = _task("mlqa", "1.0", pairs=True)
TYDIQA = _task("tydiqa", "goldp-1.1")
