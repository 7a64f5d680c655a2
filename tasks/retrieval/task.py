"""What a retrieval task is: sentences of two languages and which belong together. Nothing is trained for it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from pretrain.base.errors import UserError
from tasks.definition import Definition


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
    parts = "tasks.retrieval.parts"
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
