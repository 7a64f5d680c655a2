"""Recipes of ELECTRA pairs, and that those of RoBERTa read as before."""

from __future__ import annotations

from pathlib import Path

import pytest

from pretrain.base.config import load_recipe
from pretrain.base.errors import UserError
from pretrain.recipe import LATER, check, provenance, recorded, stage
from pretrain.settings import ELECTRA_ONLY, PretrainRecipe
from pretrain.shapes import of_recipe, of_trainer, pair_shape

ROOT = Path(__file__).resolve().parents[2]


def recipe(prepared: Path, tmp_path: Path, *words: str) -> PretrainRecipe:
    return load_recipe(PretrainRecipe, None, [f"data={prepared}", f"output={tmp_path / 'o'}", *words])


@pytest.mark.parametrize(("word", "message"), [
    ("tying=gdes", "tying: only an ELECTRA pair"), ("hardness_head=dist", "hardness_head: only"),
    ("arch=electra_mini", "arch: got 'electra_mini', expected one of"), ("arch=bert_base", "got 'bert_base'")])
def test_settings_that_an_architecture_does_not_have_are_refused(prepared, tmp_path, word, message):
    with pytest.raises(UserError, match=message):
        check(recipe(prepared, tmp_path, word))


@pytest.mark.parametrize(("words", "message"), [
    (["tying=all"], "--generator-width 1"), (["generator=bigram"], "generator: got 'bigram'"),
    (["generator=uniform", "hardness_head=loss"], "this pair has none"), (["generator_width=-1"], "generator_width: got -1.0")])
def test_impossible_pairs_are_refused_before_anything_runs(prepared, tmp_path, words, message):
    with pytest.raises(UserError, match=message):
        stage(recipe(prepared, tmp_path, "arch=electra_tiny", *words))


def test_a_rise_of_lambda_as_long_as_a_tables_turn_is_refused(prepared, tmp_path):
    words = ["arch=electra_tiny", "forget_every=5", "forget_reset=rotate", "forget_tables=2", "rtd_episode_warmup=5"]
    with pytest.raises(UserError, match="rtd_episode_warmup=5: counts anew with each table, every 5 updates"):
        check(recipe(prepared, tmp_path, *words))


def test_variants_of_a_reset_are_told_the_trainer_and_recorded_where_they_are_used(prepared, tmp_path):
    plain = recipe(prepared, tmp_path, "forget_every=10")
    one = recipe(prepared, tmp_path, "forget_every=10", "forget_hold=3", "forget_share=0.5")
    told = stage(one).command
    assert told[told.index("--forget-hold") + 1] == "3" and told[told.index("--forget-share") + 1] == "0.5"
    assert recorded(one).items() - recorded(plain).items() == {("forget_hold", 3), ("forget_share", 0.5)}
    assert not set(LATER) & set(recorded(plain))


def test_a_setting_that_a_record_leaves_out_is_named_with_its_default(prepared, tmp_path):
    run = stage(recipe(prepared, tmp_path, "forget_every=10"))
    run._check_settings()
    (run.folder / "checkpoint_last.pt").touch()
    with pytest.raises(UserError, match=r"\(forget_bias was '', now 'reset'; forget_hold was 0, now 3\)"):
        stage(recipe(prepared, tmp_path, "forget_every=10", "forget_hold=3", "forget_bias=reset"))._check_settings()


def test_ranks_wait_for_no_gradient_of_a_body_that_is_held(prepared, tmp_path):
    words = ["forget_every=10", "forget_hold=3"]
    assert "--find-unused-parameters" in stage(recipe(prepared, tmp_path, *words, "processes=2")).command
    for others in (words, ["forget_every=10", "processes=2"]):
        assert "--find-unused-parameters" not in stage(recipe(prepared, tmp_path, *others)).command


def test_a_scaled_embedding_rate_is_told_the_trainer_and_recorded_where_it_is_used(prepared, tmp_path):
    plain, scaled = recipe(prepared, tmp_path), recipe(prepared, tmp_path, "embedding_lr_scale=5", "forget_scope=embedding+bias")
    assert "--embedding-lr-scale" not in stage(plain).command and not set(LATER) & set(recorded(plain))
    words = stage(scaled).command
    assert words[words.index("--embedding-lr-scale") + 1] == "5.0" and "embedding+bias" in words
    assert recorded(scaled)["embedding_lr_scale"] == 5 and stage(plain).settings != stage(scaled).settings


def test_roberta_runs_record_nothing_of_electra(prepared, tmp_path):
    one = recipe(prepared, tmp_path)
    assert not {*ELECTRA_ONLY, "focal_gamma"} & set(recorded(one))
    assert not {*ELECTRA_ONLY, "focal_gamma"} & set(stage(one).settings) and "focal_gamma" not in provenance(one)["recipe"]
    assert "--criterion modular_masked_lm" in stage(one).printed() and "focal" not in stage(one).printed()


def test_focal_loss_is_for_any_masked_language_model(prepared, tmp_path):
    one = recipe(prepared, tmp_path, "focal_gamma=2")
    assert recorded(one)["focal_gamma"] == 2.0 and "--focal-gamma 2.0" in stage(one).printed()


def test_preset_and_overrides_shape_the_pair(prepared, tmp_path):
    shapes = pair_shape(of_recipe(recipe(prepared, tmp_path, "arch=electra_small", "layers=6", "generator_depth=0.5")))
    assert (shapes.discriminator.layers, shapes.discriminator.width, shapes.discriminator.embedding_width) == (6, 256, 128)
    assert shapes.generator is not None and (shapes.generator.layers, shapes.generator.width) == (3, 64)


@pytest.mark.parametrize("words", [[], ["generator_width=0.5", "hardness_head=dist", "tying=gdes", "forget_every=400"]])
def test_fairseq_understands_the_line_and_builds_the_same_pair(prepared, tmp_path, words):
    pytest.importorskip("fairseq")
    from fairseq import options
    from fairseq.dataclass.utils import convert_namespace_to_omegaconf

    from pretrain.trainer import plugin  # noqa: F401

    one = recipe(prepared, tmp_path, "arch=electra_tiny", *words)
    line = stage(one).words()[1:]
    args = options.parse_args_and_arch(options.get_training_parser(), line)
    cfg = convert_namespace_to_omegaconf(args)
    assert pair_shape(of_trainer(cfg.model)) == pair_shape(of_recipe(one))
    assert cfg.criterion.rtd_weight == 50.0 and cfg.optimizer.clip_per_network is False


def test_published_setting_is_in_the_full_recipes():
    small, base = (load_recipe(PretrainRecipe, ROOT / "recipes" / "pretrain" / f"electra-{size}-standard.yaml",
                               ["data=d", "output=o"]) for size in ("small", "base"))
    assert (small.updates, small.batch_size * small.update_freq * small.processes, small.lr) == (1_000_000, 128, 5e-4)
    assert (base.updates, base.batch_size * base.update_freq * base.processes, base.lr) == (766_000, 256, 2e-4)
    for one in (small, base):
        assert (one.warmup, one.adam_betas, one.clip_norm, one.mask_policy, one.rtd_weight) == (
            10_000, "(0.9, 0.999)", 1.0, "electra", 50.0)
