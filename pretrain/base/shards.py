"""One split in several files: how published data sets number them, and that none is missing.

The Hugging Face hub writes `train-00000-of-00003.parquet` (older ones with a hash behind it), or `train/0000.parquet`; others
`train-0.tsv`, `train.part1.jsonl`. Several files that are not numbered like that are several files: which one is meant is the
user's to say.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import chain
from pathlib import Path

from pretrain.base.errors import UserError

_ENDING = r"(?P<ending>(?:\.[A-Za-z][A-Za-z0-9]*)+)"
_COUNTED = re.compile(r"(?P<stem>.*?)(?:^|[-._])(?P<number>\d{1,6})[-_]of[-_](?P<count>\d{1,6})(?:-[0-9a-f]{8,})?" + _ENDING)
_NUMBERED = re.compile(r"(?P<stem>.*?)(?:^|[-._])(?:(?:part|shard|chunk)[-._]?)?(?P<number>\d{1,6})" + _ENDING)


@dataclass(frozen=True)
class Mark:
    """What the name of a part says.

    Attributes:
        whole: the path that the file would have if it were not cut.
        number: which part it is.
        count: of how many; 0 where the name does not say it.
    """

    whole: Path
    number: int
    count: int = 0


def mark_of(path: Path) -> Mark | None:
    """The mark of a part; None where the name has no number of one. A number alone is a part of what its folder is called."""
    found = _COUNTED.fullmatch(path.name) or _NUMBERED.fullmatch(path.name)
    if found is None:
        return None
    stem = found["stem"] or ""
    whole = path.with_name(stem + found["ending"]) if stem else path.parent.with_name(path.parent.name + found["ending"])
    return Mark(whole, int(found["number"]), int(found.groupdict().get("count") or 0))


def in_order(paths: Sequence[Path]) -> list[Path] | None:
    """The parts of one file by their numbers, or a single file; None where several files are not the parts of one.

    Raises:
        UserError: parts of one file, but some are missing.
    """
    marks = [mark_of(path) for path in paths]
    if len(paths) == 1 and (marks[0] is None or not marks[0].count):
        return list(paths)
    known = {mark.number: path for mark, path in zip(marks, paths, strict=True) if mark is not None}
    if len(known) < len(paths) or len({(mark.whole, mark.count) for mark in marks if mark is not None}) > 1:
        return None
    count, last = next(mark.count for mark in marks if mark is not None), max(known)
    if last > count > 0 or (not count and min(known) > 1):
        return None
    wanted = range(1, count + 1) if count and last == count else range(count) if count else range(min(known), last + 1)
    missing = [number for number in wanted if number not in known]
    if missing:
        first = known[min(known)]
        named = ", ".join(map(str, missing[:5])) + (f" and {len(missing) - 5:,} more" if len(missing) > 5 else "")
        raise UserError(f"{first.parent}: of the {len(wanted):,} files of {first.name!r} and its like, "
                        f"{len(missing):,} {'is' if len(missing) == 1 else 'are'} missing: number {named}; fetch what is "
                        "missing, or name the files that you want")
    return [known[number] for number in sorted(known)]


def fitting(folder: Path, patterns: Iterable[str]) -> list[Path]:
    """The files below `folder` that fit one of the patterns, sorted, parts of such a file among them."""
    found: set[Path] = set()
    for pattern in patterns:
        found.update(path for path in folder.glob(pattern) if path.is_file())
        place, _, name = pattern.rpartition("/")
        stem = re.sub(_ENDING + "$", "", name)
        for parent in folder.glob(place) if place else [folder]:
            inside = [*_files(parent), *(path for below in parent.glob(stem or name) if below.is_dir() for path in _files(below))]
            found.update(path for path in inside if (mark := mark_of(path)) is not None and mark.whole.parent == parent
                         and fnmatchcase(mark.whole.name, name))
    return sorted(found)


def chosen(folder: Path, patterns: Sequence[str]) -> list[Path] | None:
    """The one file below `folder` that fits a pattern, or the parts of such a file; empty where none fits, None where several do
    that are not the parts of one.

    Raises:
        UserError: parts of one file, but some are missing.
    """
    found = fitting(folder, patterns)
    marks = [mark_of(path) for path in found]
    known = [mark for mark in marks if mark is not None]
    late = bool(known) and min(mark.number for mark in known) > 1 and not any(mark.count for mark in known)
    if len(found) == 1 and late and not any(found[0] in folder.glob(pattern) for pattern in patterns):
        raise UserError(f"{found[0]}: is part {known[0].number} of {known[0].whole.name}, and the only one in that folder; fetch "
                        "the others, or name the files that you want")
    whole = [path for path, mark in zip(found, marks, strict=True) if mark is None]
    if late and len(whole) == 1:  # a train-1000.tsv beside train.tsv is a sample of it, no part
        return whole
    return in_order(found) if found else []


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.is_file() and not path.name.startswith(".")] if folder.is_dir() else []


# --- a folder of text --------------------------------------------------------------------------------------------------

TEXTS = (".txt", ".jsonl", ".ndjson", ".json", ".parquet")
PACKED = (".gz", ".xz", ".bz2", ".zst", ".zstd")
TRAIN = "train"
OTHERS = ("validation", "valid", "val", "dev", "test")
_BESIDE = ("dataset_infos.json", "dataset_info.json", "dataset_dict.json", "state.json", "metadata.json")


def texts_in(folder: Path) -> list[Path]:
    """The files of a folder of text, as the hub stores a data set: one file or the parts of one; of several splits `train`.

    Raises:
        UserError: no text, several texts that are not the parts of one, or parts that are missing.
    """
    sets: dict[Path, list[Path]] = {}
    below = [place for place in sorted(folder.iterdir()) if place.is_dir() and not place.name.startswith(".")]
    for path in sorted([*_files(folder), *(path for place in below for path in _files(place)
                                           if (mark := mark_of(path)) is not None and mark.whole.parent == folder)]):
        if _is_text(path):
            mark = mark_of(path)
            sets.setdefault(mark.whole if mark else path, []).append(path)
    taken = set(chain.from_iterable(sets.values()))
    inside = [place for place in below if place.name not in OTHERS
              and any(_is_text(path) and path not in taken for path in place.rglob("*"))]
    if sets and inside:  # a licence beside the folder of parts is no corpus
        raise UserError(f"{folder}: expected a text, or the parts of one, found several{_names([*sorted(taken), *inside])}; name "
                        "the files, or the folder, that you want")
    if not sets:
        if len(inside) == 1:
            return texts_in(inside[0])
        what = "several folders of text" if inside else "no text"
        listed = inside or sorted(folder.iterdir())
        raise UserError(f"{folder}: expected a text, or a folder of one, found {what}{_names(listed)}; name the one that you "
                        "want")
    splits = {whole: re.sub(_ENDING + "$", "", whole.name) for whole in sets}
    train = [whole for whole, name in splits.items() if name == TRAIN]
    if len(sets) > 1 and len(train) == 1 and all(name in (TRAIN, *OTHERS) for name in splits.values()):
        sets = {train[0]: sets[train[0]]}
    chosen = in_order(next(iter(sets.values()))) if len(sets) == 1 else None
    if chosen is None:
        raise UserError(f"{folder}: expected a text, or the parts of one, found several"
                        f"{_names(sorted(chain.from_iterable(sets.values())))}; name the files that you want")
    return chosen


def _is_text(path: Path) -> bool:
    name = path.name.lower()
    for ending in PACKED:
        name = name.removesuffix(ending)
    return path.is_file() and not name.startswith(".") and name.endswith(TEXTS) and name not in _BESIDE


def _names(paths: Sequence[Path]) -> str:
    shown = ", ".join(path.name for path in paths[:5]) + (f" and {len(paths) - 5:,} more" if len(paths) > 5 else "")
    return f": {shown}" if paths else ""
