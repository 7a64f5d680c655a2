"""The count of floating-point operations: against a count by hand, and the table."""

from __future__ import annotations

import pytest

from pretrain.settings import PretrainRecipe
from recipes.bench.compute import main, operations
from tests.recipes.demo.test_demo import RECIPES

RECIPE = PretrainRecipe(data="any", output="any", arch="electra_tiny", layers=1, width=16, heads=2, ffn=32, embedding_width=16,
                        tokens_per_sample=8, batch_size=4, generator="uniform", tying="none")


def test_a_discriminator_alone_is_counted_as_by_hand():
    """Per token forward: four projections 16 x 16, the feed-forward layer 2 x 16 x 32, the head 16 x 16 + 16, two attention
    products of 8 x 16; an operation is a multiplication or an addition. Backward costs twice that; attention recomputes
    its first product."""
    tokens, attention = 4 * 8, 8 * 16
    forward = 2 * tokens * (4 * 256 + 2 * 512 + 256 + 16 + 2 * attention)
    assert operations(RECIPE, 50) == pytest.approx(3 * forward, rel=0.1)


def test_operations_grow_with_the_micro_batches_of_an_update():
    from dataclasses import replace

    assert operations(replace(RECIPE, update_freq=3), 50) == 3 * operations(RECIPE, 50)


def test_both_demos_cost_the_same(capsys):
    assert main([str(RECIPES / "demo-standard.yaml"), str(RECIPES / "demo-electra-standard.yaml")]) == 0
    totals = [float(line.split()[-2]) for line in capsys.readouterr().out.splitlines()[1:3]]
    assert totals[1] == pytest.approx(totals[0], rel=0.01)


def test_more_hidden_tokens_cost_more():
    from dataclasses import replace

    pair = replace(RECIPE, generator="network")
    assert operations(replace(pair, mask_prob=0.5), 50) > operations(pair, 50) > operations(RECIPE, 50)
