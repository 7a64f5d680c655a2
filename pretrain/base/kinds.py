"""What a folder holds: `--overwrite` replaces an artefact by one of its own kind and nothing else (docs/reliability.md)."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path


@dataclass(frozen=True)
class Kind:
    """A kind of folder that a command writes.

    Attributes:
        name: as messages say it.
        holds: whether a folder is one.
        entries: patterns of the names that may stand in it; with a slash at the end, of folders.
    """

    name: str
    holds: Callable[[Path], bool]
    entries: tuple[str, ...]

    def foreign(self, folder: Path) -> list[str]:
        """Names in the folder that no command of ours writes there."""
        return sorted(place.name for place in folder.iterdir()
                      if not any(fnmatchcase(place.name + ("/" if place.is_dir() else ""), entry) for entry in self.entries))


def _has(*names: str) -> Callable[[Path], bool]:
    return lambda folder: all((folder / name).is_file() for name in names)


def _body(task: bool) -> Callable[[Path], bool]:
    def holds(folder: Path) -> bool:
        try:
            record = json.loads((folder / "body.json").read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            return False
        return isinstance(record, dict) and bool(record.get("task")) == task
    return holds


_exported = _has("config.json", "relexify.model")
"""What transformers opens, with the tokenizer that an export puts beside it: a model from elsewhere has none."""


def _models(folder: Path) -> bool:
    inside = list(folder.iterdir())
    return _exported(folder) or (bool(inside) and all(_exported(place) for place in inside))


KINDS = (
    Kind("prepared text", _has("prepare.json"),
         ("prepare.json", "tokenizer.model", "tokenizer.json", "dict.txt", "train.bin", "train.idx", "valid.bin", "valid.idx")),
    Kind("a body with an embedding", _has("body/body.json"), ("body/", "embedding/", "curves.json", "training.json")),
    Kind("a body", _body(task=False), ("body.json", "body.safetensors", "generator.safetensors", "curves.json")),
    Kind("a task body", _body(task=True),
         ("body.json", "body.safetensors", "generator.safetensors", "curves.json", "embedding/")),
    Kind("an embedding", _has("embedding.json"),
         ("embedding.json", "embedding.safetensors", "tokenizer.model", "tokenizer.json", "README.md", "curves.json", "at/")),
    Kind("scores", _has("results.json"), ("results.json", "*/")),
    Kind("runs over seeds", lambda folder: _has("settings.json")(folder) and
         (_has("seeds.json")(folder) or any(folder.glob("seed-*"))),
         ("settings.json", "seeds.json", "seed-*/", ".seed-*")),
    Kind("a report", _has("report.html"), ("report.html", "report.md")),
    Kind("a world", _has("world.json"), ("world.json", "text/", "dictionaries/", "nli/", "qa/", "paraphrase/", "choice/",
                                                "tagging/", "retrieval/")),
    Kind("an analysis of sampling", _has("summary.json"), ("summary.json", "summary.md", "*.csv", "analysis.png")),
    Kind("Hugging Face models", _models,
         ("*/", "config.json", "model.safetensors", "relexify.model", "relexify.safetensors", "tokenizer.json",
          "tokenizer_config.json", "special_tokens_map.json", "README.md")),
    Kind("a fairseq model", _has("model.pt", "dict.txt", "sentencepiece.bpe.model"),
         ("model.pt", "dict.txt", "sentencepiece.bpe.model", "input0/", "label/")),
    Kind("a submission", _has("submission.zip"), ("submission.zip", "*.tsv")),
)


def kind_of(folder: Path) -> Kind | None:
    """What a folder holds; None where no command of ours has written it."""
    return next((kind for kind in KINDS if kind.holds(folder)), None) if folder.is_dir() else None


def contents(folder: Path, most: int = 5) -> str:
    """The first names in a folder, for a message."""
    names = sorted(place.name for place in folder.iterdir())
    return ", ".join(names[:most]) + (f" and {len(names) - most:,} more" if len(names) > most else "")
