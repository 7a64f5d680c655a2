"""Readers of extractive question answering: SQuAD 1.1 and 2.0, XQuAD, MLQA, TyDiQA-GoldP.

All of them come in SQuAD's layout (Rajpurkar et al. 2016): articles of paragraphs of questions, each answer with the
offset of its first character in the paragraph's text. Offsets count code points of the text as the file has it, so no
text is stripped, normalised or otherwise touched here. No question is ever left out: what cannot be used is an error
that names it, and an answer that is not at its offset is kept and reported.
"""

from __future__ import annotations

import hashlib
import json
import logging
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pretrain.base.errors import UserError
from pretrain.base.files import require_file
from pretrain.base.opening import is_parquet, read_text
from pretrain.base.records import parse_json
from tasks.qa.files import HUB
from tasks.reading.files import Row, parquet_rows
from tasks.reading.hub import load_split

logger = logging.getLogger(__name__)

STRIPPED = "if the answers of this file were stripped, take the official file, which has them"


@dataclass(frozen=True, slots=True)
class Answer:
    """One annotator's answer.

    Attributes:
        text: as annotated.
        start: code points of the context before the answer, as the file says; see `aligned_start`.
    """

    text: str
    start: int


@dataclass(frozen=True, slots=True)
class Question:
    """One question on one paragraph.

    Attributes:
        context: the paragraph; one string object for all its questions.
        answers: none where the question is impossible, or where the file's answers were stripped.
        impossible: marked as not answerable from the context (SQuAD 2.0).
        title: of the article; "" where the file names none.
    """

    id: str
    question: str
    context: str
    answers: tuple[Answer, ...]
    impossible: bool = False
    title: str = ""


@dataclass
class Questions:
    """The questions of one split in file order, and where they come from.

    Attributes:
        files: what was read.
        misaligned: ids of questions that have an answer whose text is not at its offset, in order.
        dropped: always 0: questions are never left out. Here because results record it for every task.
    """

    questions: list[Question]
    files: list[str] = field(default_factory=list)
    misaligned: list[str] = field(default_factory=list)
    dropped: int = 0

    def __len__(self) -> int:
        return len(self.questions)

    def __iter__(self) -> Iterator[Question]:
        return iter(self.questions)

    def only(self, numbers: Sequence[int]) -> Questions:
        """The questions of these numbers, in that order."""
        kept = [self.questions[number] for number in numbers]
        names = {item.id for item in kept}
        return replace(self, questions=kept, misaligned=[name for name in self.misaligned if name in names])

    def sha256(self) -> str:
        """Hash of ids, questions, contexts and answers in order: the same for the same data in any file format."""
        digest = hashlib.sha256()
        for item in self.questions:
            answers = [[answer.text, answer.start] for answer in item.answers]
            digest.update(json.dumps([item.id, item.question, item.context, answers]).encode())
        return digest.hexdigest()


def aligned_start(question: Question, answer: Answer) -> int | None:
    """Where the answer's text really begins in the context, in code points.

    Its stated offset where the text is there, else the occurrence nearest to it (the earlier of two equally near
    ones), else None.
    """
    context, text = question.context, answer.text
    if context.startswith(text, answer.start):
        return answer.start
    before = context.rfind(text, 0, answer.start + len(text))
    after = context.find(text, answer.start)
    if before < 0 or after < 0:
        return None if before == after else max(before, after)
    return before if answer.start - before <= after - answer.start else after


def aligned_span(question: Question, answer: Answer) -> tuple[int, int] | None:
    """The characters `[start, end)` of the context that are the answer.

    Found as `aligned_start` says; where the text is nowhere in the context as it is written, by its composed and its decomposed
    form: a file may hold contexts in one of them and answers in the other (a `ü` of one code point, or of two).
    """
    for form in (None, "NFC", "NFD"):
        text = answer.text if form is None else unicodedata.normalize(form, answer.text)
        start = aligned_start(question, Answer(text, answer.start))
        if start is not None:
            return start, start + len(text)
    return None


# --- one file ----------------------------------------------------------------------------------------------------------


def _content(path: Path) -> Any:
    """What a JSON file holds, compressed or not, with a byte order mark or without."""
    try:
        text = read_text(path)
        return parse_json(text, path, "a file in SQuAD's layout")
    except json.JSONDecodeError as error:
        # A text that nothing closes is reported where it starts, any other sudden end within a word of the file's end.
        at_end = error.pos >= len(text.rstrip()) - len("fals") and error.msg != "Extra data"
        cut = at_end or error.msg.startswith("Unterminated string")
        what = "the file ends before its JSON does: it is empty or truncated; copy it again" if cut else \
            f"not valid JSON ({error.msg}); expected a file in SQuAD's layout"
        raise UserError(f"{path}:{error.lineno}:{error.colno}: {what}") from None


_KINDS: dict[type, str] = {str: "a text", int: "a whole number", list: "a list", dict: "an object", bool: "true or false"}


def _kind(value: Any) -> str:
    return "null" if value is None else _KINDS.get(type(value), type(value).__name__)


def _field(entry: Any, key: str, kind: type, where: str) -> Any:
    """`entry[key]`, which must be there and of that kind."""
    if not isinstance(entry, dict):
        raise UserError(f"{where}: expected an object with {key!r}, got {_kind(entry)}; the file is not in SQuAD's layout")
    if key not in entry:
        found = ", ".join(repr(name) for name in list(entry)[:8]) or "nothing"
        advice = STRIPPED if key == "answers" else "the file is not in SQuAD's layout"
        raise UserError(f"{where}: {key!r} is missing, found {found}; {advice}")
    value = entry[key]
    if type(value) is not kind:  # not isinstance: true is not an offset
        raise UserError(f"{where}: {key!r} is {str(value)[:40]!r} ({_kind(value)}); expected {_KINDS[kind]}")
    return value


def _text(entry: Any, key: str, where: str) -> str:
    """A text that is more than white space, exactly as it stands: offsets count its characters."""
    value: str = _field(entry, key, str, where)
    if not value.strip():
        advice = f"; {STRIPPED}" if key == "text" else ""
        raise UserError(f"{where}: {key!r} is empty; expected a text{advice}")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise UserError(f"{where}: {key!r} holds half of a surrogate pair at character {error.start}; repair the "
                        "file") from None
    return value


class _Collector:
    """Gathers the checked questions of one source and finds those whose answers are not where it says.

    Args:
        place: the source.
        seen: id -> source of all questions so far; several sources of one set share it.
        rename: give a repeated id a number instead of refusing it.
    """

    def __init__(self, place: str, seen: dict[str, str], rename: bool = False):
        self.place, self.seen, self.rename = place, seen, rename
        self.questions: list[Question] = []
        self.misaligned: list[str] = []
        self.repeated: list[str] = []
        self.numbers: Counter[str] = Counter()

    def add(self, entry: Any, context: str, title: str, where: str, number: int) -> None:
        """Checks one entry of `qas`; `number` from 1 names it as long as its id is not known."""
        identifier = _text(entry, "id", f"{where}, question {number}")
        where = f"{where}, question id {identifier!r}"
        identifier = self._own(identifier, where)
        answers = tuple(self._answer(one, context, f"{where}, answer {place}")
                        for place, one in enumerate(_field(entry, "answers", list, where), 1))
        impossible = "is_impossible" in entry and _field(entry, "is_impossible", bool, where)
        if impossible and answers:
            raise UserError(f"{where}: 'is_impossible' is true, but it has {len(answers)} answers; repair the file")
        question = Question(identifier, _text(entry, "question", where), context, answers, impossible, title)
        self.questions.append(question)
        if not all(context.startswith(answer.text, answer.start) for answer in answers):
            self.misaligned.append(identifier)

    def _own(self, identifier: str, where: str) -> str:
        """The id if it is new, else one made of it."""
        if identifier in self.seen and not self.rename:
            home = self.seen[identifier]
            also = "occurs twice" if home == self.place else f"is also in {home}"
            raise UserError(f"{where}: this id {also}; predictions are told apart by it, so every question needs its own")
        own = identifier
        if own in self.seen:
            self.repeated.append(identifier)
        while own in self.seen:
            self.numbers[identifier] += 1
            own = f"{identifier}#{self.numbers[identifier] + 1}"
        self.seen[own] = self.place
        return own

    @staticmethod
    def _answer(entry: Any, context: str, where: str) -> Answer:
        text, start = _text(entry, "text", where), _field(entry, "answer_start", int, where)
        if not 0 <= start < len(context):
            raise UserError(f"{where}: 'answer_start' is {start}, outside the context of {len(context):,} characters; "
                            "offsets count characters (code points) from 0, not bytes")
        return Answer(text, start)

    def finish(self) -> Questions:
        """The questions, after a warning where answers are not at their offsets or ids were repeated."""
        count = len(self.questions)
        if self.misaligned:
            logger.warning(f"{self.place}: {len(self.misaligned):,} of {count:,} questions have an answer that is not at "
                           f"its offset (first: id {self.misaligned[0]}): it is looked for at the nearest place in the context")
        if self.repeated:
            logger.warning(f"{self.place}: {len(self.repeated):,} of {count:,} questions repeat the id of another one "
                           f"(first: id {self.repeated[0]}); all are kept, under numbered ids")
        return Questions(self.questions, [self.place], self.misaligned)


def read_squad_file(path: str | Path, rename: bool = False) -> Questions:
    """Reads a file in SQuAD's layout, `.json` or `.json.gz`, with or without answers.

    Args:
        rename: number repeated ids (`12`, `12#2`, …) and warn, as is right for training: XTREME's TyDiQA training
            file has 89 ids for 3,696 questions. False: an error, because predictions could not be told apart.

    Raises:
        UserError: with file, article, paragraph and question: whatever is missing, of a wrong type, empty, there twice
            or outside its context; damaged or truncated files.
    """
    return _read_file(path, {}, rename)


def read_squad_files(paths: Sequence[str | Path], rename: bool = False) -> Questions:
    """The questions of several files, in their order, with ids that must differ between them; see `read_squad_file`."""
    seen: dict[str, str] = {}
    parts = [_read_file(path, seen, rename) for path in paths]
    return Questions([item for part in parts for item in part], [name for part in parts for name in part.files],
                     [identifier for part in parts for identifier in part.misaligned])


def check_answers(questions: Questions, task: str, unanswerable: bool) -> None:
    """Refuses what can be neither trained on nor scored: no questions, or questions that lack what the task needs.

    Args:
        unanswerable: questions that are marked as impossible need no answer.
    """
    where = ", ".join(questions.files)
    if not questions.questions:
        raise UserError(f"{where}: no questions; the file is empty")
    bare = [item for item in questions if not item.answers and not (unanswerable and item.impossible)]
    if not bare:
        return
    first = bare[0].id
    if any(item.impossible for item in bare):
        raise UserError(f"{where}: {len(bare):,} of {len(questions):,} questions have no answer (first: id {first}): "
                        f"this is SQuAD 2.0, not {task}; use --task squad2")
    unmarked = " and are not marked 'is_impossible'" if unanswerable else ""
    raise UserError(f"{where}: {len(bare):,} of {len(questions):,} questions have no answers{unmarked} (first: id "
                    f"{first}); {STRIPPED}")


def _read_file(path: str | Path, seen: dict[str, str], rename: bool) -> Questions:
    path = require_file(path, "a file of questions in SQuAD's layout (.json or .json.gz)")
    collector = _Collector(str(path), seen, rename)
    if is_parquet(path):
        _add_rows(collector, parquet_rows(path))
        return collector.finish()
    for one, article in enumerate(_field(_content(path), "data", list, str(path)), 1):
        where = f"{path}: article {one}"
        paragraphs = _field(article, "paragraphs", list, where)
        title = _field(article, "title", str, where) if "title" in article else ""
        where += f" ({title!r})" if title else ""
        for two, paragraph in enumerate(paragraphs, 1):
            inside = f"{where}, paragraph {two}"
            context = _text(paragraph, "context", inside)
            for three, entry in enumerate(_field(paragraph, "qas", list, inside), 1):
                collector.add(entry, context, title, inside, three)
    return collector.finish()


def read_hub(name: str, config: str | None, split: str) -> Questions:
    """A data set of the Hugging Face hub through `datasets`: the one place here that may reach the network.

    Args:
        name: `hf:OWNER/NAME` or `hf:OWNER/NAME@REVISION`.
        config: configuration, as `xquad.de`; None for data sets that have one only.
        split: the hub's own word: train, validation or test.

    Raises:
        UserError: it cannot be loaded, or a row is malformed. A row without answers counts as impossible, as the hub
            keeps no mark of its own for that.
    """
    bare, _, revision = name.removeprefix(HUB).partition("@")
    place = "/".join(part for part in (f"{HUB}{bare}", config, split) if part)
    table = load_split(bare, config, split, revision, f"{place}: could not be loaded from the hub")
    collector = _Collector(place, {})
    _add_rows(collector, ((f"{place}: row {number}", row) for number, row in enumerate(table, 1)))
    return collector.finish()


def _add_rows(collector: _Collector, rows: Iterable[Row]) -> None:
    """The questions of a table as the hub has it, a question a row."""
    contexts: dict[str, str] = {}  # every row brings a copy of its paragraph
    for where, row in rows:
        answers = _field(row, "answers", dict, where)
        texts, starts = _field(answers, "text", list, where), _field(answers, "answer_start", list, where)
        if len(texts) != len(starts):
            raise UserError(f"{where}: {len(texts)} answer texts, but {len(starts)} offsets")
        entry = {**row, "is_impossible": not texts,
                 "answers": [{"text": text, "answer_start": start} for text, start in zip(texts, starts, strict=True)]}
        context = _text(row, "context", where)
        collector.add(entry, contexts.setdefault(context, context), str(row.get("title") or ""), where, 1)
