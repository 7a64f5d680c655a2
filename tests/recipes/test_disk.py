"""What a disk, its rights or a path refuse is one line with the path and the cause, in every command that writes."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from pretrain.artefacts.body import Body
from recipes.cli import main
from tests.killing import ROOT, relexify

OLD = ROOT / "tests" / "fixtures" / "artefacts"
PRETRAIN = ["pretrain", ROOT / "recipes/pretrain/demo-standard.yaml", f"data={OLD / 'prepared-qab'}", "width=16", "heads=2",
            "ffn=16", "layers=1", "batch_size=2", "updates=8", "validate_every=4", "warmup=2", "tokens_per_sample=32",
            "threads=1"]


def words(verb: str, output: Path, text: Path) -> list[str]:
    """A command that writes an artefact to `output`, without training."""
    made = {
        "prepare": ["prepare", text, "--language", "qaa", "--vocab-size", "60", "--documents", "line", "--workers", "1"],
        "world": ["world", "--languages", "qaa", "--words", "500", "--train", "4", "--dev", "4", "--test", "4"],
        "assemble": ["assemble", "--body", OLD / "roberta", "--embedding", OLD / "qab"],
        "evaluate": ["evaluate", "--body", OLD / "xnli", "--embedding", OLD / "qab", "--task", "xnli", "--split", "test",
                     "--data", OLD, "--quiet"],
        "report": ["report", OLD / "scores"],
    }[verb]
    return [*map(str, made), "--output", str(output)]


VERBS = ("prepare", "world", "assemble", "evaluate", "report")


@pytest.fixture(scope="module")
def text(tmp_path_factory) -> Path:
    from recipes.world import World

    path = tmp_path_factory.mktemp("text") / "qaa.txt"
    path.write_text("\n".join(World(1, ("qaa",)).paragraphs("qaa", count=200)) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def disk(tmp_path) -> Iterator[Path]:
    """A file system of 3 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", place], capture_output=True).returncode:
        pytest.skip("mounting a small file system is not allowed here")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def remount(place: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", place], check=True)


def fill(place: Path, leave: int) -> Path:
    """Fills a file system up to so many bytes."""
    filler = place / "filler"
    stat = os.statvfs(place)
    filler.write_bytes(b"x" * (stat.f_bavail * stat.f_frsize - leave))
    return filler


def line_of(capsys, words: list[str]) -> str:
    """The one line of an error."""
    assert main(words) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("note: ")]
    assert len(lines) == 1 and lines[0].startswith("relexify: error: "), lines
    return lines[0]


@pytest.mark.parametrize("verb", VERBS)
def test_full_disk_is_one_line_and_leaves_nothing(verb, disk, text, capsys):
    filler = fill(disk, 4096)
    assert f"{disk}/" in (line := line_of(capsys, words(verb, disk / "out", text))) and "No space left on device" in line
    assert list(disk.iterdir()) == [filler]
    filler.unlink()
    assert main(words(verb, disk / "out", text)) == 0


@pytest.mark.parametrize("verb", VERBS)
def test_read_only_disk_is_one_line(verb, disk, text, capsys):
    remount(disk, "ro")
    line = line_of(capsys, words(verb, disk / "out", text))
    remount(disk, "rw")
    assert f"{disk}/" in line and "Read-only file system" in line


@pytest.mark.parametrize("verb", VERBS)
def test_a_file_as_parent_is_one_line(verb, tmp_path, text, capsys):
    (tmp_path / "file").write_text("x")
    assert f"{tmp_path}/file is a file" in line_of(capsys, words(verb, tmp_path / "file" / "a" / "out", text))


@pytest.mark.parametrize("verb", VERBS)
def test_too_long_a_name_is_one_line(verb, tmp_path, text, capsys):
    assert "the name has 400 bytes" in line_of(capsys, words(verb, tmp_path / ("ä" * 200), text))


@pytest.mark.parametrize("verb", VERBS)
def test_a_link_to_nothing_is_one_line(verb, tmp_path, text, capsys):
    (tmp_path / "link").symlink_to("gone")
    assert "is a link to gone, which is not there" in line_of(capsys, words(verb, tmp_path / "link", text))
    assert "is a link to gone, which is not there" in line_of(capsys, words(verb, tmp_path / "link" / "out", text))


@pytest.mark.slow
def test_a_training_that_found_the_disk_full_goes_on_when_there_is_room(disk, tmp_path):
    pytest.importorskip("fairseq")
    assert relexify(*PRETRAIN, f"output={tmp_path / 'whole'}").returncode == 0
    filler = fill(disk, 150_000)  # less than a checkpoint and its copies
    full = relexify(*PRETRAIN, f"output={disk / 'out'}")
    assert full.returncode == 2 and not (disk / "out").exists(), full.stderr
    assert full.stderr.splitlines()[-1].startswith(f"relexify: error: {disk}/out") and "No space left" in full.stderr
    assert "Traceback" not in full.stderr
    filler.unlink()
    again = relexify(*PRETRAIN, f"output={disk / 'out'}")
    assert again.returncode == 0, again.stderr
    assert Body.load(disk / "out" / "body").fingerprint == Body.load(tmp_path / "whole" / "body").fingerprint
    assert (disk / "out" / "curves.json").read_text() == (tmp_path / "whole" / "curves.json").read_text()


@pytest.mark.parametrize("place", ["disk/full", "file/run", "link/run"])
def test_a_run_that_cannot_write_is_one_line(place, tmp_path, text, request, capsys):
    pytest.importorskip("snakemake")
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to("gone")
    if place.startswith("disk"):
        fill(request.getfixturevalue("disk"), 0)
    (tmp_path / "r.yaml").write_text(f"base: qaa\nlanguages: {{qaa: {{text: {text}}}}}\narms: {{a: {{}}}}\n"
                                     f"pretrain: {{recipe: {ROOT}/recipes/pretrain/demo-standard.yaml}}\nfinally: []\n")
    line = line_of(capsys, ["run", str(tmp_path / "r.yaml"), "--output", str(tmp_path / place), "--only", "prepare", "--quiet"])
    assert str(tmp_path) in line


def test_snakemake_keeps_its_cache_below_the_run_where_home_cannot_be_written(tmp_path, monkeypatch, capsys):
    from recipes.workflow.execute import cache

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", "/dev/null")
    assert cache(tmp_path / "run") == {"XDG_CACHE_HOME": str(tmp_path / "run" / ".cache")}
    assert f"Snakemake's cache is {tmp_path / 'run' / '.cache'}" in capsys.readouterr().err
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache(tmp_path / "run") == {}


def test_an_error_of_our_own_keeps_its_traceback(monkeypatch):
    monkeypatch.setattr("recipes.commands.using.inspect.run", lambda args: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        main(["inspect", "x"])
