"""Bilingual dictionaries as files of word pairs: the base language's word first, then that of the new language."""

from __future__ import annotations

import logging
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable
from pathlib import Path

from adapt.text.tokenizer import WORD_BOUNDARY
from pretrain.base.errors import UserError
from pretrain.base.opening import read_lines

logger = logging.getLogger(__name__)

LARGE = 1000
"""Words from which on a dictionary should have some of every initial."""
COMMON, MISSING = 0.01, 0.1
"""Share of a vocabulary's words from which on an initial counts; share of words with missing initials that is warned of."""
_NUMBER = re.compile(r"(?<=\S)\s+\d+\.\s*$")
"""Of a sense, behind its word."""
_PRONOUNCED = re.compile("(?<=[\u0400-\u052f])[\u0300\u0301]|[\u0640\u064b-\u0652\u0670]")
"""Stress marks of Cyrillic, vowel signs and lengthening of Arabic: dictionaries write them, texts mostly do not."""
_ASIDE = re.compile(r"\([^()]*\)|\[[^\][]*\]|\{[^{}]*\}|<[^<>]*>")


def read_dictionary(path: str | Path) -> list[tuple[str, str]]:
    """(source word, target word) of a dictionary, in its order, each pair once.

    Two forms are read: `word<TAB>translation, translation; translation` as word lists have it, with remarks in brackets and the
    number of a sense behind a word of either language (`house 2.`) left out, and `word translation` with white space between as
    MUSE's dictionaries have it. Entries of several words are left out, as they have no place of their own in a vocabulary. A
    target word with marks of pronunciation (Cyrillic stress, Arabic vowels) is followed by the same without them, as texts
    write it.

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
            source, target = _NUMBER.sub("", _ASIDE.sub(" ", word)).split() if tab else [word], _NUMBER.sub("", text).split()
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


def missing_initials(words: Iterable[str], spellings: Iterable[str]) -> tuple[list[str], float]:
    """(initials common in a vocabulary that no word of a dictionary has, the share of the vocabulary's words that have one).

    Args:
        words: of the base language, as the dictionary has them.
        spellings: of the base language's pieces; those that begin a word with three letters or more stand for its words.
    """
    initials = Counter(piece[1].casefold() for piece in spellings
                       if piece.startswith(WORD_BOUNDARY) and len(piece) > 3 and piece[1:].isalpha())
    total = sum(initials.values())
    there = {word[0].casefold() for word in words}
    missing = sorted(letter for letter, count in initials.items() if count >= COMMON * total and letter not in there)
    return missing, sum(initials[letter] for letter in missing) / max(1, total)


def warn_if_cut_off(path: str | Path, words: Collection[str], spellings: Iterable[str]) -> None:
    """Warns of a large dictionary that lacks whole initials: an alphabetical list that was cut off, or a part of one.

    Args:
        words, spellings: as for `missing_initials`.
    """
    missing, share = missing_initials(words, spellings)
    if len(words) >= LARGE and share >= MISSING:
        logger.warning("%s: none of its %s words of the base language begins with %s, as %s of that language's pieces do; is the "
                       "file cut off?", path, f"{len(words):,}", " ".join(missing), f"{share:.0%}")
