"""One language of a multilingual model: fewer rows, the same pieces and states on its text."""

from __future__ import annotations

import pytest
import torch

from adapt.artefacts.assemble import assemble
from adapt.artefacts.embedding import Embedding
from adapt.formats.import_model import import_model
from adapt.surgery.prune import pruned
from adapt.text.tokenizer import Tokenizer, train_tokenizer
from pretrain.artefacts.body import Body
from pretrain.base.errors import UserError
from recipes.cli import main
from tests.adapt.formats.models import make
from tests.foreign import KINDS, SENTENCES, lines, saved

TEXT = [line for line in lines(60) if "old" in line or "Лиса" in line or "лиса" in line]


@pytest.mark.parametrize("kind", [*KINDS, "sentencepiece"])
def test_a_cut_tokenizer_reads_its_text_alike(kind):
    whole = Tokenizer(train_tokenizer(lines(), 300) if kind == "sentencepiece" else saved(kind))
    cut = pruned(whole, TEXT)
    assert len(cut) < len(whole) and set(cut.vocabulary.symbols) <= set(whole.vocabulary.symbols)
    for line in TEXT:
        assert [cut.vocabulary.symbols[token] for token in cut.encode(line)] == [
            whole.vocabulary.symbols[token] for token in whole.encode(line)]
    assert Tokenizer(cut.model).sha256 == cut.sha256
    assert cut.encode(SENTENCES[1])  # another text is read with what remains


def test_a_cut_merge_of_bytes_is_refused_rather_than_read_otherwise():
    with pytest.raises(UserError, match="only unigram models"):
        pruned(Tokenizer(train_tokenizer(lines(), 300, model_type="bpe")), TEXT)
    with pytest.raises(UserError, match="expected a text"):
        pruned(Tokenizer(saved("unigram")), ["", "  "])


def test_two_languages_of_a_model_share_its_body_and_keep_its_states(tmp_path):
    pytest.importorskip("transformers")
    make("xlm-roberta", tmp_path / "theirs")
    (tmp_path / "a.txt").write_text("\n".join(TEXT) + "\n", encoding="utf-8")
    import_model(str(tmp_path / "theirs"), tmp_path / "all", language="mul")
    assert main(["import", str(tmp_path / "theirs"), "--language", "sw", "--text", str(tmp_path / "a.txt"), "--output",
                 str(tmp_path / "one")]) == 0
    body, whole, one = Body.load(tmp_path / "all" / "body"), *(Embedding.load(tmp_path / name / "embedding")
                                                              for name in ("all", "one"))
    assert Body.load(tmp_path / "one" / "body").fingerprint == body.fingerprint == one.lineage
    assert len(one.weight) < len(whole.weight) and one.made["rows_drawn"] == 0
    assert whole.foreign is not None and one.foreign is not None
    kept = [whole.foreign.tolist().index(row) for row in one.foreign.tolist()]
    assert torch.equal(one.weight, whole.weight[kept]) and torch.equal(one.bias, whole.bias[kept])
    models = assemble(body, whole), assemble(body, one)
    for line in TEXT[:8]:
        ids = [torch.tensor([[0, *embedding.tokenizer.encode(line), 2]]) for embedding in (whole, one)]
        with torch.no_grad():
            states = [model.encoder(tokens) for model, tokens in zip(models, ids, strict=True)]
            assert torch.equal(*states)
            torch.testing.assert_close(models[1](ids[1]), models[0](ids[0])[..., kept], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("family", ["bert", "roberta"])
def test_surgery_prunes_a_module_with_a_tokenizer_json_and_keeps_its_map(family, tmp_path):
    make(family, tmp_path / "theirs")
    import_model(str(tmp_path / "theirs"), tmp_path / "en", language="en")
    (tmp_path / "text.txt").write_text("\n".join(TEXT) + "\n", encoding="utf-8")
    assert main(["surgery", "prune", str(tmp_path / "en" / "embedding"), "--text", str(tmp_path / "text.txt"),
                 "--output", str(tmp_path / "small")]) == 0
    whole, small = Embedding.load(tmp_path / "en" / "embedding"), Embedding.load(tmp_path / "small")
    assert len(small.weight) < len(whole.weight) and small.foreign is not None and whole.foreign is not None
    old = whole.tokenizer.vocabulary.ids
    rows = [old[symbol] for symbol in small.tokenizer.vocabulary.symbols]
    assert torch.equal(small.weight, whole.weight[rows]) and torch.equal(small.foreign, whole.foreign[rows])
