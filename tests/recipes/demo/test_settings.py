"""Lengths of a demo: when the arms' resets come, and that they go together with it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pretrain.recipe import check, forgetting
from recipes.demo.journey import plan
from recipes.demo.settings import ARMS, DemoSettings, defaults, of_run, recipe_of

LENGTHS = (*range(20, 120), 201, 257, 999, 1001, 1234, 1601, 2003)


@pytest.mark.parametrize("updates", [2000, 1600])
@pytest.mark.parametrize(("arm", "tenths"), [
    ("temporary", [2, 3, 4, 5, 6]), ("control", [2, 3, 4, 5, 6]), ("held", [2, 3, 4, 5, 6]), ("long-end", [2, 3]),
    ("every-100", [2, 2.5, 3, 3.5, 4, 4.5, 5, 5.5, 6, 6.5]), ("every-400", [2, 4, 6]), ("forgetting", [2, 3, 4, 5, 6, 7, 8, 9])])
def test_resets_come_at_the_same_parts_of_a_run_of_any_length(arm, tenths, updates):
    one = forgetting(of_run(arm, "roberta", updates))
    assert [n for n in range(updates) if one.begins_episode(n)] == [round(tenth * updates / 10) for tenth in tenths]
    assert one.hold == (updates // 100 if arm == "held" else 0)


@pytest.mark.parametrize(("backbone", "arm"), [*(("roberta", arm) for arm in ARMS), ("electra", "standard"),
                                               ("electra", "forgetting")])
def test_a_demo_of_any_length_has_settings_that_pretrain_takes(tmp_path, backbone, arm):
    """Of every length the whole line is checked as `relexify pretrain` does, and that there are resets where there should be."""
    for updates in LENGTHS:
        settings = replace(defaults(backbone), seeds=(1,), arms=(arm,), updates=updates)
        words = plan(tmp_path, settings).steps[f"pretrain-1-{arm}"].words
        one = replace(recipe_of(arm, backbone), **{key: int(value) for key, _, value in (word.partition("=") for word in words)
                                                        if value.isdecimal()}, data=str(tmp_path))
        check(one)
        begun = [n for n in range(updates) if forgetting(one).begins_episode(n)]
        assert bool(begun) is (not arm.startswith("standard"))


@pytest.mark.parametrize("backbone", ["roberta", "electra"])
def test_a_run_that_forgets_to_its_end_ends_with_an_embedding_that_has_settled(backbone):
    """K may be a little off the tenth (of a pair the fifth); where it divides the run's length, it is that."""
    tenths = 10 if backbone == "roberta" else 5
    for updates in range(900, 2200):
        every = DemoSettings(backbone=backbone, updates=updates).resets("forgetting")["forget_every"]
        assert (updates % every or every) >= 0.9 * every and abs(every - updates // tenths) <= 1
        assert updates % tenths or every == updates // tenths
