"""What a task is: a declaration, its reader, and the registry of all tasks.

To add a task: one file per family in this folder that registers its `Definition`s (`register(Task(...))` for
classification), and its import in `load_all`
(tasks/registry.py).
"""

from __future__ import annotations

import hashlib
import logging
import math
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar

from pretrain.base.errors import UserError, unknown

logger = logging.getLogger(__name__)

PLACEHOLDER_ROWS = 20
"""From this many rows on, one single label means that the labels were stripped and replaced by a placeholder."""


@dataclass(frozen=True, slots=True)
class Example:
    """One item of a task.

    Attributes:
        id: as the file names it, else its number in the file.
        text_a: premise, or the only text.
        text_b: hypothesis; None for tasks on one text.
        label: index into the task's labels; None where the file has none.
    """

    id: str
    text_a: str
    text_b: str | None
    label: int | None


@dataclass
class Loaded:
    """The examples of one split in one language, in file order, and where they come from.

    Attributes:
        files: what was read.
        dropped: rows left out because their annotators did not agree on a label.
    """

    examples: list[Example]
    files: list[str] = field(default_factory=list)
    dropped: int = 0

    def __len__(self) -> int:
        return len(self.examples)

    def sha256(self) -> str:
        """Hash of texts and labels in order: the same data has the same hash in every file format."""
        digest = hashlib.sha256()
        for item in self.examples:
            digest.update(f"{item.text_a}\0{item.text_b}\0{item.label}\n".encode())
        return digest.hexdigest()


Reader = Callable[[str, str, str, Sequence[str]], Loaded]
"""(data, split, language, files) -> Loaded; `files`, where not empty, replace the search in `data`."""
Available = Callable[[str, str], list[str]]
"""(data, split) -> the languages that `data` holds this split in."""


class Examples(Protocol):
    """What every family's examples of one split say about themselves."""

    files: list[str]
    dropped: int

    def __len__(self) -> int: ...

    def sha256(self) -> str: ...


@dataclass(frozen=True)
class Definition(ABC):
    """What all task families share.

    Attributes:
        languages: of the published data; any other BCP-47 code works too where its files are there.
        splits: the names that the task's splits have.
        heads: kinds of heads that do it, the default first.
        metric: what chooses the best checkpoint on the dev split.
        criterion: name of the fairseq criterion that trains it.
    """

    name: str
    version: str
    languages: tuple[str, ...]
    splits: tuple[str, ...]
    heads: tuple[str, ...]
    metric: str
    criterion: str

    @abstractmethod
    def read(self, data: str | Path, split: str, language: str, files: Sequence[str | Path] = ()) -> Examples:
        """The examples of a split in a language.

        Args:
            data: folder with the task's files, or `hf:NAME` for a data set of the Hugging Face hub.
            files: read these instead of searching `data`.

        Raises:
            UserError: unknown split or language code, no file, or a file that is not what the task needs.
        """

    def check(self, split: str, language: str) -> str:
        """The language code in its canonical form; UserError for an unknown split or a wrong code."""
        from pretrain.base.language import check_language

        if split not in self.splits:
            raise unknown(f"split of {self.name}", split, self.splits)
        return check_language(language)


@dataclass(frozen=True, kw_only=True)
class Task(Definition):
    """A classification task. The order of `labels` is part of it and never depends on a file (docs/artefacts.md)."""

    labels: tuple[str, ...]
    reader: Reader
    available: Available
    heads: tuple[str, ...] = ("classification", "linear")
    metric: str = "accuracy"
    criterion: str = "modular_classification"

    @property
    def chance(self) -> float:
        """Expected accuracy of a uniform guess."""
        return 1 / len(self.labels)

    def read(self, data: str | Path, split: str, language: str, files: Sequence[str | Path] = ()) -> Loaded:
        """The labelled examples, see `Definition.read`; labels that were stripped are an error too."""
        loaded = self.reader(str(data), split, self.check(split, language), [str(file) for file in files])
        check_labels(loaded, self, split)
        return loaded

    def missing(self, data: str, split: str, language: str, tried: Sequence[str]) -> UserError:
        """The error for a language whose file is not there, see `missing_data`."""
        shown = [*tried[:4], "…"] if len(tried) > 4 else tried
        return missing_data(self.name, data, split, language, self.available(data, split), shown)


def missing_data(task: str, data: str, split: str, language: str, known: Sequence[str], tried: Sequence[str],
                 wanted: str = "") -> UserError:
    """The error for a language whose file is not there: names what was looked for and what there is.

    Args:
        known: what `data` holds this split in.
        tried: names of files that were looked for.
        wanted: what to say is missing, where that is more than `language`.
    """
    akin = [code for code in known if code.split("-")[0] == language.split("-")[0]]
    hint = f", did you mean {akin[0]!r}?" if akin else ""
    have = f"there is {split} data in: {', '.join(known)}{hint}" if known else \
        f"that folder holds no {split} data of {task} at all"
    advice = "name the files with --train-file" if split == "train" else "check --data and the embedding's language"
    return UserError(f"{data}: no {split} data in {wanted or repr(language)} (looked for {', '.join(tried)}); {have}; {advice}")


def only_file(folder: Path, groups: Sequence[Sequence[str]], split: str, language: str) -> Path | None:
    """The file of `folder` that fits a pattern of the first group of which any fits; None without one.

    Raises:
        UserError: several fit that group.
    """
    for patterns in groups:
        found = sorted({path for pattern in patterns for path in folder.glob(pattern) if path.is_file()})
        if len(found) > 1:
            names = ", ".join(str(path.relative_to(folder)) for path in found)
            advice = "name the right one with --train-file" if split == "train" else "keep one of them in that folder"
            raise UserError(f"{folder}: several files fit {split} in {language!r}: {names}; {advice}")
        if found:
            return found[0]
    return None


def check_labels(loaded: Loaded, task: Task, split: str) -> None:
    """Refuses examples that cannot be trained on or scored: none at all, or labels missing or all the same."""
    where = ", ".join(loaded.files)
    if not loaded.examples:
        raise UserError(f"{where}: no examples for {split}; the file is empty or holds other languages only")
    counts = Counter(item.label for item in loaded.examples)
    if None in counts:
        first = next(item.id for item in loaded.examples if item.label is None)
        raise UserError(f"{where}: {counts[None]:,} of {len(loaded):,} rows have no label (first: id {first}); if the "
                        f"labels of this {split} file were stripped, take the official file, which has them")
    if len(counts) == 1 and len(loaded) >= PLACEHOLDER_ROWS:
        only = task.labels[loaded.examples[0].label or 0]
        raise UserError(f"{where}: all {len(loaded):,} labels are {only!r}; the labels of this {split} file were "
                        "stripped and replaced by a placeholder, as in XTREME's test files: take the official file")


REGISTRY: dict[str, Definition] = {}
AnyTask = TypeVar("AnyTask", bound=Definition)


def register(task: AnyTask) -> AnyTask:
    """Makes a task known by its name; a name can be taken once."""
    if task.name in REGISTRY:
        raise ValueError(f"task {task.name!r} is registered twice")
    REGISTRY[task.name] = task
    return task


def standard_error(share: float, count: int) -> float:
    """Standard error of an accuracy `share` over `count` independent items."""
    return math.sqrt(share * (1 - share) / count)


def wilson_interval(share: float, count: int, z: float = 1.959964) -> tuple[float, float]:
    """95 % interval of a share by Wilson's score method (Wilson 1927), which stays inside [0, 1]."""
    centre = share + z * z / (2 * count)
    spread = z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    scale = 1 + z * z / count
    return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)
