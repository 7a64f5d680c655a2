"""Three tasks of one's own, as a user writes them: own files, own rules, an own metric. `--tasks-from` reads this."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pretrain.base.files import require_file
from tasks.classification.metrics import register_metric
from tasks.classification.task import ClassificationTask, Example, Loaded
from tasks.definition import register
from tasks.qa.data import Answer, Question, Questions
from tasks.qa.scores import Rules
from tasks.qa.task import QATask
from tasks.tagging.data import Sentence, Sentences
from tasks.tagging.task import TaggingTask

SPLITS = ("train", "dev", "test")


def own_lines(data: str, split: str, language: str, files: Sequence[str | Path], ending: str) -> tuple[Path, list[str]]:
    """The lines of `SPLIT.CODE.ENDING`, or of the file that was named."""
    path = Path(files[0]) if files else Path(data) / f"{split}.{language}.{ending}"
    return path, require_file(path, f"a .{ending} file").read_text(encoding="utf-8").splitlines()


@register_metric("phi")
def phi(matrix: np.ndarray) -> float:
    """Matthews' coefficient of two labels, from the four counts (Matthews 1975)."""
    (tn, fp), (fn, tp) = matrix.astype(float)
    below = (tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)
    return float((tp * tn - fp * fn) / np.sqrt(below)) if below else 0.0


def read_marked(data: str, split: str, language: str, files: Sequence[str]) -> Loaded:
    """`text => label` on each line."""
    path, lines = own_lines(data, split, language, files, "marked")
    rows = [line.split(" => ") for line in lines]
    labels = ("plain", "marked")
    return Loaded([Example(str(n), text, None, labels.index(label)) for n, (text, label) in enumerate(rows)], [str(path)])


register(ClassificationTask("marked", "1", (), SPLITS, labels=("plain", "marked"), reader=read_marked, metric="phi",
                            available=lambda data, split: [path.name.split(".")[1]
                                                           for path in Path(data).glob(f"{split}.*.marked")]))


def read_asked(data: str, split: str, language: str, asked_in: str, files: Sequence[str | Path]) -> Questions:
    """`context ? question ! answer` on each line."""
    path, lines = own_lines(data, split, language, files, "asked")
    found = []
    for number, line in enumerate(lines):
        context, rest = line.split(" ? ")
        question, answer = rest.split(" ! ")
        found.append(Question(f"{split}-{number}", question, context, (Answer(answer, context.index(answer)),)))
    return Questions(found, [str(path)])


register(QATask("asked", "1", (), SPLITS, reader=read_asked, scoring=lambda language: Rules("as written", lambda text: text)))


def read_slashed(data: str, split: str, language: str, files: Sequence[str]) -> Sentences:
    """`word/TAG word/TAG …` on each line."""
    path, lines = own_lines(data, split, language, files, "slashed")
    tags = ("N", "V")
    rows = [[pair.rsplit("/", 1) for pair in line.split()] for line in lines]
    found = [Sentence(tuple(word for word, _ in row), tuple(tags.index(tag) for _, tag in row)) for row in rows]
    return Sentences(found, [str(path)])


register(TaggingTask("slashed", "1", (), SPLITS, labels=("N", "V"), metric="accuracy", reader=read_slashed))
