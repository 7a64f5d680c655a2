"""What a demo refuses before it writes anything."""

from __future__ import annotations

import pytest

from pretrain.base.errors import UserError
from recipes.cli import main
from recipes.demo.checks import check
from recipes.demo.settings import DemoSettings


@pytest.mark.parametrize(("words", "text"), [
    (["--updates", "0"], "--updates 0: expected a whole number from 20"), (["--updates", "19"], "--updates 19: expected"),
    (["--seeds", "1", "-1"], "--seeds -1: expected a whole number from 0 to 4,294,967,295"),
    (["--workers", "0"], "--workers 0: expected at least 1"), (["--workers", "-3"], "--workers -3: expected at least 1"),
    (["--width", "63"], "--width 63: expected a multiple of the 4 attention heads, such as 64"),
    (["--width", "0"], "--width 0: expected"), (["--layers", "-1"], "--layers -1: expected"),
    (["--layers", "1000", "--width", "65536"], "parameters, for which no machine has memory"),
    (["--budgets", "1", "30", "--scored"], "--budgets 1: expected a whole number from 2"),
    (["--scored", "70"], "--scored 70: expected some of the budgets, 30 60 120 300"),
    (["--finetune-updates", "0"], "--finetune-updates 0: expected"), (["--base-words", "10"], "--base-words 10: expected"),
    (["--new-words", "0"], "--new-words 0: expected"),
    (["--train-pairs", "0"], "--train-pairs 0: expected a whole number from 1"),
    (["--test-pairs", "-5"], "--test-pairs -5: expected"), (["--languages", "qaa"], "qaa is the base language"),
    (["--languages", "qab", "sw"], "--languages sw: expected some of qab, qac"),
    (["--languages", "qab", "qab"], "--languages qab qab: got qab twice"),
    (["--backbone", "electra", "--width", "64"], "--width 64: the pair of --backbone electra has 128"),
    (["--initialiser", "lexikon"], "did you mean 'lexicon'")])
def test_wrong_settings_are_refused_before_anything_is_written(words, text, tmp_path, capsys):
    assert main(["demo", "--output", str(tmp_path / "d"), *words]) == 2
    error = capsys.readouterr().err.strip()
    assert text in error and "\n" not in error and not list(tmp_path.iterdir())


def test_a_demo_that_scores_nothing_needs_no_pairs():
    check(DemoSettings(scored=(), train_pairs=0, test_pairs=0))


def test_a_demo_that_cannot_be_drawn_is_refused_before_it_is_run(monkeypatch):
    monkeypatch.setattr("recipes.demo.checks.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"needs matplotlib, which is not installed: pip install 'relexify\[demo\]'"):
        check(DemoSettings())


def test_an_arm_that_electra_does_not_have_is_refused(tmp_path, capsys):
    assert main(["demo", "--output", str(tmp_path / "d"), "--backbone", "electra", "--arms", "held"]) == 2
    assert "--arms held: got an arm that --backbone electra does not have, expected some of standard, forgetting" in \
        capsys.readouterr().err
