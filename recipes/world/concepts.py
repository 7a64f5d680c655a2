"""What there is to talk about: the concepts of the miniature world, their kinds, opposites and verb frames.

A concept is an English gloss used as an identifier; no language of the world shows it. Class sizes differ on purpose:
where two
classes had equal size and behaviour, an embedding learned against a frozen body could settle in a relabelled solution.
"""

from __future__ import annotations

CLASSES: dict[str, tuple[str, ...]] = {
    "names": ("mira", "tomas", "ludo", "hana", "oskar", "pelin", "vero", "sami", "ines", "rafa", "dalia", "emil",
              "noor", "kato", "zita", "bruno", "yara", "otis", "fenna"),
    "professions": ("baker", "teacher", "farmer", "doctor", "painter", "sailor", "guard", "tailor", "miner"),
    "animals": ("dog", "cat", "horse", "bird", "cow", "goat", "fox", "mouse", "duck", "bear", "sheep", "wolf",
                "frog", "hen"),
    "foods": ("bread", "soup", "apple", "cheese", "rice", "egg", "fish", "cake", "onion", "honey", "bean"),
    "tools": ("hammer", "knife", "rope", "lamp", "bucket", "broom", "ladder", "spade"),
    "garments": ("hat", "coat", "shoe", "scarf", "glove", "belt"),
    "plants": ("tree", "flower", "bush", "vine", "reed"),
    "places": ("house", "garden", "market", "field", "kitchen", "school", "forest", "river", "harbour",
               "barn", "tower", "cave"),
    "times": ("today", "morning", "evening", "night", "winter", "noon"),
    "transitive": ("see", "have", "eat", "like", "chase", "carry", "buy", "wash", "follow", "hear", "find", "hide",
                   "hold", "cook", "cut", "wear", "bite", "mend"),
    "intransitive": ("sleep", "run", "wait", "sing", "work", "rest", "swim", "dance", "laugh", "fall", "grow", "shine",
                     "smell"),
    "transfer": ("give", "show", "sell", "send"),
    "motion": ("go", "return", "walk"),
    "adjectives": ("big", "small", "happy", "sad", "old", "young", "clean", "dirty", "fast", "slow", "strong", "weak",
                   "loud", "quiet", "rich", "poor", "hot", "cold", "wet", "dry", "heavy", "light"),
    "colours": ("red", "white", "black", "green", "brown", "yellow", "blue"),
    "kinds": ("animal", "person", "food", "tool", "place", "plant", "garment"),
}
"""Every concept, by class."""

FUNCTION_WORDS = ("THE", "A", "BE", "NOT", "AND", "BUT", "IN", "TO", "HE", "IT", "THEN", "ALSO", "LATER", "STILL")
"""Grammatical words; a language may lack some (a case language has no IN, TO, THE, A)."""

CONNECTORS = ("THEN", "ALSO", "LATER", "STILL")

CLASS_OF: dict[str, str] = {concept: name for name, members in CLASSES.items() for concept in members}

_KIND_OF_CLASS = {"names": "person", "professions": "person", "animals": "animal", "foods": "food", "tools": "tool",
                  "garments": "garment", "plants": "plant", "places": "place"}

KIND: dict[str, str] = {c: _KIND_OF_CLASS[name] for c, name in CLASS_OF.items() if name in _KIND_OF_CLASS}
"""The world's is-a facts: concept -> its hypernym. They hold in every text."""

_PAIRS = CLASSES["adjectives"]
OPPOSITE: dict[str, str] = {a: _PAIRS[i ^ 1] for i, a in enumerate(_PAIRS)}
"""Antonyms. They are complementary in this world: what is not big is small."""

DIMENSION: dict[str, str] = ({a: _PAIRS[i & ~1] for i, a in enumerate(_PAIRS)}
                             | {c: "colour" for c in CLASSES["colours"]})
"""The dimension that an adjective gives a value on; a thing has one value per dimension."""

THING_CLASSES = ("foods", "tools", "garments", "plants")
PEOPLE = ("names", "professions")
ANIMATE = ("names", "professions", "animals")
ENTITY_CLASSES = ANIMATE + THING_CLASSES

_DIMENSION_CLASSES: dict[str, tuple[str, ...]] = {
    "big": ("animals", *THING_CLASSES),
    "happy": ANIMATE,
    "old": ("names", "professions", "animals", "plants"),
    "clean": ("animals", "tools", "garments"),
    "fast": ANIMATE,
    "strong": ("names", "professions", "animals", "tools"),
    "loud": ("names", "professions", "animals"),
    "rich": PEOPLE,
    "hot": ("foods",),
    "wet": ("animals", "garments", "plants"),
    "heavy": ("foods", "tools", "garments"),
    "colour": ("animals", *THING_CLASSES),
}

ADJECTIVES: tuple[str, ...] = CLASSES["adjectives"] + CLASSES["colours"]

ADJECTIVE_CLASSES: dict[str, tuple[str, ...]] = {a: _DIMENSION_CLASSES[DIMENSION[a]] for a in ADJECTIVES}
"""Which classes an adjective may be said of."""

AGENT_CLASSES: dict[str, tuple[str, ...]] = {
    "see": ANIMATE, "have": PEOPLE, "eat": ANIMATE, "like": ANIMATE, "chase": ("animals", "names"), "carry": ANIMATE,
    "buy": PEOPLE, "wash": PEOPLE, "follow": ANIMATE, "hear": ANIMATE, "find": ANIMATE, "hide": ANIMATE, "hold": PEOPLE,
    "cook": PEOPLE, "cut": PEOPLE, "wear": PEOPLE, "bite": ("animals",), "mend": PEOPLE,
    "sleep": ANIMATE, "run": ANIMATE, "wait": ANIMATE, "sing": ("names", "professions", "animals"), "work": PEOPLE,
    "rest": ANIMATE, "swim": ANIMATE, "dance": PEOPLE, "laugh": PEOPLE,
    "fall": ("tools", "plants", "animals", "names", "garments"),
    "grow": ("plants", "animals"), "shine": ("tools", "garments", "plants"), "smell": ("foods", "plants", "garments"),
    "give": PEOPLE, "show": PEOPLE, "sell": PEOPLE, "send": PEOPLE,
    "go": ANIMATE, "return": ANIMATE, "walk": ANIMATE,
}

PATIENT_CLASSES: dict[str, tuple[str, ...]] = {
    "see": ENTITY_CLASSES, "have": ("animals", "tools", "garments", "foods"), "eat": ("foods", "plants"),
    "like": ENTITY_CLASSES, "chase": ("animals", "names"), "carry": THING_CLASSES, "buy": ("animals", *THING_CLASSES),
    "wash": ("animals", "garments", "foods", "tools"), "follow": ANIMATE, "hear": ANIMATE,
    "find": ("animals", *THING_CLASSES), "hide": ("foods", "tools", "garments"),
    "hold": ("tools", "animals", "garments"),
    "cook": ("foods",), "cut": ("plants", "foods"), "wear": ("garments",), "bite": ("animals", "names", "foods"),
    "mend": ("tools", "garments"),
    "give": ("foods", "garments", "tools", "plants"), "show": ("animals", *THING_CLASSES),
    "sell": ("animals", *THING_CLASSES),
    "send": ("foods", "garments", "tools"),
}

VERBS: tuple[str, ...] = tuple(AGENT_CLASSES)


def verb_class(verb: str) -> str:
    """`transitive`, `intransitive`, `transfer` or `motion`."""
    return CLASS_OF[verb]


def related(first: str, second: str) -> bool:
    """Whether the concepts may be names for one thing: equal, or one the hypernym of the other."""
    return first == second or KIND.get(first) == second or KIND.get(second) == first


def gender(concept: str) -> str:
    """The noun class that pronouns and agreement go by: `person`, `animal` or `thing`."""
    kind = KIND.get(concept, concept)
    return kind if kind in ("person", "animal") else "thing"
