"""A part of the training examples, for few-shot learning: the same for a seed, whatever else a run does."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TypeVar

import numpy as np

from pretrain.base.errors import UserError
from tasks.family import Examples

AnyExamples = TypeVar("AnyExamples", bound=Examples)


@dataclass(frozen=True)
class Subset:
    """Which examples are trained on.

    Attributes:
        share: of all; rounded down, so that 0.1 % of SNLI is 549 and of SciTail 23 examples (Liu et al. 2019, table 7).
        limit: most examples; 0: no limit.
        seed: of the draw. With one seed, a smaller share lies within every larger one.
    """

    share: float = 1.0
    limit: int = 0
    seed: int = 1

    def count(self, examples: int) -> int:
        """How many of so many examples."""
        kept = int(Fraction(repr(self.share)) * examples)  # in floats 0.29 of 100 is below 29
        return min(kept, self.limit) if self.limit else kept

    def numbers(self, examples: int) -> list[int]:
        """Which of so many examples, in rising order.

        Raises:
            UserError: none is left.
        """
        count = self.count(examples)
        if not count:
            raise UserError(f"--share {self.share:g}: of {examples:,} training examples none is left; take at least "
                            f"{1 / max(1, examples):.2g}")
        if count == examples:
            return list(range(examples))
        return sorted(np.random.default_rng([self.seed, 0x5B]).permutation(examples)[:count].tolist())

    def of(self, examples: AnyExamples) -> AnyExamples:
        """The examples that are trained on, in the order of the file."""
        return examples if self.count(len(examples)) == len(examples) else examples.only(self.numbers(len(examples)))
