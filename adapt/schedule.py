"""The learning rate of a language adaptation: one annealed run, or several from the same start, one after the other.

Several budgets are one training, so that body, text and processes are loaded once: run i takes the updates from `starts[i]`
on. Everything is a function of the number of completed updates, so resuming changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from pretrain.schedule import Polynomial


@dataclass(frozen=True)
class Annealed:
    """Runs with a warm-up and a linear decay to 0 each.

    Attributes:
        lengths: updates of each run, in the order in which they are trained.
        peaks: peak learning rate of each.
        warmup: updates of warm-up; -1: a tenth of the run.
    """

    lengths: tuple[int, ...]
    peaks: tuple[float, ...]
    warmup: int = -1

    @property
    def total(self) -> int:
        """Updates of all runs."""
        return sum(self.lengths)

    @property
    def starts(self) -> list[int]:
        """Completed updates before the first update of each run."""
        return [0, *accumulate(self.lengths)][:-1]

    def run_of(self, updates: int) -> int:
        """The run that the update after `updates` completed ones belongs to; the last one at the end."""
        return max(index for index, start in enumerate(self.starts) if start <= updates)

    def warmup_of(self, run: int) -> int:
        """Updates of warm-up of a run."""
        return warmup_of(self.lengths[run], self.warmup)

    def at(self, updates: float) -> float:
        """The rate of the update that follows `updates` completed ones."""
        run = self.run_of(int(updates))
        curve = Polynomial(self.peaks[run], self.warmup_of(run), self.lengths[run])
        return curve.at(updates - self.starts[run])


def warmup_of(updates: int, warmup: int) -> int:
    """Updates of warm-up of a run of so many; -1: a tenth."""
    return updates // 10 if warmup < 0 else warmup


def scaled(rate: float, tested: int, lengths: Sequence[int]) -> tuple[float, ...]:
    """The rates of runs of these lengths where `rate` was found in runs of `tested` updates.

    They fall with the square root of the length: what Adam moves a row by is about the rate times the root of the updates, so
    that every run ends as far from its start (docs/adaptation.md).
    """
    return tuple(rate * min(1.0, (tested / length) ** 0.5) for length in lengths)
