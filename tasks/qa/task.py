"""What a set of extractive questions is: its files, its languages, the rules of its score.

One family: a body trained on any of them answers the questions of all. Each set is a file of this folder that registers a
`QATask` of its own (`squad`, `xquad`, `mlqa`, `tydiqa`); a set of one's own needs a `reader`, or files in SQuAD's layout.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pretrain.base.errors import UserError, unknown
from pretrain.base.files import require_folder
from pretrain.base.language import check_language
from tasks.definition import Definition, missing_data, split_files
from tasks.qa.data import Questions, check_answers, read_hub, read_squad_files
from tasks.qa.files import CODE, HUB, matches, with_endings
from tasks.qa.scores import SQUAD1, Rules
from tasks.reading.files import hub_groups

if TYPE_CHECKING:
    from pretrain.encoder import EncoderConfig
    from tasks.qa.features import WindowSettings

Reader = Callable[[str, str, str, str, Sequence[str | Path]], Questions]
"""(data, split, language of the contexts, of the questions, files) -> Questions; `files`, where not empty, replace the search."""


@dataclass(frozen=True, kw_only=True)
class QATask(Definition):
    """A question answering task.

    Attributes:
        unanswerable: some questions have no answer, and saying so is right (SQuAD 2.0).
        pairs: question and context may be in different languages (MLQA).
        hub: its data set on the Hugging Face hub, `hf:OWNER/NAME`; empty where there is none.
        scoring: language of the answers -> how they are compared.
        reader: reads what is not in SQuAD's layout.
    """

    heads: tuple[str, ...] = ("span", "joint_span")
    metric: str = "f1"
    criterion: str = "modular_span"
    unanswerable: bool = False
    pairs: bool = False
    hub: str = ""
    scoring: Callable[[str], Rules] = lambda language: SQUAD1
    reader: Reader | None = None
    trainer = "tasks.trainer.qa"
    parts = "tasks.qa.parts"
    train_instead = "squad or squad2"

    # --- files ---------------------------------------------------------------------------------------------------------

    def check_split(self, split: str) -> str:
        """`split` itself.

        Raises:
            UserError: the task has no such split; says what takes its place.
        """
        if split not in self.splits:
            raise unknown(f"split of {self.name}", split, self.splits)
        return split

    def candidates(self, split: str, context: str, question: str) -> list[list[str]]:
        """Patterns of paths below the data folder in which a split is looked for; earlier groups win."""
        return with_endings([[f"{split}-{context}"]])

    def available(self, data: str, split: str) -> list[str]:
        """Languages that `data` holds this split in, by file names; where `data` is on the hub those of the published set."""
        self.check_split(split)
        return list(self.languages) if data.startswith(HUB) else self.held(Path(data), split)

    def held(self, folder: Path, split: str) -> list[str]:
        """Languages that a folder holds this split in, by file names."""
        return [code for code, in matches(folder, rf"{re.escape(split)}-{CODE}")]

    def hub_place(self, split: str, context: str, question: str) -> tuple[str | None, str]:
        """Configuration and split under which the hub keeps a split.

        Raises:
            UserError: the hub has no such thing.
        """
        raise UserError(f"{self.name} is not read from the hub; put the files into a folder and name it with --data")

    def fetched(self, split: str, context: str, question: str) -> list[list[str]]:
        """Patterns of the parquet files of a split in a folder that was fetched from the hub."""
        with suppress(UserError):  # no such split there
            configuration, name = self.hub_place(split, context, question)
            return hub_groups([configuration] if configuration else ["", "*"], name)
        return []

    def find_files(self, data: str, split: str, context: str, question: str) -> list[Path]:
        """The file of a split, with contexts and questions in these languages, or its parts.

        Raises:
            UserError: there is none, or several that fit equally well.
        """
        folder = require_folder(data, "a folder with the task's files")
        groups = self.candidates(split, context, question)
        if not (found := split_files(folder, [*groups, *self.fetched(split, context, question)], split, context)):
            raise self.missing(data, split, context, question, [group[0] for group in groups])
        return found

    def missing(self, data: str, split: str, context: str, question: str, tried: list[str]) -> UserError:
        """The error for a language that is not there: names what was looked for and what there is."""
        return missing_data(self.name, data, split, context, self.available(data, split), tried)

    def keep(self, questions: Questions, language: str) -> Questions:
        """Of a file's questions those in `language`, where a file holds several languages."""
        return questions

    def read(self, data: str | Path, split: str, language: str, files: Sequence[str | Path] = (),
             question_language: str = "") -> Questions:
        """The questions of a split on contexts in `language`, see `Definition.read`.

        Args:
            question_language: where it is not that of the contexts; MLQA alone has such pairs.

        Raises:
            UserError: unknown split or code, no file, a malformed entry, or questions without answers.
        """
        questions = self.unlabelled(data, split, language, files, question_language)
        check_answers(questions, self.name, self.unanswerable)
        return questions

    def unlabelled(self, data: str | Path, split: str, language: str, files: Sequence[str | Path] = (),
                   question_language: str = "") -> Questions:
        """As `read`, of questions whose answers may be unknown."""
        data = str(data)
        self.check_split(split)
        context = check_language(language)
        question = check_language(question_language or language)
        if question != context and not self.pairs:
            raise UserError(f"{self.name}: questions in {question!r} on contexts in {context!r}: only mlqa mixes languages")
        if self.reader is not None:
            questions = self.reader(data, split, context, question, files)
        elif files:
            questions = read_squad_files(files, split == "train")
        elif data.startswith(HUB):
            questions = read_hub(data, *self.hub_place(split, context, question))
        else:
            questions = read_squad_files(self.find_files(data, split, context, question), split == "train")
        return self.keep(questions, context)

    # --- the family ----------------------------------------------------------------------------------------------------

    def rules(self, language: str) -> Rules:
        """How answers in a language are compared.

        Raises:
            UserError: not the shape of a language code.
        """
        return self.scoring(check_language(language))

    @property
    def outputs(self) -> int:
        return 0

    def inputs(self, shape: EncoderConfig, max_length: int = 0, stride: int = 0, max_question: int = 0) -> WindowSettings:
        from tasks.encoding import separators_of
        from tasks.qa.features import WindowSettings

        return WindowSettings.fit(shape.max_positions, max_length, stride, max_question, separators_of(shape))
