"""Body and embedding folders: what they record, and that every kind of damage gets one clear line."""

import json
import re
import shutil

import pytest
import torch

from adapt.artefacts.embedding import Embedding
from pretrain.artefacts.body import Body
from pretrain.base.errors import UserError
from recipes.commands.using.inspect import describe


@pytest.fixture
def copied(journey, tmp_path):
    shutil.copytree(journey / "en", tmp_path / "en")
    return tmp_path / "en"


def test_body_round_trip_keeps_every_bit(body, tmp_path):
    body.save(tmp_path / "body")
    again = Body.load(tmp_path / "body")
    assert again.fingerprint == body.fingerprint and again.config == body.config
    assert all(torch.equal(again.tensors[k], v) for k, v in body.tensors.items())


def test_pretrained_bodys_lineage_is_its_own_fingerprint(body):
    assert body.lineage == body.fingerprint


def test_body_record_says_what_it_is_and_how_it_was_made(body):
    record = body.record()
    assert record["kind"] == "body" and record["architecture"]["layers"] == 2
    assert record["embedding_width"] == 16 and record["positions"] == 32
    assert record["special_tokens"] == ["<s>", "<pad>", "</s>", "<unk>"] and record["made"] == {"seed": 4}


def test_embedding_round_trip_keeps_every_bit_and_its_extras(source, tmp_path):
    source.extras = {"encoder.embed_norm.weight": torch.ones(16)}
    source.save(tmp_path / "e")
    again = Embedding.load(tmp_path / "e")
    assert torch.equal(again.weight, source.weight) and torch.equal(again.bias, source.bias)
    assert torch.equal(again.extras["encoder.embed_norm.weight"], torch.ones(16))


def test_embedding_folder_holds_the_four_files(journey):
    names = {path.name for path in (journey / "en" / "embedding").iterdir()}
    assert names == {"embedding.safetensors", "tokenizer.model", "embedding.json", "README.md"}


def test_model_card_has_front_matter_and_the_facts_of_the_record(journey, source):
    card = (journey / "en" / "embedding" / "README.md").read_text()
    pattern = (r"---\nlibrary_name: relexify\nlanguage: qaa\ntags: \[.*\]\n---\n\n# Embedding module for `qaa`\n.*"
               rf"\| lineage of the body \| `{source.lineage}` \|.*relexify assemble --body .*")
    assert re.fullmatch(pattern, card, re.DOTALL)


def damage_truncate(folder, name):
    path = next(folder.rglob(name))
    path.write_bytes(path.read_bytes()[:-100])


@pytest.mark.parametrize(("kind", "name"), [(Body, "body"), (Embedding, "embedding")])
def test_truncated_safetensors_is_named_with_its_size(copied, kind, name):
    damage_truncate(copied, f"{name}.safetensors")
    with pytest.raises(UserError, match=rf"{name}\.safetensors: .*bytes found.*truncated or damaged"):
        kind.load(copied / name)


def test_changed_tensors_are_noticed(copied, body):
    name = next(iter(body.tensors))
    body.tensors[name] = body.tensors[name] + 1
    Body(body.config, body.tensors).save(copied / "changed")
    shutil.copy(copied / "changed" / "body.safetensors", copied / "body" / "body.safetensors")
    with pytest.raises(UserError, match=r"fingerprint .* body.json says"):
        Body.load(copied / "body")


def test_nan_embedding_is_refused(copied, source):
    source.weight[5, 3] = float("nan")
    source.save(copied / "nan")
    with pytest.raises(UserError, match=r"'weight' holds 1 NaN or infinite values"):
        Embedding.load(copied / "nan")


def test_another_tokenizer_is_noticed(copied, journey):
    shutil.copy(journey / "data" / "qab" / "tokenizer.model", copied / "embedding" / "tokenizer.model")
    with pytest.raises(UserError, match=r"tokenizer.model has SHA-256"):
        Embedding.load(copied / "embedding")


def test_rows_must_match_the_tokenizer(source):
    with pytest.raises(UserError, match=r"do not match the tokenizer's"):
        Embedding(source.weight[:-1], source.bias, source.tokenizer, "qaa", source.lineage)


def test_missing_folder_is_named(tmp_path):
    with pytest.raises(UserError, match=r"nowhere: expected a body.*found nothing"):
        Body.load(tmp_path / "nowhere")


def test_an_embedding_is_not_a_body(journey):
    with pytest.raises(UserError, match=r"body.json: expected the record of a body"):
        Body.load(journey / "en" / "embedding")


def test_malformed_record_is_named_with_its_line(copied):
    (copied / "body" / "body.json").write_text('{\n "format": "relexify-body",\n oops\n}')
    with pytest.raises(UserError, match=r"body.json:3: .*not valid JSON"):
        Body.load(copied / "body")


def test_newer_version_is_refused(copied):
    path = copied / "body" / "body.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "version": 99}))
    with pytest.raises(UserError, match=r"version 99.*update relexify"):
        Body.load(copied / "body")


def test_existing_output_is_refused_and_kept(body, copied):
    before = (copied / "body" / "body.json").read_bytes()
    with pytest.raises(UserError, match=r"already exists.*--overwrite"):
        body.save(copied / "body")
    assert (copied / "body" / "body.json").read_bytes() == before


def test_overwrite_replaces_the_whole_folder(body, copied):
    (copied / "body" / "curves.json").write_text("old")
    body.save(copied / "body", overwrite=True)
    assert not (copied / "body" / "curves.json").exists()
    Body.load(copied / "body")


@pytest.mark.parametrize("place", ["en", "en/body", "en/embedding", "data/qaa"])
def test_inspect_verifies_every_artefact(journey, place):
    assert all("verified" in title for title, _ in describe(journey / place))


def test_inspect_refuses_what_it_does_not_know(tmp_path):
    with pytest.raises(UserError, match=r"expected a body, an embedding"):
        describe(tmp_path)
