"""`relexify split` makes an embedding of the checkpoint that a raw `fairseq-train --user-dir adapt` line wrote."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

pytest.importorskip("fairseq")

from adapt.artefacts.assemble import assemble
from adapt.artefacts.embedding import Embedding
from pretrain.artefacts.body import Body
from pretrain.masked_lm import EMBEDDING_WEIGHT, OUTPUT_BIAS
from recipes.cli import main
from tests.adapt.test_language import ADAPT
from tests.training import state, train


@pytest.fixture(scope="module")
def trained(journey: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six updates that also train a tensor of the body."""
    return train(journey / "data" / "qab", tmp_path_factory.mktemp("raw"), "adapt", ADAPT, body=journey / "en", max_update=6,
                 train_also="encoder.embed_norm.*")


def test_the_embedding_is_the_checkpoints(journey: Path, trained: Path, tmp_path: Path) -> None:
    assert main(["split", str(trained / "checkpoint_last.pt"), "--output", str(tmp_path / "out")]) == 0
    embedding, tensors, body = Embedding.load(tmp_path / "out"), state(trained)["model"], Body.load(journey / "en" / "body")
    assert torch.equal(embedding.weight, tensors[EMBEDDING_WEIGHT]) and torch.equal(embedding.bias, tensors[OUTPUT_BIAS])
    assert set(embedding.extras) == {"encoder.embed_norm.weight", "encoder.embed_norm.bias"}
    assert (embedding.language, embedding.lineage) == ("qab", body.lineage)
    made = embedding.made
    assert (made["updates"], made["tokens_seen"], made["seed"]) == (6, 6 * 4 * 32, 5)
    assemble(body, embedding)


def test_paths_of_another_machine_can_be_named(journey: Path, trained: Path, tmp_path: Path,
                                               capsys: pytest.CaptureFixture[str]) -> None:
    call = ["split", str(trained / "checkpoint_last.pt"), "--output", str(tmp_path / "out")]
    for words, said in ((["--data", str(tmp_path / "gone")], "the run's data"), (["--body", str(tmp_path / "gone")], "--body"),
                        (["--data", str(journey / "data" / "qaa")], "do not fit"),
                        (["--embedding", str(journey / "en")], "--embedding is not for"), (["--force"], "--force is not for")):
        assert main([*call, *words]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert said in line
        assert not (tmp_path / "out").exists()
    assert main([*call, "--data", str(journey / "data" / "qab"), "--body", str(journey / "en" / "body")]) == 0
