"""The miniature world as one object, and its files on disk."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from pretrain.base.errors import UserError, unknown
from pretrain.base.files import atomic_folder
from pretrain.base.outputs import makes
from recipes.world import concepts
from recipes.world.chance import Draw, generator
from recipes.world.forms import Form
from recipes.world.languages import BASE, CODES, Language, build, plan_of
from recipes.world.nli import LABELS, NliRecord, pairs
from recipes.world.preferences import Preferences
from recipes.world.qa import SENTENCES, QaRecord, check_sentences, questions, record, squad
from recipes.world.realise import Sentence, realise, realise_text, text_of
from recipes.world.reports import KINDS
from recipes.world.scenes import Scenes
from recipes.world.stories import Story
from recipes.world.tasks import TASKS, write_tasks

VERSION = 2
"""Of the generator: it grows whenever the same seed would give other bytes."""


class World:
    """A world: one set of concepts and habits, and the languages that speak of it.

    The same seed gives the same world, texts and pairs on every machine.
    """

    def __init__(self, seed: int = 1, languages: Sequence[str] = CODES) -> None:
        """Raises UserError where `languages` is empty, repeats a code or holds one that is not in `CODES`."""
        if not languages or len(set(languages)) != len(languages):
            raise UserError(f"languages: expected different codes out of {', '.join(CODES)}, got {list(languages)}")
        self.seed = seed
        self.preferences = Preferences(seed)
        self.languages: dict[str, Language] = {code: build(code, seed) for code in languages}

    def language(self, code: str) -> Language:
        """The language of a code; UserError where this world does not have it."""
        plan_of(code)
        if code not in self.languages:
            raise UserError(f"language {code!r} is not in this world (it has: {', '.join(self.languages)})")
        return self.languages[code]

    def stories(self, code: str, seed: int | str = 0) -> Iterator[tuple[Form, ...]]:
        """Endless paragraphs as logical forms.

        The streams of two languages or two seeds are independent: the language is part of the key, so texts are no
        translations.
        """
        self.language(code)
        scenes = Scenes(self.preferences, Draw(generator(self.seed, "text", code, seed)))
        while True:
            yield Story(scenes).tell()

    def paragraphs(
        self, code: str, *, count: int | None = None, words: int | None = None, seed: int | str = 0
    ) -> Iterator[str]:
        """Paragraphs, one a line, until `count` of them or until they hold at least `words` words; endless if neither
        is given.

        A shorter request is a prefix of a longer one. Raises UserError if both are given or one is negative.
        """
        language = self.language(code)
        if (count is not None and words is not None) or (count or 0) < 0 or (words or 0) < 0:
            raise UserError(
                f"paragraphs: expected one of count and words, not negative; got count={count}, words={words}"
            )
        return self._paragraphs(language, count, words, seed)

    def _paragraphs(self, language: Language, count: int | None, words: int | None, seed: int | str) -> Iterator[str]:
        written = 0
        for story in islice(self.stories(language.code, seed), count):
            if words is not None and written >= words:
                return
            text = text_of(story, language)
            written += text.count(" ") + 1
            yield text

    def nli(self, code: str, count: int, seed: int | str = "train") -> list[NliRecord]:
        """The first `count` inference pairs of the split `seed` in one language.

        The logical forms depend on the split alone, so the same split is parallel in all languages, as XNLI is.
        """
        language = self.language(code)
        if count < 0:
            raise UserError(f"nli: expected a count that is not negative, got {count}")
        return [
            NliRecord(
                number,
                text_of(pair.premise, language),
                text_of((pair.hypothesis,), language),
                pair.label,
                pair.kind,
                pair,
            )
            for number, pair in enumerate(islice(pairs(self.preferences, seed), count))
        ]

    def qa(
        self, code: str, count: int, seed: int | str = "train", sentences: tuple[int, int] = SENTENCES
    ) -> list[QaRecord]:
        """The first `count` questions of the split `seed` in one language, over paragraphs of so many sentences.

        The logical forms depend on the split alone, so the same split is parallel in all languages, as XQuAD is.
        """
        language = self.language(code)
        check_sentences(sentences)
        if count < 0:
            raise UserError(f"qa: expected a count that is not negative, got {count}")
        found = islice(questions(self.preferences, seed, sentences), count)
        return [record(question, language, f"qa-{seed}-{number:06d}") for number, question in enumerate(found)]

    def realise(self, form: Form, code: str) -> Sentence:
        """The sentence for a logical form, with the character span of each role."""
        return realise(form, self.language(code))

    def realise_text(self, forms: Sequence[Form], code: str) -> Sentence:
        """Several forms as one text; spans are prefixed by the sentence's number."""
        return realise_text(forms, self.language(code))

    def translations(self, code: str) -> list[tuple[str, str]]:
        """(word of the base language, word of another) of every concept that both name by one word."""
        base, words = self.language(BASE).words, self.language(code).words
        return [(word, words[concept]) for concept, word in base.items() if concept in words]

    def describe(self) -> dict[str, Any]:
        """The world as JSON data: concepts, facts, and each language's grammar and lexicon."""
        return {
            "generator": "relexify miniature world",
            "version": VERSION,
            "seed": self.seed,
            "base": BASE,
            "concepts": concepts.CLASSES,
            "is_a": concepts.KIND,
            "opposites": concepts.OPPOSITE,
            "languages": {code: _describe(language) for code, language in self.languages.items()},
        }


def _describe(language: Language) -> dict[str, Any]:
    plan, grammar = language.plan, language.grammar
    return {
        "name": plan.name,
        "distance": plan.distance,
        "summary": plan.summary,
        "script": plan.script.name,
        "grammar": {
            "orders": [list(order) for order in grammar.orders],
            "adjective_after_noun": grammar.adjective_after_noun,
            "postpositions": grammar.postpositions,
            "negation_after_verb": grammar.negation_after_verb,
            "articles": grammar.articles,
            "cases": grammar.cases,
            "agreement": grammar.agreement,
        },
        "words": language.words,
        "suffixes": language.suffixes,
    }


MOST = 10**9
"""Words of a text, pairs and questions of a split: more is a slip of the pen."""


@makes("a world")
def write_world(
    output: str | Path,
    languages: Sequence[str] = CODES,
    seed: int = 1,
    *,
    words: int | dict[str, int] = 1_000_000,
    train: int = 15_000,
    dev: int = 1_500,
    test: int = 3_000,
    qa_train: int = 0,
    qa_dev: int = 0,
    qa_test: int = 0,
    qa_sentences: tuple[int, int] = SENTENCES,
    tasks: Sequence[str] = (),
    overwrite: bool = False,
) -> Path:
    """Writes a world: `text/CODE.txt`, `nli/SPLIT-CODE.tsv`, `dictionaries/qaa-CODE.tsv` (word of the base, word of CODE),
    `world.json` and, if asked for, `qa/SPLIT-CODE.json` and the files of further tasks (`recipes.world.tasks`).

    Args:
        output: the folder to make; it appears when it is complete.
        languages: codes; the base `qaa` is added in front where it is missing, since the training pairs are in it.
        words: size of each language's text in words, one number or one per code (codes left out get 1,000,000).
        train, dev, test: numbers of pairs. `train` is in the base language only; dev and test are parallel in all.
        qa_train, qa_dev, qa_test: numbers of questions, in the same languages; without any there is no folder `qa`.
        qa_sentences: the least and most sentences of a paragraph that is asked about.
        tasks: of `recipes.world.tasks.TASKS`; each has as many examples of a split as there are inference pairs.
        overwrite: replace an existing output.

    Returns: the output folder.
    Raises: UserError on an unknown code or task, a negative size or an existing output.
    """
    for task in tasks:
        if task not in TASKS:
            raise unknown("task of the miniature world", task, TASKS)
    codes = tuple(languages) if BASE in languages else (BASE, *languages)
    world = World(seed, codes)
    sizes = {code: words if isinstance(words, int) else words.get(code, 1_000_000) for code in codes}
    if isinstance(words, dict):
        for code in words:
            world.language(code)
    pairs_of = {"train": train, "dev": dev, "test": test}
    questions_of = {"train": qa_train, "dev": qa_dev, "test": qa_test}
    check_sentences(qa_sentences)
    for code, size in sizes.items():
        if not 1 <= size <= MOST:  # a text without a word is none
            raise UserError(f"--words: got {size:,} for {code}, expected at least 1, at most {MOST:,}")
    for name, size in (*pairs_of.items(), *((f"qa_{split}", n) for split, n in questions_of.items())):
        if not 0 <= size <= MOST:
            raise UserError(f"--{name.replace('_', '-')}: got {size:,}, expected a size that is not negative, at most {MOST:,}")
    with atomic_folder(output, overwrite) as folder:
        (folder / "text").mkdir()
        (folder / "nli").mkdir()
        for code in codes:
            with open(folder / "text" / f"{code}.txt", "w", encoding="utf-8", newline="\n") as file:
                file.writelines(f"{paragraph}\n" for paragraph in world.paragraphs(code, words=sizes[code]))
            for split, count in pairs_of.items():
                if split != "train" or code == BASE:
                    _write_tsv(folder / "nli" / f"{split}-{code}.tsv", world.nli(code, count, split))
            if code != BASE:
                _write_dictionary(folder / "dictionaries" / f"{BASE}-{code}.tsv", world.translations(code))
        description = world.describe() | {"words": sizes, "nli": pairs_of | {"labels": LABELS}}
        write_tasks(folder, world.preferences, world.languages, tuple(dict.fromkeys(tasks)), pairs_of)
        if tasks:
            description["tasks"] = {task: {"read_as": TASKS[task], **pairs_of} for task in dict.fromkeys(tasks)}
        if any(questions_of.values()):
            _write_questions(folder / "qa", world, questions_of, qa_sentences)
            description["qa"] = questions_of | {"kinds": KINDS, "sentences": qa_sentences}
        (folder / "world.json").write_text(json.dumps(description, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return Path(output)


def _write_questions(folder: Path, world: World, sizes: dict[str, int], sentences: tuple[int, int]) -> None:
    folder.mkdir()
    for split, count in sizes.items():
        if not count:
            continue
        found = list(islice(questions(world.preferences, split, sentences), count))  # once, for all languages
        for code in (BASE,) if split == "train" else world.languages:
            records = [record(q, world.language(code), f"qa-{split}-{number:06d}") for number, q in enumerate(found)]
            text = json.dumps(squad(records), ensure_ascii=False)
            (folder / f"{split}-{code}.json").write_text(text + "\n", encoding="utf-8")


def _write_dictionary(path: Path, pairs: Sequence[tuple[str, str]]) -> None:
    path.parent.mkdir(exist_ok=True)
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        file.writelines(f"{word}\t{other}\n" for word, other in pairs)


def _write_tsv(path: Path, records: Sequence[NliRecord]) -> None:
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        file.write("id\tpremise\thypothesis\tlabel\n")
        file.writelines(f"{r.identifier}\t{r.premise}\t{r.hypothesis}\t{LABELS.index(r.label)}\n" for r in records)
