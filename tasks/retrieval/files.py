"""Files of two languages: Tatoeba's and BUCC's."""

from __future__ import annotations

from pathlib import Path

from pretrain.base.errors import UserError
from pretrain.base.files import require_folder
from pretrain.base.opening import read_lines
from tasks.retrieval.task import Bitext

THREE_LETTERS = {"af": "afr", "ar": "ara", "az": "aze", "bg": "bul", "bn": "ben", "de": "deu", "el": "ell", "en": "eng",
                 "es": "spa", "et": "est", "eu": "eus", "fa": "pes", "fi": "fin", "fr": "fra", "gu": "guj", "he": "heb",
                 "hi": "hin", "hu": "hun", "id": "ind", "it": "ita", "ja": "jpn", "jv": "jav", "ka": "kat", "kk": "kaz",
                 "ko": "kor", "lt": "lit", "ml": "mal", "mr": "mar", "nl": "nld", "pa": "pan", "pl": "pol", "pt": "por",
                 "qu": "que", "ro": "ron", "ru": "rus", "sw": "swh", "ta": "tam", "te": "tel", "th": "tha", "tl": "tgl",
                 "tr": "tur", "uk": "ukr", "ur": "urd", "vi": "vie", "wo": "wol", "yo": "yor", "zh": "cmn"}
"""Codes of XTREME's languages in the names of Tatoeba's files (ISO 639-3)."""


def spellings(code: str) -> list[str]:
    """How a language may be written in a file's name."""
    primary = code.split("-")[0]
    return list(dict.fromkeys([code, primary, *([THREE_LETTERS[primary]] if primary in THREE_LETTERS else [])]))


def find(folder: Path, patterns: list[str], first: str, second: str, what: str) -> tuple[Path, Path]:
    """The files of the two languages.

    Args:
        patterns: names with {a}, {b} for the two languages as the file orders them, and {own} for the one whose sentences it
            holds.

    Raises:
        UserError: there are none.
    """
    require_folder(folder, f"a folder with files of {what}")
    for pattern in patterns:
        for one in spellings(first):
            for other in spellings(second):
                for a, b in ((one, other), (other, one)):
                    found = tuple(folder / pattern.format(a=a, b=b, own=own) for own in (one, other))
                    if all(path.is_file() for path in found):
                        return found[0], found[1]
    names = ", ".join(pattern.format(a=first, b=second, own=first) for pattern in patterns)
    raise UserError(
        f"{folder}: no {what} of {first!r} and {second!r} (looked for {names}, also in three letters and the other order)"
    )


def aligned(folder: Path, split: str, first: str, second: str) -> Bitext:
    """Sentences of two files, line by line translations of each other: `tatoeba.deu-eng.deu` and `.eng`, or `SPLIT.de-en.de`.

    Raises:
        UserError: no such files, or files of different length.
    """
    paths = find(folder, [f"{split}.{{a}}-{{b}}.{{own}}", "tatoeba.{a}-{b}.{own}"], first, second, "aligned sentences")
    sides = [[line.strip() for _, line in read_lines(path)] for path in paths]
    for side in sides:
        while side and not side[-1]:
            side.pop()
    if len(sides[0]) != len(sides[1]):
        raise UserError(f"{paths[0]}, {paths[1]}: {len(sides[0]):,} and {len(sides[1]):,} lines; expected as many, each the "
                        "translation of the other")
    names = [list(map(str, range(len(side)))) for side in sides]
    return Bitext(sides[0], sides[1], {number: number for number in range(len(sides[0]))}, list(map(str, paths)),
                  (names[0], names[1]))


def comparable(folder: Path, split: str, first: str, second: str) -> Bitext:
    """Sentences of two comparable corpora, some of which are translations: BUCC's `fr-en.training.fr`, `.en` and `.gold`.

    Each line is an id, a tab and a sentence; of the gold file two ids.

    Raises:
        UserError: no such files, or lines of another form.
    """
    paths = find(folder, [f"{{a}}-{{b}}.{split}.{{own}}"], first, second, "comparable corpora")
    sides, numbers = [], []
    for path in paths:
        ids: dict[str, int] = {}
        sentences: list[str] = []
        for number, line in read_lines(path):
            identifier, tab, sentence = line.partition("\t")
            if not line.strip():
                continue
            if not tab or identifier in ids:
                raise UserError(f"{path}:{number}: expected an id that stands once, a tab and a sentence, got {line[:40]!r}")
            ids[identifier] = len(sentences)
            sentences.append(sentence.strip())
        sides.append(sentences)
        numbers.append(ids)
    gold_path = paths[0].with_suffix(".gold")
    if not gold_path.is_file():
        raise UserError(f"{gold_path}: no such file; it says which sentences are translations, and without it nothing is scored")
    gold = {}
    for number, line in read_lines(gold_path):
        if not line.strip():
            continue
        pair = line.split("\t")
        ordered = pair if len(pair) == 2 and pair[0] in numbers[0] else pair[::-1]
        if len(pair) != 2 or ordered[0] not in numbers[0] or ordered[1] not in numbers[1]:
            raise UserError(f"{gold_path}:{number}: expected the ids of two sentences, got {line[:40]!r}")
        gold[numbers[0][ordered[0]]] = numbers[1][ordered[1]]
    return Bitext(sides[0], sides[1], gold, [*map(str, paths), str(gold_path)], (list(numbers[0]), list(numbers[1])))
