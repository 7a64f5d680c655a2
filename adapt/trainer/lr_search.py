"""`--lr auto`: a short test of learning rates on the text that is adapted to; losses alone are looked at, never labels.

Each rate trains the same start on the same blocks for a few dozen updates, warmed up and brought down to 0; then the held-out
loss is read. The rate with the lowest one wins, among those that are allowed:

- no rate that made the training loss rise above what the start has on the same blocks;
- where the start knows something, no rate that moves the rows away from it. A start knows something if its held-out loss is
  lower than with its ordinary rows permuted. Then the loss alone would choose too high a rate: it falls faster where the rows
  are learned anew, and what the start gave (the words' meanings) is lost.

Plain torch: model, criterion and optimizer are those of the training (docs/adaptation.md).
"""

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from adapt.schedule import Annealed, warmup_of

logger = logging.getLogger(__name__)

RATES = (1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 1e-1)
"""Rates that are tried, from the lowest; none above one that did clearly worse than a lower one."""
UPDATES = 24
"""Of each rate."""
KEPT = 0.5
"""Mean cosine that the rows of a start that knows something must still have with that start."""
RISE = 1.02
"""The training loss may not rise above so many times the start's."""
WORSE = 1.1
"""A held-out loss so many times the best ends the test: higher rates are not tried."""
SHUFFLES, INFORMED = 6, 0.98
"""The start knows something if its loss is below this share of the lowest of so many permuted starts. Random starts and their
permutations differ by up to a sixtieth among themselves: with three of them and 0.99, one of twenty seemed to know something.
On a strong body rows from a dictionary are 2.2 to 4.7 % below, eight random starts at most 0.04 % (docs/retrofit.md)."""


@dataclass
class Tried:
    """What a rate did.

    Attributes:
        rate: peak learning rate.
        loss: held-out loss afterwards, bits.
        rise: the highest training loss as a multiple of the start's on the same blocks, means of four updates.
        kept: mean cosine of the rows that the blocks hold with the same rows of the start.
    """

    rate: float
    loss: float
    rise: float
    kept: float


@dataclass
class Found:
    """The outcome.

    Attributes:
        rate: the rate that was chosen.
        updates: updates of each run of the test.
        start: held-out loss of the start, bits.
        permuted: that of the start with permuted rows, the lowest.
        informed: whether the start knows something.
        why: the choice in words.
        tried: every rate.
    """

    rate: float
    updates: int
    start: float
    permuted: float
    informed: bool
    why: str = ""
    tried: list[Tried] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def choose(start: float, permuted: float, tried: Sequence[Tried], updates: int) -> Found:
    """The outcome of what was measured."""
    informed = start < INFORMED * permuted
    safe = [one for one in tried if math.isfinite(one.loss) and one.rise <= RISE]
    allowed = [one for one in safe if not informed or one.kept >= KEPT]
    best = min(allowed, key=lambda one: one.loss) if allowed else min(tried, key=lambda one: one.rate)
    why = (f"held-out loss {best.loss:.3f} bits after {updates} updates at {best.rate:g}, from {start:.3f}: the lowest of "
           f"{len(allowed)} rates of {len(tried)}")
    if not allowed:
        why = f"every rate tried made things worse: {best.rate:g} is the lowest"
    if informed:
        why += (f"; the start knows something (with its rows permuted: {permuted:.3f} bits), so rates were allowed that leave "
                f"rows at a cosine of {KEPT:g} or more to it")
        free = min(safe, key=lambda one: one.loss, default=best)
        if free.rate != best.rate:
            why += f"; loss alone would have chosen {free.rate:g}"
    return Found(best.rate, updates, start, permuted, informed, why, list(tried))


@torch.no_grad()
def permuted_losses(tables: Sequence[Tensor], ordinary: slice, held_out: Callable[[], float]) -> list[float]:
    """Held-out losses with the ordinary rows of all tables permuted alike; the tables are as before afterwards."""
    kept = [table.detach().clone() for table in tables]
    losses = []
    for number in range(SHUFFLES):
        count = len(range(*ordinary.indices(len(tables[0]))))
        order = torch.randperm(count, generator=torch.Generator().manual_seed(number)).to(tables[0].device)
        for table, before in zip(tables, kept, strict=True):
            table[ordinary] = before[ordinary][order]
        losses.append(held_out())
    for table, before in zip(tables, kept, strict=True):
        table.copy_(before)
    return losses


def rates(peak: float, updates: int) -> list[float]:
    """The rate of each update of a test: those of a run of so many, from its first one above 0 on, and all of them above 0.

    Of the usual `UPDATES` the last one is 0: all figures (docs/adaptation.md) were measured so, and of 24 one more is no matter.
    """
    warmup = warmup_of(updates, -1)
    first = 1 if warmup else 0  # a warm-up begins at 0
    curve = Annealed((updates + (first if updates < UPDATES else 0),), (peak,), warmup)
    return [curve.at(update) for update in range(first, updates + first)]


def try_rate(rate: float, parameters: Sequence[torch.nn.Parameter], table: Tensor, blocks: Sequence[Tensor], optimizer: Any,
             loss_of: Callable[[int], tuple[Tensor, Tensor]], reference: Sequence[float], clip: float,
             held_out: Callable[[], float]) -> Tried:
    """Trains the start at one rate and puts it back.

    Args:
        parameters: what is trained.
        table: the token embedding [V, E].
        blocks: ids of the batch of each update.
        loss_of: summed loss and number of targets on the batch of an update.
        reference: mean loss of the start on the same batches.
        clip: ceiling of the gradient norm.
    """
    before = [parameter.detach().clone() for parameter in parameters]
    start, means = table.detach().clone(), []
    for update, present in enumerate(rates(rate, len(blocks))):
        optimizer.set_lr(present)
        optimizer.zero_grad()
        loss, count = loss_of(update)
        means.append(float(loss.detach()) / float(count))
        optimizer.backward(loss)
        optimizer.multiply_grads(1.0 / float(count))
        try:
            optimizer.clip_grad_norm(clip)
            optimizer.step()
        except OverflowError:  # of fp16: the update is left out
            pass
    seen = torch.cat([block.reshape(-1) for block in blocks]).unique()
    kept = F.cosine_similarity(table.detach()[seen].float(), start[seen].float(), dim=1)
    kept = kept[start[seen].float().norm(dim=1) > 0]
    rise = max((sum(means[at:at + 4]) / max(1e-9, sum(reference[at:at + 4])) for at in range(0, len(means), 4)), default=1.0)
    tried = Tried(rate, held_out(), rise, float(kept.mean()) if len(kept) else 1.0)
    with torch.no_grad():
        for parameter, value in zip(parameters, before, strict=True):
            parameter.copy_(value)
    optimizer.zero_grad()
    optimizer.forget_state(parameters)
    return tried
