import pytest

from pretrain.base.errors import UserError
from pretrain.forgetting import Forgetting
from pretrain.schedule import Polynomial, embedding_rate

PAPER = Polynomial(peak=7e-4, warmup=10_000, total=125_000)


def test_body_rate_warms_up_and_decays_linearly():
    assert PAPER.at(0) == 0
    assert PAPER.at(5_000) == pytest.approx(3.5e-4)
    assert PAPER.at(10_000) == pytest.approx(7e-4)
    assert PAPER.at(67_500) == pytest.approx(3.5e-4)
    assert PAPER.at(125_000) == 0


@pytest.mark.parametrize(("phase", "rate"), [(0, 0.0), (1, 8.75e-6), (40, 3.5e-4), (80, 7e-4), (500, 3.8e-4),
                                             (999, 7.6e-7)])
def test_papers_episode_replays_the_whole_schedule_in_1000_updates(phase, rate):
    # figures of the reference run: T = 125,000, K = 1,000 (specs/active-forgetting.md, 1.5)
    for episode in (0, 3, 124):
        assert embedding_rate(PAPER, Forgetting(1000), episode * 1000 + phase) == pytest.approx(rate, rel=0.01)


def test_period_is_exact_when_k_does_not_divide_the_run():
    forgetting = Forgetting(3000)
    assert {embedding_rate(PAPER, forgetting, m * 3000) for m in range(41)} == {0.0}


def test_embedding_follows_the_body_before_the_first_episode():
    assert embedding_rate(PAPER, Forgetting(1000, start=5000), 4999) == PAPER.at(4999)
    assert embedding_rate(PAPER, Forgetting(1000, start=5000), 5000) == 0.0


def test_embedding_follows_the_body_after_temporary_forgetting():
    forgetting = Forgetting(1000, until=50_000)
    assert embedding_rate(PAPER, forgetting, 49_500) == pytest.approx(PAPER.at(62_500))
    assert embedding_rate(PAPER, forgetting, 50_000) == PAPER.at(50_000)


def test_control_without_reset_keeps_the_episodic_rate():
    assert embedding_rate(PAPER, Forgetting(1000, reset="none"), 2040) == pytest.approx(3.5e-4)


def test_an_episode_may_have_a_warmup_of_its_own_as_a_share_of_it():
    """K = 1,000, a tenth of it rising: 0, half the peak after 50, the peak after 100, then down in a straight line to 0."""
    forgetting = Forgetting(1000, start=1000, until=5000, warmup=0.1)
    found = [embedding_rate(PAPER, forgetting, 2000 + n) for n in (0, 50, 100, 550, 1000)]
    assert found[:4] == pytest.approx([0, 3.5e-4, 7e-4, 3.5e-4], rel=1e-6)
    assert found[4] == 0 and embedding_rate(PAPER, forgetting, 999) == PAPER.at(999)
    assert embedding_rate(PAPER, forgetting, 5000) == PAPER.at(5000)


def test_standard_run_has_one_rate():
    assert embedding_rate(PAPER, Forgetting(), 777) == PAPER.at(777)


def test_warmup_as_long_as_the_run_is_refused():
    with pytest.raises(UserError, match="--warmup-updates 10: expected fewer than the 10 updates"):
        Polynomial(1e-3, 10, 10)
