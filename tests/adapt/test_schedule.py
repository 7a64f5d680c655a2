"""The rate of one annealed run and of several, by hand."""

import pytest

from adapt.schedule import Annealed, scaled


def test_every_run_warms_up_and_falls_to_0():
    """20 updates at 1, then 40 at 0.5, a tenth of each rising."""
    both = Annealed((20, 40), (1.0, 0.5))
    assert both.total == 60 and both.starts == [0, 20]
    assert [both.at(n) for n in (0, 1, 2, 11, 20, 22, 24, 42)] == pytest.approx([0, 0.5, 1, 0.5, 0, 0.25, 0.5, 0.25])
    assert [both.run_of(n) for n in (0, 19, 20, 59, 60)] == [0, 0, 1, 1, 1]
    assert both.at(60) == 0


def test_a_warmup_may_be_given():
    assert Annealed((20,), (1.0,), 5).at(1) == pytest.approx(0.2)


def test_rates_fall_with_the_root_of_the_length_and_never_rise():
    assert scaled(0.02, 24, (12, 24, 96)) == pytest.approx((0.02, 0.02, 0.01))
