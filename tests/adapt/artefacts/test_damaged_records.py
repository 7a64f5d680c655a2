"""Records of bodies and embeddings that were changed by hand: one line with file and key, before any memory is asked for."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from adapt.artefacts.embedding import Embedding
from adapt.artefacts.resources import locate
from adapt.artefacts.split import split
from pretrain.artefacts.body import Body
from pretrain.base.errors import UserError


@pytest.fixture
def folder(journey, tmp_path):
    shutil.copytree(journey / "en", tmp_path / "en")
    return tmp_path / "en"


def change(path, key, value):
    """Puts `value` at a dotted key, or takes the key away where it is None."""
    record = json.loads(path.read_text())
    *above, last = key.split(".")
    inner = record
    for name in above:
        inner = inner[name]
    if value is None:
        del inner[last]
    else:
        inner[last] = value
    path.write_text(json.dumps(record))


TASK = {"name": "xnli", "head": "sentence", "labels": ["a", "b"]}


@pytest.mark.parametrize(("key", "value", "message"), [
    ("architecture", [], "'architecture' is .* expected an object"),
    ("architecture", None, "'architecture' is missing"),
    ("architecture.relative_buckets", 10**9, "'encoder.relative_bias.weight' has shape .*1000000000.* is missing"),
    ("architecture.layers", 10**9, "has 1000000000 layers, the files hold 2"),
    ("architecture.layers", 10**4000, "architecture: 'layers' is 1000"),
    ("architecture.width", "x", "architecture: 'width' is 'x' .*expected a whole number from 1"),
    ("architecture.width", 10**6, "'encoder.layers.0.ffn_in.weight'"),
    ("architecture.heads", 3, "architecture: encoder width 16 is not divisible by heads 3"),
    ("backbone", "foo", "'backbone' is 'foo' .*expected roberta or electra"),
    ("fingerprint", None, "'fingerprint' is missing"),
    ("fingerprint", 3, "'fingerprint' is 3 .*expected a text"),
    ("lineage", None, "'lineage' is missing"),
    ("made", "x", "'made' is 'x' .*expected an object"),
    ("task", {"name": "xnli", "head": "sentence"}, "task: 'labels' is missing"),
    ("task", {**TASK, "labels": 3}, "task: 'labels' is 3 .*expected a list of texts"),
    ("task", {**TASK, "name": "a.b"}, "task: 'name' is 'a.b' .*the name of a task"),
    ("version", [2], r"version \[2\], this relexify reads 1"),
])
def test_body_record(folder, key, value, message):
    change(folder / "body" / "body.json", key, value)
    with pytest.raises(UserError, match=f"body.*{message}"):
        Body.load(folder / "body")


@pytest.mark.parametrize(("key", "value", "message"), [
    ("fingerprint", 3, "'fingerprint' is 3"),
    ("lineage", None, "'lineage' is missing"),
    ("tokenizer_sha256", None, "'tokenizer_sha256' is missing"),
    ("language", "../../../x", "language '../../../x': expected a BCP-47 code"),
    ("made", [], "'made' is .*expected an object"),
])
def test_embedding_record(folder, key, value, message):
    change(folder / "embedding" / "embedding.json", key, value)
    with pytest.raises(UserError, match=f"embedding.json: .*{message}"):
        Embedding.load(folder / "embedding")


@pytest.mark.parametrize(("damage", "message"), [
    (lambda t: {**t, "weight": t["weight"] > 0}, "tensor 'weight' holds bool values"),
    (lambda t: {**t, "weight": t["weight"].long()}, "tensor 'weight' holds int64 values"),
    (lambda t: {"weight": t["weight"]}, "tensor 'bias' is missing, found weight"),
])
def test_embedding_tensors(folder, damage, message):
    path = folder / "embedding" / "embedding.safetensors"
    save_file(damage(load_file(path)), path)
    with pytest.raises(UserError, match=message):
        Embedding.load(folder / "embedding")


def test_pair_record(electra, tmp_path):
    shutil.copytree(electra / "body", tmp_path / "body")
    for key, value, message in (("generator.tying", "x", "generator: 'tying' is 'x'"),
                                ("generator.architecture.layers", 7, "layers"), ("generator.fingerprint", None, "missing")):
        shutil.copy(electra / "body" / "body.json", tmp_path / "body" / "body.json")
        change(tmp_path / "body" / "body.json", key, value)
        with pytest.raises(UserError, match=message):
            Body.load(tmp_path / "body")


@pytest.mark.parametrize("name", ["../en", "..", "/etc", "a/b"])
def test_a_run_over_seeds_stays_in_its_folder(tmp_path, name):
    (tmp_path / "seeds.json").write_text(json.dumps({"format": "relexify-seeds", "version": 1, "median": {"folder": name}}))
    with pytest.raises(UserError, match=r"seeds\.json: median: 'folder' is .*expected the name of a folder"):
        locate(tmp_path, "body")


MODEL = {"encoder_layers": 2, "encoder_embed_dim": 16, "encoder_attention_heads": 2, "encoder_ffn_embed_dim": 32,
         "token_embed_dim": 0, "max_positions": 32, "relative_buckets": 0, "relative_distance": 128}


@pytest.mark.parametrize(("damage", "message"), [
    (lambda s: s["cfg"]["model"].pop("encoder_embed_dim"), "cfg.model: 'encoder_embed_dim' is missing"),
    (lambda s: s["cfg"]["model"].update(encoder_layers=50), "has 50 layers, the files hold 2"),
    (lambda s: s["cfg"]["model"].update(encoder_layers="x"), "cfg.model: 'encoder_layers' is 'x'"),
    (lambda s: s["optimizer_history"].clear(), "does not say after how many updates"),
    (lambda s: s["model"]["encoder.embed_norm.weight"].fill_(float("nan")), "'encoder.embed_norm.weight' holds 16 NaN"),
    (lambda s: s["model"].update(five=5), "found int under 'five'"),
    (lambda s: None, ""),
], ids=["no width", "50 layers", "layers x", "no history", "NaN", "a number", "none"])
def test_split_of_a_damaged_checkpoint(journey, body, source, tmp_path, damage, message):
    state = {"model": {**{name: tensor.clone() for name, tensor in body.tensors.items()},
                       "encoder.embed_tokens.weight": source.weight, "lm_head.bias": source.bias},
             "cfg": {"model": dict(MODEL), "task": {"data": str(journey / "data" / "qaa")}},
             "optimizer_history": [{"num_updates": 7}]}
    damage(state)
    torch.save(state, tmp_path / "c.pt")
    if not message:  # whole, it gives the body that it was made of
        assert split(tmp_path / "c.pt", tmp_path / "out").fingerprint == body.fingerprint
        return
    with pytest.raises(UserError, match=rf"c\.pt.*{message}"):
        split(tmp_path / "c.pt", tmp_path / "out")
    assert not (tmp_path / "out").exists()
