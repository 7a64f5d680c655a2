"""Bilingual dictionaries as files of word pairs: the base language's word first, then that of the new language."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

from pretrain.base.errors import UserError
from pretrain.base.opening import read_lines

_NUMBER = re.compile(r"(?<=\S)\s+\d+\.\s*$")
"""Of a sense, behind its word."""
_PRONOUNCED = re.compile("(?<=[\u0400-\u052f])[\u0300\u0301]|[\u0640\u064b-\u0652\u0670]")
"""Stress marks of Cyrillic, vowel signs and lengthening of Arabic: dictionaries write them, texts mostly do not."""
_ASIDE = re.compile(r"\([^()]*\)|\[[^\][]*\]|\{[^{}]*\}|<[^<>]*>")


def read_dictionary(path: str | Path) -> list[tuple[str, str]]:
    """(source word, target word) of a dictionary, in its order, each pair once.

    Two forms are read: `word<TAB>translation, translation; translation` as word lists have it, with remarks in brackets and the
    number of a sense behind a word (`house 2.`) left out, and `word translation` with white space between as MUSE's
    dictionaries have it. Entries of several words are left out, as they have no place of their own in a vocabulary. A target
    word with marks of pronunciation (Cyrillic stress, Arabic vowels) is followed by the same without them, as texts write it.

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
            source, target = _ASIDE.sub(" ", word).split() if tab else [word], _NUMBER.sub("", text).split()
            if len(source) == len(target) == 1:
                for written in filter(None, (target[0], unpronounced(target[0]))):
                    pairs[source[0], written] = None
    if not pairs:
        raise UserError(f"{path}: no pair of single words; expected lines of a source word, a tab and its translations")
    return list(pairs)


def unpronounced(word: str) -> str:
    """A word without marks of pronunciation; composed letters that a text has too (`й`, `é`) stay."""
    composed = unicodedata.normalize("NFC", word)
    bare = _PRONOUNCED.sub("", composed)
    return bare if bare != composed else word


def translations(path: str | Path) -> dict[str, list[str]]:
    """Word of the new language -> its words in the base language, from a dictionary file."""
    found: dict[str, list[str]] = {}
    for source, target in read_dictionary(path):
        found.setdefault(target, []).append(source)
    return found
