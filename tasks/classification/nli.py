"""Natural language inference: task `xnli` (Conneau et al. 2018), trained on MultiNLI (Williams et al. 2018).

Reads the official files as they are: MultiNLI jsonl and tsv, GLUE's tsv, XNLI 1.0 jsonl and tsv (15 languages in one
file), XNLI-MT's tsv, one file per language (`dev-sw.tsv`), all also as `.gz`; and the hub's `facebook/xnli` on request.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pretrain.base.errors import UserError, unknown
from pretrain.base.files import require_file, require_folder
from pretrain.base.opening import is_parquet, read_lines
from pretrain.base.records import parse_json
from pretrain.base.shards import fitting
from tasks.classification.examples import Example, Loaded
from tasks.classification.task import ClassificationTask
from tasks.definition import register, split_files
from tasks.reading.files import hub_groups, parquet_rows
from tasks.reading.hub import load_split
from tasks.reading.quoting import cells_of, is_quoted

logger = logging.getLogger(__name__)

LABELS = ("entailment", "neutral", "contradiction")
"""In the order of the hub's `facebook/xnli`, whose files hold these indices."""
THREE_WAY = ("xnli", "mnli", "snli", "anli")
"""Tasks with these labels: a body that was trained on one does the others too."""
LANGUAGES = ("ar", "bg", "de", "el", "en", "es", "fr", "hi", "ru", "sw", "th", "tr", "ur", "vi", "zh")
SPLITS = ("train", "dev", "test", "dev_matched", "dev_mismatched")
NO_GOLD = ("-", "-1", -1)
"""Labels where annotators did not agree: MultiNLI's, and that of data sets on the hub."""
HUB = "hf:"

PREMISE = ("premise", "sentence1")
HYPOTHESIS = ("hypothesis", "hypo", "sentence2")
LABEL = ("gold_label", "label")
IDENTIFIER = ("pairID", "id", "index")
LANGUAGE = ("language",)
_HUB_SPLITS = {"train": "train", "dev": "validation", "test": "test", "dev_matched": "validation_matched",
               "dev_mismatched": "validation_mismatched"}
_INDEX = {**{name: index for index, name in enumerate(LABELS)}, **{str(index): index for index in range(len(LABELS))},
          "contradictory": LABELS.index("contradiction")}  # XNLI-MT's word for it
_SUFFIXES = (".tsv", ".jsonl", ".txt", ".tsv.gz", ".jsonl.gz", ".txt.gz")
_EXPECTED = "premise (or sentence1), hypothesis (or sentence2) and label (or gold_label)"


class _Format:
    """The names under which a file keeps the fields; empty for an optional one that it has not."""

    def __init__(self, path: Path, columns: Sequence[str]):
        self.premise, self.hypothesis, self.label, self.identifier, self.language = (
            next((name for name in names if name in columns), "")
            for names in (PREMISE, HYPOTHESIS, LABEL, IDENTIFIER, LANGUAGE))
        found = ", ".join(repr(name[:40]) for name in columns[:16])
        if not self.premise or not self.hypothesis:
            raise UserError(f"{path}:1: wrong columns: found {found}; expected {_EXPECTED}")
        if not self.label:
            raise UserError(f"{path}:1: no label column: found {found}; expected {_EXPECTED}; if the labels of this "
                            "file were stripped, take the official file, which has them")


def _headless_columns(path: Path, cells: Sequence[str]) -> list[str]:
    """Columns of a file that starts with a pair: XTREME writes premise, hypothesis, label, and no label for test."""
    if len(cells) == 2:
        raise UserError(f"{path}:1: two columns and no header: the labels of this file were stripped, as in XTREME's "
                        "test files; take the official file, which has them")
    if len(cells) != 3 or cells[2].strip() not in _INDEX:
        found = ", ".join(repr(cell[:40]) for cell in cells[:16])
        raise UserError(f"{path}:1: wrong columns: found {found}; expected a header with {_EXPECTED}")
    return [PREMISE[0], HYPOTHESIS[0], LABEL[0]]


def _tsv_rows(path: Path) -> Iterator[tuple[int, Mapping[str, Any], _Format]]:
    """Rows of a tsv file by column name. Quotes are characters, unless all of the file is quoted (`tasks.reading.quoting`)."""
    quoted = is_quoted(line for _, line in read_lines(path))
    if quoted:
        logger.warning(f"{path}: its texts are quoted, as pandas and spreadsheets write them; the quotes around them go")
    cells_in = cells_of(quoted)
    columns: list[str] = []
    form: _Format | None = None
    for number, line in read_lines(path):
        if not line:
            continue
        cells = cells_in(line)
        if form is None:
            columns = [cell.strip() for cell in cells]
            headed = bool({*columns} & {*PREMISE, *HYPOTHESIS, *LABEL})
            if not headed:
                columns = _headless_columns(path, cells)
            form = _Format(path, columns)
            if headed:
                continue
        if len(cells) > len(columns):
            raise UserError(f"{path}:{number}: {len(cells)} columns, the header has {len(columns)}; a text holds a "
                            "tab, or two lines ran together")
        row = dict(zip(columns, cells, strict=False))
        if not {form.premise, form.hypothesis, form.label} <= row.keys():
            raise UserError(f"{path}:{number}: {len(cells)} columns, the header has {len(columns)}; the line is cut "
                            "short")
        yield number, row, form


def _jsonl_rows(path: Path) -> Iterator[tuple[int, Mapping[str, Any], _Format]]:
    """Rows of a jsonl file."""
    form: _Format | None = None
    for number, line in read_lines(path):
        if not line:
            continue
        try:
            row = parse_json(line, f"{path}:{number}", "one JSON object a line")
        except json.JSONDecodeError as error:
            raise UserError(f"{path}:{number}: expected one JSON object a line, got {line[:40]!r} "
                            f"({error.msg})") from None
        if not isinstance(row, dict):
            raise UserError(f"{path}:{number}: expected a JSON object, got {type(row).__name__}")
        form = form or _Format(path, list(row))
        gone = [name for name in (form.premise, form.hypothesis, form.label) if name not in row]
        if gone:
            raise UserError(f"{path}:{number}: field {gone[0]!r} is missing; found {', '.join(sorted(row)[:8])}")
        yield number, row, form


def _parquet_rows(path: Path) -> Iterator[tuple[int, Mapping[str, Any], _Format]]:
    """Rows of a parquet file, as the hub keeps them."""
    form: _Format | None = None
    for number, (_, row) in enumerate(parquet_rows(path), 1):
        form = form or _Format(path, list(row))
        yield number, row, form


def _rows(path: Path) -> Iterator[tuple[int, Mapping[str, Any], _Format]]:
    """Rows of a file of any known form, by its content."""
    if is_parquet(path):
        return _parquet_rows(path)
    named = ".jsonl" in path.suffixes[-2:] or ".json" in path.suffixes[-2:]
    is_json = named or next((line for _, line in read_lines(path) if line.strip()), "").startswith('{"')
    return _jsonl_rows(path) if is_json else _tsv_rows(path)


def _label(value: Any, where: str) -> int | None:
    """Index of a label given by name or index; None where it is empty."""
    text = "" if value is None else str(value).strip()
    if not text:
        return None
    if text not in _INDEX:
        expected = ", ".join(f"{name} ({index})" for index, name in enumerate(LABELS))
        raise UserError(f"{where}: unknown label {text!r}; expected {expected}, or - for no agreement")
    return _INDEX[text]


def _text(value: Any, where: str, name: str) -> str:
    text = value.strip() if isinstance(value, str) else value
    if not isinstance(text, str):
        raise UserError(f"{where}: {name} is {value!r}; expected a text")
    if not text:
        raise UserError(f"{where}: empty {name}; expected a text")
    return text


def read_file(path: str | Path, language: str | None = None) -> Loaded:
    """Reads one file of any known format.

    Args:
        language: where the file has a language column, keep its rows only; None keeps all.

    Raises:
        UserError: with file and line: wrong columns, unknown label, empty text, damaged file.
    """
    path = require_file(path, "a file of inference pairs (.tsv or .jsonl, also .gz, or .parquet)")
    rows = _rows(path)
    examples: list[Example] = []
    seen = dropped = 0
    codes: set[str] = set()
    for number, row, form in rows:
        if language is not None and form.language:
            codes.add(str(row.get(form.language)))
            if row.get(form.language) != language:
                continue
        value = row[form.label]
        seen += 1
        if value in NO_GOLD:
            dropped += 1
            continue
        identifier = str(row.get(form.identifier) or "") or str(seen - 1)
        examples.append(_example(row, form, value, identifier, f"{path}:{number}"))
    if codes and not seen:
        raise UserError(f"{path}: no pairs in {language!r}; the file holds {', '.join(sorted(codes))}")
    _report_dropped(str(path), dropped, seen)
    return Loaded(examples, [str(path)], dropped)


def _example(row: Mapping[str, Any], form: _Format, label: Any, identifier: str, where: str) -> Example:
    return Example(identifier, _text(row[form.premise], where, "premise"),
                   _text(row[form.hypothesis], where, "hypothesis"), _label(label, where))


def _report_dropped(where: str, dropped: int, seen: int) -> None:
    if dropped and dropped == seen:
        raise UserError(f"{where}: none of the {seen:,} pairs has a gold label; the labels of this file were stripped: "
                        "take the official file, which has them")
    if dropped:
        logger.warning(f"{where}: {dropped:,} of {seen:,} pairs have no gold label (annotators did not agree) and were "
                       "left out")


def candidates(split: str, language: str) -> list[list[str]]:
    """File-name patterns in which a split of a language is looked for; earlier groups win."""
    endings = (".jsonl", ".tsv", ".txt", ".jsonl.gz", ".tsv.gz", ".txt.gz")
    groups = [[f"{split}-{language}{suffix}" for suffix in _SUFFIXES]]
    if split in ("dev", "test"):
        groups.append([f"xnli.{split}{suffix}" for suffix in _SUFFIXES])
    if split == "train":
        groups.append([f"multinli.train.{language}{suffix}" for suffix in _SUFFIXES])
    if split == "train" and language == "en":  # MultiNLI's and GLUE's names, which do not say the language
        for stem in ("multinli*train", "train", "train_*"):
            groups += [[f"{stem}{ending}"] for ending in endings]
    if split.startswith("dev_") and language == "en":
        groups += [[f"*{split}{ending}"] for ending in endings]
    return groups + hub_groups([language], _HUB_SPLITS.get(split, split))


def find_files(data: str, split: str, language: str) -> list[Path]:
    """The file of a split in a language, or its parts.

    Raises:
        UserError: there is none, or several that fit equally well.
    """
    folder = require_folder(data, "a folder with the task's files")
    groups = candidates(split, language)
    if not (found := split_files(folder, groups, split, language)):
        raise XNLI.missing(data, split, language, [group[0] for group in groups])
    return found


def available(data: str, split: str) -> list[str]:
    """Languages that the folder holds this split in, judged by file names and, in XNLI's own files, by column."""
    folder = Path(data)
    pattern = re.compile(rf"{re.escape(split)}-([A-Za-z0-9-]+)(?:{'|'.join(map(re.escape, _SUFFIXES))})")
    names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    found = {match[1] for match in map(pattern.fullmatch, names) if match}
    if any(name in names for name in (f"xnli.{split}{suffix}" for suffix in _SUFFIXES)):
        found |= {*LANGUAGES}
    if folder.is_dir():
        found |= {code for code in LANGUAGES if fitting(folder, hub_groups([code], _HUB_SPLITS.get(split, split))[0])}
    return sorted(found)


def _read_hub(name: str, split: str, language: str) -> Loaded:
    """`hf:facebook/xnli` (or `hf:NAME@REVISION`) through `datasets`: the one place that may reach the network."""
    name, _, revision = name.removeprefix(HUB).partition("@")
    table = load_split(name, language, _HUB_SPLITS[split], revision,
                       f"{HUB}{name}: could not load {_HUB_SPLITS[split]!r} in {language!r} from the hub")
    place = f"{HUB}{name}/{language}/{_HUB_SPLITS[split]}"
    form = _Format(Path(place), list(table.column_names))
    names = getattr(table.features[form.label], "names", None)
    examples: list[Example] = []
    dropped = 0
    for number, row in enumerate(table):
        value = row[form.label]
        if value in NO_GOLD:
            dropped += 1
            continue
        if names and isinstance(value, int):
            value = names[value]
        examples.append(_example(row, form, value, str(number), f"{place}:{number + 1}"))
    _report_dropped(place, dropped, len(table))
    return Loaded(examples, [place], dropped)


def read(data: str, split: str, language: str, files: Sequence[str] = ()) -> Loaded:
    """The pairs of a split in a language: from `files`, from the hub (`hf:…`), or from the folder `data`."""
    if not files and split not in SPLITS:
        raise unknown("split of xnli", split, SPLITS)
    if not files and data.startswith(HUB):
        return _read_hub(data, split, language)
    parts = [read_file(path, language) for path in files or find_files(data, split, language)]
    return Loaded([item for part in parts for item in part.examples], [name for part in parts for name in part.files],
                  sum(part.dropped for part in parts))


XNLI = register(ClassificationTask(name="xnli", version="1.0", languages=LANGUAGES, splits=SPLITS, labels=LABELS,
                     pair=True, reader=read,
                     available=available, bodies_of=THREE_WAY))
