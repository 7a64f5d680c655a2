"""The command line: fast help, one line for each mistake, exit code 2, the printed fairseq-train line."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pretrain.base.errors import UserError
from recipes import cli
from recipes.cli import VERBS, build_parser, main
from tests.killing import ROOT


def said(capsys) -> str:
    return capsys.readouterr().err.strip()


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself_with_an_example(verb, capsys):
    with pytest.raises(SystemExit) as stop:
        main([verb, "--help"])
    assert stop.value.code == 0
    assert f"relexify {verb}" in capsys.readouterr().out.split("example", 1)[1]


def test_help_and_verbs_help_import_nothing_heavy():
    code = ("import sys\nfrom recipes.cli import VERBS, build_parser\nbuild_parser(None)\n"
            "for verb in VERBS: build_parser(verb)\n"
            "heavy = [m for m in ('torch', 'fairseq', 'sentencepiece', 'datasets', 'omegaconf', 'transformers')"
            " if m in sys.modules]\nprint(heavy)")
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_a_users_mistake_is_one_line_and_exit_code_2(capsys):
    assert main(["inspect", "/nowhere"]) == 2
    text = said(capsys)
    assert text.startswith("relexify: error: /nowhere: ") and "\n" not in text


@pytest.mark.parametrize(("words", "text"), [
    (["prepare", "/no/such.txt", "--language", "sw", "--output", "{out}"], "/no/such.txt"),
    (["prepare", "{empty}", "--language", "sw", "--output", "{out}"], "empty.txt"),
    (["prepare", "{empty}", "--language", "swahili!", "--output", "{out}"], "swahili!"),
    (["pretrain", "{recipe}", "data=/no/data", "output={out}"], "/no/data: expected prepared text"),
    (["pretrain", "/no/recipe.yaml"], "/no/recipe.yaml: expected a recipe"),
    (["adapt", "--body", "/no/body", "--data", "{out}", "--output", "{out}"], "/no/body: expected a body"),
    (["adapt", "--body", "b", "--data", "d", "--output", "{out}", "--initialiser", "meen"], "did you mean 'mean'"),
    (["assemble", "--body", "/no/body", "--embedding", "e", "--output", "{out}"], "/no/body: expected a body"),
    (["finetune", "--body", "/no/body", "--data", "d", "--output", "{out}"], "/no/body: expected a body"),
    (["evaluate", "--body", "/no/body", "--embedding", "e", "--data", "d", "--output", "{out}"], "/no/body"),
    (["split", "/no/checkpoint.pt", "--output", "{out}"], "/no/checkpoint.pt"),
    (["split", "{empty}", "--output", "{out}"], "empty.txt"),
])
def test_wrong_input_names_itself(words, text, tmp_path, capsys):
    (tmp_path / "empty.txt").write_text("")
    names = {"out": tmp_path / "out", "empty": tmp_path / "empty.txt",
             "recipe": ROOT / "recipes" / "pretrain" / "demo-standard.yaml"}
    assert main([word.format(**names) for word in words]) == 2
    error = said(capsys)
    assert error.startswith("relexify: error: ") and text in error and "\n" not in error
    assert not (tmp_path / "out").exists()


def test_existing_output_is_refused(tmp_path, capsys):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "kept").write_text("x")
    (tmp_path / "text.txt").write_text("a b c\n")
    assert main(["prepare", str(tmp_path / "text.txt"), "--language", "sw", "--output", str(tmp_path / "out")]) == 2
    assert "already exists" in said(capsys) and (tmp_path / "out" / "kept").exists()


def test_interrupt_says_how_to_go_on(monkeypatch, capsys):
    def interrupted(args):
        raise KeyboardInterrupt

    parser = build_parser("inspect")
    parser.set_defaults(run=interrupted)
    monkeypatch.setattr(cli, "build_parser", lambda verb: parser)
    parser.parse_args = lambda words: type("A", (), {"version": False, "verb": "inspect", "run": staticmethod(interrupted)})()
    assert main(["inspect", "x"]) == 130
    assert "the same command resumes" in said(capsys)


def test_errors_of_our_own_keep_their_traceback(monkeypatch):
    monkeypatch.setattr("recipes.commands.using.inspect.describe", lambda path: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        main(["inspect", "x"])


def test_user_error_carries_exit_code_2():
    assert UserError("x").exit_code == 2
