"""Published files of a task's splits: how they are called, and their rows, whatever form they have.

Tab-separated files are read without quoting, as most data sets mean it: a quote is a character of the text. Files with commas in
their header (`.csv`) have quotes around cells. Also JSON lines, the parquet files of a hub data set's folder, all text also
compressed; the hub itself where the user names it.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pretrain.base.errors import UserError, unknown
from pretrain.base.files import require_file, require_folder
from pretrain.base.opening import read_lines
from pretrain.base.records import parse_json
from pretrain.base.shards import fitting
from tasks.definition import missing_data, split_files
from tasks.reading.hub import load_split
from tasks.reading.quoting import cells_of, is_quoted

HUB = "hf:"
ENDINGS = (".tsv", ".txt", ".jsonl", ".csv")
PACKED = ("", ".gz", ".xz", ".zst")
SPLITS = ("train", "dev", "test")
"""What most data sets have."""
HUB_SPLITS = {"train": "train", "dev": "validation", "test": "test"}
Row = tuple[str, Mapping[str, Any]]
"""Place (file and line) of a row, and its cells by the name of their column."""


@dataclass(frozen=True)
class Files:
    """What the files of a task are called.

    Attributes:
        name: of the task.
        headless: names of the columns of a file that has no header.
        folder: that the official archive keeps the files in, below or instead of `data`.
        stems: split -> names of English files without ending.
        hub: configuration on the hub; empty: one for each language.
        hub_splits: split -> its name on the hub.
    """

    name: str
    headless: tuple[str, ...] = field(default=(), kw_only=True)
    folder: str = field(default="", kw_only=True)
    stems: Mapping[str, tuple[str, ...]] = field(default_factory=dict, kw_only=True)
    hub: str = field(default="", kw_only=True)
    hub_splits: Mapping[str, str] = field(default_factory=lambda: HUB_SPLITS, kw_only=True)

    def known(self) -> set[str]:
        """Names of columns, by which a header is told from a row."""
        return set()

    def parts(self, data: str, split: str, language: str, files: Sequence[str] = ()) -> list[tuple[str, Iterator[Row]]]:
        """Place and rows of each file of a split in a language: of `files`, else what is found in `data` or on the hub.

        Raises:
            UserError: no such file, or one that cannot be read; the latter while its rows are taken.
        """
        if not files and data.startswith(HUB):
            return [self.from_hub(data, split, language)]
        return [(str(path), self.rows(path)) for path in files or self.find(data, split, language)]

    def rows(self, path: str | Path) -> Iterator[Row]:
        """The rows of one file of any of the forms."""
        path = require_file(path, f"a file of {self.name} (.tsv, .csv, .jsonl or .parquet)")
        return parquet_rows(path) if path.suffix == ".parquet" else text_rows(path, self.headless, self.known())

    def from_hub(self, given: str, split: str, language: str) -> tuple[str, Iterator[Row]]:
        """`hf:NAME` or `hf:NAME@REVISION` through `datasets`: the one place that may reach the network."""
        name, _, revision = given.removeprefix(HUB).partition("@")
        if split not in self.hub_splits:
            raise unknown(f"split of {self.name} on the hub", split, self.hub_splits)
        part, configuration = self.hub_splits[split], self.hub or language
        table = load_split(name, configuration, part, revision,
                           f"{HUB}{name}: could not load {part!r} of {configuration!r} from the hub")
        place = f"{HUB}{name}/{configuration}/{part}"
        return place, ((f"{place}:{number}", dict(row)) for number, row in enumerate(table, 1))

    def candidates(self, split: str, language: str) -> list[list[str]]:
        """File-name patterns in which a split of a language is looked for; earlier groups win."""
        groups = [[f"{split}-{language}{ending}{packed}" for ending in ENDINGS for packed in PACKED]]
        if language == "en":
            for stem in self.stems.get(split, (split,)):
                names = [f"{stem}{ending}{packed}" for ending in ENDINGS for packed in PACKED]
                groups += [[f"{self.folder}/{name}" for name in names]] if self.folder else []
                groups.append(names)
        if self.hub_splits.get(split):
            groups += hub_groups([self.hub or language], self.hub_splits[split])
        return groups

    def find(self, data: str, split: str, language: str) -> list[Path]:
        """The file of a split in a language, or its parts.

        Raises:
            UserError: there is none, or several that fit equally well.
        """
        groups = self.candidates(split, language)
        found = split_files(require_folder(data, "a folder with the task's files"), groups, split, language)
        if not found:
            raise missing_data(self.name, data, split, language, self.available(data, split), [group[0] for group in groups])
        return found

    def available(self, data: str, split: str) -> list[str]:
        """Languages that a folder holds this split in, judged by the names of its files."""
        folder = Path(data)
        names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
        endings = tuple(f"{ending}{packed}" for ending in ENDINGS for packed in PACKED)
        found = {name.removeprefix(f"{split}-").split(".")[0] for name in names
                 if name.startswith(f"{split}-") and name.endswith(endings)}
        english = [pattern for group in self.candidates(split, "en") for pattern in group]
        if folder.is_dir() and fitting(folder, english):
            found.add("en")
        return sorted(found)

def text_rows(path: Path, headless: Sequence[str], known: set[str]) -> Iterator[Row]:
    """Rows of a file of text; its form follows from its first line.

    Args:
        headless: columns of a file whose first line holds none of the names that are `known`; empty: it is a header.
    """
    columns, objects, numbered = list(headless), None, read_lines(path)
    cells_in = cells_of(is_quoted(line for _, line in read_lines(path)))
    for number, line in numbered:
        if not line.strip():
            continue
        where = f"{path}:{number}"
        if objects is None:
            objects = line.lstrip().startswith("{")
            if not objects and "\t" not in line and ".csv" in path.suffixes[-2:]:
                yield from _comma_rows(path, line, numbered)
                return
            header = [cell.strip() for cell in cells_in(line)]
            if not objects and (known & {*header} or not columns):
                columns = header
                continue
        if objects:
            yield where, _object(line, where)
            continue
        cells = cells_in(line)
        if len(cells) > len(columns):
            raise UserError(f"{where}: {len(cells)} columns, expected {len(columns)}; a text holds a tab, or two lines ran "
                            "together")
        yield where, dict(zip(columns, cells, strict=False))


def _comma_rows(path: Path, header: str, numbered: Iterator[tuple[int, str]]) -> Iterator[Row]:
    """Rows of a file with commas between its cells and quotes around those that need them (RFC 4180)."""
    at = 1

    def text() -> Iterator[str]:
        nonlocal at
        yield header + "\n"
        for number, line in numbered:
            at = number
            yield line + "\n"

    try:
        reader = csv.reader(text(), strict=True)
        columns = next(reader)
        for cells in reader:
            if len(cells) != len(columns):
                raise UserError(f"{path}:{at}: {len(cells)} columns, expected {len(columns)}")
            yield f"{path}:{at}", dict(zip(columns, cells, strict=True))
    except csv.Error as error:
        raise UserError(f"{path}:{at}: not comma-separated values ({error})") from None


def _object(line: str, where: str) -> Mapping[str, Any]:
    try:
        row = parse_json(line, where, "one JSON object a line")
    except json.JSONDecodeError as error:
        raise UserError(f"{where}: expected one JSON object a line, got {line[:40]!r} ({error.msg})") from None
    if not isinstance(row, dict):
        raise UserError(f"{where}: expected a JSON object, got {type(row).__name__}")
    return row


def hub_groups(places: Sequence[str], split: str) -> list[list[str]]:
    """Patterns of a split's parquet files in a folder that was fetched from the hub, as groups of `split_files`.

    Args:
        places: folders of the configuration, of which one is enough; empty: the split stands in the folder itself.
        split: the hub's own word.
    """
    return [[f"{place}/{split}.parquet" if place else f"{split}.parquet" for place in places]]


def hub_names(path: Path, column: str) -> list[str] | None:
    """Names of the numbers in a column of labels, as `datasets` writes them into a parquet file; None where it has none."""
    from pyarrow import parquet

    written = (parquet.read_schema(path).metadata or {}).get(b"huggingface", b"{}")
    found: Any = parse_json(written.decode("utf-8", "replace"), path, "what `datasets` writes of its columns")
    for key in ("info", "features", column):
        found = found.get(key) if isinstance(found, dict) else None
    for key in ("feature", "names"):  # of a list of labels, or of one label
        found = found.get(key, found) if isinstance(found, dict) else found
    return [str(name) for name in found] if isinstance(found, list) else None


def parquet_rows(path: Path) -> Iterator[Row]:
    """Rows of a parquet file; labels are the numbers that the hub gives them."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise UserError(f"{path}: reading parquet needs pyarrow; run `pip install pyarrow`") from None

    number = 0
    try:
        for batch in parquet.ParquetFile(path).iter_batches():
            for row in batch.to_pylist():
                number += 1
                yield f"{path}:{number}", row
    except (pyarrow.ArrowException, OSError) as error:
        raise UserError(f"{path}: the parquet data is damaged after row {number} ({str(error).splitlines()[0]}); fetch the "
                        "file again") from None


def files_of(given: Sequence[str], codes: Sequence[str], option: str) -> dict[str, list[str]]:
    """Language -> its files: of `CODE=FILE` those of CODE, and of one language also what has no code before it.

    Raises:
        UserError: several languages, and a file of none of them.
    """
    found: dict[str, list[str]] = {code: [] for code in codes}
    for word in given:
        code, mark, path = word.partition("=")
        if mark and code in found:
            found[code].append(path)
        elif len(codes) == 1:
            found[codes[0]].append(word)
        else:
            raise UserError(f"{option} {word}: expected the language of the file before it, as {codes[0]}=FILE, one of "
                            f"{', '.join(codes)}")
    return found
