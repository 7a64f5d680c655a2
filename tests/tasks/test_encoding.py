"""Inputs keep their final separator, batches cover everything once, training order depends on seed and epoch only."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from adapt.artefacts.embedding import Embedding
from pretrain.base.errors import UserError
from tasks.classification.task import Example
from tasks.encoding import batches, encode_examples, kept_lengths, pad, shuffled_by_length


def token_by_token(first: int, second: int, budget: int) -> tuple[int, int]:
    while first + second > budget:
        if second > first:
            second -= 1
        else:
            first -= 1
    return first, second


def test_truncation_shortens_the_longer_text_token_by_token() -> None:
    for first in range(13):
        for second in range(13):
            for budget in range(2, 26):
                assert kept_lengths(first, second, budget) == token_by_token(first, second, budget)


def test_pair_encoding_is_robertas_and_keeps_the_last_separator(world: Path) -> None:
    tokenizer = Embedding.load(world / "qaa").tokenizer
    a, b = tokenizer.encode_batch(["tilo mapu", "reno"])
    pair = Example("0", "tilo mapu", "reno", 0)
    whole = encode_examples(tokenizer, [pair, Example("1", "reno", None, 0)], 64)
    assert whole.tokens[0].tolist() == [0, *a, 2, 2, *b, 2]
    assert whole.tokens[1].tolist() == [0, *b, 2]
    assert whole.truncated == 0 and whole.sizes.tolist() == [len(a) + len(b) + 4, len(b) + 2]

    long = Example("0", "tilo mapu reno " * 40, "sadi kove " * 3, 1)
    first, second = tokenizer.encode_batch([long.text_a, long.text_b or ""])
    cut = encode_examples(tokenizer, [long], 20)
    ids = cut.tokens[0].tolist()
    assert len(ids) == 20 and ids[-1] == 2 and ids[0] == 0 and cut.truncated == 1
    keep_a, keep_b = kept_lengths(len(first), len(second), 16)
    assert ids == [0, *first[:keep_a], 2, 2, *second[:keep_b], 2]
    with pytest.raises(UserError, match=r"--max-length 5: expected at least 6"):
        encode_examples(tokenizer, [long], 5)


def test_padding_and_batches() -> None:
    rows = [np.array([0, 5, 2], dtype=np.int32), np.array([0, 2], dtype=np.int32)]
    assert pad(rows).tolist() == [[0, 5, 2], [0, 2, 1]]
    sizes = np.random.default_rng(1).integers(4, 60, 500)
    groups = batches(sizes, 256)
    assert sorted(np.concatenate(groups).tolist()) == list(range(500))
    assert all(len(group) * sizes[group].max() <= 256 for group in groups)
    assert [len(group) for group in batches(np.array([300, 5, 5]), 256)] == [1, 2]


def test_training_order_depends_on_seed_and_epoch() -> None:
    sizes = np.random.default_rng(1).integers(4, 60, 5000)
    one = shuffled_by_length(sizes, 1, 1)
    assert sorted(one.tolist()) == list(range(5000))
    assert np.array_equal(one, shuffled_by_length(sizes, 1, 1))
    assert not np.array_equal(one, shuffled_by_length(sizes, 1, 2))
    assert not np.array_equal(one, shuffled_by_length(sizes, 2, 1))
    padded = sum(sizes[one[i:i + 32]].max() * 32 for i in range(0, 5000 - 32, 32))
    assert padded < 1.1 * sizes.sum()
