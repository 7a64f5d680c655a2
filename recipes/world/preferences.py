"""Who does what to whom, and how often: the fixed habits of a world.

Every concept has its own skewed frequency, and every verb, noun and person its own distribution over partners, of its
own sharpness. They belong to the concepts, so all languages of a world share them; they are what pins a word down by
its company.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from recipes.world import concepts
from recipes.world.chance import Table, generator
from recipes.world.concepts import CLASS_OF, CLASSES

_EXPONENTS = {
    "names": 0.8,
    "professions": 1.05,
    "animals": 0.9,
    "foods": 1.0,
    "tools": 1.15,
    "garments": 1.25,
    "plants": 1.3,
    "places": 0.95,
    "times": 1.2,
    "transitive": 0.75,
    "intransitive": 0.9,
    "transfer": 1.1,
    "motion": 1.2,
    "adjectives": 0.55,
    "colours": 1.0,
    "kinds": 0.8,
}

_SHARES = {
    "names": 0.40,
    "professions": 0.10,
    "animals": 0.25,
    "foods": 0.10,
    "tools": 0.06,
    "garments": 0.05,
    "plants": 0.04,
    "transitive": 0.50,
    "intransitive": 0.28,
    "transfer": 0.10,
    "motion": 0.12,
    "adjectives": 0.75,
    "colours": 0.25,
}
"""How much of a mixed choice each class gets before a head's own taste."""


class Preferences:
    """The habits of the world with this seed; tables are made when first asked for, each from its own generator."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._tables: dict[tuple[str, str], Table | None] = {}
        self.weight: dict[str, float] = {}
        """Base frequency of each concept: Zipfian inside its class, the classes with different exponents."""
        for name, members in CLASSES.items():
            order = generator(seed, "rank", name).permutation(len(members))
            raw = {members[i]: (rank + 1.5) ** -_EXPONENTS[name] for rank, i in enumerate(order)}
            total = sum(raw.values()) / _SHARES.get(name, 1.0)
            self.weight.update({concept: value / total for concept, value in raw.items()})

    def _table(self, relation: str, head: str, candidates: Iterable[str], sharpness: float = 1.0) -> Table | None:
        """The head's own distribution over the candidates: base weight × a gamma factor of the head's own shape."""
        key = (relation, head)
        if key not in self._tables:
            items = tuple(candidates)
            source = generator(self.seed, relation, head)
            shape = (0.3 + 1.3 * source.random()) / sharpness
            factors = source.gamma(shape, 1.0 / shape, size=len(items)) + 0.02  # the floor leaves nothing impossible
            self._tables[key] = (
                Table(items, [self.weight[c] * f for c, f in zip(items, factors, strict=True)]) if items else None
            )
        return self._tables[key]

    def _need(self, table: Table | None) -> Table:
        if table is None:
            raise ValueError("the world has no candidate for this choice")
        return table

    @staticmethod
    def _of(classes: Iterable[str], but: str = "") -> list[str]:
        return [c for name in classes for c in CLASSES[name] if c != but]

    def topics(self) -> Table:
        """What texts are about."""
        return self._need(self._table("topic", "", self._of(concepts.ENTITY_CLASSES), sharpness=0.3))

    def verbs_of(self, agent: str) -> Table:
        """What the agent does."""
        return self._need(
            self._table("does", agent, (v for v in concepts.VERBS if CLASS_OF[agent] in concepts.AGENT_CLASSES[v]))
        )

    def verbs_upon(self, patient: str) -> Table | None:
        """What is done to the patient."""
        allowed = (v for v in concepts.VERBS if CLASS_OF[patient] in concepts.PATIENT_CLASSES.get(v, ()))
        return self._table("undergoes", patient, allowed)

    def agents(self, verb: str) -> Table:
        """Who does it."""
        return self._need(self._table("agent", verb, self._of(concepts.AGENT_CLASSES[verb])))

    def patients(self, verb: str) -> Table:
        """To whom it is done. Raises ValueError for a verb without object."""
        return self._need(self._table("patient", verb, self._of(concepts.PATIENT_CLASSES.get(verb, ()))))

    def belongings(self, owner: str) -> Table:
        """The few things and animals that turn up around somebody."""
        return self._need(
            self._table("belonging", owner, self._of(("animals", *concepts.THING_CLASSES), owner), sharpness=3.0)
        )

    def companions(self, person: str) -> Table:
        """Whom somebody deals with."""
        return self._need(self._table("companion", person, self._of(concepts.PEOPLE, person), sharpness=1.5))

    def places(self, concept: str) -> Table:
        """Where it is found."""
        return self._need(self._table("place", concept, CLASSES["places"], sharpness=1.5))

    def times(self, verb: str) -> Table:
        """When it is done."""
        return self._need(self._table("time", verb, CLASSES["times"]))

    def adjectives(self, noun: str) -> Table:
        """What it is like."""
        allowed: Callable[[str], bool] = lambda a: CLASS_OF[noun] in concepts.ADJECTIVE_CLASSES[a]  # noqa: E731
        return self._need(self._table("adjective", noun, filter(allowed, concepts.ADJECTIVES)))

    def described(self, adjective: str) -> Table:
        """What is said to be so."""
        return self._need(self._table("described", adjective, self._of(concepts.ADJECTIVE_CLASSES[adjective])))

    def professions(self, name: str) -> Table:
        """What somebody works as: nearly a fixed fact of each name, but not quite, so it must be read, not recalled."""
        return self._need(self._table("profession", name, CLASSES["professions"], sharpness=4.0))
