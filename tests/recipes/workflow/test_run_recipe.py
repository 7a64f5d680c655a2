"""The recipe of a run: what it may say, and how mistakes are told."""

from __future__ import annotations

import re
from itertools import takewhile

import pytest
import yaml

from pretrain.base.errors import UserError
from recipes.cli import main
from recipes.workflow.settings import load
from tests.killing import ROOT
from tests.recipes.workflow.run_world import write

SHIPPED = sorted((ROOT / "recipes" / "run").glob("*.yaml"))


def mistakes(path, *words) -> list[str]:
    with pytest.raises(UserError) as caught:
        load(path, words)
    first, *lines = str(caught.value).splitlines()
    return lines or [first]


@pytest.mark.parametrize("recipe", SHIPPED, ids=[path.stem for path in SHIPPED])
def test_shipped_recipes_are_valid_and_planned_though_their_data_is_missing(recipe, tmp_path, monkeypatch, capsys):
    here = tmp_path / "work" / "checkout"  # the recipes without what may lie in this checkout, or beside it
    here.mkdir(parents=True)
    (here / "recipes").symlink_to(ROOT / "recipes")
    monkeypatch.chdir(here)
    store = tmp_path / "store"
    assert main(["run", str(recipe), "--output", str(tmp_path / "run"), "--store", str(store), "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert "relexify pretrain" in out and "relexify evaluate" in out
    assert "# missing: " in out
    assert not store.exists() and not (tmp_path / "run").exists()


def overrides() -> list[tuple[str, list[str]]]:
    """(recipe, the words of one example) for each line of the `Override:` comments that has one."""
    found = []
    for path in SHIPPED:
        after = path.read_text().partition("# Override:")[2].splitlines()
        lines = [after[0], *takewhile(lambda line: line.startswith("#    "), after[1:])]
        found += [(path.name, words) for line in lines
                  if (words := [word for word in re.findall(r"(?<=\s)[a-z][\w.]*=[^\s;]+", line) if not word.startswith("key=")])]
    return found


@pytest.mark.parametrize(("name", "words"), overrides(), ids=[f"{name} {words[0]}" for name, words in overrides()])
def test_the_overrides_that_recipes_name_are_planned(name, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "recipes").symlink_to(ROOT / "recipes")
    assert main(["run", f"recipes/run/{name}", *words, "--dry-run"]) == 0, capsys.readouterr().err


def test_most_recipes_name_an_override():
    found = overrides()
    assert len(found) >= 8 and ("initialisers.yaml", ["initialisers=[random,focus]", "languages.de.text=my/de.txt"]) in found


def test_some_of_a_recipes_initialisers_need_no_other_resources(tmp_path):
    path = write(tmp_path, initialisers=["random", "lexicon"], adapt={"resources": "dictionary=d.txt"})
    assert load(path, ["initialisers=[random]"]).initialisers == ("random",)
    assert "dictionary is read by none of the initialisers random; take it out" in mistakes(
        path, "initialisers=[random]", "adapt.resources=dictionary=e.txt")[0]


@pytest.mark.parametrize("names", [["wechsel"], ["random", "ofa"]])
def test_an_initialiser_without_what_it_needs_is_not_planned(names, tmp_path):
    wanted = f"the initialiser {names[-1]!r} needs --resources source_vectors=FILE or source_text=FILE"
    for adapt in ({}, {"resources": "dictionary=d.txt"}):
        assert any(wanted in line for line in mistakes(write(tmp_path, initialisers=names, adapt=adapt)))


def test_a_resource_that_stands_twice_is_refused(tmp_path):
    path = write(tmp_path, initialisers=["lexicon"], adapt={"resources": "dictionary=a,dictionary=b"})
    assert "adapt.resources: dictionary: got a and b, expected one file; join them" in mistakes(path)[0]


def test_a_value_that_the_recipe_does_not_have_is_refused(tmp_path):
    path = write(tmp_path, values={"text": "a"}, name="valued")
    assert mistakes(path, "values.txt=b") == [
        "command line: values.txt: the recipe has no such value, did you mean 'text'? (it has: text)"]
    assert load(path, ["values.text=b"]).content["values"] == {"text": "b"}


def test_a_value_that_the_recipe_asks_for_may_be_given(tmp_path):
    path = write(tmp_path, tasks={"xnli": {"data": "${values.task}"}})
    assert load(path, ["values.task=t"]).tasks[0].data == "t"
    (found,) = mistakes(path)
    assert "tasks.xnli.data: ${values.task} leads nowhere, expected a key of the recipe" in found


def test_a_reference_to_itself_is_told_from_one_to_nowhere(tmp_path):
    (found,) = mistakes(write(tmp_path), "adapt.lr=${adapt.lr}")
    assert found == "command line: adapt.lr: ${adapt.lr} leads back to itself; write the value there"


def test_the_papers_settings(monkeypatch):
    monkeypatch.chdir(ROOT)
    for name, languages in (("xnli", 14), ("mlqa", 6), ("xquad", 10)):
        recipe = load(ROOT / "recipes" / "run" / f"paper-{name}.yaml")
        assert len(recipe.targets) == languages
        assert {budget.text for budget in recipe.budgets} == {"5M"} and recipe.budgets[-1].updates == 125_000
        adapt = recipe.adapt
        assert adapt["batch_size"] * adapt["update_freq"] * adapt["processes"] * adapt["nodes"] == 2048
        standard, forgetting = (recipe.arms[arm].settings for arm in ("standard", "forgetting"))
        assert standard.batch_size * standard.update_freq * standard.processes * standard.nodes == 2048
        assert (standard.clip_norm, forgetting.clip_norm, forgetting.forget_every) == (0.0, 0.5, 1000)


def test_all_mistakes_are_told_at_once_with_line_and_nearest_name(tmp_path):
    path = tmp_path / "bad.yaml"
    path.write_text("""nam: t
base: en
languages:
  en: {txt: a}
  no: {text: b}
arms:
  standard: {recipe: %s, updatez: 4}
  ready: {body: a, bodie: b}
initialisers: [randm]
budgets: {updates: [10], tokens: 3}
adapt: {lrr: 3, seed: 4, batch_size: x}
tasks:
  xquad: {data: a, splt: test}
""" % (ROOT / "recipes" / "pretrain" / "demo-standard.yaml"))
    found = mistakes(path, "seeds=[a]", "resourcez=3")
    expected = ("bad.yaml:1: nam: unknown key, did you mean 'name'?", "bad.yaml:4: languages.en: missing: text",
                "did you mean 'text'?", "bad.yaml:3: languages: the key False is no text; write it in quotes",
                "bad.yaml:7: arms.standard.updatez: unknown key, did you mean 'updates'?",
                "bad.yaml:8: arms.ready.bodie: unknown key, did you mean 'body'?", "bad.yaml:9: initialisers: unknown 'randm'",
                "bad.yaml:10: budgets: updates or tokens, not both", "bad.yaml:11: adapt.lrr: relexify adapt has no such option",
                "bad.yaml:11: adapt.seed: is not set here: see `seeds`", "bad.yaml:11: adapt.batch_size: got 'x'",
                "bad.yaml:13: tasks.xquad.splt: unknown key, did you mean 'split'?", "xquad has no training split; name the task",
                "command line: seeds: got 'a', expected whole numbers", "command line: resourcez: unknown key")
    for text in expected:
        assert any(text in line for line in found), (text, found)
    assert len(found) == len(expected)


@pytest.mark.parametrize(("changes", "text"), [
    ({"budgets": {"updates": [10, 20]}, "adapt": {"patience": 3}}, "stops early never comes to the later budgets"),
    ({"adapt": {"updates": 30}}, "the largest budget has 20 updates"),
    ({"budget_is": "text"}, "wants tokens"),
    ({"budget_is": "seen", "budgets": {"tokens": ["1k", "1001"]}}, "same number of updates"),
    ({"budget_is": "annealed", "budgets": {"updates": [1, 20]}}, "budgets: 1 is a run of 1 update, expected two or more"),
    ({"budget_is": "annealed", "budgets": {"updates": [20]}, "adapt": {"patience": 3}}, "each annealed budget is a run to"),
    ({"budget_is": "annealed", "budgets": {"updates": [20, 60]}, "adapt": {"warmup": 20}}, "fewer than the 20 updates of the sm"),
    ({"languages": {"en": {"text": "a", "tokenizer": "t", "vocab_size": 90}}}, "a finished tokenizer has its own size"),
    ({"budget_is": "anealed"}, "got 'anealed', expected seen"),
    ({"base": "fr"}, "one of en, bg, sw"),
    ({"tasks": {"xnli": {"data": "d", "languages": ["bg", "fr"]}}}, "unknown 'fr'"),
    ({"tasks": {"xnli": {"data": "d", "split": "tset"}}}, "got 'tset'"),
    ({"tasks": {"xnli": {"data": "d", "seeds": ["a"]}}}, "tasks.xnli.seeds: got 'a', expected whole numbers"),
    ({"adapt": {"resources": "dictionary=d.txt"}}, "adapt.resources: dictionary is read by none of the initialisers random"),
    ({"initialisers": ["lexicon"]}, "adapt.resources: the initialiser 'lexicon' needs --resources dictionary=FILE"),
    ({"resources": {"adapt": {"threads": 0}}}, "resources.adapt.threads: got 0"),
    ({"languages": {"en": {"text": "a", "model_type": "word"}}}, "expected one of unigram, bpe"),
    ({"pretrain": {"seed": 4}}, "pretrain.seed: is not set here: see `seeds`"),
    ({"pretrain": {"arch": "roberta_tini"}}, "did you mean 'roberta_tiny'"),
])
def test_what_cannot_be_is_refused(changes, text, tmp_path):
    found = mistakes(write(tmp_path, **changes))
    assert any(text in line for line in found), found


def test_a_recipe_without_tasks_ends_with_nothing_to_report(tmp_path):
    path = write(tmp_path)
    content = yaml.safe_load(path.read_text())
    del content["tasks"]
    path.write_text(yaml.safe_dump(content))
    assert load(path).finals == ()


def test_a_mistake_ends_with_code_2(tmp_path, capsys):
    assert main(["run", str(write(tmp_path, base="fr")), "--dry-run"]) == 2
    assert capsys.readouterr().err.startswith("relexify: error: ")


def test_tokens_seen_are_updates_of_the_adaptation(tmp_path):
    recipe = load(write(tmp_path, budgets={"tokens": ["200k", "1M"]}, adapt={"batch_size": 8, "tokens_per_sample": 100}))
    assert [(budget.label, budget.updates, budget.text) for budget in recipe.budgets] == [("200k", 250, ""), ("1M", 1250, "")]


def test_words_take_the_place_of_the_files_settings(tmp_path):
    recipe = load(write(tmp_path), ["seeds=[7]", "adapt.lr=5e-3", "arms.forgetting.forget_every=200"])
    assert recipe.seeds == (7,) and recipe.adapt["lr"] == 5e-3 and recipe.arms["forgetting"].settings.forget_every == 200
