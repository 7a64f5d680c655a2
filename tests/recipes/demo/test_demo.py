"""The demo's plan, what it concludes from numbers, and the summary over seeds (checked by hand)."""

from __future__ import annotations

from pathlib import Path

import pytest

from pretrain.base.config import load_recipe
from pretrain.base.errors import UserError
from pretrain.base.files import write_json
from pretrain.settings import PretrainRecipe
from recipes.demo import seeds
from recipes.demo.findings import _language_model, picture, write_findings
from recipes.demo.journey import Plan, execute, plan
from recipes.demo.settings import DemoSettings, defaults

RECIPES = Path(__file__).resolve().parents[3] / "recipes" / "pretrain"
SETTINGS = DemoSettings(languages=("qab",), steps=(10,), adapt_updates=20)


def results(seed: int, standard: float, forgetting: float) -> dict:
    def arm(score: float) -> dict:
        cell = {"score": score, "standard_error": 0.01, "n": 2000, "split": "test"}
        scores = {"10": {"qab": cell}, "20": {"qaa": {**cell, "score": 0.8}, "qab": cell}}
        return {"scores": scores, "questions": {"qaa": cell, "qab": cell},
                "curves": {"qab": [{"update": 10, "loss": 3.0}, {"update": 20, "loss": 2.0}]}}

    return {"seed": seed, "chance": 1 / 3, "arms": {"standard": arm(standard), "forgetting": arm(forgetting)}}


def test_every_step_waits_for_what_it_reads(tmp_path):
    steps = plan(tmp_path, DemoSettings()).steps
    outputs = {str(step.output): name for name, step in steps.items()}
    for name, step in steps.items():
        for word in step.words:
            for output, maker in outputs.items():
                if maker != name and (word == output or word.startswith(output + "/")):
                    assert maker in _ancestors(steps, name), f"{name} reads {maker}'s output without waiting"


def _ancestors(steps: dict, name: str) -> set[str]:
    found = set()
    for need in steps[name].needs:
        found |= {need} | _ancestors(steps, need)
    return found


def test_arms_are_trained_alike_but_for_forgetting(tmp_path):
    steps = plan(tmp_path, DemoSettings()).steps
    one, two = ({w.replace(arm, "ARM") for w in steps[f"pretrain-{arm}"].words} for arm in ("standard", "forgetting"))
    assert not one - two and all(word.startswith("forget_") for word in two - one)


def test_an_electra_demo_differs_in_recipes_their_length_and_the_objective_alone(tmp_path):
    roberta, electra = (plan(tmp_path, defaults(backbone)).steps for backbone in ("roberta", "electra"))
    assert set(roberta) == set(electra)
    changed = {name for name in roberta if roberta[name].words != electra[name].words}
    adaptations = {name for name in electra if name.startswith("adapt-")}
    assert changed == {"pretrain-standard", "pretrain-forgetting"} | adaptations
    assert {tuple(electra[name].words[len(roberta[name].words):]) for name in adaptations} == {("--objective", "joint")}
    words = electra["pretrain-forgetting"].words
    assert words[1].endswith("demo-electra-forgetting.yaml") and "updates=1300" in words and "forget_every=260" in words


def test_the_demos_recipes_are_as_long_as_its_settings_say():
    for backbone, family in (("roberta", "demo"), ("electra", "demo-electra")):
        settings = defaults(backbone)
        for arm in ("standard", "forgetting"):
            recipe = load_recipe(PretrainRecipe, f"{RECIPES}/{family}-{arm}.yaml", ["data=any", "output=any"])
            assert (recipe.updates, recipe.lr, recipe.batch_size) == (settings.updates, settings.lr, settings.batch)
            assert recipe.forget_every == (settings.forget_every if arm == "forgetting" else 0)


def test_findings_show_the_language_models_loss_of_a_pair():
    assert _language_model([{"update": 1, "loss": 9.0, "mlm_loss": 2.0}]) == [{"update": 1, "loss": 2.0, "mlm_loss": 2.0}]


def test_finished_steps_are_skipped_and_a_failed_one_names_its_log(tmp_path):
    made = Plan()
    (tmp_path / "there").mkdir()
    made.add("there", tmp_path / "there", ["inspect", "/nowhere"])
    assert execute(made, tmp_path, 1) == {"there": 0.0}
    made.add("fails", tmp_path / "absent", ["inspect", "/nowhere"], "there")
    with pytest.raises(UserError, match=r"fails ended with code 2: .*/nowhere.*fails.log"):
        execute(made, tmp_path, 1)
    assert "relexify inspect /nowhere" in (tmp_path / "commands.sh").read_text()


@pytest.mark.parametrize(("forgetting", "verdict"), [
    (0.60, "forgetting is ahead"), (0.40, "forgetting is behind"), (0.51, "no difference beyond two standard errors")])
def test_verdict_follows_from_the_numbers(forgetting, verdict):
    assert verdict in write_findings(results(1, 0.5, forgetting), SETTINGS)


def test_questions_have_a_table_of_their_own():
    text = write_findings(results(1, 0.4, 0.5), SETTINGS)
    part = text[text.index("Question answering"):]
    assert "| qab | same word order | 0.400 ± 0.010 | 0.500 ± 0.010 | +0.100 ± 0.014 |" in part


def test_chance_level_is_said(tmp_path):
    text = write_findings(results(1, 0.34, 0.5), SETTINGS)
    assert "standard: 0 of 1 new languages are above chance" in text and "forgetting: 1 of 1" in text


def test_picture_is_a_png(tmp_path):
    pytest.importorskip("matplotlib")
    picture(results(1, 0.4, 0.5), tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_interval_over_seeds_equals_the_hand_computed_one():
    # differences .1 .2 .3: mean .2, sd .1, t(.975, 2) = 4.302653, half-width 4.302653 * .1 / sqrt(3)
    gap, half = seeds.paired([0.1, 0.2, 0.3])
    assert gap == pytest.approx(0.2) and half == pytest.approx(0.248414, rel=1e-6, abs=1e-5)


def write_demo(folder, seed, standard, forgetting, **changes):
    folder.mkdir()
    write_json(folder / "settings.json", {"seed": seed, "updates": 10, **changes})
    write_json(folder / "results.json", results(seed, standard, forgetting))
    return folder


def test_summary_pairs_the_arms_of_a_seed(tmp_path):
    demos = [write_demo(tmp_path / str(n), n, 0.4 + n / 10, 0.5 + n / 10) for n in (1, 2, 3)]
    table = seeds.table(seeds.load(demos))
    assert "| 20 | qab | 0.600 (sd 0.100) | 0.700 (sd 0.100) | +0.100 ± 0.000 |" in table
    assert "| questions, F1 | qab | 0.600 (sd 0.100) | 0.700 (sd 0.100) | +0.100 ± 0.000 |" in table


def test_demos_of_other_sizes_are_not_mixed(tmp_path):
    demos = [write_demo(tmp_path / "a", 1, 0.4, 0.5), write_demo(tmp_path / "b", 2, 0.4, 0.5, updates=20)]
    with pytest.raises(UserError, match=r"updates is 20, not 10"):
        seeds.load(demos)


def test_a_seed_counts_once(tmp_path):
    demos = [write_demo(tmp_path / name, 1, 0.4, 0.5) for name in "ab"]
    with pytest.raises(UserError, match=r"the seeds are \[1, 1\]"):
        seeds.load(demos)
