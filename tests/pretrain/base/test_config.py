"""Recipes: overrides, all mistakes at once, and every recipe file in the repository."""

from pathlib import Path

import pytest

from pretrain.base.config import load_recipe, load_values
from pretrain.base.errors import UserError
from pretrain.recipe import check, stage
from pretrain.settings import PretrainRecipe

ROOT = Path(__file__).resolve().parents[3]
RECIPES = sorted((ROOT / "recipes" / "pretrain").glob("*.yaml"))


def recipe(tmp_path: Path, text: str, *words: str) -> PretrainRecipe:
    (tmp_path / "r.yaml").write_text(text)
    return load_recipe(PretrainRecipe, tmp_path / "r.yaml", ["data=d", "output=o", *words])


def test_words_win_over_the_file(tmp_path):
    loaded = recipe(tmp_path, "updates: 10\nlr: 0.5\n", "updates=20")
    assert (loaded.updates, loaded.lr) == (20, 0.5)


def test_all_mistakes_are_shown_at_once_with_the_nearest_key(tmp_path):
    with pytest.raises(UserError) as error:
        recipe(tmp_path, "forget_evry: 10\nupdates: many\n", "learning=1", "nonsense")
    text = str(error.value)
    assert "unknown key 'forget_evry', did you mean 'forget_every'" in text
    assert "updates: got 'many'" in text and "unknown key 'learning'" in text and "'nonsense' is not of the form" in text


@pytest.mark.parametrize("name", ["a:b", "a: b/data", "{x}/data", "#1", "[1]", "it's", "1e3", "x=y", "- x", "*all", "ü ß"])
def test_a_path_is_taken_as_it_is_whatever_yaml_would_make_of_it(name, tmp_path):
    assert recipe(tmp_path, "", f"data={name}").data == name


def test_a_path_in_quotes_is_without_them_and_a_reference_stays_one(tmp_path):
    assert recipe(tmp_path, "", "data='a: b'").data == "a: b"
    assert recipe(tmp_path, "", "data=${output}/x").data == "o/x"


def test_missing_values_are_named(tmp_path):
    (tmp_path / "r.yaml").write_text("lr: 0.1\n")
    with pytest.raises(UserError, match="missing: data, output"):
        load_recipe(PretrainRecipe, tmp_path / "r.yaml")


def test_broken_yaml_is_named(tmp_path):
    with pytest.raises(UserError, match="not valid YAML"):
        recipe(tmp_path, "a: [1,\n")


def test_unknown_arch_names_the_known_ones(tmp_path, prepared):
    with pytest.raises(UserError, match=r"r.yaml:1: arch: got 'roberta_tinny'.*did you mean 'roberta_tiny'"):
        recipe(tmp_path, "arch: roberta_tinny\n", f"data={prepared}")


@pytest.mark.parametrize("path", RECIPES, ids=lambda p: p.name)
def test_every_recipe_is_valid_and_says_how_to_run_it(path, prepared, tmp_path):
    head = path.read_text().split("\n\n")[0]
    assert all(line.startswith("#") for line in head.splitlines())
    for word in ("Precondition:", "Command:", "Override:"):
        assert word in head, f"{path.name} lacks {word}"
    words = ["from=models/mine"] if "from=" in head else []
    loaded = load_recipe(PretrainRecipe, path, [f"data={prepared}", f"output={tmp_path / 'o'}", *words])
    check(loaded)
    assert stage(loaded).printed().startswith(("fairseq-train ", "torchrun "))


def test_a_recipe_that_extends_another_says_the_rest_itself(tmp_path):
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "base.yaml").write_text("updates: 10\nlr: 0.5\nseed: 3\n")
    (tmp_path / "middle.yaml").write_text("extends: below/base.yaml\nlr: 0.25\n")
    loaded = recipe(tmp_path, "# mine\nextends: middle.yaml\nupdates: 20\n", "seed=4")
    assert (loaded.updates, loaded.lr, loaded.seed) == (20, 0.25, 4)
    values = load_values(PretrainRecipe, tmp_path / "r.yaml")
    assert [values[name].origin for name in ("updates", "lr")] == [f"{tmp_path}/r.yaml:3", f"{tmp_path}/middle.yaml:2"]


@pytest.mark.parametrize(("text", "message"), [
    ("extends: r.yaml\n", r"r\.yaml: extends itself, through r\.yaml"),
    ("lr: 1\nextends: [a]\n", r"r\.yaml:2: extends: got \['a'\]"),
    ("extends: none.yaml\n", r"none\.yaml: ")])
def test_what_cannot_be_extended_is_one_line(tmp_path, text, message):
    with pytest.raises(UserError, match=message):
        recipe(tmp_path, text)


def test_a_mistake_in_the_extended_recipe_is_named_there(tmp_path):
    (tmp_path / "base.yaml").write_text("# base\nupdatez: 1\n")
    with pytest.raises(UserError, match=r"base\.yaml:2: unknown key 'updatez'"):
        recipe(tmp_path, "extends: base.yaml\n")


def test_a_hardness_head_that_no_episode_would_reach_is_refused(tmp_path, prepared):
    words = [f"data={prepared}", "arch=electra_tiny", "hardness_head=loss", "forget_every=100"]
    check(recipe(tmp_path, "", *words, "hardness_start=99"))
    with pytest.raises(UserError, match="hardness_start=100: counts anew after each reset, every 100 updates"):
        check(recipe(tmp_path, "", *words, "hardness_start=100"))


def test_pairs_of_recipes_differ_in_forgetting_alone():
    from dataclasses import asdict

    for path in RECIPES:
        if "forgetting" not in path.name:
            continue
        one, two = (asdict(load_recipe(PretrainRecipe, p, ["data=d", "output=o"]))
                    for p in (path, path.with_name(path.name.replace("forgetting", "standard"))))
        assert {k for k in one if one[k] != two[k]} <= {
            "forget_every", "forget_start", "clip_norm", "rtd_episode_warmup",
            *(("embedding_lr_scale", "forget_warmup") if path.name == "demo-forgetting.yaml" else ())}


def test_paper_recipe_has_the_papers_setting():
    loaded = load_recipe(PretrainRecipe, ROOT / "recipes" / "pretrain" / "roberta-base-forgetting.yaml",
                         ["data=d", "output=o"])
    assert (loaded.updates, loaded.warmup, loaded.lr, loaded.forget_every) == (125_000, 10_000, 7e-4, 1000)
    assert loaded.batch_size * loaded.update_freq * 32 == 2048 and loaded.tokens_per_sample == 512
    assert (loaded.adam_betas, loaded.weight_decay, loaded.decay_all) == ("(0.9, 0.98)", 0.01, True)


def test_what_config_prints_runs_as_the_recipe_does(prepared, tmp_path, capsys):
    from recipes.cli import main

    recipe = ROOT / "recipes" / "pretrain" / "demo-electra-forgetting.yaml"
    words = [str(recipe), f"data={prepared}", f"output={tmp_path / 'o'}", "lr=2e-4"]
    assert main(["config", "pretrain", *words]) == 0
    (tmp_path / "all.yaml").write_text(capsys.readouterr().out)
    assert main(["pretrain", *words, "--print-command"]) == 0
    line = capsys.readouterr().out
    assert main(["pretrain", str(tmp_path / "all.yaml"), "--print-command"]) == 0
    assert capsys.readouterr().out == line and "--lr 0.0002 " in line
