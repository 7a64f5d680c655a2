"""The learning rates of body and embedding: fairseq's polynomial decay, evaluated twice (docs/design-notes.md)."""

from __future__ import annotations

from dataclasses import dataclass, replace

from pretrain.base.errors import UserError
from pretrain.forgetting import Forgetting


@dataclass(frozen=True)
class Polynomial:
    """Linear warm-up from 0 to `peak`, then polynomial decay to `end` (power 1: linear)."""

    peak: float
    warmup: int
    total: int
    power: float = 1.0
    end: float = 0.0

    def __post_init__(self) -> None:
        if self.total < 1:
            raise UserError(f"the schedule needs a positive number of updates, got {self.total}; set --max-update")
        check_warmup(self.warmup, self.total, f"--warmup-updates {self.warmup}")

    def at(self, updates: float) -> float:
        """The rate of the update that follows `updates` completed ones (a real number inside an episode)."""
        if updates < self.warmup:
            return self.peak * updates / self.warmup
        if updates >= self.total:
            return self.end
        left = 1 - (updates - self.warmup) / (self.total - self.warmup)
        return (self.peak - self.end) * left**self.power + self.end


def check_warmup(warmup: int, updates: int, given: str, run: str = "the run") -> None:
    """Refuses a warm-up that is not shorter than a run.

    Args:
        given: what the user said, in the words of the command: `--warmup 40`.
        run: which run.

    Raises:
        UserError: the rate would never come down.
    """
    if warmup >= updates:
        raise UserError(f"{given}: expected fewer than the {updates} updates of {run}; lower it")


def embedding_rate(schedule: Polynomial, forgetting: Forgetting, updates: int) -> float:
    """The embedding's rate, before it is scaled: the schedule at phase (n mod K)/K within an episode, the body's rate outside.

    Where episodes have a warm-up of their own, a share of the episode, the schedule there is one with that warm-up.
    """
    phase = forgetting.phase(updates)
    if phase is None:
        return schedule.at(updates)
    if forgetting.warmup:
        schedule = replace(schedule, warmup=round(forgetting.warmup * schedule.total))
    return schedule.at(phase * schedule.total)
