"""What the questions of the miniature world leave to guess: exact match of rules that know the right class of noun.

`python -m recipes.world.baselines --seed 1 --count 3500` prints the table of docs/miniature-world.md. Every rule is given
more than a model has: it knows which words are nouns, of which class the answer is, and leaves out the nouns that the
question names. None knows a word's role in its sentence or what *not* means.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from pretrain.base.errors import UserError
from recipes.world.chance import Draw, generator
from recipes.world.concepts import KIND
from recipes.world.forms import clauses, subject
from recipes.world.languages import BASE, Language
from recipes.world.qa import SENTENCES, QaRecord, mentions, rivals, sentence_range, span
from recipes.world.realise import realise_text
from recipes.world.reports import KINDS
from recipes.world.world import World

RULES = ("first", "last", "random", "frequent", "habit", "sentence", "window")
"""The class's first, last or a random noun; the one that answers most training questions, or most about the same
predicate; the one in the sentence, or between the words, that has most words of the question."""


@dataclass(frozen=True)
class Candidate:
    """A noun that may be the answer: its concept, its text and its place in the paragraph."""

    concept: str
    text: str
    start: int
    end: int


def candidates(record: QaRecord, language: Language) -> list[Candidate]:
    """The nouns of the answer's class that the question does not name, in the order of the text."""
    q = record.forms
    taken = [m for m in mentions(q.paragraph) if m.concept == q.answer] + rivals(q.paragraph, q.form, q.answer)
    sentence = realise_text(q.paragraph, language)
    places = [(m.concept, *span(sentence.spans, m.role)) for m in taken]
    return sorted((Candidate(c, sentence.text[a:b], a, b) for c, a, b in places), key=lambda c: c.start)


def _predicate(record: QaRecord) -> str:
    clause = clauses(record.forms.form)[0]
    return str(getattr(clause, "verb", getattr(clause, "adjective", subject(clause).concept)))


def _words(text: str) -> list[str]:
    return re.findall(r"[^\s.,]+", text)


class Guesser:
    """The rules, with what the counting ones know of the training split."""

    def __init__(self, language: Language, training: Sequence[QaRecord], seed: int) -> None:
        self.language = language
        self.draw = Draw(generator(seed, "guess"))
        self.frequent = Counter(r.forms.answer for r in training)
        self.habit = Counter((_predicate(r), r.forms.answer) for r in training)
        self.hypernyms = {language.words[name] for name in set(KIND.values())}

    def guess(self, rule: str, record: QaRecord) -> str:
        """The rule's answer; among equals the first of the text."""
        found = candidates(record, self.language)
        if rule == "first":
            return found[0].text
        if rule == "last":
            return found[-1].text
        if rule == "random":
            return self.draw.among(found).text
        if rule == "frequent":
            return max(found, key=lambda c: self.frequent[c.concept]).text
        if rule == "habit":
            predicate = _predicate(record)
            return max(found, key=lambda c: (self.habit[predicate, c.concept], self.frequent[c.concept])).text
        asked = set(_words(record.question)) - self.hypernyms
        return max(found, key=lambda c: len(asked & self._around(rule, record.context, c))).text

    def _around(self, rule: str, context: str, candidate: Candidate) -> set[str]:
        before, after = context[: candidate.start], context[candidate.end :]
        if rule == "sentence":
            return set(_words(before.rpartition(".")[2]) + _words(after.partition(".")[0]))
        return set(_words(before)[-4:] + _words(after)[:4])


def measure(
    world: World, code: str, count: int, split: str = "test", sentences: tuple[int, int] = SENTENCES
) -> dict[str, dict[str, float]]:
    """Exact match in percent: rule -> kind of question, or `all` -> score."""
    records = world.qa(code, count, split, sentences)
    guesser = Guesser(world.language(code), world.qa(code, 2 * count, "train", sentences), world.seed)
    table: dict[str, dict[str, float]] = {}
    for rule in RULES:
        right = [(r.kind, guesser.guess(rule, r) == r.answer) for r in records]
        groups = {kind: [ok for k, ok in right if k == kind] for kind in KINDS} | {"all": [ok for _, ok in right]}
        table[rule] = {name: 100 * sum(group) / len(group) for name, group in groups.items() if group}
    return table


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the rules' scores by kind, and how many words and marks a question with its paragraph has."""
    parser = argparse.ArgumentParser(prog="python -m recipes.world.baselines", description="Scores of guessing rules.")
    parser.add_argument("--seed", type=int, default=1, help="of the world (default: 1)")
    parser.add_argument("--language", default=BASE, metavar="CODE", help=f"default: {BASE}")
    parser.add_argument("--count", type=int, default=3500, help="test questions (default: 3500)")
    parser.add_argument("--sentences", type=sentence_range, default=SENTENCES, metavar="FROM-TO", help="of a paragraph")
    args = parser.parse_args(arguments)
    try:
        if args.count < 1:
            raise UserError(f"count: expected at least one question, got {args.count}")
        world = World(args.seed, [args.language])
        table = measure(world, args.language, args.count, sentences=args.sentences)
        records = world.qa(args.language, args.count, "test", args.sentences)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    columns = ("all", *(kind for kind in KINDS if kind in table["first"]))
    print(f"| exact match, % | {' | '.join(columns)} |\n|{'---|' * (len(columns) + 1)}")
    for rule, scores in table.items():
        print(f"| {rule} | {' | '.join(f'{scores[name]:.1f}' for name in columns)} |")
    sizes = sorted(length(r) for r in records)
    fit = 100 * sum(size <= 64 for size in sizes) / len(sizes)
    middle, most = sizes[len(sizes) // 2], sizes[int(0.95 * len(sizes))]
    print(f"\nwords and marks with four separators: median {middle}, 95 % {most}, longest {sizes[-1]}; {fit:.1f} % fit 64")
    return 0


def length(record: QaRecord) -> int:
    """Pieces of `<s> question </s> </s> context </s>` where every word and every mark is one piece."""
    return len(re.findall(r"[^\s.,]+|[.,]", f"{record.question} {record.context}")) + 4


if __name__ == "__main__":
    sys.exit(main())
