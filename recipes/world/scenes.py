"""Draws entities and events that follow the world's preferences; stories and inference pairs are both made of them."""

from __future__ import annotations

from collections.abc import Iterable

from recipes.world import concepts
from recipes.world.chance import Draw
from recipes.world.concepts import CLASS_OF, related
from recipes.world.forms import Entity, Event
from recipes.world.preferences import Preferences

Banned = frozenset[str]
NONE: Banned = frozenset()


def free(concept: str, banned: Iterable[str]) -> bool:
    """Whether `concept` could not be taken for any of the banned ones."""
    return not any(related(concept, other) for other in banned)


class Scenes:
    """Draws from the preferences of one world with one stream of chance."""

    def __init__(self, preferences: Preferences, draw: Draw) -> None:
        self.likes = preferences
        self.draw = draw

    def place(self, concept: str, other_than: str | None = None) -> str:
        """A place where `concept` may be."""
        found = self.draw.pick(self.likes.places(concept), None if other_than is None else lambda p: p != other_than)
        assert found is not None  # there are many places
        return found

    def time(self, verb: str, other_than: str | None = None) -> str:
        """A time at which `verb` may happen."""
        found = self.draw.pick(self.likes.times(verb), None if other_than is None else lambda t: t != other_than)
        assert found is not None  # there are several times
        return found

    def adjective(self, concept: str, banned_dimensions: Iterable[str] = ()) -> str | None:
        """An adjective for `concept` on a dimension that is not banned."""
        banned = tuple(banned_dimensions)
        return self.draw.pick(self.likes.adjectives(concept), lambda a: concepts.DIMENSION[a] not in banned)

    def bystander(self, near: str, banned: Iterable[str]) -> str | None:
        """Another entity likely around `near`, that cannot be taken for a banned one."""
        taken = (near, *banned)
        table = self.likes.belongings(near) if self.draw.happens(0.6) else self.likes.topics()
        return self.draw.pick(table, lambda c: free(c, taken))

    def event(
        self, agent: str, banned: Banned = NONE, verb: str | None = None, not_verbs: Iterable[str] = ()
    ) -> Event | None:
        """An event of `agent`, without place and time; motion verbs get the place they lead to.

        `banned` are concepts that may be neither patient nor recipient. None where no event fits.
        """
        avoided = tuple(not_verbs)
        if verb is None:
            verb = self.draw.pick(self.likes.verbs_of(agent), lambda v: v not in avoided)
        if verb is None:
            return None
        group = concepts.verb_class(verb)
        actor = Entity(agent)
        if group == "intransitive":
            return Event(verb, actor)
        if group == "motion":
            return Event(verb, actor, place=self.place(agent))
        patient = self.patient(verb, agent, banned)
        if patient is None:
            return None
        if group == "transitive":
            return Event(verb, actor, Entity(patient))
        recipient = self.draw.pick(self.likes.companions(agent), lambda c: free(c, (*banned, agent, patient)))
        return None if recipient is None else Event(verb, actor, Entity(patient), Entity(recipient))

    def patient(self, verb: str, agent: str, banned: Iterable[str]) -> str | None:
        """A patient for `verb`: often something that belongs to the agent, otherwise by the verb's own taste."""
        taken = (agent, *banned)
        allowed = concepts.PATIENT_CLASSES[verb]
        if self.draw.happens(0.35):
            own = self.draw.pick(self.likes.belongings(agent), lambda c: CLASS_OF[c] in allowed and free(c, taken))
            if own is not None:
                return own
        return self.draw.pick(self.likes.patients(verb), lambda c: free(c, taken))

    def event_with(self, concept: str, banned: Banned = NONE, not_verbs: Iterable[str] = ()) -> Event | None:
        """An event that `concept` takes part in: people and animals mostly act, things undergo. No place, no motion."""
        avoided = (*not_verbs, *concepts.CLASSES["motion"])
        acts = self.draw.happens(0.75 if CLASS_OF[concept] in concepts.ANIMATE else 0.2)
        table = self.likes.verbs_of(concept) if acts else self.likes.verbs_upon(concept)
        verb = self.draw.pick(table, lambda v: v not in avoided) if table else None
        if verb is None:
            return None
        if acts:
            return self.event(concept, banned, verb)
        agent = self.draw.pick(self.likes.agents(verb), lambda c: free(c, (*banned, concept)))
        if agent is None:
            return None
        if concepts.verb_class(verb) == "transfer":
            recipient = self.draw.pick(self.likes.companions(agent), lambda c: free(c, (*banned, agent, concept)))
            return None if recipient is None else Event(verb, Entity(agent), Entity(concept), Entity(recipient))
        return Event(verb, Entity(agent), Entity(concept))
