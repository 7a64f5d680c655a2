import pytest
import torch

from pretrain import forgetting
from pretrain.base.errors import UserError
from pretrain.base.vocabulary import PAD
from pretrain.forgetting import Forgetting


def begun(settings: Forgetting, total: int) -> list[int]:
    return [n for n in range(total) if settings.begins_episode(n)]


def test_episodes_begin_after_every_k_updates_but_not_at_the_start_or_the_end():
    assert begun(Forgetting(100), 500) == [100, 200, 300, 400]


def test_start_and_until_bound_the_resets():
    assert begun(Forgetting(100, start=250, until=500), 1000) == [300, 400]


def test_standard_run_never_resets():
    assert begun(Forgetting(), 1000) == []


@pytest.mark.parametrize(("updates", "since"), [(99, None), (100, None), (101, 1), (200, 100), (201, 1), (250, 50)])
def test_updates_since_the_last_reset(updates, since):
    assert Forgetting(100).updates_since_reset(updates) == since


def test_updates_since_reset_counts_on_after_temporary_forgetting():
    assert Forgetting(100, until=300).updates_since_reset(950) == 750


def test_control_never_resets():
    assert Forgetting(100, reset="none").updates_since_reset(101) is None


def parameters():
    torch.manual_seed(0)
    return torch.nn.Parameter(torch.randn(500, 16) * 3 + 1), torch.nn.Parameter(torch.randn(500))


def test_reset_draws_n_0_002_in_place_with_a_zero_pad_row():
    weight, bias = parameters()
    address, old_bias = weight.data_ptr(), bias.detach().clone()
    changed = forgetting.reset(weight, bias, Forgetting(100), seed=1, updates=100)
    assert changed == [weight] and weight.data_ptr() == address
    assert weight.std().item() == pytest.approx(0.02, rel=0.05) and abs(weight.mean().item()) < 1e-3
    assert not weight[PAD].any()
    assert torch.equal(bias, old_bias)


def test_scope_with_bias_sets_it_to_zero():
    weight, bias = parameters()
    changed = forgetting.reset(weight, bias, Forgetting(100, scope="embedding+bias"), 1, 100)
    assert changed[1] is bias and not bias.any()


@pytest.mark.parametrize(("scope", "choice", "zeroed"), [
    ("embedding", "", False), ("embedding+bias", "", True), ("embedding", "reset", True), ("embedding+bias", "keep", False)])
def test_the_output_bias_can_be_chosen_apart_from_the_scope(scope, choice, zeroed):
    weight, bias = parameters()
    before = weight.detach().clone()
    changed = forgetting.reset(weight, bias, Forgetting(100, scope=scope, bias=choice), 1, 100)
    assert not torch.equal(weight, before)
    assert (not bias.any()) is zeroed and (len(changed) == 2) is zeroed


def test_settings_that_came_later_are_recorded_where_they_are_used():
    assert set(Forgetting(100).to_dict()) == {"every", "start", "until", "reset", "scope", "std"}
    one = Forgetting(100, bias="keep", warmup=0.1)
    assert Forgetting(**one.to_dict()) == one
    assert Forgetting.of({"forget_every": 100, "forget_bias": "keep", "forget_warmup": 0.1}.get) == one


def test_gaussian_reset_keeps_mean_and_spread():
    weight, bias = parameters()
    forgetting.reset(weight, bias, Forgetting(100, reset="gaussian"), 1, 100)
    assert weight.mean().item() == pytest.approx(1, abs=0.15)
    assert weight.std().item() == pytest.approx(3, abs=0.15)


def test_control_resets_nothing():
    weight, bias = parameters()
    before = weight.detach().clone()
    assert forgetting.reset(weight, bias, Forgetting(100, reset="none"), 1, 100) == []
    assert torch.equal(weight, before)


def test_draw_depends_on_seed_and_update_alone():
    weight, _ = parameters()

    def draw(seed, updates):
        torch.manual_seed(torch.seed())
        return forgetting.draw(weight.shape, Forgetting(100), seed, updates, weight)

    assert torch.equal(draw(1, 100), draw(1, 100))
    assert not torch.equal(draw(1, 100), draw(1, 200))
    assert not torch.equal(draw(1, 100), draw(2, 100))


def test_k_as_long_as_the_run_is_refused():
    with pytest.raises(UserError, match="--forget-every 500 is not smaller than the 500 updates"):
        Forgetting(500).warnings(500, 10)


def test_k_below_the_warmup_is_warned_of():
    assert "shorter than the warm-up of 100" in Forgetting(50).warnings(500, 100)[0]


def test_cut_last_episode_is_warned_of():
    assert "ends 20 updates into an episode" in Forgetting(60).warnings(500, 10)[0]


@pytest.mark.parametrize(("values", "text"), [
    ({"reset": "gausian"}, "did you mean 'gaussian'"), ({"bias": "rest"}, "did you mean 'reset'"),
    ({"scope": "all"}, "unknown forget scope"),
    ({"every": -1}, "must not be negative"), ({"every": 10, "start": 50, "until": 40}, "--forget-until 40")])
def test_wrong_settings_are_refused(values, text):
    with pytest.raises(UserError, match=text):
        Forgetting(**values)
