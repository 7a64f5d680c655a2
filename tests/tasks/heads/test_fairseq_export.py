"""Stock fairseq opens exported folders: features, masked-LM and sentence_prediction logits equal, tokens and labels too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("fairseq")

from adapt.artefacts.embedding import Embedding
from adapt.formats.fairseq_export import HEAD, export
from pretrain.artefacts.body import ELECTRA, Body
from pretrain.base.checkpoints import quiet_fairseq
from pretrain.base.errors import UserError
from pretrain.base.vocabulary import PAD
from recipes.cli import main
from tasks.encoding import encode_examples
from tasks.heads.model import task_model
from tests.tasks.heads.test_export import LABELS, embedding_for, task_body
from tests.tasks.qa.qa_tools import TEXTS


def stock(folder: Path) -> Any:
    quiet_fairseq()
    from fairseq.models.roberta import RobertaModel

    return RobertaModel.from_pretrained(str(folder), "model.pt", bpe="sentencepiece").eval()


def saved(folder: Path, body: Body, embedding: Embedding) -> list[str]:
    body.save(folder / "body")
    embedding.save(folder / "embedding")
    return ["export", "--body", str(folder / "body"), "--to", "fairseq", "--output", str(folder / "out")]


def batch(rows: int) -> torch.Tensor:
    tokens = torch.randint(2, rows, (4, 40), generator=torch.Generator().manual_seed(3))
    tokens[:, 0] = 0
    for row, length in enumerate((40, 17, 5, 2)):
        tokens[row, length:] = PAD
    return tokens


def test_features_and_masked_lm_logits_are_equal(tmp_path: Path) -> None:
    body = task_body("classification")
    body = Body(body.config, {name: tensor for name, tensor in body.tensors.items() if not name.startswith("heads.")})
    embedding = embedding_for(body)
    embedding.bias = torch.randn(len(embedding.weight), generator=torch.Generator().manual_seed(8))
    assert main(saved(tmp_path, body, embedding)) == 0
    theirs, tokens = stock(tmp_path / "out"), batch(len(embedding.weight))
    from adapt.artefacts.assemble import assemble

    model: Any = assemble(body, embedding)
    real = tokens != PAD
    with torch.no_grad():
        features, logits = theirs.extract_features(tokens), theirs.model(tokens)[0]
        torch.testing.assert_close(features[real], model.encoder(tokens)[real], rtol=1e-4, atol=3e-5)
        torch.testing.assert_close(logits[real], model(tokens)[real], rtol=1e-4, atol=3e-5)
    for text in TEXTS["en"]:
        assert theirs.encode(text).tolist() == [0, *embedding.tokenizer.encode(text), 2]
    assert theirs.task.source_dictionary.index("<mask>") == embedding.tokenizer.vocabulary.mask


@pytest.mark.parametrize("backbone", ["roberta", ELECTRA])
def test_the_head_of_sentence_prediction_is_equal(backbone: str, tmp_path: Path) -> None:
    body = task_body("classification", backbone)
    embedding = embedding_for(body)
    assert main(saved(tmp_path, body, embedding)) == 0
    theirs, tokens = stock(tmp_path / "out"), batch(len(embedding.weight))
    with torch.no_grad():
        expected = task_model(body, embedding)(tokens, task="xnli")
        torch.testing.assert_close(theirs.predict(HEAD, tokens, return_logits=True), expected, rtol=1e-4, atol=3e-5)
    names = theirs.task.label_dictionary
    assert [names.string([names.nspecial + index]) for index in range(3)] == list(LABELS["classification"])
    from tasks.classification.task import Example

    a, b = TEXTS["en"][:2]
    assert theirs.encode(a, b).tolist() == encode_examples(embedding.tokenizer, [Example("0", a, b, 0)], 160).tokens[0].tolist()


@pytest.mark.parametrize("kind, backbone, changes, said", [
    ("tagging", "roberta", {}, "'tagging' head"), ("classification", "roberta", {"relative_buckets": 32}, "32 buckets"),
    ("classification", "roberta", {"embedding_width": 8}, "8 and 16")])
def test_what_fairseq_does_not_compute_is_refused_in_one_line(kind: str, backbone: str, changes: dict[str, int], said: str,
                                                              tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    body = task_body(kind, backbone, **changes)
    assert main(saved(tmp_path, body, embedding_for(body))) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line and not (tmp_path / "out").exists()


def test_an_electra_body_and_foreign_options_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    body = task_body("classification", ELECTRA)
    with pytest.raises(UserError, match="no replaced-token head"):
        export(body, embedding_for(body), tmp_path / "out")
    assert main([*saved(tmp_path, body, embedding_for(body)), "--license", "mit"]) == 2
    assert "--license is for --to huggingface" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
