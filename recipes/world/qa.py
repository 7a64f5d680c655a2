"""Extractive question answering: reports, questions about them, and the character span of each answer.

A question is a sentence of the language like any other: the fact asked for, with the hypernym in the place of the
answer (*the person eats the bread*: who?). Hypernyms occur in the unlabelled texts, so a new embedding can learn them;
a word kept for questions alone could not be transferred. Times have no hypernym: there the clause stands without its
time behind a connector (*then Mira eats the bread*: when?). The forms of a split are the same in all languages.
"""

from __future__ import annotations

import zlib
from argparse import ArgumentTypeError
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pretrain.base.errors import UserError
from recipes.world.chance import Draw, generator
from recipes.world.concepts import CONNECTORS, KIND, OPPOSITE, verb_class
from recipes.world.forms import Clause, Entity, Event, Form, IsA, Linked, Location, Property, clauses, subject, to_data
from recipes.world.languages import Language
from recipes.world.preferences import Preferences
from recipes.world.realise import realise_text, text_of
from recipes.world.reports import KINDS, asked_value, class_of_answer, participants, reports
from recipes.world.scenes import Scenes

SENTENCES = (4, 6)
"""Sentences of a paragraph, from and to: with the question they fit 64 pieces."""

_ROLES = {"who": "agent", "what": "patient", "to whom": "recipient", "where": "place", "when": "time", "which": "subject",
          "profession": "kind"}  # fmt: skip
_HELD_OUT = {0: "dev", 1: "test", 2: "test"}
"""Which tenths of all facts only the questions of which split ask for; the other splits share the rest."""


@dataclass(frozen=True, slots=True)
class Question:
    """A question as logical forms; `role` is the span's name in the realised paragraph, `answer` the concept in it."""

    paragraph: tuple[Form, ...]
    form: Form
    kind: str
    role: str
    answer: str

    @property
    def sentence(self) -> int:
        """Where in the paragraph the answer stands."""
        return int(self.role.split(".")[0])


@dataclass(frozen=True, slots=True)
class QaRecord:
    """A question in one language: `context[start : start + len(answer)] == answer`."""

    identifier: str
    kind: str
    question: str
    context: str
    answer: str
    start: int
    forms: Question

    def to_data(self) -> dict[str, Any]:
        """The record as JSON data, with the logical forms."""
        return {
            "id": self.identifier,
            "kind": self.kind,
            "question": self.question,
            "context": self.context,
            "answer": self.answer,
            "answer_start": self.start,
            "role": self.forms.role,
            "paragraph_forms": to_data(self.forms.paragraph),
            "question_form": to_data(self.forms.form),
        }


@dataclass(frozen=True, slots=True)
class Told:
    """A clause of a paragraph under the prefix of its spans."""

    prefix: str
    clause: Clause


def told(paragraph: Sequence[Form]) -> list[Told]:
    """The clauses of a paragraph in order."""
    found: list[Told] = []
    for number, form in enumerate(paragraph):
        parts = ("first.", "second.") if len(clauses(form)) == 2 else ("",)
        found += [Told(f"{number}.{part}", clause) for part, clause in zip(parts, clauses(form), strict=True)]
    return found


def questions(preferences: Preferences, seed: int | str, sentences: tuple[int, int] = SENTENCES) -> Iterator[Question]:
    """Endless questions of the split `seed`: two for each paragraph, of one kind and with one question word, but with
    different answers; so who looks at no other word of the question is right at most every second time.

    Each paragraph's kind is another until all had their turn. No fact that `dev` or `test` ask for is asked for in
    another split.
    """
    split = str(seed) if seed in _HELD_OUT.values() else ""
    kinds = Draw(generator(preferences.seed, "qa kinds", seed))
    draw = Draw(generator(preferences.seed, "qa", seed))
    scenes = Scenes(preferences, draw)

    def held(clause: Clause, kind: str) -> bool:
        return _HELD_OUT.get(zlib.crc32(repr(fact(clause, kind)).encode()) % 10, "") == split

    while True:
        for kind in kinds.shuffled(KINDS):
            for paragraph in reports(scenes, kind, held, *sentences):
                connectors = [c for c in CONNECTORS if all(not isinstance(f, Linked) or f.connector != c for f in paragraph)]
                if not connectors:
                    continue  # the question's connector must not point to a sentence by being there as well
                connector = draw.among(connectors)
                found = [q for t in told(paragraph) if held(t.clause, kind) and (q := _ask(paragraph, t, kind, connector))]
                pairs = [
                    (first, second)
                    for number, first in enumerate(found)
                    for second in found[number + 1 :]
                    if first.answer != second.answer and class_of_answer(first.answer) == class_of_answer(second.answer)
                ]
                if pairs:
                    yield from draw.shuffled(draw.among(pairs))
                    break


def fact(clause: Clause, kind: str) -> tuple[str, ...]:
    """What a question of this kind asks for, by which it belongs to a split: predicate, subject and answer."""
    predicate = clause.verb if isinstance(clause, Event) else getattr(clause, "adjective", type(clause).__name__)
    other = clause.patient if isinstance(clause, Event) and kind == "who" else None
    answer = other.concept if other is not None else asked_value(clause, kind) or ""
    return predicate, subject(clause).concept, answer


def _ask(paragraph: tuple[Form, ...], at: Told, kind: str, connector: str) -> Question | None:
    """The question of this kind about one clause; None if nothing or no noun is there, or the answer is not unique."""
    answer = asked_value(at.clause, kind)
    if answer is None or (kind in ("who", "which") and subject(at.clause).reference == "pronoun"):
        return None
    form = _wording(at.clause, kind, answer, connector)
    if [t.prefix for t in answers(paragraph, form)] != [at.prefix]:
        return None
    named = {e.concept for c in clauses(form) for e in _entities(c)}
    if answer in named or not rivals(paragraph, form, answer):
        return None
    return Question(paragraph, form, kind, at.prefix + _ROLES[kind], answer)


def _wording(clause: Clause, kind: str, answer: str, connector: str) -> Form:
    """The clause as a question: nothing but predicate, participants by their nouns, and the question word."""
    if isinstance(clause, Event):
        agent, patient, recipient = (
            Entity(KIND[answer] if kind == asked else entity.concept) if entity is not None else None
            for entity, asked in ((clause.agent, "who"), (clause.patient, "what"), (clause.recipient, "to whom"))
        )
        assert agent is not None  # every event has one
        goal = clause.place if verb_class(clause.verb) == "motion" else None
        place = KIND[answer] if kind == "where" else goal
        event = Event(clause.verb, agent, patient, recipient, place)
        return Linked(connector, event) if kind == "when" else event
    who = Entity(KIND[answer] if kind == "which" else clause.subject.concept)
    if isinstance(clause, Location):
        return Location(who, KIND[answer])
    return Property(who, clause.adjective) if isinstance(clause, Property) else IsA(who, KIND[answer])


def _entities(clause: Clause) -> tuple[Entity, ...]:
    return participants(clause) if isinstance(clause, Event) else (clause.subject,)


def answers(paragraph: Sequence[Form], question: Form) -> list[Told]:
    """All clauses of the paragraph that answer the question, by what they say and by what follows from it."""
    wanted = clauses(question)[0]
    return [t for t in told(paragraph) if _answers(t.clause, wanted, isinstance(question, Linked))]


def _answers(clause: Clause, wanted: Clause, when: bool) -> bool:
    if isinstance(wanted, Property):
        return _so(clause, wanted)
    if clause.negated:
        return False
    if isinstance(wanted, Event):
        if not isinstance(clause, Event) or clause.verb != wanted.verb or (when and clause.time is None):
            return False
        mine, theirs = _entities(clause), _entities(wanted)
        return (
            len(mine) == len(theirs)
            and all(_named(m.concept, t.concept) for m, t in zip(mine, theirs, strict=True))
            and (wanted.place is None or (clause.place is not None and _named(clause.place, wanted.place)))
        )
    if isinstance(wanted, IsA):
        return isinstance(clause, IsA) and clause.subject.concept == wanted.subject.concept
    if isinstance(clause, Event):
        still = clause.place is not None and verb_class(clause.verb) != "motion"
        return still and clause.agent.concept == wanted.subject.concept
    return isinstance(clause, Location) and clause.subject.concept == wanted.subject.concept


def _named(concept: str, name: str) -> bool:
    return concept == name or KIND[concept] == name


def _so(clause: Clause, wanted: Property) -> bool:
    """Whether the clause says of something of the kind that it is so."""
    if isinstance(clause, Event):
        return any(wanted.adjective in e.adjectives and _named(e.concept, wanted.subject.concept) for e in _entities(clause))
    if not isinstance(clause, Property) or not _named(clause.subject.concept, wanted.subject.concept):
        return False
    return clause.adjective == (OPPOSITE.get(wanted.adjective) if clause.negated else wanted.adjective)


@dataclass(frozen=True, slots=True)
class Mention:
    """A noun of a paragraph: the name of its span, and its concept."""

    role: str
    concept: str


def mentions(paragraph: Sequence[Form]) -> list[Mention]:
    """All nouns of a paragraph by sentences, without pronouns; times count as nouns."""
    found: list[Mention] = []
    for t in told(paragraph):
        clause = t.clause
        if isinstance(clause, Event):
            named = [("agent", clause.agent), ("patient", clause.patient), ("recipient", clause.recipient)]
        else:
            named = [("subject", clause.subject)]
        found += [Mention(t.prefix + r, e.concept) for r, e in named if e is not None and e.reference != "pronoun"]
        found += [Mention(t.prefix + role, value) for role in ("place", "time", "kind") if (value := getattr(clause, role, None))]
    return found


def rivals(paragraph: Sequence[Form], question: Form, answer: str) -> list[Mention]:
    """The other nouns that the question's word might mean: the answer's class, and not named in the question."""
    named = {e.concept for c in clauses(question) for e in _entities(c)}
    wanted = class_of_answer(answer)
    return [m for m in mentions(paragraph) if m.concept not in named | {answer} and class_of_answer(m.concept) == wanted]


def span(spans: dict[str, tuple[int, int]], role: str) -> tuple[int, int]:
    """From the noun or its first adjective to the last of both: no article, no adposition; a case suffix is in."""
    parts = [spans[name] for name in (f"{role}.noun", f"{role}.adjective") if name in spans] or [spans[role]]
    return min(start for start, _ in parts), max(end for _, end in parts)


def record(question: Question, language: Language, identifier: str) -> QaRecord:
    """The question in one language."""
    context = realise_text(question.paragraph, language)
    start, end = span(context.spans, question.role)
    wording = text_of((question.form,), language)
    return QaRecord(identifier, question.kind, wording, context.text, context.text[start:end], start, question)


def check_sentences(sentences: tuple[int, int]) -> None:
    """Raises UserError unless a paragraph can have so many sentences."""
    low, high = sentences
    if not 3 <= low <= high <= 12:
        raise UserError(f"sentences: expected 3 <= FROM <= TO <= 12 for a paragraph of questions, got {low}-{high}")


def sentence_range(text: str) -> tuple[int, int]:
    """`4-6`, or `5` for paragraphs that all have as many; ArgumentTypeError otherwise, as argparse wants it."""
    low, _, high = text.partition("-")
    try:
        return int(low), int(high or low)
    except ValueError:
        raise ArgumentTypeError(f"expected FROM-TO or a number, got {text!r}") from None


def squad(records: Sequence[QaRecord]) -> dict[str, Any]:
    """The records in the layout of SQuAD 1.1, an article for each paragraph, titled by its questions' kind."""
    articles: list[dict[str, Any]] = []
    last: tuple[Form, ...] | None = None
    for r in records:
        if r.forms.paragraph is not last:
            last = r.forms.paragraph
            articles.append({"title": r.kind, "paragraphs": [{"context": r.context, "qas": []}]})
        answer = {"text": r.answer, "answer_start": r.start}
        articles[-1]["paragraphs"][0]["qas"].append({"id": r.identifier, "question": r.question, "answers": [answer]})
    return {"version": "1.1", "data": articles}
