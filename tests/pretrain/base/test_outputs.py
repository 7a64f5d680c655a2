"""Every command that writes an output claims it at its start, and asks for name and kind then and at the commit."""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from pretrain.base.errors import UserError
from pretrain.base.files import atomic_folder
from pretrain.base.outputs import makes, making
from recipes.cli import main

ROOT = Path(__file__).resolve().parents[3]
OLD = ROOT / "tests" / "fixtures" / "artefacts"
HOLD = """import sys
from pretrain.base.locks import claimed
with claimed(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""
COMMANDS = {
    "assemble": ["--body", OLD / "xnli", "--embedding", OLD / "qab"],
    "evaluate": ["--body", OLD / "xnli", "--embedding", OLD / "qab", "--task", "xnli", "--split", "test", "--data", OLD,
                 "--quiet"],
    "export": ["--body", OLD / "xnli", "--embedding", OLD / "qab", "--to", "huggingface"],
    "export --to fairseq": ["--body", OLD / "xnli", "--embedding", OLD / "qab"],
    "surgery prune": [OLD / "qab", "--text", OLD / "README.md"],
    "report": [OLD / "scores"],
    "predict": ["--body", OLD / "xnli", "--embedding", OLD / "qab", "--text", "a", "b"],
}
"""Command -> its words beside --output."""


def run(name: str, output: Path, *more: str) -> int:
    return main([*name.split(), *map(str, COMMANDS[name]), "--output", str(output), *more])


@contextmanager
def held(output: Path):
    """Another process has the claim on an output."""
    child = subprocess.Popen([sys.executable, "-c", HOLD, str(output)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert child.stdout is not None and child.stdout.readline()
        yield
    finally:
        child.communicate(timeout=60)


@pytest.mark.parametrize("name", COMMANDS)
def test_what_another_process_is_making_is_refused_before_any_work(name, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("pretrain.base.outputs.claimed.__wrapped__.__defaults__", (0.0,))
    worked: list[str] = []
    monkeypatch.setattr("pretrain.artefacts.body.Body.load", lambda *_: worked.append("read a body"))
    with held(tmp_path / "out"):
        assert run(name, tmp_path / "out") == 2
    assert capsys.readouterr().err == (f"relexify: error: {tmp_path / 'out'}: another process is making it; wait for it, or stop "
                                       "it\n")
    assert worked == [] and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "predict"])
def test_another_kind_is_not_replaced(name, tmp_path, capsys):
    kind = {"report": "dict.txt"}.get(name, "report.html")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / kind).write_text("mine")
    assert run(name, tmp_path / "out", "--overwrite") == 2
    assert "--overwrite replaces" in capsys.readouterr().err
    assert (tmp_path / "out" / kind).read_text() == "mine"


def test_what_appears_meanwhile_is_refused_at_the_commit(tmp_path):
    with making(tmp_path / "out", False, "a report"), pytest.raises(UserError, match="already exists"), \
            atomic_folder(tmp_path / "out") as folder:
        (folder / "report.html").touch()
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "other").touch()
    assert [place.name for place in (tmp_path / "out").iterdir()] == ["other"]


def test_what_has_no_kind_replaces_nothing(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "report.html").write_text("mine")
    with pytest.raises(UserError, match="holds a report"), atomic_folder(tmp_path / "out", overwrite=True) as folder:
        (folder / "of no kind").touch()
    assert (tmp_path / "out" / "report.html").read_text() == "mine"


def test_a_function_that_makes_something_claims_it_under_any_form_of_call(tmp_path):
    @makes("a report")
    def write(what: str, output: Path, *, overwrite: bool = False) -> str:
        return what

    (tmp_path / "out").mkdir()
    assert write("x", tmp_path / "out") == write(output=tmp_path / "out", what="x") == "x"
    (tmp_path / "out" / "file").touch()
    for call in (lambda: write("x", tmp_path / "out"), lambda: write("x", output=tmp_path / "out", overwrite=True)):
        with pytest.raises(UserError):
            call()
