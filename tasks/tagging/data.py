"""Readers of tagged sentences: PAN-X and XTREME's POS files, raw WikiANN, CoNLL-U, CoNLL's columns.

A word a line, an empty line after each sentence. No sentence is left out; what cannot be used is an error with file and
line.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Protocol

from pretrain.base.errors import UserError, nearest
from pretrain.base.files import require_file, require_folder
from pretrain.base.opening import is_parquet, read_lines
from pretrain.base.shards import mark_of
from tasks.definition import PLACEHOLDER_ROWS, missing_data, split_files
from tasks.reading.files import HUB_SPLITS, hub_groups, hub_names, parquet_rows

STRIPPED = "if the tags of this file were stripped, as XTREME's preparation does with test files, take the file that has them"
RENAMED = {"CONJ": "CCONJ"}
"""Tags of Universal Dependencies 1 that version 2 calls otherwise."""
UNTAGGED = -100
"""The tag of a word whose gold is not known, or not read: cross entropy leaves it out."""
DOCUMENT = "-DOCSTART-"
"""First column of the row that begins a document in CoNLL-2003's files: no word."""
CONLLU_COLUMNS = 10
_CODE = r"([A-Za-z]{2,3}(?:-[A-Za-z0-9]+)*)"
TSV = (".tsv", ".txt", ".tsv.gz", ".txt.gz")
_COLUMNS = (".txt", ".conll", ".tsv", ".txt.gz", ".conll.gz", ".tsv.gz")
CONLLU = (".conllu", ".conllu.gz")
HUB_WORDS, HUB_TAGS = ("tokens", "words"), ("ner_tags", "upos", "chunk_tags", "pos_tags", "tags")
"""Columns of words and of their tags in parquet files of the hub, a sentence a row."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """Words with the index of each one's tag among the task's labels."""

    words: tuple[str, ...]
    tags: tuple[int, ...]


@dataclass
class Sentences:
    """The sentences of one split in file order, and where they come from.

    Attributes:
        files: what was read.
        dropped: always 0: sentences are never left out. Here because results record it for every task.
    """

    sentences: list[Sentence]
    files: list[str] = field(default_factory=list)
    dropped: int = 0

    def __len__(self) -> int:
        return len(self.sentences)

    def __iter__(self) -> Iterator[Sentence]:
        return iter(self.sentences)

    @property
    def words(self) -> int:
        """How many words all sentences have."""
        return sum(len(item.words) for item in self.sentences)

    def only(self, numbers: Sequence[int]) -> Sentences:
        """The sentences of these numbers, in that order."""
        return replace(self, sentences=[self.sentences[number] for number in numbers])

    def named(self, labels: Sequence[str]) -> list[list[str]]:
        """The tags of each sentence by name."""
        return [[labels[tag] for tag in item.tags] for item in self.sentences]

    def sha256(self) -> str:
        """Hash of words and tags in order: the same for the same data in any layout."""
        digest = hashlib.sha256()
        for item in self.sentences:
            digest.update(json.dumps([item.words, item.tags]).encode())
        return digest.hexdigest()


def majority(sentences: Sentences, labels: Sequence[str]) -> str:
    """The most frequent tag, the first in the order of labels among equally frequent ones."""
    counts = Counter(tag for item in sentences for tag in item.tags)
    return labels[min(counts, key=lambda tag: (-counts[tag], tag))]


def read_labels(path: str | Path) -> tuple[str, ...]:
    """A file of labels, one a line, in the order of the head's outputs.

    Raises:
        UserError: fewer than two, one twice, or white space inside a label.
    """
    path = require_file(path, "a file of labels, one a line")
    labels: list[str] = []
    for number, line in read_lines(path):
        label = line.strip()
        if not label:
            continue
        if label in labels or label.split() != [label]:
            raise UserError(f"{path}:{number}: label {label!r} " + ("stands twice" if label in labels else
                            "holds white space") + "; expected one label a line")
        labels.append(label)
    if len(labels) < 2:
        raise UserError(f"{path}: {len(labels)} label{'' if len(labels) == 1 else 's'}; expected at least two, one a line")
    return tuple(labels)


# --- one file ----------------------------------------------------------------------------------------------------------


Row = tuple[int, str, str] | None
"""(line number, word, tag), or None where a sentence ends. Readers with `gold` refuse words without a tag."""


def _tsv_rows(path: Path, gold: bool) -> Iterator[Row]:
    for number, line in read_lines(path):
        if not line.strip():
            yield None
            continue
        cells = line.split("\t")
        if len(cells) == 1 and gold:
            raise UserError(f"{path}:{number}: one column, {line[:40]!r}; expected word, tab, tag; {STRIPPED}")
        if len(cells) > 2:
            raise UserError(f"{path}:{number}: {len(cells)} columns; expected word, tab, tag: {_two_columns(cells)}")
        yield number, cells[0], cells[-1].strip()


def _two_columns(cells: list[str]) -> str:
    """What makes a word and a tag of a line with more columns, as published files have them."""
    if cells[0] == "#":
        return "this line is a remark: leave such lines out, for example with `grep -v '^#'`"
    if cells[0] in ("0", "1"):
        return "cut out the number and what stands behind the tag, for example with `cut -f 2,3`"
    return f"cut out what stands between or behind, for example with `cut -f 1,{len(cells)}`"


def _column_rows(path: Path, gold: bool) -> Iterator[Row]:
    width = 0
    for number, line in read_lines(path):
        cells = re.split(r"[ \t]+", line.strip(" \t"))  # not str.split: a word may be or hold a no-break space
        if cells == [""]:
            yield None
            continue
        width = width or len(cells)
        if width == 1 and gold:
            raise UserError(f"{path}:{number}: one column, {line[:40]!r}; expected the word first and the tag last; {STRIPPED}")
        if len(cells) != width:
            raise UserError(f"{path}:{number}: {len(cells)} columns, the first line has {width}; expected the same everywhere")
        if cells[0] != DOCUMENT:
            yield number, cells[0], cells[-1]


def _conllu_rows(path: Path, gold: bool) -> Iterator[Row]:
    """Syntactic words: rows of several words (`3-4`) and empty nodes (`5.1`) carry no tag of their own."""
    for number, line in read_lines(path):
        if not line.strip():
            yield None
            continue
        if line.startswith("#"):
            continue
        cells = line.split("\t")
        if len(cells) != CONLLU_COLUMNS:
            raise UserError(f"{path}:{number}: {len(cells)} columns; CoNLL-U has {CONLLU_COLUMNS}, with tabs between them")
        if re.fullmatch(r"\d+-\d+|\d+\.\d+", cells[0]):
            continue
        if not cells[0].isdigit():
            raise UserError(f"{path}:{number}: the word's number is {cells[0][:20]!r}; is this CoNLL-U?")
        if cells[3] == "_" and gold:
            raise UserError(f"{path}:{number}: {cells[1]!r} has no UPOS tag; {STRIPPED}")
        yield number, cells[1], cells[3]


def _parquet_rows(path: Path, gold: bool) -> Iterator[Row]:
    """Sentences of a data set of the hub, of which labels are numbers with names, or the names themselves."""
    columns: tuple[str, ...] = ()
    names: list[str] | None = None
    for number, (_, row) in enumerate(parquet_rows(path), 1):
        if not columns:
            columns = tuple(next((name for name in known if name in row), "") for known in (HUB_WORDS, HUB_TAGS))
            if not columns[0] or (gold and not columns[1]):
                raise UserError(f"{path}: wrong columns: found {', '.join(map(repr, list(row)[:16]))}; expected "
                                f"{HUB_WORDS[0]!r} and {' or '.join(map(repr, HUB_TAGS))}")
            names = hub_names(path, columns[1]) if gold else None
        words = row[columns[0]]
        tags = row[columns[1]] if gold else [""] * len(words) if isinstance(words, list) else None
        if not isinstance(words, list) or not isinstance(tags, list) or len(words) != len(tags):
            raise UserError(f"{path}:{number}: expected as many tags as words, a list of each")
        for word, tag in zip(words, tags, strict=True):
            if isinstance(tag, int) and (names is None or not 0 <= tag < len(names)):
                raise UserError(f"{path}:{number}: the tag is the number {tag}, and the file has "
                                f"{'no names' if names is None else f'names of {len(names)} only'}; expected tags by name")
            yield number, str(word), names[tag] if isinstance(tag, int) and names is not None else str(tag)
        yield None


def read_file(path: str | Path, layout: str, labels: Sequence[str], language: str, gold: bool = True) -> Sentences:
    """Reads one file.

    Args:
        gold: whether tags are read; else there may be any or none, and every word is `UNTAGGED`.
        layout: `tsv` or `columns`; a file called `….conllu` is CoNLL-U in any case.
        language: where a `tsv` file's first word begins with `CODE:`, as in raw WikiANN, every word must, and loses it.

    Raises:
        UserError: with file and line: wrong columns, an empty word, an unknown tag, a damaged file.
    """
    path = require_file(path, "a file of tagged words")
    prefix: str | None = ""
    if is_parquet(path):
        rows = _parquet_rows(path, gold)
    elif path.name.endswith(CONLLU):
        rows = _conllu_rows(path, gold)
    elif layout == "tsv":
        rows, prefix = _tsv_rows(path, gold), None
    else:
        rows = _column_rows(path, gold)
    index = {label: place for place, label in enumerate(labels)}
    sentences: list[Sentence] = []
    words: list[str] = []
    tags: list[int] = []
    for row in chain(rows, [None]):
        if row is None:
            if words:
                sentences.append(Sentence(tuple(words), tuple(tags)))
            words, tags = [], []
            continue
        number, word, tag = row
        if prefix is None:
            prefix = f"{language}:" if word.startswith(f"{language}:") and len(word) > len(language) + 1 else ""
        if not word.startswith(prefix):
            raise UserError(f"{path}:{number}: {word[:40]!r} lacks the {prefix!r} with which the words before it begin")
        word = word.removeprefix(prefix)
        if not word:
            raise UserError(f"{path}:{number}: an empty word with the tag {tag!r}; the file lost it: copy the file again")
        if gold and tag not in index:
            renamed = RENAMED.get(tag)
            hint = f": Universal Dependencies 2 calls it {renamed}; take a treebank of version 2" if renamed in labels else \
                nearest(tag, labels)
            raise UserError(f"{path}:{number}: unknown tag {tag[:40]!r}{hint} (known: {', '.join(labels)})")
        words.append(word)
        tags.append(index[tag] if gold else UNTAGGED)
    return Sentences(sentences, [str(path)])


# --- finding files -----------------------------------------------------------------------------------------------------


class Layout(Protocol):
    """What of a `TaggingTask` its files hang on."""

    @property
    def name(self) -> str: ...

    @property
    def labels(self) -> tuple[str, ...]: ...

    @property
    def layout(self) -> str: ...

    @property
    def more_files(self) -> Callable[[str, str], list[list[str]]]: ...


def candidates(task: Layout, split: str, language: str) -> list[list[str]]:
    """File-name patterns in which a split of a language is looked for; earlier groups win."""
    endings = TSV if task.layout == "tsv" else _COLUMNS
    groups = [[f"{split}-{language}{ending}" for ending in endings], *task.more_files(split, language)]
    if task.layout == "columns" and language == "en":  # the shared tasks' own names, which do not say the language
        groups.append([f"{split}{ending}" for ending in endings])
    return groups + hub_groups([language, f"{language}_*"], HUB_SPLITS.get(split, split))


def available(task: Layout, data: str, split: str) -> list[str]:
    """Languages that the folder holds this split in, by file names."""
    folder = Path(data)
    if not folder.is_dir():
        return []
    patterns = [re.compile(re.escape(name).replace("CODE", _CODE).replace(r"\*", "[^/]*"))
                for group in candidates(task, split, "CODE") for name in group]
    paths = [path for depth in ("*", "*/*") for path in folder.glob(depth)]
    paths += [mark.whole for path in paths if (mark := mark_of(path)) is not None]
    names = [path.relative_to(folder).as_posix() for path in paths if path.is_relative_to(folder)]
    found = {match[1] for name in names for pattern in patterns if (match := pattern.fullmatch(name))}
    own = candidates(task, split, "en")[1:] if task.layout == "columns" else []
    return sorted(found | {"en"} if any(name in names for group in own for name in group) else found)


def find_files(task: Layout, data: str, split: str, language: str) -> list[Path]:
    """The file of a split in a language, or its parts.

    Raises:
        UserError: there is none, or several that fit equally well.
    """
    folder = require_folder(data, "a folder with the task's files")
    groups = candidates(task, split, language)
    if not (found := split_files(folder, groups, split, language)):
        raise missing_data(task.name, data, split, language, available(task, data, split), [group[0] for group in groups])
    return found


def untagged(sentences: Sentences) -> Sentences:
    """The same words, every one `UNTAGGED`."""
    return replace(sentences, sentences=[Sentence(item.words, (UNTAGGED,) * len(item.words)) for item in sentences])


def read(task: Layout, data: str, split: str, language: str, files: Sequence[str] = (), gold: bool = True) -> Sentences:
    """The sentences of a split in a language: from `files`, else from the folder `data`; their tags with `gold` alone.

    Raises:
        UserError: no file, a malformed one, no sentence, or one single tag everywhere (stripped and replaced).
    """
    paths: Sequence[str | Path] = files or find_files(task, data, split, language)
    parts = [read_file(path, task.layout, task.labels, language, gold) for path in paths]
    sentences = Sentences([item for part in parts for item in part], [name for part in parts for name in part.files])
    check_sentences(sentences, task.labels, split)
    return sentences


def _counts(words: Sequence[str]) -> bool:
    """Whether words are the numbers from 0 or 1 on."""
    return words[0] in ("0", "1") and all(word == str(int(words[0]) + place) for place, word in enumerate(words))


def check_sentences(sentences: Sentences, labels: Sequence[str], split: str) -> None:
    """Refuses sentences that cannot be trained on or scored.

    Raises:
        UserError: no sentence, one single tag everywhere (stripped and replaced), words that are all `_` (withheld text) or that
            are numbers counting from the beginning of each sentence (another column first).
    """
    where = ", ".join(sentences.files)
    if not len(sentences):
        raise UserError(f"{where}: no sentences for {split}; the file is empty")
    counts = Counter(tag for item in sentences for tag in item.tags)
    if set(counts) != {UNTAGGED} and len(counts) == 1 and len(sentences) >= PLACEHOLDER_ROWS:
        raise UserError(f"{where}: all {sentences.words:,} tags are {labels[next(iter(counts))]!r}; the tags of this {split} "
                        "file were stripped and replaced by a placeholder: take the file that has them")
    if len(sentences) < 2:
        return
    if all(word == "_" for item in sentences for word in item.words):
        raise UserError(f"{where}: all {sentences.words:,} words are '_'; the text of this treebank is withheld: merge it in "
                        "with the script that comes with the treebank, or take another one")
    if sentences.words > len(sentences) and all(_counts(item.words) for item in sentences):
        raise UserError(f"{where}: the words are numbers that count from 1 in each sentence; expected the word in the first "
                        "column: cut the numbers off, for example with `cut -f 2-`")
