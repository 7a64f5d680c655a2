"""Every statistic against a case computed by hand, and against scipy where it has the same thing."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from scipy import stats

from tasks import statistics as s


def test_standard_error_by_hand():
    # 1 2 3 4: variance (2.25 + .25 + .25 + 2.25) / 3 = 5/3; sqrt(5/3 / 4) = .6454972
    assert s.standard_error([1, 2, 3, 4]) == pytest.approx(0.6454972, rel=1e-6, abs=1e-7)


def test_bootstrap_of_two_examples_has_the_interval_of_its_four_resamples():
    # means 0, .5, .5, 1 with probabilities 1/4, 1/2, 1/4: the 2.5 % and 97.5 % points are 0 and 1, the quartiles 0..1
    assert s.bootstrap([0, 1]) == s.Estimate(0.5, 0.0, 1.0, 2)
    assert s.bootstrap([0, 1], level=0.4) == s.Estimate(0.5, 0.5, 0.5, 2)


def test_bootstrap_agrees_with_scipys():
    values = np.random.default_rng(3).beta(0.4, 0.6, 300)
    other = stats.bootstrap((values,), np.mean, method="percentile", n_resamples=5000, rng=7).confidence_interval
    ours = s.bootstrap(values, resamples=5000)
    assert (ours.low, ours.high) == pytest.approx((other.low, other.high), abs=0.004)


def test_bootstrap_of_a_share_equals_that_of_its_examples():
    examples = [1.0] * 37 + [0.0] * 63
    one, two = s.bootstrap(examples, resamples=20_000), s.bootstrap_share(37, 100, resamples=20_000)
    assert (one.value, one.count) == (two.value, two.count)
    assert (one.low, one.high) == pytest.approx((two.low, two.high), abs=0.011)  # one example more or less


def test_counts_of_few_values_are_the_same_bootstrap_and_the_same_flips(monkeypatch):
    values = np.random.default_rng(4).choice([-1, -1 / 3, 0, 1 / 3, 2 / 3], 400, p=[0.1, 0.2, 0.3, 0.3, 0.1])
    counted, flipped = s.bootstrap(values, resamples=20_000), s.sign_flip(values)
    monkeypatch.setattr(s, "FEW", 0)
    drawn = s.bootstrap(values, resamples=20_000)
    assert (counted.low, counted.high) == pytest.approx((drawn.low, drawn.high), abs=0.003)
    assert 0.001 < flipped < 0.9 and flipped == pytest.approx(s.sign_flip(values), rel=0.3)


def test_ratio_of_sums_of_two_examples_has_the_interval_of_its_four_resamples():
    # 1/1 twice, 1/4 once each way (that is 1/4 = (1 + 0) / (1 + 3)), 0/3: the 2.5 % and 97.5 % points are 0 and 1
    assert s.bootstrap_ratio([1, 0], [1, 3]) == s.Estimate(0.25, 0.0, 1.0, 2)
    assert s.bootstrap_ratio([1, 0], [1, 3], level=0.4) == s.Estimate(0.25, 0.25, 0.25, 2)
    # residuals 1 - .25 and 0 - .75: sqrt(2 / 1 * (.5625 + .5625)) / 4
    assert s.ratio_standard_error([1, 0], [1, 3]) == pytest.approx(math.sqrt(2 * 1.125) / 4)


def test_ratio_over_equal_denominators_is_a_mean():
    values = np.random.default_rng(3).beta(0.4, 0.6, 300)
    ratio, mean = s.bootstrap_ratio(2 * values, np.full(300, 2.0)), s.bootstrap(values)
    assert (ratio.value, ratio.low, ratio.high) == pytest.approx((mean.value, mean.low, mean.high))
    assert s.ratio_standard_error(2 * values, np.full(300, 2.0)) == pytest.approx(s.standard_error(values))


def test_standard_error_of_a_ratio_is_that_of_its_resamples():
    draw = np.random.default_rng(5)
    below = draw.integers(0, 9, 400)
    above = draw.binomial(below, 0.6)
    interval = s.bootstrap_ratio(above, below, level=0.6827, resamples=20_000)
    assert (interval.high - interval.low) / 2 == pytest.approx(s.ratio_standard_error(above, below), rel=0.05)


def test_resamples_without_a_denominator_do_not_count():
    assert s.bootstrap_ratio([1, 0], [2, 0]) == s.Estimate(0.5, 0.5, 0.5, 2)
    with pytest.raises(ValueError, match="all denominators are zero"):
        s.bootstrap_ratio([0, 0], [0, 0])


def test_bootstrap_ignores_the_global_generators_and_the_size_of_its_blocks(monkeypatch):
    values = np.random.default_rng(4).random(s.FEW + 5)
    first = s.bootstrap(values)
    np.random.seed(5)
    random.seed(5)
    assert s.bootstrap(values) == first and s.bootstrap(values, seed=2) != first
    monkeypatch.setattr(s, "BLOCK", 7)
    assert s.bootstrap(values) == first


def test_interval_over_seeds_by_hand_and_by_scipy():
    # .1 .2 .3: mean .2, sd .1, t(.975, 2) = 4.302653, half-width .248414
    ours = s.over_seeds([0.1, 0.2, 0.3])
    assert (ours.value, ours.low, ours.high) == pytest.approx((0.2, -0.048414, 0.448414), rel=1e-6, abs=1e-6)
    other = stats.t.interval(0.95, 2, loc=0.2, scale=stats.sem([0.1, 0.2, 0.3]))
    assert (ours.low, ours.high) == pytest.approx(other)


def test_one_seed_has_no_interval():
    with pytest.raises(ValueError, match="at least 2"):
        s.over_seeds([0.5])


def test_paired_t_equals_scipys_test_of_related_samples():
    one, two = [0.50, 0.61, 0.55, 0.42], [0.58, 0.60, 0.66, 0.47]
    assert s.paired_t(np.subtract(two, one)) == pytest.approx(stats.ttest_rel(two, one).pvalue)


def test_paired_t_makes_no_certainty_of_seeds_without_spread():
    assert math.isnan(s.paired_t([0.1, 0.1])) and s.paired_t([0.0, 0.0]) == 1.0


def test_mcnemar_by_hand():
    # eight gained, one lost: 2 * (C(9,0) + C(9,1)) / 2^9 = 20 / 512; agreements do not matter
    one = [0] * 8 + [1] + [1] * 50 + [0] * 20
    two = [1] * 8 + [0] + [1] * 50 + [0] * 20
    assert s.mcnemar(one, two) == s.mcnemar(two, one) == pytest.approx(20 / 512)


def test_mcnemar_without_disagreement_and_with_wrong_input():
    assert s.mcnemar([1, 0, 1], [1, 0, 1]) == 1.0
    with pytest.raises(ValueError, match="sign_flip"):
        s.mcnemar([0.5, 1], [1, 1])
    with pytest.raises(ValueError, match="not paired"):
        s.mcnemar([1, 1], [1])


def test_sign_flip_by_hand():
    # |sum| of (±1 ±2 ±3) >= 6 in 2 of 8 flips; of (1, 2, -3), sum 0, in all
    assert s.sign_flip([1, 2, 3, 0, 0]) == 0.25
    assert s.sign_flip([1, 2, -3]) == 1.0 and s.sign_flip([0, 0]) == 1.0


def test_sign_flip_of_right_and_wrong_is_mcnemar():
    one, two = [0] * 8 + [1] + [1] * 5, [1] * 8 + [0] + [1] * 5
    assert s.sign_flip(np.subtract(two, one)) == pytest.approx(s.mcnemar(one, two))


def test_random_sign_flips_agree_with_scipys_permutation_test(monkeypatch):
    differences = np.random.default_rng(1).normal(0.12, 0.6, 90)
    other = stats.permutation_test((differences, np.zeros(90)), lambda a, b: np.mean(a - b), permutation_type="samples",
                                   n_resamples=20_000, rng=3).pvalue
    ours = s.sign_flip(differences)
    assert ours == pytest.approx(other, abs=0.02) and 0.01 < other < 0.9
    monkeypatch.setattr(s, "BLOCK", 200)
    assert s.sign_flip(differences) == ours


def test_random_sign_flips_are_never_certain():
    assert s.sign_flip(np.ones(40), flips=99) == 0.01


def test_paired_bootstrap_keeps_pairs_together():
    one = np.random.default_rng(2).random(50)
    found = s.paired_bootstrap(one, one + 0.1)  # the difference has no spread at all, though the scores have
    assert (found.value, found.low, found.high) == pytest.approx((0.1, 0.1, 0.1))


def test_no_spread_but_that_of_arithmetic_is_none():
    assert math.isnan(s.paired_t([0.1 + 0.2, 0.3, 0.3])) and s.paired_t([0.1 + 0.2 - 0.3, 0.0]) == 1.0


ONE, TWO = [[1, 1], [0, 1], [0, 2]], [[1, 1], [1, 1], [2, 2]]
"""Ratios 1/4 and 4/4; the first example is the same in both."""


def test_swap_test_by_hand():
    # the two that differ, swapped or not: ratios (1/4, 1), (2/4, 3/4), (3/4, 2/4), (1, 1/4): |difference| >= 3/4 in 2 of 4
    assert s.swap_test(ONE, TWO) == s.swap_test(TWO, ONE) == 0.5
    assert s.swap_test(ONE, ONE) == 1.0


def test_swap_test_of_equal_denominators_is_the_sign_flip_test(monkeypatch):
    draw = np.random.default_rng(1)
    one, two = draw.binomial(5, 0.5, 60), draw.binomial(5, 0.58, 60)
    five = np.full(60, 5)
    p = s.swap_test(np.stack([one, five], 1), np.stack([two, five], 1))
    assert 0.005 < p < 0.6 and p == pytest.approx(s.sign_flip(two - one), abs=0.015)
    monkeypatch.setattr(s, "BLOCK", 200)
    assert s.swap_test(np.stack([one, five], 1), np.stack([two, five], 1)) == p


def test_paired_ratio_bootstrap_keeps_pairs_together():
    below = np.random.default_rng(2).integers(1, 9, 50)
    found = s.paired_ratio_bootstrap(np.stack([0 * below, below], 1), np.stack([below // 1, 2 * below], 1))
    assert (found.value, found.low, found.high) == pytest.approx((0.5, 0.5, 0.5))  # 0 and 1/2 in whatever is drawn
    assert s.paired_ratio_bootstrap([[1, 2]], [[1, 1]]) == s.Estimate(0.5, 0.5, 0.5, 1)
    with pytest.raises(ValueError, match="not paired"):
        s.paired_ratio_bootstrap([[1, 2]], [[1, 1], [1, 1]])


def test_holm_by_hand():
    # sorted .01 .02 .03 .04 times 4 3 2 1 = .04 .06 .06 .04, then never falling: .04 .06 .06 .06
    assert s.holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert s.holm([0.6, 0.7]) == [1.0, 1.0] and s.holm([]) == []


def test_holm_does_not_count_what_was_not_tested():
    found = s.holm([0.04, math.nan, 0.01])
    assert found[0] == 0.04 and math.isnan(found[1]) and found[2] == 0.02


def test_the_two_relative_gains_differ():
    # 20 -> 40 is +100 %, 80 -> 80 is 0: mean 50 %; means 50 -> 60: 20 %
    baseline, arm = {"a": 20.0, "b": 80.0, "c": 5.0}, {"a": 40.0, "b": 80.0, "d": 1.0}
    assert s.mean_of_relative_gains(baseline, arm) == pytest.approx(0.5)
    assert s.relative_gain_of_means(baseline, arm) == pytest.approx(0.2)
    assert math.isnan(s.mean_of_relative_gains({}, arm))


def test_updates_to_ninety_percent_counts_measured_points_only():
    curve = [(400, 0.50), (100, 0.30), (200, 0.44), (300, 0.46)]
    assert s.updates_to_share(curve) == 300  # .9 * .5 = .45
    assert s.updates_to_share(curve, floor=1 / 3) == 400  # 1/3 + .9 * 1/6 = .483


def test_a_curve_that_ends_at_chance_has_no_speed():
    assert s.updates_to_share([(1, 0.4), (2, 0.33)], floor=1 / 3) is None and s.updates_to_share([]) is None
