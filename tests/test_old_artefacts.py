"""What earlier code wrote is read: one small artefact of every kind lies in tests/fixtures/artefacts."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from adapt.artefacts.embedding import Embedding
from pretrain.artefacts.body import Body
from recipes.cli import main
from recipes.commands.using.inspect import describe

OLD = Path(__file__).resolve().parent / "fixtures" / "artefacts"


@pytest.mark.parametrize("name", ["roberta", "electra", "xnli", "squad", "qab", "prepared-qab", "scores/results.json"])
def test_inspect_reads_and_verifies_it(name):
    assert describe(OLD / name)


@pytest.mark.parametrize("name", ["roberta/body", "electra/body", "xnli", "squad"])
def test_a_body_keeps_its_fingerprint_and_writes_the_same_files(name, tmp_path):
    body = Body.load(OLD / name)
    body.save(tmp_path / "again")
    written = sorted(path.name for path in (tmp_path / "again").iterdir())
    assert {"body.json", "body.safetensors"} <= set(written)
    assert all((tmp_path / "again" / file).read_bytes() == (OLD / name / file).read_bytes() for file in written)


@pytest.mark.parametrize("name", ["roberta/embedding", "electra/embedding", "qab"])
def test_an_embedding_writes_the_same_files(name, tmp_path):
    Embedding.load(OLD / name).save(tmp_path / "again")
    for path in (tmp_path / "again").iterdir():
        if path.name != "README.md":  # the card is prose: it may be bettered
            assert path.read_bytes() == (OLD / name / path.name).read_bytes(), path.name


def test_old_task_body_and_embeddings_score_as_recorded(tmp_path):
    """Predictions may differ in the odd example between processors, so nearly all must agree."""
    for code in ("qaa", "qab"):
        shutil.copy(OLD / f"test-{code}.tsv", tmp_path / f"test-{code}.tsv")
    assert main(["evaluate", "--body", str(OLD / "xnli"), "--embedding", str(OLD / "roberta"), "--embedding", str(OLD / "qab"),
                 "--task", "xnli", "--split", "test", "--data", str(tmp_path), "--output", str(tmp_path / "out"), "--quiet"]) == 0
    for code in ("qaa", "qab"):
        file = Path("xnli") / f"test-{code}.tsv"
        new, old = ((folder / file).read_text().split() for folder in (tmp_path / "out", OLD / "scores"))
        assert len(new) == len(old) == 30
        assert sum(a == b for a, b in zip(new, old, strict=True)) >= 28
    records = json.loads((tmp_path / "out" / "results.json").read_text())
    assert [record.keys() for record in records] == \
        [record.keys() for record in json.loads((OLD / "scores" / "results.json").read_text())]


def test_old_prepared_text_serves_an_adaptation_to_an_old_body(capsys):
    assert main(["adapt", "--body", str(OLD / "roberta"), "--data", str(OLD / "prepared-qab"), "--output", "anywhere",
                 "--tokens-per-sample", "48", "--print-command"]) == 0
    assert "modular_frozen_body" in capsys.readouterr().out


@pytest.mark.parametrize("body", ["roberta", "roberta/body"])
def test_the_embedding_beside_a_body_is_found_by_one_rule(body, tmp_path):
    """A run's output and the body folder inside it serve alike, for every stage that needs the embedding beside it."""
    from adapt.artefacts.resources import embedding_of

    assert embedding_of(OLD / body).resolve() == (OLD / "roberta" / "embedding").resolve()
    assert main(["adapt", "--body", str(OLD / body), "--data", str(OLD / "prepared-qab"), "--output", str(tmp_path / "qab"),
                 "--tokens-per-sample", "48", "--batch-size", "2", "--updates", "1", "--validate-every", "1", "--quiet"]) == 0
    assert Embedding.load(tmp_path / "qab").lineage == Body.load(OLD / "roberta" / "body").lineage


def test_adapt_loads_the_body_once(tmp_path, monkeypatch):
    """The training process loads its own; this one neither reads nor hashes it again."""
    loaded = []
    load = Body.load.__func__
    monkeypatch.setattr(Body, "load", classmethod(lambda cls, path: loaded.append(path) or load(cls, path)))
    assert main(["adapt", "--body", str(OLD / "roberta"), "--data", str(OLD / "prepared-qab"), "--output", str(tmp_path / "qab"),
                 "--tokens-per-sample", "48", "--batch-size", "2", "--updates", "1", "--validate-every", "1", "--quiet"]) == 0
    assert len(loaded) == 1
