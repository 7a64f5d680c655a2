"""Values that a setting may not have: one line each, exit code 2, nothing written; from options, words, YAML and run recipes."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from pretrain.base.errors import UserError
from recipes.cli import main
from tests.killing import ROOT

DEMO = str(ROOT / "recipes" / "pretrain" / "demo-standard.yaml")
HUGE = "99999999999999999999"
PAST = "9" * 5000


def refused(words: list[str], capsys, lines: int = 1) -> str:
    """The message of a mistake, which has so many lines."""
    assert main(words) == 2
    error = str(capsys.readouterr().err)
    assert error.startswith("relexify: error: ") and len(error.strip().splitlines()) == lines and len(error) < 700 * lines
    return error


@pytest.mark.parametrize("word", [
    "--batch-size=-1", "--batch-size=0", "--clip-norm=-1", "--clip-norm=inf", "--dropout=2", "--dropout=nan", "--lr=-1",
    "--lr=nan", "--lr=1e300", "--processes=-1", "--nodes=0", "--save-embeddings-at=-5", "--save-embeddings-at=0",
    "--save-embeddings-at=100,x", "--lr=0", "--lr=0.0", "--lr=atuo",
    "--save-embeddings-at=5,5", f"--save-embeddings-at={PAST}", f"--seed={HUGE}", "--validate-every=0", "--update-freq=0",
    "--updates=0", "--mask-prob=1", "--mask-policy=berd", "--rtd-weight=-0.5", "--threads=-1", "--patience=-1",
    "--tokens-per-sample=100000000000", "--special-rows=keep", "--objective=mlmm"])
def test_options_of_adapt(word, tmp_path, capsys):
    output = tmp_path / "out"
    flag = word.partition("=")[0]
    error = refused(["adapt", "--body", "b", "--data", "d", "--output", str(output), word], capsys)
    assert f"error: {flag}: got " in error and "expected" in error
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("word", [
    "--attention-dropout=-1", "--clip-norm=-1", "--epochs=1e300", "--epochs=nan", "--epochs=0", "--seed=-1", f"--seed={HUGE}",
    "--warmup=nan", "--warmup=-1", "--weight-decay=-1", "--layer-decay=0", "--layer-decay=1.5", "--layer-decay-variant=papr",
    "--adam-betas=(0.9)", "--adam-betas=(1,1)", "--adam-betas=__import__('os').system('touch x')", "--adam-eps=0", "--lr=-1",
    "--batch-size=0", "--stride=-1", "--max-length=-1", "--max-question=-1", "--precision=fp8", "--updates=-1"])
def test_options_of_finetune(word, tmp_path, capsys):
    flag = word.partition("=")[0]
    error = refused(["finetune", "--body", "b", "--data", "d", "--output", str(tmp_path / "out"), word], capsys)
    assert f"error: {flag}: got " in error and not list(tmp_path.iterdir())


@pytest.mark.parametrize("word", ["--max-answer-tokens=0", "--max-tokens=0", "--max-length=-1", "--stride=-1", "--threads=-1",
                                  "--pairs=both", "--precision=int8"])
def test_options_of_evaluate(word, tmp_path, capsys):
    output = str(tmp_path / "out")
    error = refused(["evaluate", "--body", "b", "--embedding", "e", "--data", "d", "--output", output, word], capsys)
    assert f"error: {word.partition('=')[0]}: got " in error and not list(tmp_path.iterdir())


@pytest.mark.parametrize("word", ["--vocab-size=2147483648", f"--vocab-size={HUGE}", "--vocab-size=-1", "--seed=-1",
                                  "--workers=0", "--character-coverage=nan", "--valid-fraction=1", "--valid-documents=-1",
                                  "--model-type=word"])
def test_options_of_prepare(word, tmp_path, capsys):
    (tmp_path / "t.txt").write_text("a b\n")
    error = refused(["prepare", str(tmp_path / "t.txt"), "--language", "sw", "--output", str(tmp_path / "out"), word], capsys)
    assert f"error: {word.partition('=')[0]}: got " in error and not (tmp_path / "out").exists()


PRETRAIN = [
    "adam_betas=(0.9)", "adam_betas=(1,1)", "adam_betas=__import__('os').system('touch FILE')", "adam_eps=-1", "adam_eps=0",
    "batch_size=-1", "batch_size=0", "dropout=1.5", "forget_every=-1", "lr=-1", "lr=0", "lr=.nan", "lr=.inf", "lr=1e300",
    "processes=-1", "processes=0", "relative_buckets=-1", "relative_buckets=2", "seed=-1", "tokens_per_sample=100000000000",
    "update_freq=0", "validate_every=-1", "warmup=-1", "layers=1000000000", "heads=100000", "width=1000000000", "nodes=-1",
    "generator_depth=.nan", "generator_width=1000", "generator_width=.nan", "rtd_episode_warmup=-2", "sampling_temperature=0",
    "hardness_mixture=1.5", "hardness_weight=-1", "focal_gamma=-1", "batch_size=1.5", "compile=perhaps", "updates=many",
    "batch_size=[1]", "lr=null", f"seed={PAST}"]


@pytest.mark.parametrize(("words", "message"), [
    (["forget_every=1"], "forget_every 1: with forget_reset normal"),
    (["forget_hold=50", "forget_every=50"], "forget_hold 50: expected fewer updates than the 50 of an episode"),
    (["forget_reset=permute", "forget_every=0"], "forget_reset permute: nothing is reset without forget_every"),
    (["forget_reset=rotate"], "forget_reset rotate needs forget_tables of 2 or more"),
    (["forget_tables=2"], "only forget_reset rotate has several tables"), (["forget_share=0"], "forget_share: got 0.0"),
    (["forget_share=0.5", "forget_reset=none"], "forget_share 0.5: with forget_reset none no rows are reset")])
def test_variants_of_a_reset_that_do_not_go_together(words, message, tmp_path, capsys):
    assert message in refused(["pretrain", DEMO, "data=d", f"output={tmp_path / 'out'}", "forget_every=100", *words], capsys)


@pytest.mark.parametrize("word", PRETRAIN)
def test_words_of_pretrain(word, tmp_path, capsys):
    name = word.partition("=")[0]
    error = refused(["pretrain", DEMO, "data=d", f"output={tmp_path / 'out'}", word], capsys)
    assert f"command line: {name}: got " in error or "is not of the form key=value" in error
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("word", [word for word in PRETRAIN if "=[" not in word and PAST not in word])
def test_the_same_from_yaml_with_its_line(word, tmp_path, capsys):
    name, _, value = word.partition("=")
    path = tmp_path / "r.yaml"
    path.write_text(f"# a recipe\n{name}: {value}\n")
    error = refused(["pretrain", str(path), "data=d", "output=o"], capsys)
    assert f"error: {path}:2: {name}: got " in error


def test_all_mistakes_are_told_at_once_a_line_each(tmp_path, capsys):
    path = tmp_path / "r.yaml"
    path.write_text("batch_size: 0\nlr: .nan\nwarmupp: 3\n")
    error = refused(["pretrain", str(path), "seed=-1"], capsys, lines=5)
    assert f"{path}:1: batch_size" in error and f"{path}:2: lr" in error and f"{path}:3: unknown key 'warmupp'" in error
    assert "command line: seed: got -1" in error
    words = ["adapt", "--body", "b", "--data", "d", "--output", "o", "--lr", "-1", "--recipe", str(path)]
    error = refused(words, capsys, lines=4)
    assert "\n--lr: got -1.0" in error and f"{path}:1: batch_size" in error


@pytest.mark.parametrize(("words", "text"), [
    (["layers=1000", "width=65536", "heads=16", "ffn=262144"], "parameters, expected at most"),
    (["max_positions=3"], "expected at least the 64 tokens of a block"),
    (["warmup=2000"], "warmup=2000: expected fewer than the 2000 updates of the run"),
    (["forget_every=200", "forget_start=450", "forget_until=550"], "the first episode would begin after 600 updates"),
    (["forget_every=200", "forget_start=400", "updates=2010"], "updates=2010: the embedding would be reset after 2000 updates"),
])
def test_what_does_not_go_together(words, text, tmp_path, capsys):
    assert text in refused(["pretrain", DEMO, f"data={tmp_path}", f"output={tmp_path / 'out'}", *words], capsys)


def test_a_rate_of_0_names_the_word_for_what_0_stands_for(tmp_path, capsys):
    error = refused(["adapt", "--body", "b", "--data", "d", "--output", str(tmp_path / "o"), "--lr", "0"], capsys)
    assert "--lr: got '0', expected a number above 0 to 100, or auto" in error


@pytest.mark.parametrize(("words", "text"), [
    (["--budgets", "60,30", "--warmup", "40"], "--warmup 40: expected fewer than the 30 updates of the shortest run (--budgets"),
    (["--updates", "40", "--warmup", "40"], "--warmup 40: expected fewer than the 40 updates of the run")])
def test_a_warmup_as_long_as_a_run_of_adapt(words, text, tmp_path, capsys):
    assert text in refused(["adapt", "--body", "b", "--data", "d", "--output", str(tmp_path / "o"), *words], capsys)


@pytest.mark.parametrize("points", ["2000", "100,5000"])
def test_points_that_a_run_does_not_pass(points, tmp_path, capsys):
    words = ["adapt", "--body", "b", "--data", "d", "--output", str(tmp_path / "o"), "--save-embeddings-at", points]
    error = refused(words, capsys)
    assert "expected numbers below the 2000 updates" in error


RUN = f"""name: t
base: en
languages:
  en: {{text: a}}
  sw: {{text: b, vocab_size: 400}}
arms:
  standard: {{recipe: {DEMO}}}
adapt: {{lr: 1e-3}}
tasks:
  xnli: {{data: n}}
"""


@pytest.mark.parametrize(("word", "text"), [
    ("adapt.lr=-1", "adapt.lr: got -1.0, expected a number above 0"),
    ("adapt.batch_size=0", "adapt.batch_size: got 0"),
    ("evaluate.max_tokens=0", "evaluate.max_tokens: got 0"),
    ("evaluate.max_answer_tokens=0", "evaluate.max_answer_tokens: got 0"),
    ("finetune.epochs=.nan", "finetune.epochs: got nan"),
    ("prepare.vocab_size=-1", "prepare.vocab_size: got -1"),
    ("languages.sw.vocab_size=2147483648", "languages.sw.vocab_size: got 2147483648"),
    ("pretrain.batch_size=0", "pretrain.batch_size: got 0"),
    ("arms.standard.layers=1000000000", "arms.standard.layers: got 1000000000"),
    ("seeds=[-1]", "seeds: got -1"),
    (f"seeds=[{HUGE}]", f"seeds: got {HUGE}"),
    ("adapt.lr=${oc.env:HOME}", "expected no ${…:…}"),
    ("adapt.lr=${nowhere}", "leads nowhere"),
])
def test_words_of_a_run(word, text, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "run.yaml"
    path.write_text(RUN)
    assert main(["run", str(path), word, "--dry-run"]) == 2
    error = capsys.readouterr().err
    assert text in error and len(error.strip().splitlines()) == 1
    assert sorted(tmp_path.iterdir()) == [path]


LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 10)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True))


@pytest.mark.parametrize("verb", ["pretrain", "run", "config", "adapt"])
@pytest.mark.parametrize(("content", "text"), [
    (LAUGHS, "stands for more than 100,000 values"),
    ("a: " + "[" * 5000 + "]" * 5000, "nested more than 50 deep"),
    ("a: " + "[" * 60 + "]" * 60, "nested more than 50 deep"),
    ("a: &a [*a]", "contains itself"),
    ("output: ${oc.env:HOME}\n", "expected no ${…:…}"),
    (f"seed: {PAST}\n", "not valid YAML"),
    ("- a\n- b\n", "expected `key: value` lines, got a list"),
    ("a: b: c\n", "not valid YAML"),
    ("x" * 1_100_000, "expected a recipe (YAML) of at most"),
])
def test_yaml_that_is_no_recipe(verb, content, text, tmp_path, capsys):
    path = tmp_path / "r.yaml"
    path.write_text(content)
    words = {"config": ["config", "adapt", str(path)], "adapt": ["adapt", "--recipe", str(path)]}.get(verb, [verb, str(path)])
    error = refused(words, capsys)
    assert str(path) in error and text in error


@pytest.mark.parametrize(("content", "text"), [
    ("warmup: ${nothing}\n", "r.yaml:1: warmup: got '${nothing}'"),
    ("warmup: ${updates}\nupdates: ${warmup}\n", "r.yaml:1: warmup: got '${updates}'"),
])
def test_references_that_lead_nowhere(content, text, tmp_path, capsys):
    path = tmp_path / "r.yaml"
    path.write_text(content)
    assert main(["pretrain", str(path), "data=d", "output=o"]) == 2
    assert text in capsys.readouterr().err


def test_a_reference_to_another_setting_is_filled_in(tmp_path):
    from pretrain.base.config import load_recipe
    from pretrain.settings import PretrainRecipe

    path = tmp_path / "r.yaml"
    path.write_text("warmup: ${batch_size}\nvalidate_every: ${updates}\nupdates: 70\n")
    found = load_recipe(PretrainRecipe, path, ["data=d", "output=o"])
    assert (found.warmup, found.validate_every) == (16, 70)


def test_a_line_of_fairseqs_own_is_checked_too():
    pytest.importorskip("fairseq")
    from pretrain.trainer import plugin  # noqa: F401
    from pretrain.trainer.config import check_config
    from pretrain.trainer.optimizer import ModularAdamWConfig
    from pretrain.trainer.task import ModularMLMConfig

    with pytest.raises(UserError, match=r"2 mistakes\n--adam-betas: got '\(1,1\)'.*\n--adam-eps: got 0"):
        check_config(ModularAdamWConfig, SimpleNamespace(adam_betas="(1,1)", adam_eps=0, weight_decay=0.0))
    with pytest.raises(UserError, match="--mask-policy: got 'berd', expected one of bert, electra, mask, did you mean 'bert'"):
        check_config(ModularMLMConfig, SimpleNamespace(mask_policy="berd"))
    check_config(ModularMLMConfig, SimpleNamespace(mask_policy="mask", forget_every=0))


@pytest.mark.parametrize("missing", ["train.bin", "all"])
def test_prepared_text_without_its_tokens(missing, tmp_path, capsys):
    folder = Path(tmp_path / "data")
    folder.mkdir()
    if missing == "train.bin":
        (folder / "prepare.json").write_text('{"language": "qaa"}')
    error = refused(["pretrain", DEMO, f"data={folder}", f"output={tmp_path / 'out'}"], capsys)
    assert {"train.bin": "train.bin: expected binarised training text",
            "all": "prepare.json: expected the record of prepared data"}[missing] in error


@pytest.mark.parametrize("words", ["-1", "99999999999999999999999999", "qaa=5,qab=-1"])
def test_sizes_of_a_world(words, tmp_path, capsys):
    error = refused(["world", "--output", str(tmp_path / "w"), "--words", words], capsys)
    assert "expected at least 1, at most 1,000,000,000" in error and not list(tmp_path.iterdir())


@pytest.mark.parametrize("words", ["0", "qaa=0"])
def test_no_words_of_the_miniature_world_are_refused_with_the_option(words, tmp_path, capsys):
    assert main(["world", "--output", str(tmp_path / "w"), f"--words={words}"]) == 2
    assert "--words: got 0 for qaa, expected at least 1" in capsys.readouterr().err
