"""Folders with names that fairseq, YAML or a shell would take for syntax, through real trainings."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from adapt.artefacts.embedding import Embedding
from pretrain.artefacts.body import Body
from recipes.cli import main
from tests.killing import ROOT

pytest.importorskip("fairseq")
pytestmark = pytest.mark.slow
OLD = ROOT / "tests" / "fixtures" / "artefacts"
ODD = "a: b {x}, 'q' #1"
COMMON = ["--threads", "1", "--quiet", "--updates", "4", "--validate-every", "2", "--batch-size", "2"]


def test_adapt_gives_the_embedding_that_it_gives_elsewhere(tmp_path, monkeypatch):
    """Of more than one epoch: fairseq would load data with a colon anew for each."""
    found = []
    for name in (ODD, "plain"):
        folder = tmp_path / name
        shutil.copytree(OLD / "prepared-qab", folder / "data")
        monkeypatch.chdir(folder)
        words = ["adapt", "--body", str(OLD / "roberta"), "--data", str(folder / "data"), "--output", "out",
                 "--tokens-per-sample", "32", *COMMON]
        assert main(words) == 0
        found.append(Embedding.load(folder / "out").record()["fingerprint"])
    assert found[0] == found[1]


def test_pretrain_and_finetune(tmp_path, monkeypatch):
    folder = tmp_path / ODD
    shutil.copytree(OLD / "prepared-qab", folder / "data")
    for name in ("random.py", "tasks.py"):  # a user's own files are no modules of Python's or ours
        (folder / name).write_text("raise SystemExit('executed')")
    monkeypatch.chdir(folder)
    pretrain = [str(ROOT / "recipes" / "pretrain" / "demo-standard.yaml"), f"data={folder / 'data'}", "output=./out: {1}",
                "layers=1", "width=16", "ffn=16", "heads=2", "batch_size=2", "updates=4", "validate_every=2", "warmup=1",
                "threads=1"]
    assert main(["pretrain", *pretrain, "--quiet"]) == 0
    Path("nli").mkdir()
    for split in ("train", "dev"):
        shutil.copyfile(OLD / "test-qab.tsv", Path("nli") / f"{split}-qab.tsv")
    assert main(["finetune", "--body", "out: {1}", "--task", "xnli", "--data", str(folder / "nli"), "--output", "nli: {2}",
                 *COMMON]) == 0
    assert Body.load("nli: {2}").lineage == Body.load(Path("out: {1}") / "body").lineage
