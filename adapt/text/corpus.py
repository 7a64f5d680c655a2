"""Text inputs as a stream of documents: plain, gz, xz, bz2, zst, JSON lines, parquet, and data sets that the user names.

A document is a list of lines. It is streamed, so memory does not grow with the corpus. Only an input that is written
`hf:NAME` goes through `datasets` and may reach the network.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from adapt.text.record_texts import RecordTexts
from pretrain.base.errors import UserError
from pretrain.base.files import require_file, sha256_file
from pretrain.base.opening import TextInput, is_parquet
from pretrain.base.shards import texts_in

DOCUMENT_MODES = ("auto", "line", "blank")
LONGEST_DOCUMENT = 10_000_000  # characters; a longer one is cut, so that memory stays bounded and sizes fit in int32
_RECORDS = (".jsonl", ".ndjson", ".json")


def _has_inner_blank(lines: Iterable[str]) -> bool:
    """Whether a blank line stands between two lines with text."""
    seen_text = seen_blank = False
    for line in lines:
        if line and not line.isspace():
            if seen_blank:
                return True
            seen_text = True
        else:
            seen_blank = seen_text
    return False


def _bounded(document: list[str]) -> Iterator[list[str]]:
    """A document, cut at line ends (or inside an endless line) where it is longer than LONGEST_DOCUMENT."""
    if sum(map(len, document)) <= LONGEST_DOCUMENT:
        yield document
        return
    part: list[str] = []
    size = 0
    for line in document:
        for start in range(0, len(line), LONGEST_DOCUMENT):
            piece = line[start:start + LONGEST_DOCUMENT]
            if part and size + len(piece) > LONGEST_DOCUMENT:
                yield part
                part, size = [], 0
            part.append(piece)
            size += len(piece)
    yield part


def _plain_documents(groups: Iterator[list[str]], mode: str) -> Iterator[list[str]]:
    document: list[str] = []
    size = 0
    for number, lines in enumerate(groups):
        if number == 0 and mode == "auto":
            mode = "blank" if _has_inner_blank(lines) else "line"
        for line in lines:
            line = line.strip()
            if mode == "line":
                if line:
                    yield [line]
            elif line:
                document.append(line)
                size += len(line)
                if size > LONGEST_DOCUMENT:
                    yield document
                    document, size = [], 0
            elif document:
                yield document
                document, size = [], 0
    if document:
        yield document


def _holds_records(lines: list[str]) -> bool:
    """Whether lines of text are JSON objects, judged by the first two that are not blank."""
    first, second = ([line for line in lines[:1000] if line and not line.isspace()] + ["", ""])[:2]
    if not first.startswith("{") or (second and not second.lstrip().startswith("{")):
        return False
    try:
        return bool(json.loads(first)) and isinstance(json.loads(first), dict)
    except (ValueError, RecursionError):
        return bool(second) and first.startswith('{"') and second.startswith('{"')


def _refuse_spread_json(lines: list[str], path: Path) -> None:
    """Refuses one JSON value over many lines, or a list of records, which would be read as text."""
    start = "\n".join(lines[:3])[:4096]
    if re.match(r'\s*\[\s*\{\s*"[^"\n]*"\s*:|\s*\{\s*\n\s*"[^"\n]*"\s*:', start):
        raise UserError(f"{path}:1: one JSON value, {start[:20]!r}, expected text or one JSON record on each line; make it JSON "
                        "lines, for example with `jq -c '.[]'`")


def _inputs(text: str) -> list[str]:
    """An input as it is, or the files of a folder."""
    place = Path(text)
    return list(map(str, texts_in(place))) if not text.startswith("hf:") and place.is_dir() else [text]


class Corpus:
    """Documents of several inputs, in their order; each iteration reads them anew.

    Args:
        texts: paths of files or of folders as the hub stores a data set (see `pretrain.base.shards`), or
            `hf:NAME[:config[:split]]`.
        documents: `line` (each line is a document), `blank` (blank lines stand between documents), or `auto`: for
            each file `blank` where the first MiB of its text has a blank line between lines with text. Records of
            JSON lines, parquet and data sets are documents as they are.
        text_field: the field of a record that holds its text; `a.b` is the field `b` of the object in `a`.
        skip_empty: leave out records whose text is null or empty, and count them.
        settable: whether the user can set field and `skip_empty`, as errors then advise.

    Attributes:
        skipped: records left out by the last iteration.
        joined: lines that stood in a document with another one before them, in the last iteration: so many documents more the
            text has with `--documents line`. Lines of records do not count, as records are documents as they are.
        total_bytes: size of all input files, None where one is not a file.
        position: bytes read so far by the running iteration.
        sources: after an iteration, for each input its name, and for files the bytes and their SHA-256.

    Raises:
        UserError: a file that is missing, given twice, damaged, not UTF-8 or without text.
    """

    def __init__(self, texts: Sequence[str | Path], documents: str = "auto", text_field: str = "text",
                 skip_empty: bool = False, settable: bool = True):
        if documents not in DOCUMENT_MODES:
            raise UserError(f"unknown document mode {documents!r} (known: {', '.join(DOCUMENT_MODES)})")
        if not texts:
            raise UserError("no text was given; name at least one text file")
        self.texts = [one for text in texts for one in _inputs(str(text))]
        self.documents = documents
        self._records = RecordTexts(text_field, skip_empty, settable)
        seen: set[str] = set()
        sizes: list[int] = []
        for text in self.texts:
            hub = text.startswith("hf:")
            path = text if hub else str(require_file(text, "a text file").resolve())
            if path in seen:
                raise UserError(f"{text}: the same input is given twice; name each input once")
            seen.add(path)
            if not hub:
                sizes.append(Path(text).stat().st_size)
        self.total_bytes = sum(sizes) if len(sizes) == len(self.texts) else None
        self.sources: list[dict[str, Any]] = []
        self.joined = 0
        self._position: Callable[[], int] = lambda: 0

    @property
    def skipped(self) -> int:
        return self._records.skipped

    @property
    def position(self) -> int:
        return self._position()

    def __iter__(self) -> Iterator[list[str]]:
        self.sources = []
        self._records.skipped = self.joined = 0
        done = 0
        for text in self.texts:
            found = False
            for document in self._documents(text, done):
                found = True
                yield from _bounded(document)
            if not found:
                left = f" but {self.skipped:,} records without text" if self.skipped else ""
                raise UserError(f"{text}: expected text, found none{left}; the input is empty")
            done += self.sources[-1].get("bytes", 0)
            self._position = lambda done=done: done  # type: ignore[misc]

    def _documents(self, text: str, done: int) -> Iterator[list[str]]:
        if text.startswith("hf:"):
            yield from self._records.hub(text.removeprefix("hf:"))
            self.sources.append({"name": text})
            return
        path = Path(text)
        if is_parquet(path):
            size = path.stat().st_size

            def moved(share: float) -> None:
                self._position = lambda: done + int(size * share)

            yield from self._records.parquet(path, moved)
            self.sources.append({"name": path.name, "bytes": size, "sha256": sha256_file(path)})
            return
        with TextInput(path) as opened:
            self._position = lambda: done + opened.position
            yield from self._text(opened)
            self.sources.append({"name": path.name, "bytes": opened.position, "sha256": opened.raw.hash.hexdigest()})

    def _text(self, opened: TextInput) -> Iterator[list[str]]:
        """Documents of plain text or of JSON lines, whatever the file is called."""
        groups = opened.groups()
        first = next(groups, [])
        groups = chain([first], groups)
        name = opened.path.name.lower()
        for suffix in opened.codec.suffixes if opened.codec else ():
            name = name.removesuffix(suffix)
        if name.endswith(_RECORDS) or _holds_records(first):
            yield from self._records.json(groups, opened.path)
        else:
            _refuse_spread_json(first, opened.path)
            for document in _plain_documents(groups, self.documents):
                self.joined += len(document) - 1
                yield document
