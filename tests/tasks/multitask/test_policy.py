"""Mixing policies: the counts that their formulas give, whole numbers that add up, orders that depend on (seed, epoch) alone."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pretrain.base.errors import UserError
from tasks.multitask.policy import POLICIES, Policy, shared_out

SIZES = st.dictionaries(st.sampled_from(["cola", "mnli", "rte", "stsb", "qnli"]), st.integers(1, 300), min_size=1)
MIXED = {"a": 1, "b": 4, "c": 16, "d": 64}


def policy(name: str, sizes: dict[str, int], **changes: float) -> Policy:
    return Policy(name, main=next(iter(sizes)), **changes)


@settings(deadline=None)
@given(sizes=SIZES, name=st.sampled_from(POLICIES), seed=st.integers(0, 99), epoch=st.integers(1, 9))
def test_counts_add_up_to_the_epoch_and_no_task_is_left_out(sizes: dict[str, int], name: str, seed: int, epoch: int) -> None:
    own = policy(name, sizes)
    counts = own.counts(sizes, seed, epoch, 9)
    assert list(counts) == list(sizes) and sum(counts.values()) == own.batches(sizes)
    if name == "main-ratio":
        assert all(counts[task] <= size for task, size in sizes.items()) and counts[own.main] == sizes[own.main]
    else:
        assert min(counts.values()) >= 1 and own.batches(sizes) == sum(sizes.values())


@settings(deadline=None)
@given(sizes=SIZES, name=st.sampled_from(POLICIES), seed=st.integers(0, 99), epoch=st.integers(1, 9))
def test_the_order_has_the_counts_and_is_drawn_from_seed_and_epoch(sizes: dict[str, int], name: str, seed: int,
                                                                   epoch: int) -> None:
    own = policy(name, sizes)
    order = own.order(sizes, seed, epoch, 9)
    assert Counter(order) == Counter({task: n for task, n in own.counts(sizes, seed, epoch, 9).items() if n})
    assert order == own.order(sizes, seed, epoch, 9)


@pytest.mark.parametrize("name", [name for name in POLICIES if name != "round-robin"])
def test_another_epoch_or_seed_has_another_order(name: str) -> None:
    own = policy(name, MIXED)
    assert len({tuple(own.order(MIXED, *draw, 9)) for draw in ((1, 1), (1, 2), (2, 1))}) == 3


@pytest.mark.parametrize("name, expected", [
    ("proportional", [1, 4, 16, 64]),
    ("square-root", [6, 11, 23, 45]),  # 85 shared by 1 : 2 : 4 : 8 is 5.7, 11.3, 22.7, 45.3
    ("round-robin", [22, 21, 21, 21]),
])
def test_counts_by_hand(name: str, expected: list[int]) -> None:
    assert list(Policy(name).counts(MIXED, 1, 1, 9).values()) == expected


def test_temperature_lies_between_proportional_and_equal() -> None:
    counts = {t: Policy("temperature", temperature=t).counts(MIXED, 1, 1, 9) for t in (1.0, 2.0, 1e9)}
    assert counts[1.0] == Policy().counts(MIXED, 1, 1, 9)
    assert counts[2.0] == Policy("square-root").counts(MIXED, 1, 1, 9)
    assert sorted(counts[1e9].values()) == [21, 21, 21, 22]


def test_annealing_begins_proportional_and_ends_at_the_fifth_root() -> None:
    own = Policy("annealed")
    assert own.counts(MIXED, 1, 1, 5) == Policy().counts(MIXED, 1, 1, 5)
    assert own.counts(MIXED, 1, 5, 5) == Policy("temperature", temperature=5).counts(MIXED, 1, 1, 5)
    assert own.counts(MIXED, 1, 3, 5) == Policy("temperature", temperature=1 / 0.6).counts(MIXED, 1, 1, 5)
    small = [own.counts(MIXED, 1, epoch, 5)["a"] for epoch in range(1, 6)]
    assert small == sorted(small) and small[-1] > small[0]
    assert own.counts(MIXED, 1, 1, 1) == MIXED  # one epoch: no division by zero


def test_the_main_task_comes_whole_and_the_others_in_its_ratio() -> None:
    own = Policy("main-ratio", main="c", ratio=0.5)
    draws = [own.counts(MIXED, 1, epoch, 9) for epoch in range(1, 30)]
    assert all(counts["c"] == 16 and sum(counts.values()) == 24 for counts in draws)
    assert len({tuple(counts.values()) for counts in draws}) > 1
    # all there is, where the ratio asks for more
    assert Policy("main-ratio", main="d", ratio=9).counts(MIXED, 1, 1, 9) == MIXED
    assert sum(Policy("main-ratio", main="d", ratio=0).counts(MIXED, 1, 1, 9).values()) == 64


def test_round_robin_goes_in_turn() -> None:
    assert Policy("round-robin").order({"a": 1, "b": 3, "c": 1}, 7, 3, 9) == ["a", "b", "c", "a", "b"]


def test_shares_are_whole_and_nearest() -> None:
    assert shared_out(10, [1, 1, 1]) == [4, 3, 3]
    assert shared_out(3, [1000, 1, 1]) == [1, 1, 1]
    assert shared_out(7, [2, 5]) == [2, 5]
    with pytest.raises(ValueError, match="2 cannot be shared out among 3"):
        shared_out(2, [1, 1, 1])


def test_mistakes() -> None:
    with pytest.raises(UserError, match=r"unknown policy 'roundrobin', did you mean 'round-robin'"):
        Policy("roundrobin")
    with pytest.raises(UserError, match=r"unknown main task 'mnl', did you mean 'mnli'"):
        Policy("main-ratio", main="mnl").check(["mnli", "rte"])
    with pytest.raises(UserError, match=r"temperature \(0\) must be above 0"):
        Policy("temperature", temperature=0)
