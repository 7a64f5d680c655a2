"""Batches of a mixture: one task each, every example once a pass, another composition and order in every epoch."""

from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tasks.multitask.batches import Batch, epoch_batches, in_batches
from tasks.multitask.policy import POLICIES, Policy

COUNTS = st.dictionaries(st.sampled_from(["cola", "mnli", "rte"]), st.integers(1, 60), min_size=1)


def lengths(counts: dict[str, int]) -> dict[str, NDArray[np.int64]]:
    return {name: np.random.default_rng([7, count]).integers(3, 40, count) for name, count in counts.items()}


def plain(batches: list[Batch]) -> list[tuple[str, tuple[int, ...]]]:
    return [(batch.task, tuple(batch.items.tolist())) for batch in batches]


@settings(deadline=None)
@given(counts=COUNTS, size=st.integers(1, 9), seed=st.integers(0, 9), epoch=st.integers(1, 5))
def test_a_proportional_epoch_is_every_example_once(counts: dict[str, int], size: int, seed: int, epoch: int) -> None:
    found = epoch_batches(lengths(counts), size, Policy(), seed, epoch, 5)
    assert len(found) == sum(in_batches(count, size) for count in counts.values())
    for name, count in counts.items():
        own = [batch.items for batch in found if batch.task == name]
        assert sorted(np.concatenate(own).tolist()) == list(range(count))
        assert sum(len(items) != size for items in own) <= 1  # the last of a pass alone may be smaller


@settings(deadline=None)
@given(counts=COUNTS, size=st.integers(1, 9), seed=st.integers(0, 9), epoch=st.integers(1, 5), name=st.sampled_from(POLICIES))
def test_no_example_comes_a_second_time_before_all_have_come(counts: dict[str, int], size: int, seed: int, epoch: int,
                                                             name: str) -> None:
    own = Policy(name, main=next(iter(counts)))
    found = epoch_batches(lengths(counts), size, own, seed, epoch, 5)
    for task, count in counts.items():
        batches = [batch.items for batch in found if batch.task == task]
        whole = in_batches(count, size)
        for start in range(0, len(batches), whole):
            seen = Counter(np.concatenate(batches[start:start + whole]).tolist())
            assert max(seen.values()) == 1 and (len(batches[start:start + whole]) < whole or len(seen) == count)


@settings(deadline=None)
@given(seed=st.integers(0, 99), epoch=st.integers(1, 9))
def test_it_depends_on_seed_and_epoch_alone(seed: int, epoch: int) -> None:
    data = lengths({"cola": 40, "rte": 23})
    first = plain(epoch_batches(data, 4, Policy(), seed, epoch, 9))
    np.random.default_rng(epoch).random()
    assert first == plain(epoch_batches(data, 4, Policy(), seed, epoch, 9))
    assert first != plain(epoch_batches(data, 4, Policy(), seed, epoch + 1, 9))
    assert first != plain(epoch_batches(data, 4, Policy(), seed + 1, epoch, 9))


def test_composition_and_order_are_both_drawn_anew() -> None:
    data = lengths({"cola": 120, "rte": 60})
    one, two = (epoch_batches(data, 4, Policy(), 1, epoch, 9) for epoch in (1, 2))
    same = {(batch.task, *sorted(batch.items)) for batch in one} & {(batch.task, *sorted(batch.items)) for batch in two}
    assert len(same) <= 2 < len(one) / 10
    assert [batch.task for batch in one] != [batch.task for batch in two]
    # within a task the batches do not come by length
    firsts = [int(data["cola"][batch.items].max()) for batch in one if batch.task == "cola"]
    assert firsts != sorted(firsts)


def test_tasks_of_equal_size_have_draws_of_their_own() -> None:
    same = np.full(30, 9)
    found = epoch_batches({"cola": same, "rte": same}, 5, Policy("round-robin"), 1, 1, 9)
    cola, rte = ([batch.items.tolist() for batch in found if batch.task == name] for name in ("cola", "rte"))
    assert cola != rte
