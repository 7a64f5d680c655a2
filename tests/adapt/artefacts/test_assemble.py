import copy
from dataclasses import replace

import pytest
import torch

from adapt.artefacts.assemble import assemble, check_compatible, swap
from adapt.artefacts.embedding import Embedding
from adapt.text.tokenizer import Tokenizer
from pretrain.artefacts.body import Body
from pretrain.base.errors import UserError
from pretrain.masked_lm import VOCABULARY_INDEXED

TOKENS = torch.tensor([[0, 9, 8, 7, 2], [0, 4, 5, 2, 1]])


@pytest.fixture
def other(journey, source) -> Embedding:
    tokenizer = Tokenizer.load(journey / "data" / "qab")
    rows = len(tokenizer.vocabulary)
    generator = torch.Generator().manual_seed(1)
    return Embedding(torch.randn(rows, 16, generator=generator), torch.randn(rows, generator=generator), tokenizer, "qab",
                     source.lineage)


def test_swap_there_and_back_restores_the_logits_bit_for_bit(body, source, other):
    model = assemble(body, source)
    before = model(TOKENS)
    swap(model, other)
    assert model(TOKENS).shape[-1] == len(other.tokenizer.vocabulary)
    swap(model, source)
    assert torch.equal(model(TOKENS), before)


def test_swap_leaves_the_body_alone(body, source, other):
    model = assemble(body, source)
    before = {k: v.clone() for k, v in model.state_dict().items() if k not in VOCABULARY_INDEXED}
    swap(model, other)
    assert all(torch.equal(model.state_dict()[k], v) for k, v in before.items())


def test_swapped_model_equals_one_assembled_anew(body, source, other):
    model = assemble(body, source)
    swap(model, other)
    assert torch.equal(model(TOKENS), assemble(body, other)(TOKENS))


def test_output_matrix_follows_the_swap(body, source, other):
    model = assemble(body, source)
    swap(model, other)
    assert model.encoder.embed_tokens.weight.shape == other.weight.shape
    assert torch.equal(model.lm_head.bias, other.bias)


def test_extras_replace_the_bodys_tensors_and_go_with_the_embedding(body, source, other):
    name = "encoder.embed_norm.weight"
    other.extras = {name: torch.full((16,), 2.0)}
    model = assemble(body, source)
    before = model(TOKENS)
    swap(model, other)
    assert torch.equal(model.state_dict()[name], other.extras[name])
    swap(model, source)
    assert torch.equal(model(TOKENS), before)


def test_extras_that_the_body_does_not_have_are_refused(body, source, other):
    other.extras = {"encoder.unheard_of": torch.zeros(3)}
    with pytest.raises(UserError, match=r"encoder.unheard_of"):
        swap(assemble(body, source), other)


def test_wrong_lineage_is_refused_with_both_values(body, other):
    other.lineage = "f" * 64
    with pytest.raises(UserError, match=f"{'f' * 12}.*{body.lineage[:12]}.*adapt the language"):
        check_compatible(body, other)


def test_wrong_width_is_refused_with_both_values(body, other):
    other.weight = torch.zeros(other.weight.size(0), 24)
    with pytest.raises(UserError, match=r"24 wide, the body takes 16"):
        check_compatible(body, other)


def test_wrong_special_tokens_are_refused_with_both_values(body, other):
    other.tokenizer = copy.copy(other.tokenizer)
    other.tokenizer.vocabulary = copy.copy(other.tokenizer.vocabulary)
    other.tokenizer.vocabulary.symbols = ["<pad>", "<s>", *other.tokenizer.vocabulary.symbols[2:]]
    with pytest.raises(UserError, match=r"\['<pad>', '<s>', '</s>', '<unk>'\].*\['<s>', '<pad>'"):
        check_compatible(body, other)


def test_a_task_body_keeps_the_lineage_of_its_pretrained_body(body, source):
    tensors = {k: v + 0.1 for k, v in body.tensors.items()}
    task_body = Body(body.config, tensors, body.lineage, task={"name": "xnli"})
    assert task_body.fingerprint != body.fingerprint
    check_compatible(task_body, source)


def test_assembled_model_is_in_evaluation_mode(body, source):
    assert not assemble(body, source).training


def test_body_with_missing_tensors_is_refused(body, source):
    tensors = dict(body.tensors)
    tensors.pop("lm_head.dense.weight")
    broken = replace(body, tensors=tensors, lineage=body.lineage)
    with pytest.raises(UserError, match=r"lm_head.dense.weight"):
        assemble(broken, source)
