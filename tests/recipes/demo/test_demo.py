"""The demo's plan, its findings against hand-computed ones, and the whole of it at the smallest size."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path

import pytest

from pretrain.base.config import load_recipe
from pretrain.base.errors import UserError
from pretrain.base.files import write_json
from pretrain.settings import PretrainRecipe
from recipes.cli import main
from recipes.demo.findings import crossing, further, gap, gap_table, gaps, headline, pairs_of, primary, table, write_findings
from recipes.demo.journey import Plan, demo, execute, left, plan
from recipes.demo.picture import look, picture
from recipes.demo.records import by_seed, collect
from recipes.demo.settings import ARMS, DemoSettings, defaults

RECIPES = Path(__file__).resolve().parents[3] / "recipes" / "pretrain"


def results(temporary: dict[int, list[float]], control: dict[int, list[float]]) -> dict:
    """Records of two arms: budget -> the losses of seeds 1, 2, …"""
    seeds = list(range(1, len(next(iter(temporary.values()))) + 1))
    cells = [{"seed": seed, "arm": arm, "language": "qab", "budget": budget, "loss": losses[seed - 1], "lr": 0.01,
              "share": 0.1, "median_rank": 5.0, "words": 170, **({"accuracy": 0.5, "n": 1000} if budget == 60 else {})}
             for arm, found in (("temporary", temporary), ("control", control)) for budget, losses in found.items()
             for seed in seeds]
    bodies = [{"seed": seed, "arm": arm, "loss": 1.5, "accuracy": 0.7, "n": 1000} for arm in ("temporary", "control")
              for seed in seeds]
    return {"settings": {"seeds": seeds, "arms": ["control", "temporary"], "languages": ["qab"], "budgets": list(temporary),
                         "scored": [60], "backbone": "roberta", "updates": 1600},
            "chance": 1 / 3, "cells": cells, "bodies": bodies}


AHEAD = results({60: [2.0, 2.1, 2.2], 300: [1.9, 1.9, 1.8]}, {60: [2.1, 2.3, 2.5], 300: [1.7, 1.8, 1.8]})


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


def test_seeds_come_one_after_the_other_and_the_matched_pair_first(tmp_path):
    names = [name for name in plan(tmp_path, DemoSettings(seeds=(1, 2))).steps if name.startswith("pretrain")]
    assert names == [f"pretrain-{seed}-{arm}" for seed in (1, 2) for arm in ("control", "temporary", "standard")]


def recipe_of(arm: str, words: list[str] | None = None) -> PretrainRecipe:
    return load_recipe(PretrainRecipe, f"{RECIPES}/demo-{arm}.yaml", ["data=any", "output=any", *(words or [])])


def differing(one: PretrainRecipe, other: PretrainRecipe) -> set[str]:
    return {name for name, value in vars(one).items() if getattr(other, name) != value}


def test_the_recipes_of_the_arms_differ_in_what_their_names_say():
    assert differing(recipe_of("standard"), recipe_of("standard-x5")) == {"embedding_lr_scale"}
    assert differing(recipe_of("temporary"), recipe_of("control")) == {"forget_reset"}
    assert differing(recipe_of("temporary"), recipe_of("forgetting")) == {"forget_until"}
    assert differing(recipe_of("standard-x5"), recipe_of("forgetting")) == {"forget_every", "forget_start", "forget_warmup"}


@pytest.mark.parametrize(("arm", "changed"), [
    ("permuted", {"forget_reset"}), ("partial", {"forget_share"}), ("rotating", {"forget_reset", "forget_tables"}),
    ("held", {"forget_hold"}), ("bias-reset", {"forget_bias"}), ("every-100", {"forget_every"}), ("every-400", {"forget_every"}),
    ("long-end", {"forget_until"}), *((f"scale-{factor}", {"embedding_lr_scale"}) for factor in (1, 2, 10))])
def test_a_further_arm_differs_from_temporary_in_one_thing(arm, changed):
    assert differing(recipe_of("temporary"), recipe_of(arm)) == changed


def test_arms_with_the_controls_rates_are_compared_with_it_and_others_are_listed():
    found = results({60: [2.0, 2.1, 2.2]}, {60: [2.1, 2.3, 2.5]})
    for arm in ("scale-2", "partial", "permuted"):
        found["settings"]["arms"].append(arm)
        found["cells"] += [{**cell, "arm": arm, "loss": cell["loss"] + 0.5} for cell in found["cells"]
                           if cell["arm"] == "control"]
        found["bodies"] += [{**body, "arm": arm} for body in found["bodies"] if body["arm"] == "control"]
    assert pairs_of(found) == [("temporary", "control"), ("permuted", "control"), ("partial", "control")]
    text = write_findings(found)
    assert "| permuted − control | held-out loss, bits | 60 | +0.500 [+0.500, +0.500] |" in text
    assert "control's: scale-2; their means" in text and "| scale-2 | 2.800 (0.200) |" in text
    assert gap_table(found).count("(primary)") == 1 and "scale-2 −" not in text


def test_the_further_arms_with_the_controls_rates_are_those_that_change_a_reset_alone():
    found = results({60: [2.0]}, {60: [2.1]})
    found["settings"]["arms"] = list(ARMS)
    assert further(found) == (["permuted", "partial", "rotating", "held", "bias-reset"],
                              ["every-100", "every-400", "long-end", "scale-1", "scale-2", "scale-10"])


def test_every_arm_has_a_look_of_its_own():
    assert len({look(arm) for arm in ARMS}) == len(ARMS)


@pytest.mark.parametrize("arm", ARMS)
def test_the_plan_trains_what_the_recipe_says_but_for_the_size(tmp_path, arm):
    words = plan(tmp_path, DemoSettings(seeds=(1,), arms=(arm,), updates=2000)).steps[f"pretrain-1-{arm}"].words
    planned = recipe_of(arm, [word for word in words[2:] if not word.startswith(("data=", "output="))])
    assert differing(planned, recipe_of(arm)) <= {"layers", "width", "ffn", "threads"}


def test_an_electra_demo_has_its_own_recipes_arms_and_objective(tmp_path):
    steps = plan(tmp_path, defaults("electra")).steps
    words = steps["pretrain-1-forgetting"].words
    assert words[1].endswith("demo-electra-forgetting.yaml")
    assert {"updates=1300", "forget_every=260", "forget_start=520"} <= set(words)
    assert not any(word.startswith(("layers=", "forget_until")) for word in words)
    assert steps["adapt-1-standard-qab"].words[-2:] == ["--objective", "joint"] and "pretrain-1-control" not in steps


def test_rows_begin_as_the_initialiser_says_from_the_worlds_files(tmp_path):
    def words(name: str) -> list[str]:
        found = plan(tmp_path, DemoSettings(seeds=(1,), initialiser=name)).steps["adapt-1-control-qab"].words
        return found[found.index("--attention-dropout") + 2:]

    world = tmp_path / "seed-1" / "world"
    assert words("random") == [] and words("frequency") == ["--initialiser", "frequency"]
    assert words("lexicon") == ["--initialiser", "lexicon", "--resources", f"dictionary={world}/dictionaries/qaa-qab.tsv"]
    assert f"source_text={world}/text/qaa.txt" in words("wechsel")[-1]


def test_a_demo_without_scores_ends_well_without_a_report(tmp_path, monkeypatch, capsys):
    found = results({60: [2.0]}, {60: [2.1]})
    found["settings"]["scored"] = []
    monkeypatch.setattr("recipes.demo.journey.execute", lambda *_: {})
    monkeypatch.setattr("recipes.demo.records.collect", lambda *_: found)
    monkeypatch.setattr("recipes.demo.picture.picture", lambda *_: None)
    assert demo(tmp_path / "d", DemoSettings(seeds=(1,), scored=()), 1) == 0
    assert "Does forgetting help?" in capsys.readouterr().out and not (tmp_path / "d" / "report").exists()


def test_findings_say_how_the_rows_began():
    found = results({60: [2.0]}, {60: [2.1]})
    assert "initialiser" not in write_findings(found)
    found["settings"]["initialiser"] = "lexicon"
    assert "begin as the initialiser `lexicon` makes them" in write_findings(found)


def test_a_demo_that_made_no_step_binds_no_other(tmp_path, monkeypatch):
    monkeypatch.setattr("recipes.demo.journey.execute", lambda made, *_: 1 / 0)
    for width in (32, 64):
        with pytest.raises(ZeroDivisionError):
            demo(tmp_path, DemoSettings(width=width), 1)
    assert json.loads((tmp_path / "settings.json").read_text())["width"] == 64
    (tmp_path / "seed-1" / "world").mkdir(parents=True)
    with pytest.raises(UserError, match="holds a demo with other settings"):
        demo(tmp_path, DemoSettings(width=32), 1)


@pytest.mark.parametrize(("arms", "baseline"), [(("control", "temporary", "standard"), "matched control"),
                                                (("temporary", "standard"), "")])
def test_the_report_compares_with_what_the_findings_compare_with(arms, baseline, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr("recipes.demo.journey.execute", lambda *_: {})
    monkeypatch.setattr("recipes.demo.records.collect", lambda *_: results({60: [2.0]}, {60: [2.1]}))
    monkeypatch.setattr("recipes.demo.picture.picture", lambda *_: None)
    monkeypatch.setattr("recipes.report.build.report", lambda runs, output, given, **_: asked.append(given))
    assert demo(tmp_path / "d", DemoSettings(seeds=(1,), arms=arms), 1) == 0 and asked == [baseline]


def test_a_demo_from_before_there_was_a_choice_of_initialiser_may_grow(tmp_path, monkeypatch):
    record = {key: list(value) if isinstance(value, tuple) else value for key, value in vars(DemoSettings()).items()}
    write_json(tmp_path / "settings.json", {key: value for key, value in record.items() if key != "initialiser"})
    (tmp_path / "seed-1" / "world").mkdir(parents=True)
    with pytest.raises(UserError, match="holds a demo with other settings"):
        demo(tmp_path, DemoSettings(initialiser="lexicon"), 1)
    begun: list[Plan] = []
    monkeypatch.setattr("recipes.demo.journey.execute", lambda made, *_: begun.append(made) or 1 / 0)
    with pytest.raises(ZeroDivisionError):
        demo(tmp_path, DemoSettings(seeds=(1, 2, 3, 4)), 1)
    assert "world-4" in begun[0].steps


def test_finished_steps_are_skipped_and_a_failed_one_names_its_log(tmp_path):
    made = Plan()
    (tmp_path / "there").mkdir()
    made.add("there", 1, tmp_path / "there", ["inspect", "/nowhere"])
    assert execute(made, tmp_path, 1) == {"there": 0.0}
    made.add("fails", 1, tmp_path / "absent", ["inspect", "/nowhere"], "there")
    with pytest.raises(UserError, match=r"fails ended with code 2: .*/nowhere.*fails.log"):
        execute(made, tmp_path, 1)
    assert "relexify inspect /nowhere" in (tmp_path / "commands.sh").read_text()


def test_without_scored_budgets_no_task_is_learned(tmp_path):
    assert not [name for name in plan(tmp_path, DemoSettings(scored=())).steps if name.startswith(("finetune", "evaluate"))]
    found = results({60: [2.0, 2.1]}, {60: [2.1, 2.3]})
    found["settings"]["scored"] = []
    for row in (*found["cells"], *found["bodies"]):
        row.pop("accuracy", None)
    text = write_findings(found)
    assert "Zero-shot accuracy" not in text and "| temporary | 1.500 (0.000) | – |" in text


def test_time_left_follows_from_what_has_been_run():
    """A step of cost 10 took 5 minutes; 30 are left: 15 minutes. What was there already says nothing."""
    made = Plan()
    for name, cost in (("old", 50), ("ran", 10), ("a", 20), ("b", 10)):
        made.add(name, cost, Path(name), [])
    assert left(made, {"old": 0.0, "ran": 300.0}, 300.0) == ", about 15 min left"
    assert left(made, {"old": 0.0}, 1.0) == ""


def test_the_primary_endpoint_equals_the_hand_computed_one():
    """Differences -.1 -.2 -.3: mean -.2, sd .1, t(.975, 2) = 4.302653, half-width .248414: zero is inside."""
    one = primary(AHEAD)
    assert one is not None and (one.one, one.other, one.budget) == ("temporary", "control", 60) and not one.told
    assert one.interval.value == pytest.approx(-0.2, rel=1e-9)
    assert one.interval.high == pytest.approx(-0.2 + 0.248414, rel=1e-4)
    assert "−" in headline(AHEAD)[0] and "-0.200 [-0.448, +0.048] bits over 3 seeds: not told from zero" in headline(AHEAD)[0]


@pytest.mark.parametrize(("losses", "verdict"), [
    ([2.0, 2.1, 2.21], "temporary is ahead"), ([2.4, 2.51, 2.6], "temporary is behind"), ([2.1, 2.3, 2.1], "not told from zero")])
def test_the_verdict_follows_from_the_interval(losses, verdict):
    found = results({60: losses}, {60: [2.2, 2.3, 2.4]})
    assert verdict in headline(found)[0]


def test_one_seed_has_no_interval_and_that_is_said():
    text = headline(results({60: [2.0]}, {60: [2.2]}))[0]
    assert "-0.200 bits over 1 seed: one seed says nothing" in text


def test_the_crossing_stands_between_the_budgets_where_the_sign_changes():
    assert crossing(AHEAD, "temporary", "control") == (60, 300)
    assert "the sign changes between 60 and 300 updates" in headline(AHEAD)[1]
    assert crossing(results({60: [1.0], 300: [1.0]}, {60: [2.0], 300: [2.0]}), "temporary", "control") is None


def test_all_but_the_primary_comparison_are_corrected():
    """Of the loss: p at 300 alone is left beside the primary; shares and accuracies are equal in both arms, so p is 1."""
    found = {(one.measure, one.budget): (one.p, p) for one, p in gaps(AHEAD)}
    assert found["loss", 60][0] == found["loss", 60][1]
    assert found["loss", 300][1] == pytest.approx(min(1.0, 4 * found["loss", 300][0]), rel=1e-9)
    assert found["share", 60] == (1.0, 1.0)
    assert gap_table(AHEAD).count("(primary)") == 1


def test_tables_hold_means_and_deviations_over_seeds():
    assert "| temporary | 2.100 (0.100) | 1.867 (0.058) |" in table(AHEAD, "loss")
    assert "| temporary | 0.500 (0.000) |" in table(AHEAD, "accuracy") and "300" not in table(AHEAD, "accuracy")


def test_languages_are_averaged_within_a_seed():
    rows = [{"seed": 1, "arm": "a", "loss": 1.0}, {"seed": 1, "arm": "a", "loss": 2.0}, {"seed": 2, "arm": "a", "loss": 5.0}]
    assert by_seed(rows, "loss", arm="a") == {1: 1.5, 2: 5.0}


def test_a_seed_that_one_arm_lacks_is_not_compared():
    found = results({60: [2.0, 2.1, 2.2]}, {60: [2.1, 2.3, 2.5]})
    found["cells"] = [cell for cell in found["cells"] if (cell["seed"], cell["arm"]) != (3, "control")]
    assert gap(found, "temporary", "control", "loss", 60).interval.count == 2


def test_picture_is_a_png(tmp_path):
    pytest.importorskip("matplotlib")
    picture(AHEAD, tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_the_picture_comes_first_on_the_page():
    lines = [line for line in write_findings(AHEAD).splitlines() if line]
    assert lines[1].startswith("![") and lines[2].startswith("- **After 60 updates")


def test_a_demo_may_grow_in_seeds_and_arms_and_nothing_else(tmp_path):
    record = {key: list(value) if isinstance(value, tuple) else value for key, value in vars(DemoSettings()).items()}
    write_json(tmp_path / "settings.json", {**record, "width": 32})
    (tmp_path / "seed-1" / "world").mkdir(parents=True)
    with pytest.raises(UserError, match="holds a demo with other settings"):
        demo(tmp_path, DemoSettings(seeds=(1, 2, 3, 4)), 1)


@pytest.mark.slow
def test_the_smallest_demo_says_nothing_that_is_not_in_its_records(tmp_path, capsys):
    """The whole journey, two arms, one seed; then every number of the findings is computed anew from the artefacts."""
    pytest.importorskip("fairseq")
    pytest.importorskip("matplotlib")
    root = tmp_path / "demo"
    words = ["demo", "--output", root, "--seeds", 1, "--arms", "control", "temporary", "--budgets", 4, 8, "--scored", 8,
             "--layers", 1, "--width", 16, "--updates", 20, "--finetune-updates", 8, "--base-words", 6000, "--new-words", 6000,
             "--train-pairs", 60, "--test-pairs", 30]
    assert main([str(word) for word in words]) == 0
    said = capsys.readouterr().out
    settings = DemoSettings(seeds=(1,), arms=("control", "temporary"), budgets=(4, 8), scored=(8,), layers=1, width=16,
                            updates=20, finetune_updates=8, base_words=6000, new_words=6000, train_pairs=60, test_pairs=30)
    found = collect(root, settings)
    assert json.loads((root / "results.json").read_text()) == json.loads(json.dumps(found))
    text = (root / "findings.md").read_text()
    assert text == write_findings(found) and text in said and "min left" in said
    assert len(found["cells"]) == 4 and {cell["budget"] for cell in found["cells"]} == {4, 8}
    expected = [by_seed(found["cells"], "loss", arm=arm, budget=4) for arm in ("temporary", "control")]
    shown = re.search(r"After 4 updates, temporary − control in held-out loss: ([-+.\d]+) ", text)
    assert shown is not None
    assert float(shown[1]) == pytest.approx(expected[0][1] - expected[1][1], rel=1e-3, abs=6e-4)
    page = (root / "report" / "report.html").read_text()
    picture = base64.b64encode((root / "curves.png").read_bytes()).decode()
    assert 0 < page.index(f'src="data:image/png;base64,{picture}"') < page.index("In short")
    assert "Against matched control, in points: temporary forgetting" in page


def without(arm: str, of: dict) -> dict:
    """The results of a demo that never had an arm."""
    return {**of, "settings": {**of["settings"], "arms": [one for one in of["settings"]["arms"] if one != arm]},
            **{name: [row for row in of[name] if row["arm"] != arm] for name in ("cells", "bodies")}}


def test_only_the_endpoint_that_was_fixed_beforehand_is_left_uncorrected():
    """Of other arms, or at other budgets, nothing was fixed: all of it is corrected, and no line says otherwise."""
    found = results({60: [2.0, 2.1, 2.2]}, {60: [2.1, 2.3, 2.5]})
    found["settings"]["arms"].append("permuted")
    found["cells"] += [{**cell, "arm": "permuted"} for cell in found["cells"] if cell["arm"] == "temporary"]
    found["bodies"] += [{**body, "arm": "permuted"} for body in found["bodies"] if body["arm"] == "temporary"]
    for other in (without("temporary", found), results({120: [2.0, 2.1, 2.2]}, {120: [2.1, 2.3, 2.5]})):
        other["settings"]["scored"] = []
        text = write_findings(other)
        assert primary(other) is None and "beforehand" not in text and "(primary)" not in text
        assert all(p >= one.p for one, p in gaps(other))
        assert text.splitlines()[4].startswith(f"- **After {other['settings']['budgets'][0]} updates")
    assert "as `control` is not there: permuted" in write_findings(without("control", found))
