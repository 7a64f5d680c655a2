"""From a model that somebody has to a new language: a tiny random BERT with WordPiece is imported, a language adapted to it, a
task learned and evaluated in both; and the verbs that read texts take its tokenizer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from adapt.artefacts.embedding import Embedding
from pretrain.artefacts.body import Body
from recipes.cli import main

from ....adapt.formats.models import make
from ....foreign import lines
from ....tasks.conftest import LABELS, pairs, write_pairs

pytest.importorskip("transformers")
pytest.importorskip("fairseq")


@pytest.fixture(scope="module")
def journey(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`bert` (theirs), `en` (imported), `data`, `sw` (adapted), `nli` (files), `task` (task body)."""
    root = tmp_path_factory.mktemp("journey")
    make("bert", root / "bert")
    (root / "sw.txt").write_text("\n".join(lines(400)) + "\n", encoding="utf-8")
    (root / "nli").mkdir()
    write_pairs(root / "nli" / "train-qaa.tsv", pairs("qaa", 60, 1))
    for language in ("qaa", "qab"):
        write_pairs(root / "nli" / f"dev-{language}.tsv", pairs(language, 30, 2))
        write_pairs(root / "nli" / f"test-{language}.tsv", pairs(language, 30, 3))
    for call in (
        ["import", root / "bert", "--language", "qaa", "--output", root / "en"],
        ["prepare", root / "sw.txt", "--language", "qab", "--output", root / "data", "--tokenizer", root / "en" / "embedding",
         "--documents", "line", "--workers", "1"],
        ["adapt", "--body", root / "en", "--data", root / "data", "--output", root / "sw", "--initialiser", "overlap",
         "--tokens-per-sample", "32", "--batch-size", "4", "--updates", "4", "--validate-every", "2", "--quiet"],
        ["finetune", "--body", root / "en", "--task", "xnli", "--data", root / "nli", "--output", root / "task", "--updates", "4",
         "--batch-size", "8", "--validate-every", "2", "--threads", "1", "--quiet"],
        ["evaluate", "--body", root / "task", "--embedding", root / "en", "--embedding", root / "sw", "--task", "xnli", "--split",
         "test", "--data", root / "nli", "--output", root / "scores", "--quiet"],
    ):
        assert main([str(part) for part in call]) == 0, call
    return root


def test_the_new_embedding_belongs_to_the_imported_body(journey):
    body = Body.load(journey / "en" / "body")
    old, new = Embedding.load(journey / "en" / "embedding"), Embedding.load(journey / "sw")
    assert old.lineage == new.lineage == body.lineage
    assert new.tokenizer.sha256 == old.tokenizer.sha256 and new.tokenizer.file_name == "tokenizer.json"
    assert not torch.equal(new.weight, old.weight)


def test_the_task_body_keeps_the_segments_and_scores_both_languages(journey):
    body = Body.load(journey / "task")
    assert body.config.segments == 2 and "encoder.embed_segments.weight" in body.tensors
    records = json.loads((journey / "scores" / "results.json").read_text())
    assert sorted(record["language"] for record in records) == ["qaa", "qab"]
    for language in ("qaa", "qab"):
        written = (journey / "scores" / "xnli" / f"test-{language}.tsv").read_text().split()
        assert len(written) == 30 and set(written) <= set(LABELS)


def test_texts_are_filled_and_artefacts_inspected(journey, capsys):
    assert main(["fill", "--body", str(journey / "en"), "old <mask> about rivers", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert len(found["masks"][0]["fillers"]) == 5 and found["masks"][0]["start"] == 4
    for name in ("en/embedding", "sw", "data", "task"):
        assert main(["inspect", str(journey / name)]) == 0
    assert "tokenizer" in (journey / "sw" / "README.md").read_text()
