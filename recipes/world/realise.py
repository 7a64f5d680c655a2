"""From a logical form to a sentence of one language, with the character span of every role."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from recipes.world.concepts import CLASS_OF, gender
from recipes.world.forms import Both, Clause, Contrast, Entity, Event, Form, IsA, Linked, Location, Property
from recipes.world.languages import Language

Mark = tuple[str, int, int]
"""A role and its half-open range of word indices."""

_PUNCTUATION = frozenset(",.")


@dataclass(frozen=True)
class Sentence:
    """`text`, and `spans`: role -> (start, end) character offsets into it, end exclusive.

    Roles of a clause: agent, verb, patient, recipient, place, time, subject, adjective, kind, negation; a noun phrase
    also has `ROLE.noun` and `ROLE.adjective`. The parts of a compound are prefixed `first.` and `second.`, the
    sentences of a text `0.`, `1.`, ...
    """

    text: str
    spans: dict[str, tuple[int, int]]


@dataclass
class _Block:
    words: list[str] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)

    def add(self, other: _Block, prefix: str = "") -> None:
        shift = len(self.words)
        self.words.extend(other.words)
        self.marks.extend((prefix + role, start + shift, end + shift) for role, start, end in other.marks)


def _bare(entity: Entity, case: str) -> bool:
    """Hypernyms have no dative, locative or lative. Only questions speak of them there, as question words, and those must
    be words that the texts hold."""
    return case in ("dative", "locative", "lative") and CLASS_OF[entity.concept] == "kinds"


def _phrase(entity: Entity, language: Language, role: str, case: str = "") -> _Block:
    """A noun phrase without its adposition."""
    grammar = language.grammar
    ending = case if grammar.cases and not _bare(entity, case) else ""
    if entity.reference == "pronoun":
        word = language.form("HE" if gender(entity.concept) == "person" else "IT", ending)
        return _Block([word], [(role, 0, 1), (f"{role}.noun", 0, 1)])
    words: list[str] = []
    if grammar.articles and CLASS_OF[entity.concept] != "names":
        words.append(language.words["THE" if entity.reference == "definite" else "A"])
    agreeing = gender(entity.concept) if grammar.agreement else ""
    noun = [language.form(entity.concept, ending)]
    described = [language.form(adjective, agreeing) for adjective in entity.adjectives]
    start = len(words)
    words += noun + described if grammar.adjective_after_noun else described + noun
    at = start if grammar.adjective_after_noun else len(words) - 1
    marks: list[Mark] = [(role, 0, len(words)), (f"{role}.noun", at, at + 1)]
    if described:
        first = start + 1 if grammar.adjective_after_noun else start
        marks.append((f"{role}.adjective", first, first + len(described)))
    return _Block(words, marks)


def _placed(phrase: _Block, adposition: str, language: Language) -> _Block:
    """The phrase with its preposition or postposition, which the role's span leaves out."""
    grammar = language.grammar
    if grammar.cases:
        return phrase
    block = _Block()
    word = _Block([language.words[adposition]])
    for part in (phrase, word) if grammar.postpositions else (word, phrase):
        block.add(part)
    return block


def _verb(verb: str, subject: Entity, negated: bool, language: Language) -> _Block:
    grammar = language.grammar
    word = language.form(verb, gender(subject.concept) if grammar.agreement else "")
    if not negated:
        return _Block([word], [("verb", 0, 1)])
    no = language.words["NOT"]
    if grammar.negation_after_verb:
        return _Block([word, no], [("verb", 0, 1), ("negation", 1, 2)])
    return _Block([no, word], [("negation", 0, 1), ("verb", 1, 2)])


def _place(place: str, language: Language, goal: bool = False) -> _Block:
    phrase = _phrase(Entity(place), language, "place", "lative" if goal else "locative")
    return _placed(phrase, "TO" if goal else "IN", language)


def _parts(clause: Clause, language: Language) -> dict[str, _Block]:
    """The blocks of a clause under their letters in the order templates."""
    if isinstance(clause, Event):
        parts = {
            "S": _phrase(clause.agent, language, "agent"),
            "V": _verb(clause.verb, clause.agent, clause.negated, language),
        }
        if clause.patient is not None:
            parts["O"] = _phrase(clause.patient, language, "patient", "accusative")
        if clause.recipient is not None:
            parts["R"] = _placed(_phrase(clause.recipient, language, "recipient", "dative"), "TO", language)
        if clause.place is not None:
            parts["P"] = _place(clause.place, language, CLASS_OF[clause.verb] == "motion")
        if clause.time is not None:
            parts["T"] = _Block([language.words[clause.time]], [("time", 0, 1)])
        return parts
    parts = {
        "S": _phrase(clause.subject, language, "subject"),
        "V": _verb("BE", clause.subject, clause.negated, language),
    }
    if isinstance(clause, Property):
        agreeing = gender(clause.subject.concept) if language.grammar.agreement else ""
        parts["O"] = _Block([language.form(clause.adjective, agreeing)], [("adjective", 0, 1)])
    elif isinstance(clause, IsA):
        parts["O"] = _phrase(Entity(clause.kind, reference="indefinite"), language, "kind")
    else:
        parts["P"] = _place(clause.place, language)
    return parts


def _clause(clause: Clause, language: Language) -> _Block:
    parts = _parts(clause, language)
    orders = language.grammar.orders
    order = orders[0][0]
    if len(orders) > 1:
        # The order is a function of the content: a form always gives the same sentence, without a generator.
        content = " ".join(word for letter in sorted(parts) for word in parts[letter].words)
        point = zlib.crc32(content.encode()) / 2**32 * sum(weight for _, weight in orders)
        for template, weight in orders:
            order = template
            point -= weight
            if point < 0:
                break
    block = _Block()
    for letter in order:
        if letter in parts:
            block.add(parts[letter])
    return block


def block_of(form: Form, language: Language) -> _Block:
    if isinstance(form, Both | Contrast):
        block = _Block()
        block.add(_clause(form.first, language), "first.")
        if isinstance(form, Both):
            block.words.append(language.words["AND"])
        else:
            block.words.append(",")
            if form.first.negated:
                block.words.append(language.words["BUT"])
        block.add(_clause(form.second, language), "second.")
    elif isinstance(form, Linked):
        block = _Block([language.words[form.connector]])
        block.add(_clause(form.clause, language))
    elif isinstance(form, Event | Property | IsA | Location):
        block = _clause(form, language)
    else:
        raise TypeError(f"not a logical form: {form!r}")
    block.words.append(".")
    return block


def _offsets(words: Sequence[str]) -> tuple[str, list[tuple[int, int]]]:
    """The words joined by spaces, none before punctuation, and each word's (start, end)."""
    text, places = "", []
    for word in words:
        if text and word not in _PUNCTUATION:
            text += " "
        places.append((len(text), len(text) + len(word)))
        text += word
    return text, places


def realise(form: Form, language: Language) -> Sentence:
    """The sentence that says `form` in `language`, with its spans. Raises TypeError if `form` is no logical form."""
    return realise_text((form,), language, numbered=False)


def realise_text(forms: Iterable[Form], language: Language, numbered: bool = True) -> Sentence:
    """Several forms as one text, sentences joined by a space; spans are prefixed by its number if `numbered`."""
    whole = _Block()
    for number, form in enumerate(forms):
        whole.add(block_of(form, language), f"{number}." if numbered else "")
    text, places = _offsets(whole.words)
    return Sentence(text, {role: (places[start][0], places[end - 1][1]) for role, start, end in whole.marks})


def text_of(forms: Iterable[Form], language: Language) -> str:
    """The text of `realise_text` alone; quicker, for long streams."""
    words: list[str] = []
    for form in forms:
        words += block_of(form, language).words
    return " ".join(words).replace(" ,", ",").replace(" .", ".")
