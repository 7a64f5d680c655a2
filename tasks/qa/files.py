"""How sets of questions name their files: language codes in names, official names, places on the Hugging Face hub."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from pretrain.base.errors import UserError
from pretrain.base.language import check_language

HUB = "hf:"
ENDINGS = (".json", ".json.gz")
CODE = "([A-Za-z0-9-]+)"
"""A language code in the pattern of a file's name."""


def with_endings(groups: Sequence[Sequence[str]]) -> list[list[str]]:
    """Each group's patterns with each ending."""
    return [[stem + ending for stem in group for ending in ENDINGS] for group in groups]


def matches(folder: Path, pattern: str) -> list[tuple[str, ...]]:
    """Language codes in the names of the folder's files that match `pattern` without its ending, sorted."""
    whole = re.compile(pattern + r"\.json(?:\.gz)?")
    found = set()
    for path in folder.iterdir() if folder.is_dir() else ():
        match = whole.fullmatch(path.name)
        if match and all(_is_code(code) for code in match.groups()):
            found.add(match.groups())
    return sorted(found)


def _is_code(text: str) -> bool:
    try:
        return check_language(text) == text
    except UserError:
        return False
