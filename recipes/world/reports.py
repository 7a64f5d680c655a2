"""Paragraphs to ask questions about: a few facts of one kind that rival each other, what is not so, and other things.

A report is made before any question and does not know which of its facts will be asked for. Other than in a story, an
entity is in one place at most, no deed is told twice, a profession that somebody has is nobody else in the report, and
no noun is replaced by its hypernym: the hypernyms are the question words (see `recipes.world.qa`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

from recipes.world import concepts
from recipes.world.concepts import CLASS_OF, CLASSES, DIMENSION, KIND, OPPOSITE, verb_class
from recipes.world.forms import Both, Clause, Entity, Event, Form, IsA, Linked, Location, Property, subject
from recipes.world.scenes import Scenes

KINDS = ("who", "what", "to whom", "where", "when", "which", "profession")
"""What is asked for: an event's agent, patient, recipient, place or time; a property's bearer; somebody's profession."""

Held = Callable[[Clause, str], bool]
"""Whether a clause may be asked for this kind in the split at hand."""

_LIKENESS = (("deed", 0.35), ("other deed", 0.25), ("swapped", 0.25), ("free", 0.15))
"""What a rival event has in common with one before it, and how often that is tried."""

_TRIES = 60


def participants(event: Event) -> tuple[Entity, ...]:
    """Agent, patient and recipient, as many as there are."""
    return tuple(e for e in (event.agent, event.patient, event.recipient) if e is not None)


def asked_value(clause: Clause, kind: str) -> str | None:
    """The concept that answers a question of this kind about the clause; None where there is nothing to ask."""
    if clause.negated:
        return None
    if isinstance(clause, Event):
        entity = {"who": clause.agent, "what": clause.patient, "to whom": clause.recipient}.get(kind)
        if entity is not None:
            return entity.concept
        return {"where": clause.place, "when": clause.time}.get(kind)
    if isinstance(clause, Property):
        return clause.subject.concept if kind == "which" else None
    if isinstance(clause, Location):
        return clause.place if kind == "where" else None
    return clause.kind if kind == "profession" else None


def class_of_answer(concept: str) -> str:
    """What an answer is drawn from as far as the question tells: a hypernym's nouns, the times, or the professions."""
    return KIND.get(concept, CLASS_OF[concept])


class Report:
    """One paragraph in the making, about facts that can be asked for by questions of one kind."""

    def __init__(self, scenes: Scenes, kind: str, held: Held) -> None:
        self.scenes = scenes
        self.draw = scenes.draw
        self.kind = kind
        self.held = held
        self.clauses: list[Clause] = []
        self.cast: list[str] = []
        self.places: dict[str, str] = {}  # entity -> the only place it is in or goes to
        self.looks: dict[tuple[str, str], str] = {}  # (entity, dimension) -> adjective
        self.jobs: dict[str, str] = {}
        self.unworked: set[str] = set()  # professions that are denied of somebody
        self.deeds: set[tuple[str, ...]] = set()

    def tell(self, low: int, high: int) -> tuple[Form, ...] | None:
        """A paragraph of `low` to `high` sentences; None where chance found no two rival facts."""
        draw = self.draw
        length = low + int(draw.uniform() * (high + 1 - low))
        joined = draw.happens(0.12)
        total = length + joined
        rivals = 3 if total > 3 and draw.happens(0.5) else 2
        for number in range(rivals):
            if not self._try(self._rival) and number < 2:
                return None
        room = total - rivals
        denials = min(room, draw.weighted(((0, 0.1), (1, 0.4), (2, 0.5))))
        for fact in draw.shuffled(self.clauses)[:denials]:
            self._try(partial(self._denial, fact))
        while len(self.clauses) < total:
            if not self._try(self._filler):
                return None
        return self._text(draw.shuffled(self.clauses), joined)

    def _try(self, make: Callable[[], Clause | None]) -> bool:
        for _ in range(_TRIES):
            clause = make()
            if clause is not None and self._fits(clause):
                self._note(clause)
                return True
        return False

    # What has been said

    def _fits(self, clause: Clause) -> bool:
        """Whether the clause says something new that contradicts nothing."""
        if isinstance(clause, Event):
            named = {e.concept for e in participants(clause)}
            if named & (set(self.jobs.values()) | self.unworked):
                return False
            if clause.negated:
                if clause.place is None and clause.time is None:
                    return _deed(clause) not in self.deeds
                return clause.place is None or self.places.get(clause.agent.concept) != clause.place
            looks = [(e.concept, a) for e in participants(clause) for a in e.adjectives]
            return (
                _deed(clause) not in self.deeds
                and not (clause.place is not None and clause.agent.concept in self.places)
                and all(self.looks.get((c, DIMENSION[a]), a) == a for c, a in looks)
            )
        concept = clause.subject.concept
        if concept in self.unworked or concept in self.jobs.values():
            return False
        if isinstance(clause, Property):
            return (concept, DIMENSION[clause.adjective]) not in self.looks
        if isinstance(clause, Location):
            return self.places.get(concept) != clause.place if clause.negated else concept not in self.places
        if clause.kind in self.cast:
            return False
        return self.jobs.get(concept) != clause.kind if clause.negated else concept not in self.jobs

    def _note(self, clause: Clause) -> None:
        self.clauses.append(clause)
        entities = participants(clause) if isinstance(clause, Event) else (clause.subject,)
        self.cast += [e.concept for e in entities if e.concept not in self.cast]
        if isinstance(clause, Event):
            self.deeds.add(_deed(clause))
            if clause.place is not None and not clause.negated:
                self.places[clause.agent.concept] = clause.place
            self.looks.update({(e.concept, DIMENSION[a]): a for e in entities for a in e.adjectives})
        elif isinstance(clause, Property):
            concept, adjective = clause.subject.concept, clause.adjective
            self.looks[concept, DIMENSION[adjective]] = OPPOSITE.get(adjective, "") if clause.negated else adjective
        elif isinstance(clause, Location):
            # Where something is not is noted as its place too if nothing is known: no later clause may put it there.
            self.places.setdefault(clause.subject.concept, "" if clause.negated else clause.place)
        elif clause.negated:
            self.unworked.add(clause.kind)
        else:
            self.jobs[clause.subject.concept] = clause.kind

    # Facts that can be asked for

    def _rival(self) -> Clause | None:
        """A fact of the asked kind: the first is free, the others resemble one before but have another answer."""
        facts = [c for c in self.clauses if asked_value(c, self.kind) is not None]
        near = self.draw.among(facts) if facts else None
        clause = self._fact(near)
        if clause is None or not self.held(clause, self.kind):
            return None
        value = asked_value(clause, self.kind)
        if value is None or near is None:
            return clause if value is not None else None
        values = [v for c in facts if (v := asked_value(c, self.kind)) is not None]
        return clause if value not in values and class_of_answer(value) == class_of_answer(values[0]) else None

    def _fact(self, near: Clause | None) -> Clause | None:
        if self.kind == "profession":
            return self._profession()
        if self.kind == "which":
            return self._property(near)
        if self.kind == "where" and (isinstance(near, Location) or (near is None and self.draw.happens(0.4))):
            concept = self._topic()
            return Location(Entity(concept), self.scenes.place(concept))
        event = self._event(near if isinstance(near, Event) else None)
        if event is None:
            return None
        if self.kind == "where" and event.place is None:
            return replace(event, place=self.scenes.place(event.agent.concept))
        if self.kind == "when":
            return replace(event, time=self.scenes.time(event.verb))
        return self._decorated(event)

    def _topic(self) -> str:
        topic = self.draw.pick(self.scenes.likes.topics())
        assert topic is not None  # an unconditional pick always finds something
        return topic

    def _event(self, near: Event | None) -> Event | None:
        """An event with something to ask for; mostly the deed, the doer or the object of `near` comes back."""
        groups = {"what": ("transitive", "transfer"), "to whom": ("transfer",)}.get(self.kind)
        if groups is None and near is None:  # mostly with an object, which makes the question longer
            groups = ("transitive", "transfer") if self.draw.happens(0.75) else None

        def allowed(verb: str) -> bool:
            return groups is None or verb_class(verb) in groups

        likes = self.scenes.likes
        how = "free" if near is None else self.draw.weighted(_LIKENESS)
        if near is not None and how == "swapped":
            return self._swapped(near)
        if near is not None and how == "deed":
            agent = self.draw.pick(likes.agents(near.verb))
            return None if agent is None else self.scenes.event(agent, verb=near.verb)
        if near is not None and how == "other deed":
            if self.kind in ("what", "when", "to whom"):
                verb = self.draw.pick(likes.verbs_of(near.agent.concept), lambda v: v != near.verb and allowed(v))
                return None if verb is None else self.scenes.event(near.agent.concept, verb=verb)
            patient = near.patient.concept if near.patient is not None else None
            table = likes.verbs_upon(patient) if patient is not None else None
            verb = self.draw.pick(table) if table is not None else None
            if verb is None or near.patient is None or verb_class(verb) == "transfer":
                return None
            agent = self.draw.pick(likes.agents(verb))
            return None if agent is None or agent == patient else Event(verb, Entity(agent), Entity(near.patient.concept))
        agent = self._topic()
        verb = self.draw.pick(likes.verbs_of(agent), allowed)
        return None if verb is None else self.scenes.event(agent, verb=verb)

    def _swapped(self, near: Event) -> Event | None:
        """Who underwent the deed does the same, to another: only the order, or a suffix, tells who is asked for."""
        other = near.recipient or near.patient
        if other is None or CLASS_OF[other.concept] not in concepts.AGENT_CLASSES[near.verb]:
            return None
        event = self.scenes.event(other.concept, frozenset((near.agent.concept,)), near.verb)
        if event is None or near.recipient is None or self.draw.happens(0.5):
            return event
        patient = near.patient
        return None if patient is None or event.recipient is None else replace(event, patient=Entity(patient.concept))

    def _decorated(self, event: Event) -> Event:
        """The event, perhaps with an adjective, a place or a time that the question leaves out."""
        draw = self.draw
        if event.place is None and draw.happens(0.15):
            event = replace(event, place=self.scenes.place(event.agent.concept))
        elif draw.happens(0.1):
            event = replace(event, time=self.scenes.time(event.verb))
        role = "patient" if event.patient is not None and draw.happens(0.5) else "agent"
        entity: Entity = getattr(event, role)
        if CLASS_OF[entity.concept] == "names" or not draw.happens(0.3):
            return event
        adjective = self.scenes.adjective(entity.concept)
        if adjective is None:
            return event
        described = replace(entity, adjectives=(adjective,))
        return replace(event, patient=described) if role == "patient" else replace(event, agent=described)

    def _property(self, near: Clause | None) -> Clause | None:
        concept = self._topic()
        if isinstance(near, Property) and near.adjective in OPPOSITE and self.draw.happens(0.4):
            contrary = OPPOSITE[near.adjective]
            fits = CLASS_OF[concept] in concepts.ADJECTIVE_CLASSES[contrary]
            return Property(Entity(concept), contrary) if fits else None
        adjective = self.scenes.adjective(concept)
        return None if adjective is None else Property(Entity(concept), adjective)

    def _profession(self) -> Clause | None:
        name = self.draw.pick(self.scenes.likes.topics(), lambda c: CLASS_OF[c] == "names")
        assert name is not None  # there are names
        job = self.draw.pick(self.scenes.likes.professions(name))
        return None if job is None else IsA(Entity(name), job)

    # What stands beside them

    def _denial(self, fact: Clause) -> Clause | None:
        """The fact with another answer, denied: it has all words of the question, and not what it asks for."""
        if isinstance(fact, Property):
            other = self._topic()
            fits = CLASS_OF[other] in concepts.ADJECTIVE_CLASSES[fact.adjective] and other != fact.subject.concept
            return Property(Entity(other), fact.adjective, True) if fits else None
        if isinstance(fact, IsA):
            return replace(fact, kind=self.draw.among(CLASSES["professions"]), negated=True)
        if isinstance(fact, Location):
            return replace(fact, place=self.scenes.place(fact.subject.concept, other_than=fact.place), negated=True)
        agent = fact.agent.concept
        bare = replace(
            fact, negated=True, place=fact.place if verb_class(fact.verb) == "motion" else None, time=None,
            agent=Entity(agent), patient=Entity(fact.patient.concept) if fact.patient is not None else None,
            recipient=Entity(fact.recipient.concept) if fact.recipient is not None else None,
        )  # fmt: skip
        if self.kind == "where":
            return replace(bare, place=self.scenes.place(agent, other_than=fact.place))
        if self.kind == "when":
            return replace(bare, time=self.scenes.time(fact.verb, other_than=fact.time))
        taken = [e.concept for e in participants(fact)]
        asked = class_of_answer(asked_value(fact, self.kind) or agent)  # a denied noun of another class misleads nobody
        if self.kind == "who":
            doer = self.draw.pick(self.scenes.likes.agents(fact.verb), lambda c: c not in taken and class_of_answer(c) == asked)
            return None if doer is None else replace(bare, agent=Entity(doer))
        if self.kind == "what":
            patient = self.scenes.patient(fact.verb, agent, taken)
            if patient is None or class_of_answer(patient) != asked:
                return None
            return replace(bare, patient=Entity(patient))
        receiver = self.draw.pick(self.scenes.likes.companions(agent), lambda c: c not in taken)
        return None if receiver is None else replace(bare, recipient=Entity(receiver))

    def _filler(self) -> Clause | None:
        """Something else, mostly about somebody or something that the paragraph already speaks of."""
        draw = self.draw
        concept = draw.among(self.cast) if draw.happens(0.7) else self._topic()
        choice = draw.uniform()
        if choice < 0.3:
            adjective = self.scenes.adjective(concept)
            return None if adjective is None else Property(Entity(concept), adjective)
        if choice < 0.5:
            return Location(Entity(concept), self.scenes.place(concept))
        if choice < 0.6:
            return self._profession()
        event = self.scenes.event_with(concept)
        return None if event is None else self._decorated(event)

    def _text(self, said: list[Clause], joined: bool) -> tuple[Form, ...]:
        """The clauses as sentences, with pronouns and connectors as in stories, two of them joined by *and* if asked."""
        draw = self.draw
        at = int(draw.uniform() * (len(said) - 1)) if joined else -1
        forms: list[Form] = []
        spoken: str | None = None  # the subject of the sentence before: only it can be a pronoun's referent
        rest = iter(enumerate(said))
        for place, clause in rest:
            if place == at:
                second = next(rest)[1]
                forms.append(Both(clause, second))
                spoken = None
                continue
            who = subject(clause)
            if who.concept == spoken and not who.adjectives and draw.happens(0.5):
                pronoun = replace(who, reference="pronoun")
                clause = replace(clause, agent=pronoun) if isinstance(clause, Event) else replace(clause, subject=pronoun)
            linked = bool(forms) and draw.happens(0.14)
            forms.append(Linked(draw.among(concepts.CONNECTORS), clause) if linked else clause)
            spoken = who.concept
        return tuple(forms)


def _deed(event: Event) -> tuple[str, ...]:
    return (event.verb, *(e.concept for e in participants(event)))


def reports(scenes: Scenes, kind: str, held: Held, low: int, high: int) -> Iterator[tuple[Form, ...]]:
    """Endless paragraphs for questions of one kind."""
    while True:
        forms = Report(scenes, kind, held).tell(low, high)
        if forms is not None:
            yield forms
