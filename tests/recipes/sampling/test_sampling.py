"""Figures of a pair against what follows by hand from known distributions and answers."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from pretrain.base.errors import UserError
from pretrain.base.vocabulary import PAD
from recipes.sampling import observe as module
from recipes.sampling.figures import Figure, area, correlation, figures, histogram, within
from recipes.sampling.observe import Candidates, Observed, Positions, Settings, hide, observe
from tests.recipes.sampling.sampling_pairs import PIECES, ROWS, blocks, known_pair, random_pair


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    return blocks(tmp_path_factory.mktemp("text"))


def found(pair, text, **settings) -> dict[tuple[str, str], Figure]:
    return {(f.name, f.subset): f for f in figures(observe(pair, text, Settings(**settings)))}


def value(figures, name, subset="hidden") -> float:
    assert figures[name, subset].value is not None
    return figures[name, subset].value


def softplus_bits(x: float) -> float:
    return math.log1p(math.exp(x)) / math.log(2)


def same(one: Observed, two: Observed, tolerance: float = 0.0) -> None:
    for left, right in ((one.positions, two.positions), *((one.candidates[s], two.candidates[s]) for s in one.candidates)):
        for name, array in vars(left).items():
            np.testing.assert_allclose(array, vars(right)[name], rtol=tolerance, atol=tolerance, err_msg=name)


# A1

def test_uniform_generator_has_the_entropy_of_its_pieces(text):
    got = found(known_pair(), text)
    assert value(got, "entropy_p_G") == pytest.approx(math.log2(PIECES), rel=1e-5, abs=1e-5)
    assert value(got, "confidence") == pytest.approx(1 / PIECES, rel=1e-5, abs=1e-6)
    assert value(got, "overconfident") == 0.0


def test_generator_with_a_favourite_is_overconfident_and_right_where_that_is_the_text(text):
    observed = observe(known_pair(favourite=0.95), text, Settings())
    got = {(f.name, f.subset): f for f in figures(observed)}
    assert value(got, "confidence") == pytest.approx(0.95, rel=1e-5, abs=1e-5) and value(got, "overconfident") == 1.0
    assert histogram(observed.positions.confidence).tolist() == [0] * 9 + [got["overconfident", "hidden"].n]
    rest = 0.05 / (PIECES - 1)
    assert value(got, "entropy_p_G") == pytest.approx(-0.95 * math.log2(0.95) - 0.05 * math.log2(rest), rel=1e-5, abs=1e-4)
    masked = [hide(torch.from_numpy(text.batch([n])), n, ROWS - 1, Settings()) for n in range(len(text))]
    targets = torch.cat([m.targets[m.targets != PAD] for m in masked])
    assert got["overconfident", "hidden"].n == len(targets)
    assert value(got, "generator_accuracy") == pytest.approx(float((targets == 4).float().mean()))


def test_borders_of_the_histogram_belong_to_the_bin_above():
    assert histogram(np.array([0.0, 0.1, 0.5, 0.85, 1.0])).tolist() == [1, 1, 0, 0, 0, 1, 0, 0, 1, 1]


# p_S

def test_distribution_head_equal_to_the_generator_changes_nothing(text):
    observed = observe(known_pair("dist"), text, Settings(mixture=0.3))
    got = {(f.name, f.subset): f for f in figures(observed)}
    assert value(got, "total_variation") == pytest.approx(0, rel=1e-5, abs=1e-6)
    assert value(got, "effective_samples", "p_S alone") == pytest.approx(1, rel=1e-5, abs=1e-5)
    same(Observed("none", 0, observed.positions, {"x": observed.candidates["p_G"]}),
         Observed("none", 0, observed.positions, {"x": observed.candidates["p_S"]}), 1e-5)


@pytest.mark.parametrize("mixture", [0.0, 0.25])
def test_distance_entropy_and_effective_samples_of_a_known_p_s(text, mixture):
    head = torch.zeros(ROWS)
    head[4] = math.log(PIECES - 1)  # p_S: half on piece 4, half on the others
    got = found(known_pair("dist", head=head), text, mixture=mixture)
    rest = 0.5 / (PIECES - 1)
    assert value(got, "total_variation") == pytest.approx(0.5 - 1 / PIECES, rel=1e-5, abs=1e-5)
    assert value(got, "entropy_p_S") == pytest.approx(0.5 - 0.5 * math.log2(rest), rel=1e-5, abs=1e-4)

    def effective(share: float) -> float:
        p, q = np.full(PIECES, 1 / PIECES), np.array([0.5] + [rest] * (PIECES - 1))
        return 1 / float((p**2 / ((1 - share) * q + share * p)).sum())

    assert value(got, "effective_samples", "p_S alone") == pytest.approx(effective(0), rel=1e-5, abs=1e-5)
    assert value(got, "effective_samples", "mixture") == pytest.approx(effective(mixture), rel=1e-5, abs=1e-5)


def test_mixture_bounds_the_effective_samples_from_below(text):
    head = torch.zeros(ROWS)
    head[4] = 50.0
    observed = observe(known_pair("dist", head=head), text, Settings(mixture=0.2))
    assert (observed.positions.effective < 1e-6).all() and (observed.positions.effective_mixed >= 0.2 - 1e-6).all()


def test_replacements_are_drawn_from_p_s_with_its_mixture(text):
    head = torch.zeros(ROWS)
    head[4] = 50.0  # p_S is piece 4 alone
    alone = observe(known_pair("dist", head=head), text, Settings(mixture=0.0)).candidates
    assert (alone["p_S"].ids == 4).all() and len(np.unique(alone["p_G"].ids)) == PIECES
    mixed = observe(known_pair("dist", head=head), text, Settings(mixture=0.5, draws=20)).candidates["p_S"]
    assert float((mixed.ids == 4).mean()) == pytest.approx(0.5 + 0.5 / PIECES, abs=0.04)


# A2

def test_perfect_loss_head_correlates_fully_and_estimates_the_true_loss(text):
    # the answer is the same everywhere, so the loss has two values, and P(original) = sigmoid(1) is the head's logit 1
    got = found(known_pair("loss", logit=-1.0, head=1.0), text)
    for sampler in ("p_G", "p_S"):
        for name in ("head_pearson", "head_spearman", "head_log_pearson", "head_within"):
            assert value(got, name, f"{sampler}/all") == pytest.approx(1, rel=1e-5, abs=1e-5)
        for part, loss in (("correct", softplus_bits(-1)), ("replaced", softplus_bits(1))):
            assert value(got, "true_loss", f"{sampler}/{part}") == pytest.approx(loss, rel=1e-5, abs=1e-5)
            assert value(got, "estimated_loss", f"{sampler}/{part}") == pytest.approx(loss, rel=1e-5, abs=1e-5)


def test_loss_head_that_predicts_the_reverse_correlates_negatively(text):
    got = found(known_pair("loss", logit=-1.0, head=-1.0), text)
    assert value(got, "head_spearman", "p_G/all") == pytest.approx(-1, rel=1e-5, abs=1e-5)


def test_constant_losses_have_no_correlation_but_a_count(text):
    got = found(known_pair("loss"), text)
    assert got["head_spearman", "p_G/replaced"].value is None and got["head_spearman", "p_G/replaced"].n > 20


def synthetic(log_z: np.ndarray, draws: int = 3) -> Observed:
    """A perfect HP-Dist: log(p_S / p_G) is log L less the position's log Z."""
    draw = np.random.default_rng(0)
    position = np.tile(np.arange(len(log_z)), draws)
    log_loss = draw.normal(size=len(position))
    many = len(position)
    drawn = Candidates(position, np.arange(many), np.zeros(many, bool), log_loss, draw.normal(size=many) - 9,
                       log_loss - log_z[position], np.ones(many), np.ones(many, bool), np.ones(many, bool))
    some = np.full(len(log_z), 0.5)
    return Observed("dist", 0.0, Positions(some, some > 0, some, some, some, some, some), {"p_S": drawn})


def test_factor_of_the_position_falls_out_within_positions_alone():
    got = {(f.name, f.subset): f for f in figures(synthetic(np.random.default_rng(1).normal(size=200)))}
    assert value(got, "head_within", "p_S/all") == pytest.approx(1, rel=1e-9, abs=1e-9)
    assert 0.5 < value(got, "head_log_pearson", "p_S/all") < 0.9  # equal variances: 1 / sqrt(2)
    constant = {(f.name, f.subset): f for f in figures(synthetic(np.full(200, 0.7)))}
    assert value(constant, "head_log_pearson", "p_S/all") == pytest.approx(1, rel=1e-9, abs=1e-9)


def test_within_positions_by_hand_leaves_out_positions_with_one_candidate():
    position, ids = np.array([0, 1, 0, 1, 2]), np.array([5, 7, 6, 7, 5])
    one, two = within(position, ids, np.array([1.0, 9, 3, 9, 9]), np.array([10.0, 0, 30, 5, 5]))
    assert one.tolist() == [-1, 1] and two.tolist() == [-10, 10]


def test_surprisal_is_compared_also_without_a_head(text):
    got = found(random_pair(), text)
    assert value(got, "surprisal_spearman", "p_G/replaced") and not any(name.startswith("head") for name, _ in got)
    assert not any(subset.startswith("p_S") for _, subset in got)


def test_correlations_by_hand():
    first, second = np.array([1.0, 2, 3, 4]), np.array([1.0, 8, 27, 20])
    assert correlation("spearman", first, second) == pytest.approx(0.8)
    assert correlation("pearson", first, second) == pytest.approx(38 / math.sqrt(5 * 410))
    assert correlation("pearson", first, np.ones(4)) is None and correlation("spearman", first[:2], second[:2]) is None


# A3

def test_discriminator_that_always_says_original(text):
    got = found(known_pair(logit=-1.0), text)
    for part in ("all", "hidden"):
        replaced = value(got, "replaced", f"p_G/{part}")
        assert value(got, "rtd_accuracy", f"p_G/{part}") == pytest.approx(1 - replaced)
        assert value(got, "rtd_recall", f"p_G/{part}") == 0 and value(got, "rtd_auc", f"p_G/{part}") == 0.5
        expected = (1 - replaced) * softplus_bits(-1) + replaced * softplus_bits(1)
        assert value(got, "rtd_loss", f"p_G/{part}") == pytest.approx(expected, rel=1e-5, abs=1e-5)
    assert value(got, "correct_samples", "p_G/hidden") == pytest.approx(1 - value(got, "replaced", "p_G/hidden"))


def test_discriminator_that_always_says_replaced(text):
    got = found(known_pair(logit=1.0), text)
    assert value(got, "rtd_accuracy", "p_G/all") == pytest.approx(value(got, "replaced", "p_G/all"))
    assert value(got, "rtd_recall", "p_G/all") == 1


def test_area_by_hand():
    assert area(np.array([3.0, 1, 2, 1]), np.array([True, True, False, False])) == pytest.approx(2.5 / 4)
    assert area(np.array([3.0]), np.array([True])) is None


def test_padding_and_specials_are_neither_hidden_nor_drawn(text):
    observed = observe(random_pair("loss"), text, Settings(draws=3))
    tokens = torch.from_numpy(text.batch(range(len(text))))
    drawn = observed.candidates["p_S"]
    assert len(drawn.logit) == 3 * int((tokens != PAD).sum()) and bool((tokens == PAD).any())
    assert drawn.ids.min() >= 4 and drawn.ids.max() < ROWS - 1
    assert drawn.hidden.sum() == len(drawn.ids) == 3 * len(observed.positions.confidence)
    assert not drawn.replaced[~drawn.hidden].any()


def test_loss_of_candidates_is_that_of_their_tokens(text):
    drawn = observe(random_pair(), text, Settings()).candidates["p_G"]
    logit, replaced = drawn.logit[drawn.hidden], drawn.replaced[drawn.hidden]
    # tokens stand in the order of the text, candidates in that of the masks: compared as sets
    expected = np.logaddexp(0, np.where(replaced, -logit, logit))
    np.testing.assert_allclose(np.sort(np.exp(drawn.log_loss)), np.sort(expected), rtol=1e-5, atol=1e-5)
    assert (replaced.sum(), (~replaced).sum()) == ((~drawn.correct).sum(), drawn.correct.sum())


# how it is computed

def test_global_generators_and_their_state_do_not_matter(text):
    pair = random_pair("dist")
    one = observe(pair, text, Settings())
    torch.manual_seed(99)
    np.random.seed(99)
    torch.rand(7)
    before = torch.random.get_rng_state()
    same(one, observe(pair, text, Settings()))
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize("head", ["none", "loss", "dist"])
def test_batch_size_does_not_matter(text, head):
    pair = random_pair(head)
    one, two = (observe(pair, text, Settings(batch_size=size)) for size in (1, 7))
    for sampler, drawn in one.candidates.items():
        assert drawn.position.shape == two.candidates[sampler].position.shape
    for sampler in one.candidates:  # in another order: turns by batches
        left, right = (np.lexsort((o.candidates[sampler].ids, o.candidates[sampler].position)) for o in (one, two))
        for name in ("position", "ids", "correct", "log_loss", "log_p", "log_estimate"):
            first, second = (getattr(o.candidates[sampler], name) for o in (one, two))
            if len(first):
                np.testing.assert_allclose(first[left], second[right], rtol=1e-5, atol=2e-5, err_msg=name)
    for name, array in vars(one.positions).items():
        np.testing.assert_allclose(array, vars(two.positions)[name], rtol=1e-5, atol=2e-5, err_msg=name)
    for first, second in zip(figures(one), figures(two), strict=True):
        assert (first.name, first.subset, first.n) == (second.name, second.subset, second.n)
        assert first.value == pytest.approx(second.value, rel=1e-5, abs=1e-4) if first.value is not None else second.value is None


def test_first_blocks_give_what_they_give_among_all(text):
    pair = random_pair("loss")
    few, whole = (observe(pair, text, Settings(batch_size=4, draws=1), limit) for limit in (4, 0))
    count = len(few.positions.confidence)
    assert 0 < count < len(whole.positions.confidence)
    np.testing.assert_array_equal(few.candidates["p_S"].ids, whole.candidates["p_S"].ids[:count])


def test_another_seed_hides_and_draws_otherwise(text):
    pair = random_pair()
    one, two = (observe(pair, text, Settings(seed=seed)) for seed in (1, 2))
    assert not np.array_equal(one.positions.confidence, two.positions.confidence)


def test_masks_and_noise_are_the_same_for_every_pair(text, monkeypatch):
    seen: list[torch.Tensor] = []
    hidden = module.hide
    monkeypatch.setattr(module, "hide", lambda *args: seen.append(hidden(*args).tokens) or hidden(*args))
    one, two = (observe(known_pair(logit=logit), text, Settings()) for logit in (-1.0, 2.0))
    half = len(seen) // 2
    assert half and all(torch.equal(a, b) for a, b in zip(seen[:half], seen[half:], strict=True))
    np.testing.assert_array_equal(one.candidates["p_G"].ids, two.candidates["p_G"].ids)


def test_draws_differ_from_turn_to_turn(text):
    drawn = observe(known_pair(), text, Settings(batch_size=100)).candidates["p_G"]
    first, second = np.split(drawn.ids, 2)
    assert 0 < float((first == second).mean()) < 0.3


def test_diverged_pair_is_refused(text):
    pair = known_pair()
    pair.rtd_head.out.bias.data.fill_(math.nan)
    with pytest.raises(UserError, match="NaN or infinite"):
        observe(pair, text, Settings())


@pytest.mark.parametrize(("wrong", "text"), [
    ({"mask_policy": "bart"}, "did you mean 'bert'"), ({"mask_prob": 1.0}, "--mask-prob 1.0"), ({"mixture": -0.1}, "--mixture"),
    ({"draws": 0}, "--draws 0"), ({"batch_size": 0}, "--batch-size 0")])
def test_settings_out_of_range_are_refused(wrong, text):
    with pytest.raises(UserError, match=text):
        Settings(**wrong)
