"""A trained pair as artefacts: split, assembly, the discriminator under a task head, swapping languages."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

pytest.importorskip("fairseq")

from adapt.artefacts.assemble import assemble, assemble_pair, swap
from adapt.artefacts.embedding import Embedding
from adapt.artefacts.resources import locate
from adapt.artefacts.split import split
from adapt.text.tokenizer import Tokenizer
from pretrain.artefacts.body import Body
from pretrain.artefacts.pair import pair_body, sort_tensors
from pretrain.base.errors import UserError
from pretrain.electra.networks import Discriminator, Electra, ElectraConfig
from pretrain.electra.replacement import Sampling
from pretrain.encoder import EncoderConfig
from pretrain.masking import generator_for, mask_tokens
from recipes.commands.using.inspect import describe
from tests.training import PRETRAIN, state, train

ELECTRA = {**PRETRAIN, "arch": "modular_electra_tiny", "criterion": "modular_replaced_token", "token-embed-dim": 8,
           "max-update": 6, "warmup-updates": 1}
TOKENS = torch.tensor([[0, 9, 8, 7, 2, 11], [0, 4, 5, 2, 1, 1]])


@pytest.fixture(scope="module", params=["embedding", "none", "gdes"])
def trained(request, journey, tmp_path_factory) -> tuple[str, Path, Path]:
    """(tying, checkpoint, output of split) of a pair with a hardness head."""
    folder = tmp_path_factory.mktemp(request.param)
    train(journey / "data" / "qaa", folder, base=ELECTRA, tying=request.param, hardness_head="loss")
    split(folder / "checkpoint_last.pt", folder / "out")
    return request.param, folder / "checkpoint_last.pt", folder / "out"


def run(pair: Electra, tokens: torch.Tensor = TOKENS):
    mask_id = len(pair.prior_V) - 1
    key = generator_for(torch.device("cpu"), 3)
    return pair(tokens, mask_tokens(tokens, mask_id, key, 0.4), Sampling(hard=True), key, False)


def original(journey: Path, checkpoint: Path, body: Body, tying: str) -> Electra:
    """The pair with the checkpoint's tensors, without a way through artefacts."""
    assert body.generator is not None
    rows = len(Tokenizer.load(journey / "data" / "qaa").vocabulary)
    model = Electra(ElectraConfig(body.config, body.generator.config, tying, "loss"), rows)
    model.load_state_dict(state(checkpoint.parent)["model"])
    return model.eval()


def test_split_writes_discriminator_generator_and_embedding(trained):
    tying, _, out = trained
    assert {path.name for path in (out / "body").iterdir()} == {"body.json", "body.safetensors", "generator.safetensors"}
    body, embedding = Body.load(out / "body"), Embedding.load(out / "embedding")
    assert body.backbone == "electra" and body.lineage == body.fingerprint == embedding.lineage
    assert body.config.norm_eps == 1e-12
    assert set(embedding.generator) == {"hardness_bias"} | ({"weight"} if tying != "embedding" else set())
    assert embedding.width == 8 and body.config.width == 16


def test_nothing_that_a_vocabulary_indexes_stays_in_the_body(trained):
    body = Body.load(trained[2] / "body")
    rows = Embedding.load(trained[2] / "embedding").weight.size(0)
    assert body.generator is not None
    assert all(rows not in tensor.shape for tensor in [*body.tensors.values(), *body.generator.tensors.values()])


def test_assembled_discriminator_answers_as_the_trained_one(trained, journey):
    tying, checkpoint, out = trained
    body, embedding = Body.load(out / "body"), Embedding.load(out / "embedding")
    model = assemble(body, embedding)
    assert isinstance(model, Discriminator)
    torch.testing.assert_close(model(TOKENS), original(journey, checkpoint, body, tying).detect(TOKENS), atol=0, rtol=0)


def test_assembled_pair_plays_as_the_trained_one(trained, journey):
    tying, checkpoint, out = trained
    body, embedding = Body.load(out / "body"), Embedding.load(out / "embedding")
    one, two = run(original(journey, checkpoint, body, tying)), run(assemble_pair(body, embedding))
    assert torch.equal(one.mlm_NV, two.mlm_NV) and torch.equal(one.hardness_NV, two.hardness_NV)
    assert torch.equal(one.drawn.ids, two.drawn.ids)
    # the offset of a disentangled table comes back by subtraction
    tolerance = 1e-6 if tying == "gdes" else 0
    torch.testing.assert_close(one.rtd_BT, two.rtd_BT, atol=tolerance, rtol=10 * tolerance)


def other_language(journey: Path, lineage: str) -> Embedding:
    tokenizer = Tokenizer.load(journey / "data" / "qab")
    rows = len(tokenizer.vocabulary)
    generator = torch.Generator().manual_seed(1)
    return Embedding(torch.randn(rows, 8, generator=generator), torch.randn(rows, generator=generator), tokenizer, "qab", lineage)


def test_swap_there_and_back_restores_the_pair_bit_for_bit(trained, journey):
    body, embedding = Body.load(trained[2] / "body"), Embedding.load(trained[2] / "embedding")
    pair = assemble_pair(body, embedding)
    before = run(pair)
    swap(pair, other_language(journey, body.lineage))
    run(pair)
    swap(pair, embedding)
    after = run(pair)
    assert torch.equal(before.rtd_BT, after.rtd_BT) and torch.equal(before.mlm_NV, after.mlm_NV)


def test_swap_keeps_what_is_tied_tied(trained, journey):
    body, embedding = Body.load(trained[2] / "body"), Embedding.load(trained[2] / "embedding")
    pair = assemble_pair(body, embedding)
    swap(pair, other_language(journey, body.lineage))
    assert pair.generator is not None
    tied = pair.generator.encoder.embed_tokens.weight is pair.encoder.embed_tokens.weight
    assert tied == (trained[0] == "embedding")


def test_inspect_verifies_a_pair(trained):
    (_, body), (_, embedding) = describe(trained[2])
    assert body["generator"]["tying"] == trained[0] and "hardness_bias" in embedding["generator"]


def test_task_body_takes_the_discriminator_and_leaves_the_generator(trained):
    from tasks.heads.model import TaskModel, task_model

    body, embedding = Body.load(trained[2] / "body"), Embedding.load(trained[2] / "embedding")
    head = TaskModel(body.config, 5)
    head.add_head("xnli", "classification", 3)
    tensors = {**body.tensors, **{f"heads.{name}": tensor for name, tensor in head.heads.state_dict().items()}}
    task_body = Body(body.config, tensors, body.lineage, body.backbone,
                     task={"name": "xnli", "head": "classification", "labels": ["a", "b", "c"]})
    model = task_model(task_body, embedding)
    assert model(TOKENS, task="xnli").shape == (2, 3)
    plain = assemble(body, embedding)
    torch.testing.assert_close(model.encoder(TOKENS), plain.encoder(TOKENS), atol=0, rtol=0)
    assert task_body.generator is None


def test_fairseq_task_body_loads_a_discriminator_and_keeps_its_tensors(trained):
    from types import SimpleNamespace

    from tasks.heads.model import NewHead
    from tasks.trainer.task import TaskBody

    body, embedding = Body.load(trained[2] / "body"), Embedding.load(trained[2] / "embedding")
    cfg = SimpleNamespace(dropout=0.1, attention_dropout=0.1, activation_dropout=0.0, precision="fp32", compile=False)
    model = TaskBody(body, embedding, cfg, [NewHead("xnli", "classification", 3, [])])
    saved = model.state_dict()
    assert set(saved) == {n for n in body.tensors if n.startswith("encoder.")} | {n for n in saved if n.startswith("heads.")}
    assert all(torch.equal(saved[n], body.tensors[n]) for n in saved if n.startswith("encoder."))


def test_pair_of_a_body_without_generator_is_refused(trained):
    body, embedding = Body.load(trained[2] / "body"), Embedding.load(trained[2] / "embedding")
    body.generator = None
    with pytest.raises(UserError, match="no generator"):
        assemble_pair(body, embedding)


def test_own_table_of_the_generator_does_not_fit_a_shared_one(trained, journey):
    body, embedding = Body.load(trained[2] / "body"), Embedding.load(trained[2] / "embedding")
    assert body.generator is not None
    if body.generator.tying != "embedding":
        pytest.skip("this pair has two tables")
    embedding.generator["weight"] = embedding.weight + 1
    with pytest.raises(UserError, match="table of its own for the generator"):
        assemble_pair(body, embedding)
    assert assemble_pair(body, embedding, tying="none").config.tying == "none"


def test_export_right_after_a_reset_is_refused(journey, tmp_path):
    train(journey / "data" / "qaa", tmp_path, base=ELECTRA, max_update=24, forget_every=20, save_interval_updates=21,
          save_interval=1)
    early = next(path for path in tmp_path.glob("checkpoint_*_21.pt"))
    with pytest.raises(UserError, match="reset 1 updates ago"):
        split(early, tmp_path / "out")


def test_pair_without_generator_has_artefacts_too(journey, tmp_path):
    train(journey / "data" / "qaa", tmp_path, base=ELECTRA, generator="uniform")
    body = split(tmp_path / "checkpoint_last.pt", tmp_path / "out")
    embedding = Embedding.load(locate(tmp_path / "out", "embedding"))
    assert body.generator is None and not embedding.bias.any() and not embedding.generator
    assemble(Body.load(tmp_path / "out" / "body"), embedding)


def test_records_of_roberta_bodies_know_no_generator(body, source):
    assert "generator" not in body.record() and "generator" not in source.record()


def test_discriminators_positions_are_folded_once():
    shape = EncoderConfig(layers=1, width=16, heads=2, ffn=32, embedding_width=8, max_positions=8)
    model = Electra(ElectraConfig(shape, shape, "gdes"), 20)
    with torch.no_grad():
        model.encoder.embed_positions.delta += 1.0
    body = pair_body(model.config, sort_tensors(model.state_dict()))
    assert body.generator is not None
    name = "encoder.embed_positions.weight"
    torch.testing.assert_close(body.tensors[name], body.generator.tensors[name] + 1)
