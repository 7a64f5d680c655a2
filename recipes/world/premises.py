"""Premises that make a given clause true, false or leave it open.

Each option is (name, weight, maker); a maker returns the premise's clauses, or None where it does not fit the clause.
The clause `core` is positive and names its entities by their specific concepts; `banned` holds every concept of core
and hypothesis, so that nothing else in a premise can be taken for them. Places, times, colours, professions and the two
values of a dimension exclude each other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Literal

from recipes.world import concepts
from recipes.world.concepts import CLASS_OF, KIND, OPPOSITE
from recipes.world.forms import Clause, Entity, Event, IsA, Location, Property
from recipes.world.scenes import Banned, Scenes, free

Truth = Literal["true", "false", "open"]
Maker = Callable[[], list[Clause] | None]
Option = tuple[str, float, Maker]


class Premises:
    """Makes premises for one core clause. `general` says whether the hypothesis speaks of it by a hypernym."""

    def __init__(self, scenes: Scenes, core: Clause, banned: Banned, general: bool) -> None:
        self.scenes = scenes
        self.draw = scenes.draw
        self.core = core
        self.banned = banned
        self.general = general

    def make(self, truth: Truth) -> tuple[str, list[Clause]]:
        """The name of the option taken and its clauses. Every truth value always has one."""
        core = self.core
        if isinstance(core, Property):
            options = self._property(core, truth)
        elif isinstance(core, Location):
            options = self._location(core, truth)
        elif isinstance(core, IsA):
            options = self._profession(core, truth)
        else:
            options = self._event(core, truth)
        left = list(options)
        while left:
            option = self.draw.weighted([(o, o[1]) for o in left])
            clauses = option[2]()
            if clauses is not None:
                return option[0], clauses
            left.remove(option)
        if truth != "open":
            raise AssertionError(f"no premise makes {core} {truth}")
        about = self.bystander()
        return "unrelated", [about]

    # What any premise may hold besides

    def bystander(self) -> Clause:
        """A clause about something else altogether."""
        x = _subject(self.core).concept
        while True:
            other = self.scenes.bystander(x, self.banned)
            clause = self._about(other) if other is not None else None
            if clause is not None:
                return replace(clause, negated=True) if self.draw.happens(0.2) else clause

    def mention(self, concept: str, not_verbs: tuple[str, ...] = ()) -> Event | None:
        """An event with `concept` that settles nothing: no place, no time, no adjective."""
        return self.scenes.event_with(concept, self.banned, not_verbs)

    def _about(self, concept: str) -> Clause | None:
        choice = self.draw.uniform()
        if choice < 0.3:
            adjective = self.scenes.adjective(concept)
            return None if adjective is None else Property(Entity(concept), adjective)
        if choice < 0.5:
            return Location(Entity(concept), self.scenes.place(concept))
        event = self.scenes.event_with(concept, self.banned)
        return None if event is None else self._placed(event, 0.3)

    def _placed(self, event: Event, probability: float) -> Event:
        if event.place is None and self.draw.happens(probability):
            return replace(event, place=self.scenes.place(event.agent.concept))
        return event

    def _maybe_negated(self, clause: Clause, probability: float = 0.25) -> Clause:
        return replace(clause, negated=True) if self.draw.happens(probability) else clause

    def _someone(self, accept: Callable[[str], bool], near: str) -> str | None:
        """Somebody or something that `accept` allows and that is neither the core's nor the hypothesis's."""
        for _ in range(6):
            other = self.scenes.bystander(near, self.banned)
            if other is not None and accept(other):
                return other
        return None

    # The dog is big

    def _property(self, core: Property, truth: Truth) -> list[Option]:
        x, adjective = core.subject.concept, core.adjective
        contrary = self._contrary(adjective)
        binary = adjective in OPPOSITE

        def attributive(value: str) -> list[Clause] | None:
            if CLASS_OF[x] == "names":
                return None
            event = self.mention(x)
            return None if event is None else [self._placed(_describe(event, x, value), 0.25)]

        def elsewhere() -> list[Clause] | None:
            """The adjective is said of something else."""
            value = self.draw.among((adjective, contrary))
            event = self.mention(x)
            if event is None:
                return None
            others = [e for e in (event.agent, event.patient) if e is not None and e.concept != x]
            for other in others:
                if CLASS_OF[other.concept] in concepts.ADJECTIVE_CLASSES[value] and CLASS_OF[other.concept] != "names":
                    return [_describe(event, other.concept, value)]
            y = self._someone(lambda c: CLASS_OF[c] in concepts.ADJECTIVE_CLASSES[value], x)
            return None if y is None else [self._maybe_negated(Property(Entity(y), value)), event]

        def other_property() -> list[Clause] | None:
            value = self.scenes.adjective(x, (concepts.DIMENSION[adjective],))
            return None if value is None else [self._maybe_negated(Property(Entity(x), value))]

        def mentioned() -> list[Clause] | None:
            event = self.mention(x)
            return None if event is None else [self._maybe_negated(self._placed(event, 0.4), 0.2)]

        def general() -> list[Clause] | None:
            if self.general:
                return None
            return [self._maybe_negated(Property(Entity(KIND[x]), self.draw.among((adjective, contrary))))]

        if truth == "true":
            return [
                ("direct", 0.6, lambda: [Property(Entity(x), adjective)]),
                ("attributive", 0.32, lambda: attributive(adjective)),
                ("not-opposite", 0.08, lambda: [Property(Entity(x), contrary, True)] if binary else None),
            ]
        if truth == "false":
            return [
                ("opposite", 0.12, lambda: [Property(Entity(x), contrary)]),
                ("attributive-opposite", 0.08, lambda: attributive(contrary)),
                ("negated", 0.8, lambda: [Property(Entity(x), adjective, True)]),
            ]
        return [
            ("other-property", 0.3, other_property),
            ("of-another", 0.35, elsewhere),
            ("mentioned", 0.2, mentioned),
            ("hypernym", 0.15, general),
        ]

    def _contrary(self, adjective: str) -> str:
        if adjective in OPPOSITE:
            return OPPOSITE[adjective]
        return self.draw.among([c for c in concepts.CLASSES["colours"] if c != adjective])

    # The dog is in the garden

    def _location(self, core: Location, truth: Truth) -> list[Option]:
        x = core.subject.concept

        def acting(place: str) -> list[Clause] | None:
            event = self.mention(x)
            if event is None or event.agent.concept != x:
                return None
            return [replace(event, place=place)]

        def of_another() -> list[Clause] | None:
            y = self._someone(lambda c: True, x)
            event = self.mention(x)
            if y is None or event is None:
                return None
            return [self._maybe_negated(Location(Entity(y), core.place)), event]

        def mentioned() -> list[Clause] | None:
            event = self.mention(x)
            return None if event is None else [self._maybe_negated(event, 0.2)]

        def described() -> list[Clause] | None:
            value = self.scenes.adjective(x)
            return None if value is None else [self._maybe_negated(Property(Entity(x), value))]

        def general() -> list[Clause] | None:
            return None if self.general else [self._maybe_negated(Location(Entity(KIND[x]), core.place))]

        def other_place() -> str:
            return self.scenes.place(x, other_than=core.place)

        if truth == "true":
            return [
                ("direct", 0.5, lambda: [Location(Entity(x), core.place)]),
                ("acting", 0.5, lambda: acting(core.place)),
            ]
        if truth == "false":
            return [
                ("other-place", 0.1, lambda: [Location(Entity(x), other_place())]),
                ("acting-elsewhere", 0.08, lambda: acting(other_place())),
                ("negated", 0.82, lambda: [Location(Entity(x), core.place, True)]),
            ]
        return [
            ("of-another", 0.35, of_another),
            ("mentioned", 0.25, mentioned),
            ("described", 0.25, described),
            ("hypernym", 0.15, general),
        ]

    # Mira is a baker

    def _profession(self, core: IsA, truth: Truth) -> list[Option]:
        x = core.subject.concept
        wrong = self.draw.among([p for p in concepts.CLASSES["professions"] if p != core.kind])

        def of_another() -> list[Clause] | None:
            y = self._someone(lambda c: CLASS_OF[c] == "names", x)
            event = self.mention(x)
            if y is None or event is None:
                return None
            return [self._maybe_negated(IsA(Entity(y), core.kind)), event]

        def mentioned() -> list[Clause] | None:
            event = self.mention(x)
            return None if event is None else [self._maybe_negated(self._placed(event, 0.3))]

        if truth == "true":
            return [("direct", 1.0, lambda: [core])]
        if truth == "false":
            return [
                ("other-profession", 0.15, lambda: [IsA(Entity(x), wrong)]),
                ("negated", 0.85, lambda: [replace(core, negated=True)]),
            ]
        return [
            ("not-another", 0.15, lambda: [IsA(Entity(x), wrong, True)]),
            ("of-another", 0.55, of_another),
            ("mentioned", 0.3, mentioned),
        ]

    # The dog chases the cat in the garden today

    def _event(self, core: Event, truth: Truth) -> list[Option]:
        bare = replace(core, agent=Entity(core.agent.concept), patient=_bare(core.patient))
        moves = concepts.verb_class(core.verb) == "motion"
        said = [e for e in (core.agent, core.patient) if e is not None and e.adjectives]

        def negated() -> list[Clause] | None:
            keep_place = moves or self.draw.happens(0.5)
            keep_time = self.draw.happens(0.4)
            return [
                replace(
                    bare, negated=True, place=core.place if keep_place else None, time=core.time if keep_time else None
                )
            ]

        def moved() -> list[Clause] | None:
            if core.place is None:
                return None
            return [replace(core, place=self.scenes.place(core.agent.concept, other_than=core.place))]

        def shifted() -> list[Clause] | None:
            return (
                None if core.time is None else [replace(core, time=self.scenes.time(core.verb, other_than=core.time))]
            )

        def unlike() -> list[Clause] | None:
            if not said:
                return None
            contrary = self._contrary(said[0].adjectives[0])
            if self.draw.happens(0.5):
                return [Property(Entity(said[0].concept), contrary), bare]
            return [_describe(bare, said[0].concept, contrary)]

        def swapped() -> list[Clause] | None:
            if core.patient is None or core.recipient is not None:
                return None
            if (
                CLASS_OF[core.patient.concept] not in concepts.AGENT_CLASSES[core.verb]
                or CLASS_OF[core.agent.concept] not in concepts.PATIENT_CLASSES[core.verb]
            ):
                return None
            return [self._maybe_negated(replace(bare, agent=bare.patient or bare.agent, patient=bare.agent), 0.2)]

        def other_verb() -> list[Clause] | None:
            patient = core.patient.concept if core.patient else None
            group = concepts.verb_class(core.verb)

            def fits(verb: str) -> bool:
                return (
                    verb != core.verb
                    and concepts.verb_class(verb) == group
                    and (patient is None or CLASS_OF[patient] in concepts.PATIENT_CLASSES[verb])
                )

            verb = self.draw.pick(self.scenes.likes.verbs_of(core.agent.concept), fits)
            return None if verb is None else [self._maybe_negated(replace(core, verb=verb), 0.2)]

        def other_patient() -> list[Clause] | None:
            if core.patient is None:
                return None
            patient = self.scenes.patient(core.verb, core.agent.concept, self.banned)
            return None if patient is None else [self._maybe_negated(replace(core, patient=Entity(patient)), 0.2)]

        def other_agent() -> list[Clause] | None:
            agent = self.draw.pick(self.scenes.likes.agents(core.verb), lambda c: free(c, self.banned))
            return None if agent is None else [self._maybe_negated(replace(core, agent=Entity(agent)), 0.2)]

        def missing() -> list[Clause] | None:
            """The hypothesis says more than the premise."""
            shorter = [replace(core, place=None)] if core.place is not None and not moves else []
            shorter += [replace(core, time=None)] if core.time is not None else []
            shorter += [bare] if said else []
            return [self.draw.among(shorter)] if shorter else None

        def narrow() -> list[Clause] | None:
            """Not here, perhaps elsewhere."""
            if core.place is not None:
                return None
            return [replace(bare, place=self.scenes.place(core.agent.concept), negated=True)]

        def general() -> list[Clause] | None:
            if self.general:
                return None
            kind = KIND[core.agent.concept]
            if any(KIND[e.concept] == kind for e in (core.patient, core.recipient) if e is not None):
                return None
            return [replace(core, agent=replace(core.agent, concept=kind))]

        if truth == "true":
            return [("same", 1.0, lambda: [self._richer(core)])]
        if truth == "false":
            return [
                ("negated", 0.8, negated),
                ("other-place", 0.07, moved),
                ("other-time", 0.06, shifted),
                ("other-adjective", 0.07, unlike),
            ]
        return [
            ("swapped", 0.2, swapped),
            ("other-verb", 0.2, other_verb),
            ("other-patient", 0.15, other_patient),
            ("other-agent", 0.15, other_agent),
            ("missing", 0.3, missing),
            ("narrow-negation", 0.1, narrow),
            ("hypernym", 0.1, general),
        ]

    def _richer(self, event: Event) -> Event:
        """The event with more said about it."""
        for entity in (event.agent, event.patient):
            if (
                entity is not None
                and not entity.adjectives
                and CLASS_OF[entity.concept] != "names"
                and self.draw.happens(0.25)
            ):
                adjective = self.scenes.adjective(entity.concept)
                if adjective is not None:
                    event = _describe(event, entity.concept, adjective)
        if event.time is None and self.draw.happens(0.15):
            event = replace(event, time=self.scenes.time(event.verb))
        return self._placed(event, 0.35)


def _subject(clause: Clause) -> Entity:
    return clause.agent if isinstance(clause, Event) else clause.subject


def _bare(entity: Entity | None) -> Entity | None:
    return None if entity is None else replace(entity, adjectives=())


def _describe(event: Event, concept: str, adjective: str) -> Event:
    """The event with the adjective on its participant `concept`."""
    agent = replace(event.agent, adjectives=(adjective,)) if event.agent.concept == concept else event.agent
    patient = event.patient
    if patient is not None and patient.concept == concept:
        patient = replace(patient, adjectives=(adjective,))
    return replace(event, agent=agent, patient=patient)
