"""Batches of one task each, in the order of a policy: what they hold and when they come is drawn anew in every epoch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasks.encoding import shuffled_by_length
from tasks.multitask.policy import Policy

WINDOW = 16
"""Most batches among which items are sorted by length."""


@dataclass(frozen=True)
class Batch:
    """Numbers of a task's items [B]."""

    task: str
    items: NDArray[np.int64]


def in_batches(count: int, size: int) -> int:
    """How many batches so many items make, the last perhaps smaller."""
    return -(-count // size)


def task_batches(sizes: NDArray[np.int64], size: int, seed: int, epoch: int, *key: int) -> list[NDArray[np.int64]]:
    """All items of a task once, in batches of similar length, themselves in a drawn order; from the numbers given alone.

    Args:
        sizes: tokens of each item.
        size: items of a batch.
        key: tells draws of one epoch apart.
    """
    whole = in_batches(len(sizes), size)
    # sorted by length as a whole, a small set would make the same batches in every epoch
    window = size * max(1, min(WINDOW, whole // 4))
    order = shuffled_by_length(sizes, seed, epoch, window, key)
    batches = [order[start:start + size] for start in range(0, len(order), size)]
    return [batches[place] for place in np.random.default_rng([seed, epoch, *key, 1]).permutation(len(batches))]


def epoch_batches(sizes: Mapping[str, NDArray[np.int64]], size: int, policy: Policy, seed: int, epoch: int,
                  epochs: int) -> list[Batch]:
    """All batches of an epoch in their order, from (seed, epoch) alone, so that a run can be resumed within it.

    A task that has more batches than its data makes goes through its data again, in another draw.

    Args:
        sizes: of each task the tokens of its items.
        epoch: from 1.
        epochs: how many are planned.
    """
    counts = {name: in_batches(len(own), size) for name, own in sizes.items()}
    places = {name: number for number, name in enumerate(sizes)}
    ready: dict[str, list[NDArray[np.int64]]] = {name: [] for name in sizes}
    passes = dict.fromkeys(sizes, 0)
    found = []
    for name in policy.order(counts, seed, epoch, epochs):
        if not ready[name]:
            ready[name] = task_batches(sizes[name], size, seed, epoch, places[name], passes[name])[::-1]
            passes[name] += 1
        found.append(Batch(name, ready[name].pop()))
    return found
