"""Finding artefacts and the local files that a user names."""

from __future__ import annotations

from pathlib import Path

from adapt.artefacts.hub import HUB, snapshot
from pretrain.base.errors import UserError
from pretrain.base.files import read_record
from pretrain.base.records import Record

SEEDS = "seeds.json"
"""The record of a folder with one run for each of several seeds; `tasks.learning.seeds` writes it."""
SEEDS_FORMAT, SEEDS_VERSION = "relexify-seeds", 1


def folder_of_run(run: Record) -> str:
    """The name of a run's folder in the record of runs over seeds: a name in that folder, no path that leads out of it."""
    name = run.text("folder")
    if Path(name).name != name or name == "..":
        raise run.wrong("folder", "the name of a folder beside seeds.json")
    return name


def locate(path: str | Path, kind: str) -> Path:
    """The folder of a `body` or `embedding`: `path` itself, or the one inside a run's output or an assembled model.

    Of a folder with runs over seeds it is that of the median run, which its record names. `hf:OWNER/NAME[@REVISION]` is a
    repository of the hub (`adapt.artefacts.hub`).

    Raises:
        UserError: the hub does not give the repository.
    """
    if str(path).startswith(HUB):
        path = snapshot(str(path))
    path = Path(path)
    if (path / SEEDS).exists():
        record = read_record(path / SEEDS, "the record of runs over seeds (seeds.json)", SEEDS_FORMAT, SEEDS_VERSION)
        path = path / folder_of_run(record.table("median"))
    if not (path / f"{kind}.json").exists() and (path / kind / f"{kind}.json").exists():
        return path / kind
    return path


def embedding_of(body: str | Path, embedding: str | Path = "", option: str = "--embedding") -> Path:
    """The folder of an embedding: as named, or the one in or beside the folder of the body.

    Args:
        option: what names it on the command line, for the error.

    Raises:
        UserError: none is named and none is there.
    """
    if embedding:
        return locate(embedding, "embedding")
    for path in (locate(body, "embedding"), Path(body).parent / "embedding"):
        if (path / "embedding.json").exists():
            return path
    raise UserError(f"{body}: there is no embedding in or beside this body; name one with {option}")


def named_resources(text: str) -> dict[str, str]:
    """`name=path,name=path` -> paths as they are written, there or not.

    Raises:
        UserError: an item without a name, or a name that stands twice.
    """
    resources: dict[str, str] = {}
    for item in filter(None, text.split(",")):
        name, mark, value = item.partition("=")
        if not mark or not name or not value:
            raise UserError(f"--resources: expected name=path, got {item!r}")
        if name in resources:
            raise UserError(f"--resources {name}: got {resources[name]} and {value}, expected one file; join them, as "
                            f"dictionaries with `awk 1 {resources[name]} {value} > joined.tsv` (docs/initialisers.md)")
        resources[name] = value
    return resources


def parse_resources(text: str) -> dict[str, Path]:
    """`name=path,name=path` -> paths of files that are there.

    Raises:
        UserError: as `named_resources`, or a path that does not exist.
    """
    resources = {name: Path(value) for name, value in named_resources(text).items()}
    for name, path in resources.items():
        if not path.is_file():
            raise UserError(f"--resources {name}: {path} {'is no file' if path.exists() else 'does not exist'}; check the path")
    return resources
