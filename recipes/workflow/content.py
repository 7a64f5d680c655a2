"""What an input is, for the keys of the store: the SHA-256 of its bytes, so that copies, moves and touches change nothing.

Hashing gigabytes at every start would be slow; the store remembers the hash of each file with its size and time of change.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from pretrain.base.errors import UserError
from pretrain.base.files import read_json, sha256_file, write_json

CACHE = ".hashes.json"
DIGITS = 10


def short(content: Any) -> str:
    """The first digits of the hash of JSON content."""
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:DIGITS]


class Contents:
    """Hashes of files and folders, remembered in the store.

    Attributes:
        missing: inputs that are not there, each with what it was expected to be.
    """

    def __init__(self, store: Path) -> None:
        self.file = store / CACHE
        self.known: dict[str, list[Any]] = {}
        if self.file.exists():
            try:
                self.known = dict(read_json(self.file))
            except (UserError, TypeError, ValueError):  # damaged; everything in it can be computed again
                self.known = {}
        self.changed = False
        self.missing: dict[str, str] = {}
        self._done: dict[str, str] = {}

    def of(self, path: str | Path, what: str) -> str:
        """The hash of a file, or of the names and hashes of a folder's files (hidden ones left out).

        What is missing is noted and stands in the key by its name; `hf:` names stand for themselves.
        """
        text = str(path)
        if text.startswith("hf:"):
            return text
        if text not in self._done:
            self._done[text] = self._of(Path(path), what)
        return self._done[text]

    def _of(self, path: Path, what: str) -> str:
        if path.is_file():
            return self._file(path)
        if not path.is_dir():
            self.missing.setdefault(str(path), what)
            return f"missing:{path}"
        found = {}
        for place, folders, files in os.walk(path):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            for name in sorted(files):
                if not name.startswith("."):
                    one = Path(place) / name
                    found[one.relative_to(path).as_posix()] = self._file(one)
        return short(found)

    def _file(self, path: Path) -> str:
        state = path.stat()
        name, stamp = str(path.resolve()), [state.st_size, state.st_mtime_ns]
        if self.known.get(name, [])[:2] != stamp:
            self.known[name] = [*stamp, sha256_file(path)]
            self.changed = True
        return str(self.known[name][2])

    def save(self) -> None:
        """Writes what was computed, where there is a store."""
        if self.changed and self.file.parent.is_dir():
            write_json(self.file, self.known)
            self.changed = False
