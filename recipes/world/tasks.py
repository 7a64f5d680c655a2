"""More tasks of the miniature world, each true by construction and parallel in all languages: paraphrase, multiple choice, parts
of speech, retrieval. Their files are those of published tasks, under whose names relexify learns and scores them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import combinations, islice
from pathlib import Path

from recipes.world import concepts
from recipes.world.chance import Draw, generator
from recipes.world.concepts import CLASS_OF, OPPOSITE
from recipes.world.forms import Both, Clause, Entity, Event, Form, Property, subject
from recipes.world.languages import BASE, Language
from recipes.world.nli import core_clause, held_out_for
from recipes.world.preferences import Preferences
from recipes.world.premises import Premises
from recipes.world.realise import block_of, text_of
from recipes.world.scenes import Scenes
from recipes.world.stories import Story

TASKS = {"paraphrase": "pawsx", "choice": "swag", "tagging": "udpos", "retrieval": "tatoeba"}
"""Task of the world, also its folder -> the task of relexify that reads its files."""
ENDINGS = 4
_UPOS_OF_CLASS = {
    "names": "PROPN", "times": "ADV", "adjectives": "ADJ", "colours": "ADJ",
    **dict.fromkeys(("transitive", "intransitive", "transfer", "motion"), "VERB")}
_UPOS_OF_WORD = {"THE": "DET", "A": "DET", "BE": "AUX", "NOT": "PART", "AND": "CCONJ", "BUT": "CCONJ", "IN": "ADP", "TO": "ADP",
                 "HE": "PRON", "IT": "PRON", **dict.fromkeys(concepts.CONNECTORS, "ADV")}


def _scenes(preferences: Preferences, task: str, split: int | str) -> Scenes:
    """One stream of chance for each task and split."""
    return Scenes(preferences, Draw(generator(preferences.seed, task, split)))


def _of_split(scenes: Scenes, split: int | str) -> Clause:
    """A clause that no other split of `train`, `dev` and `test` has."""
    wanted = str(split) if split in ("dev", "test") else ""
    while held_out_for(clause := core_clause(scenes)) != wanted:
        pass
    return clause


@dataclass(frozen=True, slots=True)
class Paraphrase:
    """Two texts of two clauses each, and whether they say the same. `kind` is LAYOUT:EDIT."""

    first: tuple[Form, ...]
    second: tuple[Form, ...]
    same: bool
    kind: str


def paraphrases(preferences: Preferences, split: int | str) -> Iterator[Paraphrase]:
    """Endless pairs; each two in a row hold both labels once.

    The second text has the clauses in one sentence or in two, in either order, whatever the label. The same is said where
    nothing else is done, or where a property is said by its opposite (the dog is big, the dog is not small); something else where
    a clause is denied, made of the other's subject, or gives way to another.
    """
    scenes, labels = _scenes(preferences, "paraphrase", split), Draw(generator(preferences.seed, "paraphrase labels", split))
    while True:
        for same in labels.shuffled((True, False)):
            core = _of_split(scenes, split)
            banned = frozenset(entity.concept for entity in _participants(core))
            pair = [core, Premises(scenes, core, banned, False).bystander()]
            edit, edited = _edited(scenes, pair, banned, same)
            layout = scenes.draw.among(("one", "one-turned", "two", "two-turned"))
            turned = edited[::-1] if layout.endswith("turned") else edited
            second = (Both(*turned),) if layout.startswith("one") else tuple(turned)
            if second != (Both(*pair),):
                yield Paraphrase((Both(*pair),), second, same, f"{layout}:{edit}")
                continue
            yield Paraphrase((Both(*pair),), (Both(*turned[::-1]),), same, f"one-turned:{edit}")


def _participants(clause: Clause) -> tuple[Entity, ...]:
    if isinstance(clause, Event):
        return tuple(entity for entity in (clause.agent, clause.patient, clause.recipient) if entity is not None)
    return (clause.subject,)


def _edited(scenes: Scenes, pair: list[Clause], banned: frozenset[str], same: bool) -> tuple[str, list[Clause]]:
    """The clauses of the second text in the order of the first, and what was done."""
    draw = scenes.draw
    place = int(draw.happens(0.5))
    clause, other = pair[place], pair[1 - place]

    def put(changed: Clause) -> list[Clause]:
        return [changed, other] if place == 0 else [other, changed]

    if same:
        for at in (place, 1 - place):
            found = pair[at]
            if isinstance(found, Property) and found.adjective in OPPOSITE and draw.happens(0.3):
                said = replace(found, adjective=OPPOSITE[found.adjective], negated=not found.negated)
                return "contrary", [said if number == at else one for number, one in enumerate(pair)]
        return "none", list(pair)
    edit = draw.weighted((("negated", 0.4), ("crossed", 0.2), ("replaced", 0.4)))
    if edit == "crossed" and not isinstance(clause, Event) and not isinstance(other, Event) and type(clause) is type(other):
        exchanged = replace(clause, subject=subject(other)), replace(other, subject=subject(clause))
        if set(exchanged) != set(pair):
            return "crossed", [exchanged[0], exchanged[1]] if place == 0 else [exchanged[1], exchanged[0]]
    if edit == "replaced":
        fresh = core_clause(scenes)
        while {entity.concept for entity in _participants(fresh)} & {one.concept for part in pair for one in _participants(part)}:
            fresh = core_clause(scenes)
        return "replaced", put(fresh)
    return "negated", put(replace(clause, negated=not clause.negated))


@dataclass(frozen=True, slots=True)
class Choice:
    """A scene and four endings, of which one can happen in the world; the others break what its verb takes."""

    scene: Clause
    endings: tuple[Event, ...]
    right: int


def possible(event: Event) -> bool:
    """Whether the verb takes this agent and this patient."""
    return CLASS_OF[event.agent.concept] in concepts.AGENT_CLASSES[event.verb] and (
        event.patient is None or CLASS_OF[event.patient.concept] in concepts.PATIENT_CLASSES[event.verb])


def choices(preferences: Preferences, split: int | str) -> Iterator[Choice]:
    """Endless items; each four in a row have the right ending once in every place.

    The wrong endings have the same verb: agent and patient exchanged, a patient that the verb does not take, and these exchanged.
    """
    scenes, places = _scenes(preferences, "choice", split), Draw(generator(preferences.seed, "choice labels", split))
    while True:
        for right in places.shuffled(tuple(range(ENDINGS))):
            scene, event, wrong = _choice(scenes, split)
            endings = scenes.draw.shuffled(wrong)
            endings.insert(right, event)
            yield Choice(scene, tuple(endings), right)


def _choice(scenes: Scenes, split: int | str) -> tuple[Clause, Event, list[Event]]:
    """The scene, what happens in it, and what cannot."""
    while True:
        clause = _of_split(scenes, split)
        if not isinstance(clause, Event) or clause.patient is None or clause.recipient is not None:
            continue
        agent, patient = Entity(clause.agent.concept), Entity(clause.patient.concept)
        event = Event(clause.verb, agent, patient)
        odd = _odd(scenes, event)
        scene = scenes.event_with(agent.concept, frozenset((patient.concept,)), (event.verb,))
        if scene is None or odd is None:
            continue
        wrong = [replace(event, agent=patient, patient=agent), replace(event, patient=odd),
                 replace(event, agent=odd, patient=agent)]
        if not any(map(possible, wrong)):
            return scene, event, wrong


def _odd(scenes: Scenes, event: Event) -> Entity | None:
    """Something that the verb takes for no patient."""
    found = scenes.draw.pick(scenes.likes.topics(), lambda concept: concept != event.agent.concept and not possible(
        replace(event, patient=Entity(concept))))
    return None if found is None else Entity(found)


def sentences(preferences: Preferences, split: int | str) -> Iterator[Form]:
    """Endless sentences of stories, for tagging."""
    scenes = _scenes(preferences, "tagging", split)
    while True:
        yield from Story(scenes).tell()


def tagged(form: Form, language: Language) -> list[tuple[str, str]]:
    """The words of a sentence with their universal parts of speech; no two words of a language share a form."""
    if not language.tags:
        for name in (*concepts.CLASS_OF, *concepts.FUNCTION_WORDS):
            tag = _UPOS_OF_WORD.get(name) or _UPOS_OF_CLASS.get(CLASS_OF[name], "NOUN")
            language.tags.update({language.form(name, ending): tag for ending in ("", *language.suffixes)})
    return [(word, language.tags.get(word, "PUNCT")) for word in block_of(form, language).words]


def apart(preferences: Preferences, split: int | str) -> Iterator[Clause]:
    """Endless clauses, no two the same, for retrieval."""
    scenes, seen = _scenes(preferences, "retrieval", split), set[Clause]()
    while True:
        clause = _of_split(scenes, split)
        if clause not in seen:
            seen.add(clause)
            yield clause


def write_tasks(folder: Path, preferences: Preferences, languages: dict[str, Language], names: tuple[str, ...],
                sizes: dict[str, int]) -> None:
    """`TASK/SPLIT-CODE.tsv` of each task, and `retrieval/SPLIT.CODE-CODE.CODE` of every two languages.

    Args:
        sizes: examples of each split; training examples are in the base language only, and retrieval has none.
    """
    for name in names:
        (folder / name).mkdir()
        for split, count in sizes.items():
            if name == "retrieval":
                if split != "train":
                    _write_retrieval(folder / name, list(islice(apart(preferences, split), count)), split, languages)
                continue
            lines = _LINES[name](preferences, split, count)
            for code in (BASE,) if split == "train" else languages:
                _write(folder / name / f"{split}-{code}.tsv", lines(languages[code]))


def _write(path: Path, lines: list[str]) -> None:
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        file.writelines(f"{line}\n" for line in lines)


def _write_retrieval(folder: Path, forms: list[Clause], split: str, languages: dict[str, Language]) -> None:
    for first, second in combinations(languages, 2):
        for code in (first, second):
            _write(folder / f"{split}.{first}-{second}.{code}", [text_of((form,), languages[code]) for form in forms])


Lines = Callable[[Preferences, int | str, int], Callable[[Language], list[str]]]


def _paraphrase_lines(preferences: Preferences, split: int | str, count: int) -> Callable[[Language], list[str]]:
    found = list(islice(paraphrases(preferences, split), count))
    return lambda language: ["id\tsentence1\tsentence2\tlabel", *(
        f"{number}\t{text_of(one.first, language)}\t{text_of(one.second, language)}\t{int(one.same)}"
        for number, one in enumerate(found))]


def _choice_lines(preferences: Preferences, split: int | str, count: int) -> Callable[[Language], list[str]]:
    found = list(islice(choices(preferences, split), count))
    head = "\t".join(("id", "sent1", "sent2", *(f"ending{number}" for number in range(ENDINGS)), "label"))

    def lines(language: Language) -> list[str]:
        return [head, *("\t".join((str(number), text_of((one.scene,), language), "",
                                   *(text_of((event,), language) for event in one.endings), str(one.right)))
                        for number, one in enumerate(found))]

    return lines


def _tagging_lines(preferences: Preferences, split: int | str, count: int) -> Callable[[Language], list[str]]:
    found = list(islice(sentences(preferences, split), count))
    return lambda language: [line for form in found for line in (*map("\t".join, tagged(form, language)), "")]


_LINES: dict[str, Lines] = {"paraphrase": _paraphrase_lines, "choice": _choice_lines, "tagging": _tagging_lines}
