"""`relexify analyse-sampling`: from folders to tables, and one line for each mistake."""

from __future__ import annotations

import csv
import subprocess
import sys

import pytest

from adapt.text.tokenizer import Tokenizer
from pretrain.artefacts.body import Body
from pretrain.base.files import read_json
from pretrain.encoder import Dropout
from pretrain.masked_lm import MaskedLM
from recipes.cli import main
from recipes.sampling.runs import parse
from tests.killing import ROOT, warm
from tests.recipes.sampling.sampling_pairs import SHAPE, prepared, random_pair, save


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """`data`, and pairs `plain1 plain2 loss1 loss2` in its vocabulary; `other`, data in another."""
    root = tmp_path_factory.mktemp("pairs")
    data = prepared(root / "qaa")
    rows = len(Tokenizer.load(data).vocabulary)
    for head, arm in (("none", "plain"), ("loss", "loss")):
        for seed in (1, 2):
            save(random_pair(head, seed, rows), data, root / f"{arm}{seed}", seed=seed, recipe={"tokens_per_sample": 12})
    prepared(root / "other", "бвгдежзик")
    return root


def analyse(root, output, *words: str) -> int:
    return main(["analyse-sampling", "--data", str(root / "qaa" / "data"), "--output", str(output), "--quiet", "--blocks", "6",
                 "--no-picture", *words])


def arms(root, *names: str) -> list[str]:
    return [word for name in names for word in ("--body", f"{name[:-1]}={root / name}")]


def test_folder_holds_a_row_for_each_run_and_a_page_that_answers(root, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    output = tmp_path / "out"
    assert main(["analyse-sampling", "--data", str(root / "qaa" / "data"), "--output", str(output), "--quiet", "--blocks", "6",
                 *arms(root, "plain1", "loss1", "plain2", "loss2")]) == 0
    assert {path.name for path in output.iterdir()} == {"analysis.png", "figures.csv", "histogram.csv", "summary.json",
                                                         "summary.md"}
    rows = list(csv.DictReader((output / "figures.csv").open()))
    runs = list(dict.fromkeys((row["arm"], row["run"]) for row in rows))
    assert runs == [(arm, str(root / f"{arm}{seed}")) for arm in ("plain", "loss") for seed in (1, 2)]
    summary = read_json(output / "summary.json")
    assert summary["settings"]["tokens_per_sample"] == 12 and summary["settings"]["blocks"] == 6
    assert {test["arm"] for test in summary["tests"]} == {"loss"}
    assert {test["claim"] for test in summary["tests"]} == {1, 2, 3} and summary["tests"][-1]["p"] is not None
    text = (output / "summary.md").read_text()
    assert all(f"\n## {number}. " in text for number in (1, 2, 3)) and "nan" not in text
    assert "claim 1, loss" in capsys.readouterr().out


def test_the_same_command_gives_the_same_tables(root, tmp_path):
    for name in ("a", "b"):
        assert analyse(root, tmp_path / name, *arms(root, "loss1")) == 0
    for file in ("figures.csv", "histogram.csv", "summary.md"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_a_run_has_the_figures_that_it_has_alone(root, tmp_path):
    assert analyse(root, tmp_path / "alone", *arms(root, "loss2")) == 0
    assert analyse(root, tmp_path / "all", *arms(root, "plain1", "loss1", "loss2")) == 0
    alone, both = ([row for row in csv.DictReader((tmp_path / name / "figures.csv").open()) if row["run"].endswith("loss2")]
                   for name in ("alone", "all"))
    assert alone and alone == both


@pytest.mark.parametrize(("text", "arm"), [("runs/en", "en"), ("plain=runs/en", "plain"), ("runs/en/body", "en"), ("a=b=c", "a")])
def test_arms_are_named_or_called_as_their_folder(text, arm):
    assert parse(text)[0] == arm


def test_folder_with_an_equals_sign_is_a_folder(tmp_path):
    (tmp_path / "lr=3").mkdir()
    assert parse(str(tmp_path / "lr=3")) == ("lr=3", tmp_path / "lr=3")


def save_roberta(root, folder):
    Body.of_model(MaskedLM(SHAPE, 30, Dropout(0, 0, 0))).save(folder / "body")


def save_without_generator(root, folder):
    body = Body.load(root / "plain1" / "body")
    body.generator = None
    body.save(folder / "body")


@pytest.mark.parametrize(("make", "text"), [
    (save_roberta, "is a roberta body, which neither samples nor detects"),
    (save_without_generator, "has no generator (generator.safetensors): it is pre-trained without a generator network")])
def test_body_that_is_no_pair_is_refused(make, text, root, tmp_path, capsys):
    make(root, tmp_path / "body")
    assert analyse(root, tmp_path / "out", "--body", str(tmp_path / "body")) == 2
    error = capsys.readouterr().err.strip()
    assert error.startswith("relexify: error: ") and text in error and str(tmp_path / "body") in error and "\n" not in error
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("words", "text"), [
    (["--body", "{root}/plain1", "--embedding", "{root}/plain2"], "does not fit"),
    (["--body", "{root}/plain1", "--body", "{root}/plain2", "--embedding", "{root}/plain1"], "one for each --body"),
    (["--body", "{root}/plain1", "--body", "x={root}/plain1"], "is the same pair as"),
    (["--body", "a={root}/plain1", "--body", "a={root}/loss1"], "give it an arm of its own"),
    (["--body", "{root}/plain1", "--data", "{root}/other/data"], "take text prepared with that embedding's tokenizer"),
    (["--body", "{root}/plain1", "--split", "test"], "test.idx"),
    (["--body", "{root}/plain1", "--tokens-per-sample", "99"], "exceeds the 16 positions"),
    (["--body", "{root}/plain1", "--blocks", "-1"], "--blocks -1"),
    (["--body", "{root}/plain1", "--test", "welsh"], "did you mean 'welch'"),
    (["--body", "a={root}/plain1", "--body", "b={root}/loss2", "--test", "paired"], "the seeds [1], those of 'b' [2]"),
    (["--body", "{root}/plain1", "--device", "tpu"], "unknown device 'tpu'"),
    (["--body", "=x"], "expected NAME=DIR"), (["--body", "/nowhere"], "/nowhere: expected a body"),
])
def test_mistakes_are_one_line(words, text, root, tmp_path, capsys):
    assert analyse(root, tmp_path / "out", *(word.format(root=root) for word in words)) == 2
    error = capsys.readouterr().err.strip()
    assert error.startswith("relexify: error: ") and text in error and "\n" not in error, error
    assert not (tmp_path / "out").exists()


def test_existing_output_is_refused_before_anything_is_computed(root, tmp_path, capsys):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "kept").write_text("x")
    assert analyse(root, tmp_path / "out", "--body", "/nowhere") == 2
    assert "already exists" in capsys.readouterr().err and (tmp_path / "out" / "kept").exists()


def test_missing_matplotlib_is_said_first(root, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("recipes.commands.scoring.analyse_sampling.find_spec", lambda name: None)
    assert main(["analyse-sampling", "--data", "d", "--output", str(tmp_path / "out"), "--body", "/nowhere"]) == 2
    assert "relexify[demo]" in capsys.readouterr().err


def test_works_where_fairseq_is_not_installed(root, tmp_path):
    code = ("import sys; sys.modules['fairseq'] = None\nfrom recipes.cli import main\n"
            f"sys.exit(main(['analyse-sampling', '--body', {str(root / 'loss1')!r}, '--data', {str(root / 'qaa' / 'data')!r}, "
            f"'--output', {str(tmp_path / 'out')!r}, '--blocks', '2', '--quiet', '--no-picture']))")
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True, env=warm())
    assert (tmp_path / "out" / "summary.md").exists()
