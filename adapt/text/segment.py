"""Tokens of languages that write no spaces between words: one per written character, combining marks included.

The characters are close to Unicode's extended grapheme clusters (Unicode Standard Annex 29), found with the standard
library alone. A stacked consonant (Khmer, Burmese, Tai Tham) stays with the one that it hangs under.
"""

from __future__ import annotations

import unicodedata

from pretrain.base.language import check_language

LANGUAGES = frozenset((
    "zh", "cdo", "cjy", "cmn", "cpx", "czh", "gan", "hak", "hsn", "lzh", "mnp", "nan", "wuu", "yue",  # Chinese
    "ja", "th", "lo", "km", "my", "bo", "dz", "shn", "nod", "khb", "tdd", "blt", "ii"))
"""Languages usually written without spaces between words."""
SCRIPTS = frozenset(("Hani", "Hans", "Hant", "Jpan", "Hira", "Kana", "Hrkt", "Bopo", "Thai", "Laoo", "Khmr", "Mymr",
                     "Tibt", "Lana", "Tale", "Talu", "Tavt", "Yiii"))
"""Script subtags written so; any other script subtag (`zh-Latn`) says that there are spaces."""

_RANGES = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x0F00, 0x0FFF),  # Tibetan
    (0x1000, 0x109F), (0xA9E0, 0xA9FF), (0xAA60, 0xAA7F),  # Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x1950, 0x19DF), (0x1A20, 0x1AAF), (0xAA80, 0xAADF),  # Tai Le, New Tai Lue, Tai Tham, Tai Viet
    (0x2E80, 0x2FDF), (0x3005, 0x3007), (0x3021, 0x3029), (0x3038, 0x303B),  # Han: radicals, marks, numerals
    (0x3040, 0x30FF), (0x31F0, 0x31FF), (0xFF66, 0xFF9F), (0x1AFF0, 0x1B16F),  # kana
    (0x3100, 0x312F), (0x31A0, 0x31BF),  # Bopomofo
    (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x3FFFF),  # Han ideographs
    (0xA000, 0xA4CF),  # Yi
)
_STACKERS = frozenset("\u1039\u17d2\u1a60")  # the next consonant is written below the last one
# Unicode's general category calls these letters, its segmentation rules keep them with the letter before.
_EXTENDING_LETTERS = frozenset("\u0e33\u0eb3\uff9e\uff9f")
_ZERO_WIDTH_SPACE = "\u200b"  # marks the border of words in Thai, Khmer, Burmese


def spaceless(language: str) -> bool:
    """Whether a language is written without spaces between words; a script subtag decides where there is one.

    Args:
        language: BCP-47 code.

    Raises:
        UserError: not the shape of a language code.
    """
    first, *others = check_language(language).split("-")
    if first == "x":
        return False
    script = next((part for part in others if len(part) == 4 and part.isalpha()), None) if "x" not in others else None
    return first in LANGUAGES if script is None else script in SCRIPTS


def _stands_alone(char: str) -> bool:
    """A character of a script without spaces. Digits of any script are not: a number is one token."""
    if unicodedata.category(char) == "Nd":
        return False
    code = ord(char)
    return any(low <= code <= high for low, high in _RANGES)


def segment(text: str) -> list[str]:
    """Tokens of a text: each character of a script without spaces with its marks; everything else by white space.

    Invisible format characters are left out, so that they make no difference; a zero-width space ends a token.
    """
    tokens: list[str] = []
    extendable = False  # whether the last token is still being written
    alone = False  # whether it is a character of a script without spaces
    for char in text:
        category = unicodedata.category(char)
        if char.isspace() or char == _ZERO_WIDTH_SPACE:
            extendable = False
        elif category == "Cf":
            continue
        elif extendable and (category[0] == "M" or char in _EXTENDING_LETTERS):
            tokens[-1] += char
        elif _stands_alone(char):
            if extendable and tokens[-1][-1] in _STACKERS:
                tokens[-1] += char
            else:
                tokens.append(char)
            extendable = alone = True
        elif extendable and not alone:
            tokens[-1] += char
        else:
            tokens.append(char)
            extendable, alone = True, False
    return tokens
