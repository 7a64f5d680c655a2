"""One process makes an output; what killed ones left is removed by the next, and nothing of a living one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pretrain.base.errors import UserError
from pretrain.base.files import atomic_folder, replace_folder
from pretrain.base.locks import claimed, sweep_all, sweep_files

ROOT = Path(__file__).resolve().parents[3]
WRITE = """
import sys, time
from pretrain.base.files import atomic_folder
with atomic_folder(sys.argv[1]) as folder:
    (folder / "prepare.json").write_text("first")
    print("writing", flush=True)
    sys.stdin.read()
"""


def writer(output: Path) -> subprocess.Popen[str]:
    """A process in the middle of writing an output; it finishes when its standard input closes."""
    child = subprocess.Popen([sys.executable, "-c", WRITE, str(output)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                             text=True)
    assert child.stdout is not None and child.stdout.readline()
    return child


def end(child: subprocess.Popen[str], number: int = 0) -> int:
    if number:
        child.send_signal(number)
    child.communicate(timeout=60)
    return child.returncode


def put(folder: Path, name: str = "prepare.json", text: str = "") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)
    return folder


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_second_writer_is_refused_and_the_first_is_intact(tmp_path, overwrite):
    first = writer(tmp_path / "out")
    with pytest.raises(UserError, match="out: another process is making it"), atomic_folder(tmp_path / "out", overwrite):
        raise AssertionError("the second one writes too")
    assert end(first) == 0
    assert (tmp_path / "out" / "prepare.json").read_text() == "first" and os.listdir(tmp_path) == ["out"]


def test_one_that_appears_while_another_is_waited_for_is_not_replaced(tmp_path):
    with pytest.raises(UserError, match="already exists"), atomic_folder(tmp_path / "out") as folder:
        put(folder, text="second")
        put(tmp_path / "out", text="first")  # as by a process that knows no locks
    assert (tmp_path / "out" / "prepare.json").read_text() == "first" and os.listdir(tmp_path) == ["out"]


def test_what_a_killed_writer_left_is_removed_by_the_next(tmp_path):
    end(writer(tmp_path / "out"), signal.SIGKILL)
    assert len(os.listdir(tmp_path)) == 2
    with atomic_folder(tmp_path / "out") as folder:
        put(folder, text="next")
    assert os.listdir(tmp_path) == ["out"]


def test_a_refused_run_removes_it_too(tmp_path):
    end(writer(tmp_path / "out"), signal.SIGKILL)
    put(tmp_path / "out")
    with pytest.raises(UserError, match="already exists"), atomic_folder(tmp_path / "out"):
        pass
    assert os.listdir(tmp_path) == ["out"]


def test_other_outputs_and_living_writers_keep_theirs(tmp_path):
    living = writer(tmp_path / "out.b")
    for name in (".out.b.tmp", ".out.notes.tmp", ".out.c.abcdefgh.tmp"):
        put(tmp_path / name)
    before = set(os.listdir(tmp_path))
    with atomic_folder(tmp_path / "out") as folder:
        put(folder)
    assert set(os.listdir(tmp_path)) == before | {"out"}
    assert end(living) == 0
    sweep_all(tmp_path)
    assert set(os.listdir(tmp_path)) == {"out", "out.b", ".out.b.tmp", ".out.notes.tmp"}


def test_an_old_output_between_two_names_is_put_back(tmp_path, monkeypatch):
    put(tmp_path / "out", text="old")
    new = put(tmp_path / "new", text="new")
    stock = os.replace

    def killed(source, target):
        if Path(source) == new:
            raise KeyboardInterrupt
        stock(source, target)

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        replace_folder(new, tmp_path / "out")
    monkeypatch.undo()
    assert not (tmp_path / "out").exists()
    with claimed(tmp_path / "out"):
        assert (tmp_path / "out" / "prepare.json").read_text() == "old"
    assert set(os.listdir(tmp_path)) == {"out", "new"}


def test_a_process_may_claim_again_what_it_has(tmp_path):
    with claimed(tmp_path / "out") as one, claimed(tmp_path / "x" / ".." / "out") as two:
        assert one is two and (tmp_path / ".out.lock").exists()
    assert not os.listdir(tmp_path)


def test_left_files_are_told_by_their_names(tmp_path):
    for name in (".a.json.abcdefgh.tmp", "a.json", ".a.json.tmp", "b.abcdefgh.tmp"):
        (tmp_path / name).write_text("x")
    sweep_files(tmp_path)
    assert set(os.listdir(tmp_path)) == {"a.json", ".a.json.tmp", "b.abcdefgh.tmp"}
