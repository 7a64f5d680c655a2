"""How many batches of each task an epoch has, and in which order they come.

An epoch of a mixture has as many batches as its tasks' data together, whatever the policy; with `main-ratio` it has those of the
main task and a share of the others. N_i: batches that the data of task i makes.

| policy | batches of task i | order |
|---|---|---|
| `proportional` | N_i: each example once (Liu et al. 2019, MT-DNN, algorithm 1) | shuffled |
| `square-root` | in proportion to N_i ** 0.5 (Stickland & Murray 2019) | shuffled |
| `temperature` | in proportion to N_i ** (1 / temperature) (Devlin 2018, multilingual BERT; Raffel et al. 2020) | shuffled |
| `annealed` | in proportion to N_i ** a, a = 1 - 0.8 (e - 1) / (E - 1) in epoch e of E (Stickland & Murray 2019) | shuffled |
| `round-robin` | the same number of each | in turn, as the recipe names them |
| `main-ratio` | of the main task N_i; of all others together `ratio` times as many, drawn without repetition | shuffled |
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pretrain.base.errors import UserError, unknown

POLICIES = ("proportional", "square-root", "temperature", "round-robin", "main-ratio", "annealed")
COOLED = 0.8
"""By how much `annealed` has lowered the exponent in the last epoch."""


@dataclass(frozen=True)
class Policy:
    """A mixing policy with its settings.

    Attributes:
        temperature: of `temperature`: 1 is proportional, the higher the more equal.
        main: of `main-ratio`: the main task.
        ratio: of `main-ratio`: batches of all other tasks, as a share of the main task's.

    Raises:
        UserError: an unknown name, or a number that it cannot have.
    """

    name: str = "proportional"
    temperature: float = 2.0
    main: str = ""
    ratio: float = 1.0

    def __post_init__(self) -> None:
        if self.name not in POLICIES:
            raise unknown("policy", self.name, POLICIES)
        if self.temperature <= 0 or self.ratio < 0:
            raise UserError(f"a mixture's temperature ({self.temperature:g}) must be above 0 and its ratio ({self.ratio:g}) at "
                            "least 0")

    def check(self, tasks: Sequence[str]) -> None:
        """Refuses a main task that the mixture has not."""
        if self.name == "main-ratio" and self.main not in tasks:
            raise unknown("main task", self.main, tasks)

    def batches(self, sizes: Mapping[str, int]) -> int:
        """Batches of an epoch.

        Args:
            sizes: N_i of each task.
        """
        total = sum(sizes.values())
        if self.name != "main-ratio":
            return total
        own = sizes[self.main]
        return own + min(int(self.ratio * own), total - own)

    def counts(self, sizes: Mapping[str, int], seed: int, epoch: int, epochs: int) -> dict[str, int]:
        """Batches of each task in an epoch, at least one of each but for the others of `main-ratio`; they add up to `batches`.

        Args:
            epoch: from 1.
            epochs: E, how many are planned.
        """
        if self.name == "main-ratio":
            others = [name for name in sizes if name != self.main]
            pool = np.repeat(np.arange(len(others)), [sizes[name] for name in others])
            drawn = np.random.default_rng([seed, epoch, 1]).permutation(pool)[:self.batches(sizes) - sizes[self.main]]
            found = np.bincount(drawn, minlength=len(others)).tolist()
            return {name: sizes[name] if name == self.main else found[others.index(name)] for name in sizes}
        exponent = {"proportional": 1.0, "square-root": 0.5, "temperature": 1 / self.temperature, "round-robin": 0.0,
                    "annealed": 1 - COOLED * min(1.0, (epoch - 1) / max(1, epochs - 1))}[self.name]
        return dict(zip(sizes, shared_out(sum(sizes.values()), [size ** exponent for size in sizes.values()]), strict=True))

    def order(self, sizes: Mapping[str, int], seed: int, epoch: int, epochs: int) -> list[str]:
        """The task of each batch of an epoch; from (seed, epoch) alone."""
        counts = self.counts(sizes, seed, epoch, epochs)
        if self.name == "round-robin":
            return [name for turn in range(max(counts.values())) for name, count in counts.items() if turn < count]
        every = [name for name, count in counts.items() for _ in range(count)]
        return [every[place] for place in np.random.default_rng([seed, epoch, 2]).permutation(len(every))]


def shared_out(total: int, weights: Sequence[float]) -> list[int]:
    """`total` shared out in proportion to the weights: whole numbers, at least 1, by largest remainders; of equal remainders the
    first wins.

    Raises:
        ValueError: fewer than one for each.
    """
    if total < len(weights):
        raise ValueError(f"{total} cannot be shared out among {len(weights)}")
    left = total - len(weights)  # one each is given beforehand
    ideal = [max(0.0, total * weight / sum(weights) - 1) for weight in weights]
    scale = left / sum(ideal) if sum(ideal) else 0.0
    exact = [scale * share for share in ideal]
    whole = [int(share + 1e-9) for share in exact]  # what a division leaves below a whole number is that number
    rest = sorted(range(len(weights)), key=lambda place: (round(whole[place] - exact[place], 9), place))
    for place in rest[:left - sum(whole)]:
        whole[place] += 1
    return [share + 1 for share in whole]
