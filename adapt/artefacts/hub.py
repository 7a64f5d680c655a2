"""Artefacts on the Hugging Face hub: `hf:OWNER/NAME[@REVISION]` is a folder like any other.

Nothing is asked of the network unless a name begins with `hf:`. Files are kept in the hub's own cache; with
`HF_HUB_OFFLINE=1`, or where the hub does not answer, the cache alone is read. `HF_ENDPOINT` names another server with the same
interface. Every request of `huggingface_hub` has a time limit (`HF_HUB_ETAG_TIMEOUT`, `HF_HUB_DOWNLOAD_TIMEOUT`, ten seconds
each).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pretrain.base.errors import UserError

HUB = "hf:"
ARTEFACT = ("*.json", "*.safetensors", "*.model", "*.md")
"""Of a repository, what artefacts consist of."""
_NAME = re.compile(r"(?:[A-Za-z0-9][\w.-]*/)?[A-Za-z0-9][\w.-]*")


@dataclass(frozen=True)
class Name:
    """`hf:OWNER/NAME[@REVISION]`; an empty revision is the newest."""

    repository: str
    revision: str

    @classmethod
    def parse(cls, text: str) -> Name:
        """Raises UserError where `text` is not of that form."""
        repository, mark, revision = text.removeprefix(HUB).partition("@")
        if not text.startswith(HUB) or not _NAME.fullmatch(repository) or bool(mark) != bool(revision):
            raise UserError(f"{text}: expected hf:OWNER/NAME, or hf:OWNER/NAME@REVISION with a branch, tag or commit")
        return cls(repository, revision)


def _library() -> tuple[Any, tuple[type[Exception], ...]]:
    """huggingface_hub, and what it raises where something outside goes wrong."""
    try:
        import huggingface_hub
        from huggingface_hub.errors import HfHubHTTPError
    except ImportError:
        raise UserError("hf: names need the package `huggingface_hub`; pip install 'relexify[huggingface]'") from None
    return huggingface_hub, (OSError, ValueError, RuntimeError, *HfHubHTTPError.__bases__)


def snapshot(text: str, patterns: Sequence[str] = ARTEFACT) -> Path:
    """The local folder with a repository's files at a revision.

    Args:
        text: `hf:OWNER/NAME[@REVISION]`.
        patterns: names of the files that are wanted.

    Raises:
        UserError: not such a name, or neither hub nor cache gives it.
    """
    name = Name.parse(text)
    library, errors = _library()
    try:
        return Path(library.snapshot_download(name.repository, revision=name.revision or None, allow_patterns=list(patterns)))
    except errors as error:
        raise UserError(f"{text}: could not be loaded from the hub: {_first_line(error)}") from None


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def pushable(folder: Path) -> str:
    """What a folder holds that can be pushed: a body or task body, an embedding, a run with both, or an exported model.

    Raises:
        UserError: none of these, or one that is damaged.
    """
    from adapt.artefacts.embedding import Embedding
    from pretrain.artefacts.body import Body

    found = [place / f"{kind}.json" for place in (folder, *(folder / kind for kind in ("body", "embedding")))
             for kind in ("body", "embedding") if (place / f"{kind}.json").is_file()]
    kinds = []
    for record in found:
        if record.name == "body.json":
            kinds.append("task body" if Body.load(record.parent).task else "body")
        else:
            kinds.append(f"embedding of {Embedding.load(record.parent).language}")
    if not kinds and (folder / "config.json").is_file() and (folder / "model.safetensors").is_file():
        kinds.append("exported model")
    if not kinds:
        raise UserError(f"{folder}: expected a body, an embedding, the output of a run with both, or an exported model; found "
                        f"{', '.join(sorted(path.name for path in folder.iterdir())[:6]) or 'an empty folder'}")
    return " and ".join(kinds)


def push(folder: Path, text: str, private: bool = False, message: str = "") -> tuple[str, str]:
    """Uploads an artefact as one commit; the repository and branch are made where they are not there.

    Args:
        text: `hf:OWNER/NAME[@BRANCH]`.

    Returns:
        What was pushed, and `hf:OWNER/NAME@COMMIT`.

    Raises:
        UserError: no artefact, not such a name, or the hub refuses it (token, rights, network).
    """
    name, kind = Name.parse(text), pushable(folder)
    library, errors = _library()
    try:
        api = library.HfApi()
        api.create_repo(name.repository, private=private, exist_ok=True)
        if name.revision:
            api.create_branch(name.repository, branch=name.revision, exist_ok=True)
        done = api.upload_folder(repo_id=name.repository, folder_path=str(folder), revision=name.revision or None,
                                 allow_patterns=list(ARTEFACT), commit_message=message or f"Push {kind}")
    except errors as error:
        raise UserError(f"{text}: the hub did not take it: {_first_line(error)}; is HF_TOKEN a token that may write "
                        "there?") from None
    return kind, f"{HUB}{name.repository}@{done.oid}"
