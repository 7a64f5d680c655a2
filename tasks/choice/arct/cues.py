"""What a word of a warrant tells about which of two is right, without any argument (Niven and Kao 2019, section 3).

With T_j the tokens of warrant j: the applicability of a cue is the number of points where exactly one T_j holds it, its
productivity the share of those where that warrant is right, its coverage the applicability as a share of all points. A cue helps
where its productivity is above one half. Tokens: lower case, runs of letters, digits, underscores and apostrophes, so that
`can't` is one.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tasks.choice.arct.tasks import GOLD, WARRANTS

TOKEN = re.compile(r"[\w']+")
NEGATIONS = "not, n't, cannot"
"""Name of the one cue that counts every negated verb."""


@dataclass(frozen=True)
class Cue:
    """A cue over a set of points.

    Attributes:
        name: the token, or tokens in a row.
        applicability: points where one warrant alone has it.
        right: those of them where that warrant is right.
        points: of the whole set.
    """

    name: str
    applicability: int
    right: int
    points: int

    @property
    def productivity(self) -> float:
        """nan where it applies nowhere."""
        return self.right / self.applicability if self.applicability else float("nan")

    @property
    def coverage(self) -> float:
        return self.applicability / self.points


def tokens(text: str, length: int = 1) -> set[str]:
    """The tokens of a text, or runs of `length` of them."""
    found = TOKEN.findall(text.lower().replace("’", "'"))
    return {" ".join(found[at:at + length]) for at in range(len(found) - length + 1)}


def negated(text: str) -> bool:
    """Does a text hold `not`, `cannot` or a word that ends in n't?"""
    return any(token in ("not", "cannot") or token.endswith("n't") for token in tokens(text))


def statistics(points: Sequence[Mapping[str, str]], length: int = 1) -> list[Cue]:
    """Every cue of a set, the widest first.

    Args:
        length: of runs of tokens: 1 single ones, 2 pairs.
    """
    applies: Counter[str] = Counter()
    right: Counter[str] = Counter()
    for point in points:
        held = [tokens(point[name], length) for name in WARRANTS]
        for own, names in enumerate((held[0] - held[1], held[1] - held[0])):
            applies.update(names)
            if int(point[GOLD]) == own:
                right.update(names)
    return sorted((Cue(name, count, right[name], len(points)) for name, count in applies.items()),
                  key=lambda cue: (-cue.applicability, cue.name))


def of(points: Sequence[Mapping[str, str]], name: str, holds: Callable[[str], bool]) -> Cue:
    """One cue, given by what holds of a warrant that has it."""
    applies = right = 0
    for point in points:
        held = [holds(point[warrant]) for warrant in WARRANTS]
        if held[0] != held[1]:
            applies += 1
            right += held[int(point[GOLD])]
    return Cue(name, applies, right, len(points))


def negations(points: Sequence[Mapping[str, str]]) -> Cue:
    """Every negated verb as one cue."""
    return of(points, NEGATIONS, negated)


def longer(points: Sequence[Mapping[str, str]]) -> float:
    """Accuracy of choosing the warrant of more characters; of two equally long ones the second."""
    return sum(int(len(point[WARRANTS[1]]) >= len(point[WARRANTS[0]])) == int(point[GOLD]) for point in points) / len(points)
