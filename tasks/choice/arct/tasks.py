"""ARCT: with which of two warrants does a reason support a claim (Habernal et al. 2018, SemEval task 12)? Accuracy.

Task `arct` reads claim and reason as the first text, the warrant as the second; `arct-w`, `arct-rw` and `arct-cw` leave out
claim and reason, the claim, or the reason: what they score above chance comes without the argument (Niven and Kao 2019). Splits
`…_adversarial` hold every point twice, the second time with its claim negated and the other warrant right.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from tasks.choice.task import ChoiceTask, Compose, Option
from tasks.definition import register
from tasks.reading.files import SPLITS, Files

WARRANTS = ("warrant0", "warrant1")
TEXTS = ("claim", "reason", *WARRANTS)
GOLD = "correctLabelW0orW1"
ADVERSARIAL = "-adversarial"
"""What the id of the second of two mirrored points ends with."""
VARIANTS: dict[str, tuple[str, ...]] = {"arct": ("claim", "reason"), "arct-w": (), "arct-rw": ("reason",), "arct-cw": ("claim",)}
"""Task -> what stands before the warrant."""
FILES = Files("arct", stems={
    **{split: (f"{split}-full", split, f"ukp_{split}") for split in SPLITS},
    **{f"{split}_adversarial": (f"{split}-adv-negated", f"{split}_adversarial") for split in SPLITS}})


def sentence(text: str) -> str:
    """A text that ends as a sentence does."""
    return text if text.endswith((".", "!", "?")) else f"{text}."


def composed(before: Sequence[str]) -> Compose:
    """How a row becomes two inputs, with these columns before each warrant."""
    def compose(row: Mapping[str, str]) -> tuple[Option, ...]:
        if not before:
            return tuple((row[warrant], None) for warrant in WARRANTS)
        return tuple((" ".join(sentence(row[name]) for name in before), row[warrant]) for warrant in WARRANTS)
    return compose


def mirrored(ids: Sequence[str]) -> list[tuple[int, int]]:
    """Numbers of the points whose second half is there too."""
    place = {identifier: number for number, identifier in enumerate(ids)}
    return [(place[identifier.removesuffix(ADVERSARIAL)], number) for number, identifier in enumerate(ids)
            if identifier.endswith(ADVERSARIAL) and identifier.removesuffix(ADVERSARIAL) in place]


def _task(name: str, pairs: Callable[[Sequence[str]], list[tuple[int, int]]]) -> ChoiceTask:
    return register(ChoiceTask(name=name, version="1.0", languages=("en",), splits=tuple(FILES.stems), candidates=2, texts=TEXTS,
                               compose=composed(VARIANTS[name]), files=FILES, gold=GOLD, paired=pairs))


ARCT, ARCT_W, ARCT_RW, ARCT_CW = (_task(name, mirrored) for name in VARIANTS)
