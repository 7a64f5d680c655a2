"""Inference pairs whose labels are true by construction, the same logical forms in every language.

The hypothesis is drawn first, without looking at the label, and only then a premise that makes it true, false or leaves
it open. So the hypothesis alone says nothing about the label: every surface operation (negation, modifier, hypernym, …)
is equally frequent in all three.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from recipes.world.chance import Draw, generator
from recipes.world.concepts import CLASS_OF, KIND
from recipes.world.forms import (
    Both,
    Clause,
    Entity,
    Event,
    Form,
    IsA,
    Location,
    Property,
    clauses,
    subject,
    to_data,
)
from recipes.world.preferences import Preferences
from recipes.world.premises import Premises, Truth
from recipes.world.scenes import Scenes

LABELS = ("entailment", "neutral", "contradiction")
"""In the order of their integers, which is XNLI's on the hub."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A premise and a hypothesis as logical forms. `kind` is TYPE:HOW, how the premise bears on the hypothesis."""

    premise: tuple[Form, ...]
    hypothesis: Clause
    label: str
    kind: str


@dataclass(frozen=True, slots=True)
class NliRecord:
    """A pair in one language; `forms` is the pair that it realises."""

    identifier: int
    premise: str
    hypothesis: str
    label: str
    kind: str
    forms: Pair

    def to_data(self) -> dict[str, Any]:
        """The record as JSON data, with the logical forms."""
        return {
            "id": self.identifier,
            "premise": self.premise,
            "hypothesis": self.hypothesis,
            "label": self.label,
            "kind": self.kind,
            "premise_forms": to_data(self.forms.premise),
            "hypothesis_form": to_data(self.forms.hypothesis),
        }


def pairs(preferences: Preferences, seed: int | str) -> Iterator[Pair]:
    """Endless pairs of the split `seed`; each three in a row hold every label once.

    No hypothesis of `dev` or `test` occurs, negated or not, in any other split: a world has few enough clauses that one
    training pair in ten would otherwise be met again.
    """
    wanted = str(seed) if seed in _HELD_OUT.values() else ""
    labels = Draw(generator(preferences.seed, "nli labels", seed))
    scenes = Scenes(preferences, Draw(generator(preferences.seed, "nli", seed)))
    while True:
        for label in labels.shuffled(LABELS):
            core, hypothesis = _hypothesis(scenes)
            while held_out_for(hypothesis) != wanted:
                core, hypothesis = _hypothesis(scenes)
            yield _pair(scenes, core, hypothesis, label)


_HELD_OUT = {0: "dev", 1: "test", 2: "test"}
"""Which tenths of all hypotheses belong to which split; the other splits share the rest."""


def held_out_for(hypothesis: Clause) -> str:
    """The split that the hypothesis is kept for, "" for none. It looks at no label."""
    return _HELD_OUT.get(zlib.crc32(repr(replace(hypothesis, negated=False)).encode()) % 10, "")


def _pair(scenes: Scenes, core: Clause, hypothesis: Clause, label: str) -> Pair:
    truth: Truth = (
        "open" if label == "neutral" else "true" if (label == "entailment") != hypothesis.negated else "false"
    )
    general = _entities(core) != _entities(hypothesis)
    banned = frozenset(_entities(core)) | frozenset(_entities(hypothesis))
    premises = Premises(scenes, core, banned, general)
    how, stated = premises.make(truth)
    kind = type(core).__name__.lower()
    return Pair(_text(premises, hypothesis, stated), hypothesis, label, f"{kind}:{how}")


def _entities(clause: Clause) -> tuple[str, ...]:
    if isinstance(clause, Event):
        return tuple(e.concept for e in (clause.agent, clause.patient, clause.recipient) if e is not None)
    return (clause.subject.concept,)


def _hypothesis(scenes: Scenes) -> tuple[Clause, Clause]:
    """The positive, specific clause at stake, and the hypothesis: perhaps negated, perhaps by a hypernym."""
    core = core_clause(scenes)
    hypothesis = core
    if not isinstance(core, IsA) and scenes.draw.happens(0.2):
        hypothesis = _generalised(scenes, core)
    described = isinstance(core, Event) and any(e and e.adjectives for e in (core.agent, core.patient))
    if not described and scenes.draw.happens(0.25):  # "the big dog does not sleep" would be two claims in one
        hypothesis = replace(hypothesis, negated=True)
    return core, hypothesis


def core_clause(scenes: Scenes) -> Clause:
    draw = scenes.draw
    type_ = draw.weighted((("property", 0.34), ("location", 0.16), ("event", 0.40), ("profession", 0.10)))
    while True:
        x = draw.pick(scenes.likes.topics(), (lambda c: CLASS_OF[c] == "names") if type_ == "profession" else None)
        assert x is not None  # there are names
        if type_ == "location":
            return Location(Entity(x), scenes.place(x))
        if type_ == "property":
            adjective = scenes.adjective(x)
            if adjective is not None:
                return Property(Entity(x), adjective)
        elif type_ == "profession":
            job = draw.pick(scenes.likes.professions(x))
            assert job is not None  # an unconditional pick always finds something
            return IsA(Entity(x), job)
        else:
            event = scenes.event(x)
            if event is not None:
                return _modified(scenes, event)


def _modified(scenes: Scenes, event: Event) -> Event:
    draw = scenes.draw
    if event.place is None and draw.happens(0.4):
        event = replace(event, place=scenes.place(event.agent.concept))
    if draw.happens(0.12):
        event = replace(event, time=scenes.time(event.verb))
    if draw.happens(0.2):
        role = "patient" if event.patient is not None and draw.happens(0.5) else "agent"
        entity: Entity = getattr(event, role)
        adjective = scenes.adjective(entity.concept) if CLASS_OF[entity.concept] != "names" else None
        if adjective is not None:
            described = replace(entity, adjectives=(adjective,))
            event = replace(event, patient=described) if role == "patient" else replace(event, agent=described)
    return event


def _generalised(scenes: Scenes, core: Clause) -> Clause:
    """The clause with one noun replaced by its hypernym, unless two participants are of that kind."""
    if not isinstance(core, Event):
        who = subject(core)
        return replace(core, subject=replace(who, concept=KIND[who.concept]))
    kinds = [KIND[c] for c in _entities(core)]
    role = "patient" if core.patient is not None and scenes.draw.happens(0.6) else "agent"
    entity: Entity = getattr(core, role)
    kind = KIND[entity.concept]
    if kinds.count(kind) > 1:
        return core
    general = replace(entity, concept=kind)
    return replace(core, patient=general) if role == "patient" else replace(core, agent=general)


def _text(premises: Premises, hypothesis: Clause, stated: list[Clause]) -> tuple[Form, ...]:
    """The stated clauses as a text, sometimes with a pronoun, a conjunct or a sentence beside the point."""
    draw = premises.draw
    style = draw.weighted((("plain", 0.6), ("pronoun", 0.14), ("beside", 0.14), ("both", 0.12)))
    if style == "plain" or len(stated) > 1:
        return tuple(stated)
    clause = stated[0]
    who = subject(clause)
    if style == "pronoun":
        # The sentence before introduces who the pronoun stands for; a hypernym has nobody to introduce.
        if CLASS_OF[who.concept] == "kinds" or who.adjectives:
            return (clause,)
        avoided = (
            (hypothesis.verb, *((clause.verb,) if isinstance(clause, Event) else ()))
            if isinstance(hypothesis, Event)
            else ()
        )
        intro = premises.mention(who.concept, avoided)
        if intro is None or intro.agent.concept != who.concept:
            return (clause,)
        pronoun = replace(who, reference="pronoun")
        return intro, (
            replace(clause, agent=pronoun) if isinstance(clause, Event) else replace(clause, subject=pronoun)
        )
    beside = premises.bystander()
    if {c for e in clauses(beside) for c in _entities(e)} & set(_entities(clause)):
        return (clause,)
    first, second = (clause, beside) if draw.happens(0.5) else (beside, clause)
    return (Both(first, second),) if style == "both" else (first, second)
