"""A training ends with the command that started it, and what is stopped or killed goes on where it was."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from adapt.artefacts.embedding import Embedding
from pretrain.base.checkpoints import load_checkpoint
from tests.killing import ROOT, relexify, warm

pytest.importorskip("fairseq")
OLD = ROOT / "tests" / "fixtures" / "artefacts"


def adapt(output: Path, *more: object) -> list[object]:
    return ["adapt", "--body", OLD / "roberta", "--data", OLD / "prepared-qab", "--output", output, "--batch-size", 2,
            "--tokens-per-sample", 32, "--validate-every", 5, "--threads", 1, "--quiet", *more]


def start(words: list[object]) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-m", "recipes.cli", *map(str, words)], cwd=ROOT, stderr=subprocess.PIPE,
                            stdout=subprocess.DEVNULL, text=True, start_new_session=True)


def wait_for_checkpoint(folder: Path, child: subprocess.Popen[str]) -> None:
    limit = time.monotonic() + 300
    while not (folder / "checkpoint_last.pt").exists():
        assert child.poll() is None and time.monotonic() < limit
        time.sleep(0.02)


def trainers(folder: Path) -> list[int]:
    """Training processes of a folder."""
    found = []
    for place in Path("/proc").iterdir():
        if place.name.isdigit():
            try:
                words = (place / "cmdline").read_bytes().decode(errors="replace").split("\0")
                if "fairseq_cli.train" in words and str(folder) in words and " Z " not in (place / "stat").read_text():
                    found.append(int(place.name))
            except OSError:
                continue
    return found


@pytest.mark.slow
@pytest.mark.cold
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGTERM, 143)])
def test_the_training_ends_with_its_command_and_goes_on(number, code, tmp_path):
    folder = tmp_path / "out.training"
    child = start(adapt(tmp_path / "out", "--updates", 100_000))
    wait_for_checkpoint(folder, child)
    assert trainers(folder)
    os.kill(child.pid, number)
    _, said = child.communicate(timeout=60)
    limit = time.monotonic() + 20
    while trainers(folder):
        assert time.monotonic() < limit, "the training goes on unseen"
        time.sleep(0.05)
    assert child.returncode == code
    if number == signal.SIGTERM:
        assert said.splitlines()[-1] == "relexify: stopped; the same command goes on where it was"
        assert not (tmp_path / ".out.lock").exists()
    done = int(load_checkpoint(folder / "checkpoint_last.pt")["optimizer_history"][-1]["num_updates"])
    assert 0 < done < 100_000


@pytest.mark.slow
def test_patience_at_its_end_is_an_end_too_and_a_finished_adaptation_repeats_itself(tmp_path):
    words = adapt(tmp_path / "out", "--updates", 400, "--patience", 1, "--lr", "0.5", "--warmup", 0, "--keep-checkpoints",
                  "--save-embeddings-at", "2,4")
    assert relexify(*words).returncode == 0
    log, last = tmp_path / "out.training" / "train.log", tmp_path / "out.training" / "checkpoint_last.pt"
    said, state = log.read_text(), last.read_bytes()
    assert "early stop since" in said
    before = {path.relative_to(tmp_path): path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    again = relexify(*words, "--overwrite")
    assert again.returncode == 0, again.stderr
    assert log.read_text() == said and last.read_bytes() == state  # fairseq was not started
    assert {path.relative_to(tmp_path): path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()} == before
    assert {"000002", "000004"} == {path.name for path in (tmp_path / "out" / "at").iterdir()}


@pytest.mark.slow
def test_a_clean_up_that_was_cut_off_is_finished_by_the_same_command(tmp_path):
    words = adapt(tmp_path / "out", "--updates", 10, "--save-embeddings-at", "5")
    kill = ("import os, signal, shutil, sys\nfrom recipes.cli import main\n"
            "from pretrain.stage import Stage\nStage.clean_up = lambda self, keep: os.kill(os.getpid(), signal.SIGKILL)\n"
            "main(sys.argv[1:])")
    killed = subprocess.run([sys.executable, "-c", kill, *map(str, words)], cwd=ROOT, capture_output=True, text=True,
                            env=warm())
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    whole = Embedding.load(tmp_path / "out").record()
    assert (tmp_path / "out.training" / "checkpoint_last.pt").exists()
    assert relexify(*words).returncode == 0
    assert os.listdir(tmp_path) == ["out"] and Embedding.load(tmp_path / "out").record() == whole
    assert Embedding.load(tmp_path / "out" / "at" / "000005")
    assert relexify(*words).returncode == 2  # now it is an output like any other


def test_two_prepare_to_one_output_at_once_leave_the_first_one(tmp_path):
    from recipes.world import World

    words = []
    for code in ("qaa", "qab"):
        (tmp_path / f"{code}.txt").write_text("\n".join(World(1, ("qaa", "qab")).paragraphs(code, count=300)), encoding="utf-8")
        words.append(["prepare", tmp_path / f"{code}.txt", "--language", code, "--vocab-size", 100, "--output", tmp_path / "out",
                      "--documents", "line", "--workers", 1])
    children = [start(one) for one in words]
    said = [child.communicate(timeout=300)[1] for child in children]
    codes = [child.returncode for child in children]
    assert sorted(codes) == [0, 2], said
    lines = [line for line in said[codes.index(2)].splitlines() if line.startswith("relexify: error: ")]
    assert len(lines) == 1 and ("another process is making it" in lines[0] or "already exists" in lines[0])
    assert f'"language": "{("qaa", "qab")[codes.index(0)]}"' in (tmp_path / "out" / "prepare.json").read_text()
    assert {path.name for path in tmp_path.iterdir()} == {"qaa.txt", "qab.txt", "out"}
