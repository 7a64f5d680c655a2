"""A setting is written once: every stage's declaration is whole, and command line, recipes and trainer follow it."""

from __future__ import annotations

import argparse
import dataclasses
import math
from dataclasses import MISSING

import pytest

from pretrain.base.config import load_values
from pretrain.base.settings import KEY, Form, Range, declared, option
from recipes.cli import build_parser, main
from recipes.stages import SETTINGS, settings_of

STAGES = tuple(SETTINGS)
EVERY = [(stage, name) for stage in STAGES for name in declared(settings_of(stage))]


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_has_one_dataclass_of_settings(stage):
    assert all(KEY in one.metadata for one in dataclasses.fields(settings_of(stage)))


@pytest.mark.parametrize(("stage", "name"), EVERY)
def test_a_setting_has_help_source_and_range(stage, name):
    one = declared(settings_of(stage))[name]
    about = one.about
    assert about.help and "\n" not in about.help and not about.help.endswith(".")
    assert about.source
    assert one.kind in (str, int, float, bool, tuple)
    if one.kind in (int, float):
        assert isinstance(about.allowed, Range) and math.isfinite(about.allowed.least) and math.isfinite(about.allowed.most)
        assert not any(about.allowed.holds(value) for value in (math.nan, math.inf, -math.inf, 1e300, -1e300))
    if one.kind in (str, tuple):  # a choice or form, or else it is said what the text names
        assert about.allowed or about.unit
    if isinstance(about.allowed, Form):
        assert not about.allowed.fits("x")


@pytest.mark.parametrize(("stage", "name"), EVERY)
def test_a_default_may_be_had(stage, name):
    one = declared(settings_of(stage))[name]
    assert one.required or (one.problem(one.default) == "" and one.convert(one.default) == one.default)


@pytest.mark.parametrize("stage", [stage for stage in STAGES if stage != "pretrain"])
def test_help_of_a_verb_shows_every_option_with_its_help(stage, capsys):
    with pytest.raises(SystemExit):
        main([stage, "--help"])
    shown = " ".join(capsys.readouterr().out.split())
    for name, one in declared(settings_of(stage)).items():
        assert " ".join(one.about.help.split()).replace(" ", "") in shown.replace(" ", ""), name


@pytest.mark.parametrize("stage", [stage for stage in STAGES if stage != "pretrain"])
def test_a_parser_has_the_declared_defaults(stage):
    args = build_parser(stage).parse_args([stage])
    for name, one in declared(settings_of(stage)).items():
        empty = [] if one.kind is tuple else None
        assert getattr(args, name) == (empty if one.required else list(one.default) if one.kind is tuple else one.default)


def test_the_trainer_has_the_declared_settings():
    pytest.importorskip("fairseq")
    from fairseq.dataclass.utils import gen_parser_from_dataclass

    import tasks.trainer.plugin  # noqa: F401
    from adapt.trainer.task import ModularAdaptConfig
    from pretrain.trainer.electra import ModularElectraConfig
    from pretrain.trainer.electra_loss import ModularReplacedTokenConfig
    from pretrain.trainer.masked_lm_loss import ModularMaskedLMConfig
    from pretrain.trainer.optimizer import ModularAdamWConfig, ModularPolynomialConfig
    from pretrain.trainer.task import ModularMLMConfig
    from tasks.trainer.languages import ModularLanguagesConfig
    from tasks.trainer.task import ModularFinetuneConfig, TaskBodyConfig

    told: set[str] = set()
    for kind in (ModularAdaptConfig, ModularElectraConfig, ModularReplacedTokenConfig, ModularMaskedLMConfig, ModularAdamWConfig,
                 ModularPolynomialConfig, ModularMLMConfig, ModularFinetuneConfig, ModularLanguagesConfig, TaskBodyConfig):
        parser = argparse.ArgumentParser()
        gen_parser_from_dataclass(parser, kind())
        actions = {action.dest: action for action in parser._actions}
        for name, one in kind.DECLARED.items():
            action = actions[name]
            assert action.help == one.about.help, name
            assert action.default == one.trainer_default and type(action.default) is type(one.trainer_default), name
            assert action.option_strings == [option(name)], name
        told |= set(kind.DECLARED)
    for stage in ("pretrain", "adapt", "finetune"):
        assert {one.trainer_name for one in declared(settings_of(stage)).values() if one.about.part} <= told, stage


def config(capsys, *words: str) -> str:
    assert main(["config", *words]) == 0
    return str(capsys.readouterr().out)


GIVEN = {
    "prepare": ["texts=[a.txt,'b, c.txt']", "language=sw", "output=o", "vocab_size=400", "byte_fallback=true"],
    "pretrain": ["data=d", "output=o", "lr=2e-4", "forget_every=100", "arch=electra_tiny", "adam_eps=1e-7"],
    "adapt": ["body=b", "data=d", "output=1e3", "lr=7e-4", "save_embeddings_at='5,10'", "disentangle=true"],
    "finetune": ["body=b", "data=d", "output='no'", "train_files=[x.tsv,y.tsv]", "adam_betas=(0.9, 0.999)", "epochs=2.5"],
    "teach": ["body=[b,'c, d']", "data=d", "output=o.parquet", "temperature=2.5", "stride=3"],
    "multitask": ["body=b", "mixture='#m: e'", "output=o", "epochs=2.5", "lr=7e-4"],
    "evaluate": ["body=b", "data='#d: e'", "output=o", "embedding=[en,sw]", "max_answer_tokens=12"],
}


@pytest.mark.parametrize("stage", STAGES)
def test_what_config_prints_can_be_read_again(stage, tmp_path, capsys):
    first = load_values(settings_of(stage), None, GIVEN[stage])
    path = tmp_path / "again.yaml"
    path.write_text(config(capsys, stage, *GIVEN[stage]), encoding="utf-8")
    again = load_values(settings_of(stage), path)
    assert {name: one.value for name, one in again.items()} == {name: one.value for name, one in first.items()}
    assert MISSING not in [one.value for one in again.values()]


@pytest.mark.parametrize("stage", STAGES)
def test_config_says_where_a_value_comes_from(stage, tmp_path, capsys):
    recipe = tmp_path / "r.yaml"
    recipe.write_text("# a comment\noutput: here\n")
    shown = config(capsys, stage, str(recipe), "stride=7" if stage in ("evaluate", "teach") else "seed=7")
    assert f'output: "here"  # {recipe}:2\n' in shown
    assert ": 7  # command line\n" in shown and "  # default\n" in shown
    for one in declared(settings_of(stage)).values():
        assert f"# {one.about.help}\n" in shown and f"source: {one.about.source})\n" in shown


def test_config_leaves_out_what_is_missing(capsys):
    shown = config(capsys, "pretrain")
    assert "# data:  # missing: write it here, or give it as data=…\n" in shown and "\ndata:" not in shown


@pytest.mark.parametrize(("words", "text"), [
    (["adpat"], "unknown stage 'adpat', did you mean 'adapt'?"),
    (["adapt", "lrr=1"], "unknown key 'lrr', did you mean 'lr'?"),
    (["adapt", "/no/such.yaml"], "/no/such.yaml: expected a recipe"),
    (["adapt", "lr=1", "other.yaml"], "'other.yaml': expected one recipe"),
])
def test_configs_mistakes_are_one_line(words, text, capsys):
    assert main(["config", *words]) == 2
    error = capsys.readouterr().err.strip()
    assert text in error and "\n" not in error


def test_a_recipe_fills_in_what_the_command_line_does_not_say(tmp_path):
    from adapt.settings import AdaptSettings
    from recipes.options import settings_from

    recipe = tmp_path / "r.yaml"
    recipe.write_text("body: b\ndata: d\noutput: o\nlr: 0.5\nseed: 3\n")
    args = build_parser("adapt").parse_args(["adapt", "--recipe", str(recipe), "--seed", "1", "--output", "other"])
    found = settings_from(AdaptSettings, args)
    assert dataclasses.replace(AdaptSettings("b", "d", "other"), lr=0.5, seed=1) == found


def test_what_config_prints_of_a_word_for_a_number_is_read_again(tmp_path, capsys):
    from adapt.settings import AdaptSettings
    from recipes.options import settings_from

    recipe = tmp_path / "r.yaml"
    recipe.write_text(config(capsys, "adapt", "body=b", "data=d", "output=o"))
    assert '\nlr: "auto"  # default\n' in recipe.read_text()
    words = ["adapt", "--recipe", str(recipe)]
    assert settings_from(AdaptSettings, build_parser("adapt").parse_args(words)).lr == 0
    assert settings_from(AdaptSettings, build_parser("adapt").parse_args([*words, "--lr", "auto"])).lr == 0


def test_texts_and_files_of_a_recipe_count(tmp_path):
    from recipes.options import settings_from
    from tasks.settings import FinetuneSettings

    recipe = tmp_path / "r.yaml"
    recipe.write_text("body: b\ndata: d\noutput: o\ntrain_files: [a, b]\n")
    words = ["finetune", "--recipe", str(recipe)]
    assert settings_from(FinetuneSettings, build_parser("finetune").parse_args(words)).train_files == ("a", "b")
    words += ["--train-file", "c", "--train-file", "d"]
    assert settings_from(FinetuneSettings, build_parser("finetune").parse_args(words)).train_files == ("c", "d")


def test_an_option_unsets_what_a_recipe_sets(tmp_path):
    from recipes.options import settings_from

    recipe = tmp_path / "r.yaml"
    recipe.write_text("body: b\ndata: d\noutput: o\ntask: xnli\ncompile: true\n")
    words = ["finetune", "--recipe", str(recipe)]
    settings = [settings_from(settings_of("finetune"), build_parser("finetune").parse_args([*words, *more])) for more in
                ([], ["--no-compile"], ["--no-compile", "--compile"])]
    assert [one.compile for one in settings] == [True, False, True]
