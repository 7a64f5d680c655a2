import pytest
import torch

from pretrain import forgetting
from pretrain.base.errors import UserError
from pretrain.base.vocabulary import PAD
from pretrain.forgetting import Forgetting
from pretrain.masked_lm import Lexicon


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


@pytest.mark.parametrize(("settings", "updates", "since"), [
    (Forgetting(100), 200, 0), (Forgetting(100), 250, 50), (Forgetting(100, until=200), 200, 100),
    (Forgetting(100, reset="rotate", tables=2), 200, None), (Forgetting(100, reset="rotate", tables=2), 300, 100)])
def test_a_reset_before_an_update_whose_step_was_skipped_counts(settings, updates, since):
    """Of rotate, the table taken up after 300 updates is the one that 100 to 200 trained."""
    assert settings.updates_since_reset(updates, begun=updates) == since


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


def test_variants_of_a_reset_are_recorded_where_they_are_used():
    assert Forgetting(100, share=0.5, hold=5).to_dict().keys() - Forgetting(100).to_dict().keys() == {"share", "hold"}
    one = Forgetting(1, reset="rotate", tables=3)
    assert one.to_dict()["tables"] == 3 and Forgetting(**one.to_dict()) == one


def test_permuting_gives_every_piece_anothers_row_and_leaves_the_special_tokens_alone():
    weight, bias = parameters()
    before = weight.detach().clone()
    changed = forgetting.reset(weight, bias, Forgetting(100, reset="permute"), 1, 100)
    assert changed == [weight] and torch.equal(weight[:4], before[:4]) and torch.equal(weight[-1], before[-1])
    assert sorted(map(tuple, weight.tolist())) == sorted(map(tuple, before.tolist()))
    assert (weight != before).any(1).float().mean() > 0.9
    again = before.clone()
    forgetting.reset(again, None, Forgetting(100, reset="permute"), 1, 100)
    other = before.clone()
    forgetting.reset(other, None, Forgetting(100, reset="permute"), 1, 200)
    assert torch.equal(again, weight) and not torch.equal(other, weight)


def test_a_share_of_the_rows_is_drawn_anew_at_each_reset():
    weight, bias = parameters()
    settings, before = Forgetting(100, share=0.25, bias="reset"), weight.detach().clone()
    rows = forgetting.rows_of(len(weight), settings, 1, 100)
    assert rows.tolist() == sorted(set(rows.tolist())) and len(rows) == round(0.25 * (len(weight) - 5))
    assert rows.min() >= 4 and rows.max() < len(weight) - 1
    assert not torch.equal(rows, forgetting.rows_of(len(weight), settings, 1, 200))
    with torch.no_grad():
        bias += 1
    forgetting.reset(weight, bias, settings, 1, 100)
    assert (weight != before).any(1).nonzero().flatten().tolist() == rows.tolist()
    assert torch.equal(weight[rows], forgetting.draw(weight.shape, settings, 1, 100, before)[rows])
    assert (bias == 0).nonzero().flatten().tolist() == rows.tolist()


def test_of_permuted_rows_a_share_changes_places_among_itself():
    weight, _ = parameters()
    settings, before = Forgetting(100, reset="permute", share=0.5), weight.detach().clone()
    rows = forgetting.rows_of(len(weight), settings, 1, 100)
    forgetting.reset(weight, None, settings, 1, 100)
    others = torch.ones(len(weight), dtype=torch.bool)
    others[rows] = False
    assert torch.equal(weight[others], before[others]) and not torch.equal(weight[rows], before[rows])
    assert sorted(map(tuple, weight[rows].tolist())) == sorted(map(tuple, before[rows].tolist()))


def test_all_tables_of_a_model_are_permuted_alike():
    one, _ = parameters()
    lexicon = Lexicon([one, torch.nn.Parameter(one.detach() + 1)], [], [torch.nn.Parameter(one.detach() + 2)])
    changed = forgetting.reset_lexicon(lexicon, Forgetting(100, reset="permute"), 1, 100)
    assert len(changed) == 3
    assert torch.allclose(lexicon.tables[1], one + 1) and torch.allclose(lexicon.offsets[0], one + 2)


def test_tables_take_turns():
    settings = Forgetting(100, start=150, until=700, reset="rotate", tables=3)
    found = {n: settings.table(n) for n in (0, 199, 200, 299, 300, 400, 599, 600, 699, 700, 5000)}
    assert list(found.values()) == [0, 0, 1, 1, 2, 0, 1, 2, 2, 2, 2]
    assert [Forgetting(1, reset="rotate", tables=3).table(n) for n in range(5)] == [0, 1, 2, 0, 1]


def test_updates_of_a_table_in_turn_are_counted_since_it_was_drawn():
    settings = Forgetting(10, reset="rotate", tables=3)
    assert [settings.updates_since_reset(n) for n in (10, 15, 20, 25, 35, 45, 55, 75)] == [None, 5, 10, 5, None, 15, 15, 25]


def test_with_another_table_each_update_the_embedding_follows_the_bodys_schedule():
    settings = Forgetting(1, reset="rotate", tables=2)
    assert settings.phase(7) is None and settings.begins_episode(7)


def test_the_body_is_held_at_the_begin_of_each_episode_that_began_with_a_reset():
    settings = Forgetting(100, until=250, hold=60)
    assert [n for n in range(0, 400, 10) if settings.holds(n)] == [*range(100, 160, 10), *range(200, 260, 10)]
    assert not any(Forgetting(100, reset="none").holds(n) for n in range(400))


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


def test_a_run_that_ends_before_its_window_does_is_warned_of_as_without_one():
    """Of 2,100 updates none comes after the window: the run ends 100 updates into an episode of 200."""
    assert Forgetting(200, until=5000).warnings(2100, 10) == Forgetting(200).warnings(2100, 10) != []
    assert Forgetting(200, until=2000).warnings(2100, 10) == []


@pytest.mark.parametrize("window", [{"start": 450, "until": 550}, {"until": 150}, {"until": 200}, {"start": 450, "until": 600}])
@pytest.mark.parametrize("reset", ["normal", "none"])
def test_a_window_in_which_no_episode_begins_is_refused(window, reset):
    settings = Forgetting(200, reset=reset, **window)
    assert begun(settings, 2000) == []
    with pytest.raises(UserError, match=f"--forget-until {window['until']}: the first episode would begin after"):
        settings.warnings(2000, 10)


@pytest.mark.parametrize("window", [{"start": 400, "until": 401}, {"start": 450, "until": 601}, {"until": 201}, {}])
def test_a_window_of_one_episode_will_do(window):
    assert begun(Forgetting(200, **window), 2000) and Forgetting(200, **window).warnings(2000, 10) == []


def test_an_embedding_is_untrained_for_the_first_tenth_of_an_episode():
    settings = Forgetting(100, until=500)
    assert [n for n in range(395, 600) if settings.untrained(n)] == [*range(401, 410)]
    assert not any(Forgetting(100, reset="none").untrained(n) for n in range(600)) and not Forgetting().untrained(5)


def test_a_run_that_would_end_with_an_untrained_embedding_is_refused_with_one_that_would_not():
    with pytest.raises(UserError, match=r"updates=41: .*reset after 40 updates .*for 1 more.* updates=42 or more, at best 60"):
        Forgetting(20, start=20, until=41).check_end(41)
    for total in (40, 42, 60):
        Forgetting(20, start=20, until=41).check_end(total)


@pytest.mark.parametrize(("values", "text"), [
    ({"reset": "gausian"}, "did you mean 'gaussian'"), ({"bias": "rest"}, "did you mean 'reset'"),
    ({"scope": "all"}, "unknown forget scope"),
    ({"reset": "rotate", "every": 5}, "needs --forget-tables of 2 or more, got 0"),
    ({"tables": 3, "every": 5}, "only --forget-reset rotate has several tables, got normal"),
    ({"tables": 3}, "--forget-tables 3: nothing is reset without --forget-every"),
    ({"share": 0.5, "every": 5, "reset": "rotate", "tables": 2}, "--forget-share 0.5: with --forget-reset rotate no rows"),
    ({"share": 0.5, "every": 5, "reset": "none"}, "--forget-share 0.5: with --forget-reset none"),
    ({"share": 0.5}, "--forget-share 0.5: nothing is reset without"), ({"share": 1.5, "every": 5}, "above 0 to 1"),
    ({"hold": 5, "every": 5}, "--forget-hold 5: expected fewer updates than the 5 of an episode"),
    ({"hold": 2, "every": 5, "reset": "none"}, "resets nothing"), ({"hold": 2}, "--forget-hold 2: nothing is reset without"),
    ({"every": 1}, "--forget-every 1: with --forget-reset normal"),
    ({"every": -1}, "must not be negative"), ({"every": 10, "start": 50, "until": 40}, "--forget-until 40")])
def test_wrong_settings_are_refused(values, text):
    with pytest.raises(UserError, match=text):
        Forgetting(**values)
