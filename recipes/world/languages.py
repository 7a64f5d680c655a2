"""The languages of the miniature world: script, lexicon and grammar, at a growing distance from the base.

Codes are from ISO 639's private range (`qaa` to `qtz`), which are valid BCP-47 tags. No two languages share a letter,
so no two share a word; punctuation is common to all.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from pretrain.base.errors import unknown
from recipes.world import concepts
from recipes.world.chance import Draw, generator

CASES = ("accusative", "dative", "locative", "lative")
GENDERS = ("person", "animal", "thing")


@dataclass(frozen=True)
class Script:
    """Letters that words are spelled with. Hangul has none: its syllables are composed from indices."""

    name: str
    consonants: str
    vowels: str
    codas: str


@dataclass(frozen=True)
class Grammar:
    """How clauses are laid out.

    `orders` are (template, weight): S subject, V verb or copula, O object or complement, R recipient, P place, T time;
    a language with one template has a fixed order. `cases` and `agreement` are suffixes; with `cases` there are no
    adpositions.
    """

    orders: tuple[tuple[str, float], ...]
    adjective_after_noun: bool = False
    postpositions: bool = False
    negation_after_verb: bool = False
    articles: bool = True
    cases: bool = False
    agreement: bool = False


@dataclass(frozen=True)
class Plan:
    """A language before its lexicon is drawn."""

    code: str
    name: str
    distance: int
    summary: str
    script: Script
    grammar: Grammar


PLANS: tuple[Plan, ...] = (
    Plan(
        "qaa",
        "Talen",
        0,
        "the base: SVO, adjective before noun, prepositions",
        Script("Latin", "ptkbdgmnslrfvzj", "aeiou", "nslr"),
        Grammar((("SVORPT", 1),)),
    ),
    Plan(
        "qab",
        "Kirvo",
        1,
        "the base's order, other words",
        Script("Cyrillic", "птквдгмнслрфбзжш", "аеиоуы", "нслр"),
        Grammar((("SVORPT", 1),)),
    ),
    Plan(
        "qac",
        "Thessi",
        2,
        "SVO, adjective after noun",
        Script("Greek", "πτκβδγμνσλρφχθζ", "αεηιουω", "νλρ"),
        Grammar((("SVORPT", 1),), adjective_after_noun=True),
    ),
    Plan(
        "qad",
        "Gurmani",
        3,
        "SOV, adjective before noun, postpositions, negation after the verb",
        Script("Georgian", "პტკბდგმნსლრფვზშხ", "აეიოუ", "ნსლრ"),
        Grammar((("TSPROV", 1),), postpositions=True, negation_after_verb=True),
    ),
    Plan(
        "qae",
        "Hayrem",
        4,
        "VSO, adjective after noun, prepositions",
        Script("Armenian", "պտկբդգմնսլրֆվզշխ", "աեիոէ", "նսլր"),
        Grammar((("VSORPT", 1),), adjective_after_noun=True),
    ),
    Plan(
        "qaf",
        "Sonagi",
        5,
        "rather free order, case suffixes, agreement on adjective and verb, no articles or adpositions",
        Script("Hangul", "", "", ""),
        Grammar(
            (("TSPROV", 0.4), ("SVORPT", 0.25), ("OSRPVT", 0.15), ("TOVSRP", 0.1), ("VSORPT", 0.1)),
            articles=False,
            cases=True,
            agreement=True,
        ),
    ),
)

BASE = PLANS[0].code
CODES: tuple[str, ...] = tuple(plan.code for plan in PLANS)


@dataclass
class Language:
    """A language with its words.

    `words` maps a concept or a function word to its stem; `suffixes` a case or a gender to its ending; `tags`, made when first
    asked for, each form of a word to its part of speech (`recipes.world.tasks.tagged`).
    """

    plan: Plan
    words: dict[str, str]
    suffixes: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict, repr=False)
    _forms: dict[tuple[str, str], str] = field(default_factory=dict, repr=False)

    @property
    def code(self) -> str:
        """The BCP-47 tag."""
        return self.plan.code

    @property
    def grammar(self) -> Grammar:
        """The layout rules."""
        return self.plan.grammar

    def form(self, concept: str, ending: str = "") -> str:
        """The word for `concept` with the suffix called `ending` ("" for the bare stem)."""
        key = (concept, ending)
        if key not in self._forms:
            self._forms[key] = self.words[concept] + (self.suffixes[ending] if ending else "")
        return self._forms[key]


def plan_of(code: str) -> Plan:
    """The plan of a language code; UserError naming the known codes otherwise."""
    for plan in PLANS:
        if plan.code == code:
            return plan
    raise unknown("miniature-world language", code, CODES)


def build(code: str, seed: int) -> Language:
    """Draws the lexicon of a language. The same seed gives the same words, whatever other languages are built."""
    plan = plan_of(code)
    draw = Draw(generator(seed, "lexicon", code))
    taken: set[str] = set()
    endings = _syllables(plan.script, draw)
    suffixes: dict[str, str] = {}
    wanted = (CASES if plan.grammar.cases else ()) + (GENDERS if plan.grammar.agreement else ())
    for name in wanted:
        suffixes[name] = next(s for s in endings if s not in taken)
        taken.add(suffixes[name])
    reserved = frozenset(taken)  # a stem never holds a suffix, so no inflected word equals another word

    def coin(length: int) -> str:
        while True:
            syllables: list[str] = []
            while len(syllables) < length:
                syllable = next(endings)
                if syllable not in reserved:
                    syllables.append(syllable)
            word = "".join(syllables)
            if word not in taken:
                taken.add(word)
                return word

    words = {name: coin(1) for name in concepts.FUNCTION_WORDS}
    for concept in concepts.CLASS_OF:
        words[concept] = coin(2 if draw.happens(0.65) else 3)
    return Language(plan, words, suffixes)


def _syllables(script: Script, draw: Draw) -> Iterator[str]:
    """Endless syllables of a script: consonant, vowel and, one time in four, a coda."""
    if script.name == "Hangul":
        initials, vowels = (0, 2, 3, 5, 6, 7, 9, 12, 14, 15, 16, 17, 18), (0, 4, 8, 13, 18, 20, 1)
        while True:
            yield chr(0xAC00 + (draw.among(initials) * 21 + draw.among(vowels)) * 28)
    while True:
        coda = draw.among(script.codas) if draw.happens(0.25) else ""
        yield draw.among(script.consonants) + draw.among(script.vowels) + coda
