"""What a retrieval task is: sentences of two languages and which belong together. Nothing is trained for it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pretrain.base.errors import UserError
from tasks.definition import Definition, Inputs

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pretrain.artefacts.body import Body
    from tasks.family import Evaluation, EvaluationOptions, Predictor, Training


@dataclass
class Bitext:
    """Sentences of two languages.

    Attributes:
        gold: number of a first sentence -> number of the second that translates it.
        ids: of the sentences of each side, where the file names them.
        files: what was read.
    """

    first: list[str]
    second: list[str]
    gold: dict[int, int]
    files: list[str] = field(default_factory=list)
    ids: tuple[list[str], list[str]] = field(default_factory=lambda: ([], []))
    dropped: int = 0

    def __len__(self) -> int:
        return len(self.gold)

    def only(self, numbers: Sequence[int]) -> Bitext:
        """All sentences, of which these pairs are looked for."""
        pairs = sorted(self.gold.items())
        return replace(self, gold=dict(pairs[number] for number in numbers))

    def sha256(self) -> str:
        """Hash of the sentences and of what belongs together, in order."""
        digest = hashlib.sha256()
        for sentence in (*self.first, "\0", *self.second):
            digest.update(f"{sentence}\n".encode())
        digest.update(repr(sorted(self.gold.items())).encode())
        return digest.hexdigest()


Reader = Callable[[Path, str, str, str], Bitext]
"""(folder, split, first language, second language) -> the sentences of both."""


@dataclass(frozen=True, kw_only=True)
class RetrievalTask(Definition):
    """A retrieval task.

    Attributes:
        reader: makes the bitext of two languages from a folder.
        mining: not every sentence has a translation: pairs are mined and scored by F1; else every one has, and accuracy counts.
    """

    reader: Reader
    mining: bool = False
    heads: tuple[str, ...] = ("linear",)
    criterion: str = ""
    trainer = ""
    two_languages = True
    needs_head = False

    @property
    def outputs(self) -> int:
        return 0

    def read(self, data: str | Path, split: str, language: str, files: Sequence[str | Path] = (), *,
             question_language: str = "") -> Bitext:
        """The sentences of two languages, see `Definition.read`.

        Args:
            files: what a record names: the folder that they lie in is read; they are found by their names.
            question_language: the second language, under the name that records have for one.
        """
        folders = {Path(file).parent for file in files} or {Path(data)}
        if not question_language or len(folders) > 1:
            raise UserError(f"{self.name} reads the sentences of two languages from a folder; name it with --data")
        found = self.reader(folders.pop(), split, self.check(split, language), self.check(split, question_language))
        for place, sentences in zip(found.files, (found.first, found.second), strict=False):
            empty = next((number for number, sentence in enumerate(sentences, 1) if not sentence.strip()), 0)
            if empty:
                raise UserError(f"{place}:{empty}: an empty line; expected a sentence")
        if not found.gold:
            raise UserError(f"{', '.join(found.files)}: no sentence has a translation; nothing can be scored")
        return found

    def training(self, head: str, inputs: Inputs) -> Training:
        raise UserError(f"{self.name}: nothing is trained for it; evaluate a body on it")

    def evaluation(self, body: Body, place: str, options: EvaluationOptions) -> Evaluation:
        from tasks.retrieval.family import RetrievalEvaluation

        return RetrievalEvaluation.of(self, body, options)

    def predictor(self, body: Body) -> Predictor:
        raise UserError(f"{self.name}: has no prediction for one text; `encode` of the Python door gives the vectors")

    def table(self, records: Sequence[dict[str, Any]]) -> str:
        from tasks.retrieval.family import table

        return table(records)

    def example_scores(self, predictions: Path, examples: Bitext, language: str) -> NDArray[np.float64]:
        from tasks.retrieval.family import example_scores

        if self.mining:
            raise UserError(f"{self.metric} is no mean over examples")
        return example_scores(predictions, examples)
