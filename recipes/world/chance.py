"""Reproducible chance: generators keyed by names, and weighted tables that are quick to draw from.

Keys go through SHA-256, never through Python's `hash`, so that PYTHONHASHSEED has no say.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate
from typing import TypeVar

import numpy

T = TypeVar("T")


def generator(*key: int | str) -> numpy.random.Generator:
    """A numpy generator that depends on the key alone; different keys give independent streams."""
    digest = hashlib.sha256("\x1f".join(f"{type(part).__name__}:{part}" for part in key).encode()).digest()
    return numpy.random.Generator(numpy.random.PCG64(int.from_bytes(digest[:16], "little")))


class Table:
    """A finite distribution over concepts."""

    __slots__ = ("_cumulative", "items")

    def __init__(self, items: Iterable[str], weights: Iterable[float]) -> None:
        self.items = tuple(items)
        self._cumulative = list(accumulate(float(w) for w in weights))
        if not self.items or len(self._cumulative) != len(self.items) or self._cumulative[-1] <= 0:
            raise ValueError(f"a table needs as many weights as items, with a positive sum: {self.items}")

    def at(self, uniform: float) -> str:
        """The item at `uniform` in [0, 1) of the cumulative distribution."""
        place = bisect_right(self._cumulative, uniform * self._cumulative[-1])
        return self.items[min(place, len(self.items) - 1)]


class Draw:
    """Uniform numbers from one generator, fetched in blocks because a scalar numpy call is slow."""

    __slots__ = ("_block", "_generator")

    def __init__(self, source: numpy.random.Generator) -> None:
        self._generator = source
        self._block: list[float] = []

    def uniform(self) -> float:
        """A number in [0, 1)."""
        if not self._block:
            self._block = self._generator.random(4096).tolist()
        return self._block.pop()

    def happens(self, probability: float) -> bool:
        """True with the given probability."""
        return self.uniform() < probability

    def among(self, items: Sequence[T]) -> T:
        """One of `items`, all equally likely."""
        return items[int(self.uniform() * len(items))]

    def shuffled(self, items: Sequence[T]) -> list[T]:
        """`items` in random order."""
        left = list(items)
        return [left.pop(int(self.uniform() * len(left))) for _ in range(len(left))]

    def weighted(self, options: Sequence[tuple[T, float]]) -> T:
        """One of the (item, weight) options."""
        point = self.uniform() * sum(weight for _, weight in options)
        for item, weight in options:
            point -= weight
            if point < 0:
                return item
        return options[-1][0]

    def pick(self, table: Table, accept: Callable[[str], bool] | None = None) -> str | None:
        """An item of `table` that `accept` allows; None where it allows none."""
        if accept is None:
            return table.at(self.uniform())
        for _ in range(12):
            item = table.at(self.uniform())
            if accept(item):
                return item
        allowed = [item for item in table.items if accept(item)]  # a rare item: stop guessing
        return self.among(allowed) if allowed else None
