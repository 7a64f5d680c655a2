"""Bilingual dictionaries as files of word pairs: the base language's word first, then that of the new language."""

from __future__ import annotations

import re
from pathlib import Path

from pretrain.base.errors import UserError
from pretrain.base.opening import read_lines

_ASIDE = re.compile(r"\([^()]*\)|\[[^\][]*\]|\{[^{}]*\}|<[^<>]*>")


def read_dictionary(path: str | Path) -> list[tuple[str, str]]:
    """(source word, target word) of a dictionary, in its order, each pair once.

    Two forms are read: `word<TAB>translation, translation; translation` as word lists have it, with remarks in brackets left
    out, and `word translation` with white space between as MUSE's dictionaries have it. Entries of several words are left out,
    as they have no place of their own in a vocabulary.

    Raises:
        UserError: a file that is missing or no text, a line of neither form, or no pair at all.
    """
    pairs: dict[tuple[str, str], None] = {}
    for number, line in read_lines(Path(path)):
        if not line.strip():
            continue
        word, tab, rest = line.partition("\t")
        if not tab:
            fields = line.split()
            if len(fields) != 2:
                raise UserError(f"{path}:{number}: expected a word, a tab and its translations, or two words, got {line[:60]!r}")
            word, rest = fields
        for text in re.split(r"[,;\t]", _ASIDE.sub(" ", rest)) if tab else [rest]:
            source, target = _ASIDE.sub(" ", word).split() if tab else [word], text.split()
            if len(source) == len(target) == 1:
                pairs[source[0], target[0]] = None
    if not pairs:
        raise UserError(f"{path}: no pair of single words; expected lines of a source word, a tab and its translations")
    return list(pairs)


def translations(path: str | Path) -> dict[str, list[str]]:
    """Word of the new language -> its words in the base language, from a dictionary file."""
    found: dict[str, list[str]] = {}
    for source, target in read_dictionary(path):
        found.setdefault(target, []).append(source)
    return found
