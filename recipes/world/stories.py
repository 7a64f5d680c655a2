"""Coherent paragraphs: a few entities that recur, keep their properties, are referred back to, and have kinds."""

from __future__ import annotations

from dataclasses import replace

from recipes.world import concepts
from recipes.world.concepts import CLASS_OF, DIMENSION, KIND, OPPOSITE
from recipes.world.forms import (
    Both,
    Clause,
    Contrast,
    Entity,
    Event,
    Form,
    IsA,
    Linked,
    Location,
    Property,
    clauses,
    subject,
)
from recipes.world.scenes import Scenes

_MENU = (
    ("property", 0.17),
    ("contrast", 0.13),
    ("truth", 0.10),
    ("deed", 0.22),
    ("other", 0.13),
    ("denial", 0.10),
    ("where", 0.08),
    ("again", 0.11),
    ("both", 0.08),
)


class Story:
    """One paragraph in the making: 3 to 7 sentences around a topic."""

    def __init__(self, scenes: Scenes) -> None:
        self.scenes = scenes
        self.draw = scenes.draw
        topic = self.draw.pick(scenes.likes.topics())
        assert topic is not None  # an unconditional pick always finds something
        self.topic = topic
        self.place = scenes.place(topic)
        self.properties: dict[
            tuple[str, str], str
        ] = {}  # (concept, dimension) -> adjective, for as long as the story lasts
        self.profession: str | None = None
        self.cast: list[str] = []  # other entities, in order of appearance
        self.last: Event | None = None  # the last positive event of the topic
        self.spoken: str | None = None  # the subject of the previous sentence: only it can be a pronoun's referent
        self.deeds: dict[tuple[str, str, str], bool] = {}  # (agent, verb, patient) -> whether it happened
        self.forms: list[Form] = []

    def tell(self) -> tuple[Form, ...]:
        """The paragraph."""
        length = 3 + int(self.draw.uniform() * 5)
        self._opening()
        while len(self.forms) < length:
            getattr(self, f"_{self.draw.weighted(_MENU)}")()
        return tuple(self.forms[:length])  # the last turn may have taken two sentences

    def _say(self, form: Form) -> None:
        if self.forms and not isinstance(form, Both | Contrast | Linked) and self.draw.happens(0.14):
            form = Linked(self.draw.among(concepts.CONNECTORS), form)
        self.forms.append(form)
        # After a compound the last clause's subject is the nearest; both clauses share it except in `both`.
        self.spoken = subject(clauses(form)[-1]).concept

    def _refer(self, concept: str) -> Entity:
        """Name, pronoun, noun or hypernym for an entity already introduced."""
        if self.spoken == concept and self.draw.happens(0.5):
            return Entity(concept, reference="pronoun")
        kind = KIND[concept]
        alone = all(KIND[c] != kind for c in (*self.cast, self.topic) if c != concept)
        if alone and self.spoken is not None and self.draw.happens(0.16):
            return Entity(kind)
        return Entity(concept)

    def _adjective(self, concept: str) -> str | None:
        """What the story says of the concept: something known already, or something new that it keeps from now on."""
        known = [a for (c, _), a in self.properties.items() if c == concept]
        if known and self.draw.happens(0.3):
            return self.draw.among(known)
        adjective = self.scenes.adjective(concept)
        if adjective is None:
            return None
        return self.properties.setdefault((concept, DIMENSION[adjective]), adjective)

    def _decorated(self, entity: Entity, probability: float) -> Entity:
        if (
            entity.reference == "pronoun"
            or CLASS_OF[entity.concept] in ("names", "kinds")
            or not self.draw.happens(probability)
        ):
            return entity
        adjective = self._adjective(entity.concept)
        return entity if adjective is None else replace(entity, adjectives=(adjective,))

    def _event(self, agent: Entity, concept: str) -> Event | None:
        """An event of `concept`, called by the entity `agent`, in the story's place."""
        event = self.scenes.event(concept)
        if event is None or not self._consistent(event, True):
            return None
        if event.place is None and self.draw.happens(0.35):
            event = replace(event, place=self.place)
        elif event.place is not None:
            self.place = event.place
        if self.draw.happens(0.15):
            event = replace(event, time=self.scenes.time(event.verb))
        if event.patient is not None:
            self._meet(event.patient.concept)
            event = replace(event, patient=self._decorated(event.patient, 0.3))
        return replace(event, agent=self._decorated(agent, 0.3))

    def _consistent(self, event: Event, happens: bool, agent: str | None = None) -> bool:
        """Whether the story has not said the contrary; if so it is noted."""
        key = (agent or event.agent.concept, event.verb, event.patient.concept if event.patient else "")
        return self.deeds.setdefault(key, happens) == happens

    def _meet(self, concept: str) -> None:
        if concept != self.topic and concept not in self.cast:
            self.cast.append(concept)

    def _opening(self) -> None:
        who = Entity(self.topic)
        if CLASS_OF[self.topic] == "names" and self.draw.happens(0.4):
            self._truth()
        elif self.draw.happens(0.3):
            self._say(Location(self._decorated(who, 0.4), self.place))
        elif self.draw.happens(0.25):
            self._property()
        else:
            self._event_of_topic(who)

    def _event_of_topic(self, who: Entity) -> None:
        event = self._event(who, self.topic)
        if event is not None:
            self.last = event
            self._say(event)

    def _deed(self) -> None:
        self._event_of_topic(self._refer(self.topic))

    def _property(self) -> None:
        adjective = self._adjective(self.topic)
        if adjective is not None:
            self._say(Property(self._refer(self.topic), adjective))

    def _contrast(self) -> None:
        concept = self.draw.among(self.cast) if self.cast and self.draw.happens(0.35) else self.topic
        adjective = self._adjective(concept)
        if adjective is None:
            return
        if adjective in OPPOSITE:
            wrong = OPPOSITE[adjective]
        else:
            wrong = self.draw.among([c for c in concepts.CLASSES["colours"] if c != adjective])
        first = Property(self._refer(concept), adjective)
        second = Property(Entity(concept, reference="pronoun"), wrong, negated=True)
        if self.draw.happens(0.5):
            first, second = (
                replace(first, adjective=wrong, negated=True),
                replace(second, adjective=adjective, negated=False),
            )
        self._say(Contrast(first, second))

    def _truth(self) -> None:
        """An is-a fact beside a mention: somebody's profession, or the kind of something mentioned."""
        if self.forms and self.draw.happens(0.12):
            self._say(IsA(Entity(self.place, reference="indefinite"), KIND[self.place]))
            return
        concept = self.draw.among(self.cast) if self.cast and self.draw.happens(0.5) else self.topic
        if CLASS_OF[concept] != "names":
            self._say(IsA(Entity(concept, reference="indefinite"), KIND[concept]))
            return
        if concept == self.topic and self.profession is not None:
            self._say(IsA(Entity(self.profession, reference="indefinite"), "person"))
            return
        job = self.draw.pick(self.scenes.likes.professions(concept))
        assert job is not None  # an unconditional pick always finds something
        if concept == self.topic:
            self.profession = job
        if self.draw.happens(0.25):
            wrong = self.draw.among([p for p in concepts.CLASSES["professions"] if p != job])
            self._say(Contrast(IsA(self._refer(concept), wrong, True), IsA(Entity(concept, reference="pronoun"), job)))
        else:
            self._say(IsA(self._refer(concept), job))

    def _other(self) -> None:
        """Something about one of the others."""
        if not self.cast:
            return
        concept = self.cast[-1] if self.draw.happens(0.7) else self.draw.among(self.cast)
        who = self._refer(concept)
        if self.draw.happens(0.45):
            adjective = self._adjective(concept)
            if adjective is not None:
                self._say(Property(who, adjective))
        elif self.draw.happens(0.3):
            self._say(Location(who, self.place))
        elif (event := self._event(who, concept)) is not None:
            self._say(event)

    def _denial(self) -> None:
        """What the topic does not do, then what it does: she does not eat the bread. she eats the soup."""
        event = self.scenes.event(self.topic)
        if event is None or event.place is not None or not self._consistent(event, False):
            return
        self._say(replace(event, agent=self._refer(self.topic), negated=True))
        if event.patient is not None:
            instead = self.scenes.patient(event.verb, self.topic, (event.patient.concept,))
            if instead is None:
                return
            event = replace(event, agent=self._refer(self.topic), patient=Entity(instead))
            if self._consistent(event, True, self.topic):
                self._meet(instead)
                self.last = event
                self._say(event)

    def _where(self) -> None:
        """In one place, so not in another."""
        who = self._refer(self.topic)
        wrong = self.scenes.place(self.topic, other_than=self.place)
        if self.draw.happens(0.5):
            self._say(Location(who, self.place))
        elif self.draw.happens(0.5):
            self._say(
                Contrast(Location(who, wrong, True), Location(Entity(self.topic, reference="pronoun"), self.place))
            )
        else:
            self._say(
                Contrast(Location(who, self.place), Location(Entity(self.topic, reference="pronoun"), wrong, True))
            )

    def _again(self) -> None:
        """The last event once more in other words: modifiers dropped, a hypernym for a noun."""
        if self.last is None:
            return
        event = replace(self.last, agent=self._refer(self.topic), time=None)
        if event.patient is not None:
            general = self.draw.happens(0.5) and KIND[event.patient.concept] != KIND[self.topic]
            event = replace(event, patient=Entity(KIND[event.patient.concept] if general else event.patient.concept))
        if concepts.verb_class(event.verb) != "motion":
            event = replace(event, place=None)
        self._say(event)

    def _both(self) -> None:
        first = self._clause(self.topic)
        second = self._clause(self.draw.among(self.cast) if self.cast and self.draw.happens(0.6) else self.topic)
        if first is not None and second is not None:
            self._say(Both(first, second))

    def _clause(self, concept: str) -> Clause | None:
        """A plain clause about `concept`."""
        if self.draw.happens(0.5):
            return self._event(Entity(concept), concept)
        adjective = self._adjective(concept)
        return None if adjective is None else Property(Entity(concept), adjective)
