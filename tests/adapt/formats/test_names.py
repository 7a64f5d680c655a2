"""The table of names: complete, reversible bit for bit, and true (equal logits) for both other libraries."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from adapt.formats.names import (
    aligned,
    count_layers,
    from_fairseq,
    from_huggingface,
    to_fairseq,
    to_huggingface,
)
from pretrain.base.errors import UserError
from pretrain.base.vocabulary import PAD
from pretrain.encoder import EncoderConfig
from pretrain.masked_lm import MaskedLM
from tests.killing import warm

ROOT = Path(__file__).resolve().parents[3]
LAYERS, WIDTH, HEADS, FFN, POSITIONS, ROWS = 2, 16, 4, 24, 12, 40
CONFIG = EncoderConfig(layers=LAYERS, width=WIDTH, heads=HEADS, ffn=FFN, embedding_width=WIDTH, max_positions=POSITIONS)


def ours(**changes: Any) -> MaskedLM:
    torch.manual_seed(3)
    model = MaskedLM(EncoderConfig(**{**CONFIG.to_dict(), **changes}), ROWS).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)  # biases and LayerNorms too
    return model


def randomised(model: torch.nn.Module) -> torch.nn.Module:
    torch.manual_seed(5)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return model.eval()


def padded_batch(seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(4, ROWS, (5, POSITIONS), generator=generator)
    tokens[:, 0] = 0
    for row, length in enumerate((POSITIONS, 9, 5, 2, 1)):
        tokens[row, length:] = PAD
    return tokens


def same(left: dict[str, Tensor], right: dict[str, Tensor]) -> None:
    assert left.keys() == right.keys()
    for name, tensor in left.items():
        assert tensor.dtype == right[name].dtype and torch.equal(tensor, right[name]), name


def fairseq_model() -> torch.nn.Module:
    pytest.importorskip("fairseq")
    from pretrain.base.checkpoints import prepare_fairseq

    prepare_fairseq()
    from fairseq.data import Dictionary
    from fairseq.models.roberta import RobertaModel

    dictionary = Dictionary()
    for number in range(ROWS - 5):
        dictionary.add_symbol(f"piece{number}")
    dictionary.add_symbol("<mask>")
    args = argparse.Namespace(encoder_layers=LAYERS, encoder_embed_dim=WIDTH, encoder_ffn_embed_dim=FFN,
                              encoder_attention_heads=HEADS, max_positions=POSITIONS)
    return randomised(RobertaModel.build_model(args, argparse.Namespace(source_dictionary=dictionary)))


def huggingface_model() -> Any:
    from pretrain.base.checkpoints import guard_torchaudio

    guard_torchaudio()
    transformers = pytest.importorskip("transformers")
    return randomised(transformers.RobertaForMaskedLM(transformers.RobertaConfig(
        vocab_size=ROWS, hidden_size=WIDTH, num_hidden_layers=LAYERS, num_attention_heads=HEADS, intermediate_size=FFN,
        max_position_embeddings=POSITIONS + 2, type_vocab_size=1, layer_norm_eps=CONFIG.norm_eps, pad_token_id=PAD)))


def test_the_table_names_every_tensor_of_ours_once() -> None:
    for other in ("fairseq", "huggingface"):
        pairs = list(aligned(LAYERS, other))
        assert sorted(name for name, _ in pairs) == sorted(ours().state_dict())
        theirs = [name for _, names in pairs for name in names]
        assert len(set(theirs)) == len(theirs)


def test_there_and_back_is_bit_identical() -> None:
    state = ours().state_dict()
    same(from_fairseq(to_fairseq(state)), dict(state))
    same(from_huggingface(to_huggingface(state)), dict(state))
    assert count_layers(state) == count_layers(to_fairseq(state)) == count_layers(to_huggingface(state)) == LAYERS


def test_fairseq_logits_and_round_trip() -> None:
    theirs = fairseq_model()
    state = dict(theirs.state_dict())
    model = ours()
    model.load_state_dict(from_fairseq(state))
    for seed in range(3):
        tokens = padded_batch(seed)
        with torch.no_grad():
            expected, got = theirs(tokens)[0], model(tokens)
        torch.testing.assert_close(got[tokens != PAD], expected[tokens != PAD], rtol=1e-5, atol=1e-5)
    again = to_fairseq(from_fairseq(state))
    version = "encoder.sentence_encoder.version"
    assert again.pop(version).shape == state.pop(version).shape
    same(again, state)
    theirs.load_state_dict(to_fairseq(model.state_dict()))


def test_former_fairseq_names_are_understood() -> None:
    state = ours().state_dict()
    former: dict[str, Tensor] = {"classification_heads.mnli.dense.weight": torch.zeros(3, 3)}
    for name, tensor in to_fairseq(state).items():
        name = name.replace("encoder.", "decoder.", 1).replace(".layernorm_embedding.", ".emb_layer_norm.")
        former[name] = tensor
    for layer in range(LAYERS):
        prefix = f"decoder.sentence_encoder.layers.{layer}.self_attn."
        for part in ("weight", "bias"):
            former[f"{prefix}in_proj_{part}"] = torch.cat([former.pop(f"{prefix}{x}_proj.{part}") for x in "qkv"])
    same(from_fairseq(former), dict(state))


def test_huggingface_logits_and_round_trip() -> None:
    theirs = huggingface_model()
    model = ours()
    model.load_state_dict(from_huggingface(theirs.state_dict()))  # its token-type row is not zero
    for seed in range(3):
        tokens = padded_batch(seed)
        with torch.no_grad():
            expected, got = theirs(tokens, attention_mask=tokens.ne(PAD).long()).logits, model(tokens)
        torch.testing.assert_close(got[tokens != PAD], expected[tokens != PAD], rtol=1e-5, atol=1e-5)
    with torch.no_grad():
        theirs.roberta.embeddings.token_type_embeddings.weight.zero_()
    state = dict(theirs.state_dict())
    same(to_huggingface(from_huggingface(state)), state)


def test_missing_and_unknown_tensors_are_named() -> None:
    state = to_fairseq(ours().state_dict())
    absent = "encoder.sentence_encoder.layers.1.fc1.bias"
    with pytest.raises(UserError, match=r"missing: .*layers\.1\.fc1\.bias"):
        from_fairseq({name: tensor for name, tensor in state.items() if name != absent})
    with pytest.raises(UserError, match=r"unknown: encoder\.sentence_encoder\.layer_norm\.weight"):
        from_fairseq({**state, "encoder.sentence_encoder.layer_norm.weight": torch.zeros(WIDTH)})
    with pytest.raises(UserError, match=r"missing: .* and \d+ more"):
        from_huggingface(state)
    with pytest.raises(UserError, match="untied"):
        from_fairseq({**state, "encoder.lm_head.weight": torch.zeros(ROWS, WIDTH)})
    with pytest.raises(UserError, match="3 layers"):
        from_fairseq(state, layers=3)


@pytest.mark.parametrize("changes", [{"embedding_width": 8}, {"relative_buckets": 8}])
def test_what_the_others_lack_is_refused(changes: dict[str, int]) -> None:
    state = ours(**changes).state_dict()
    for to in (to_fairseq, to_huggingface):
        with pytest.raises(UserError, match="without counterpart"):
            to(state)


def test_needs_neither_fairseq_nor_transformers() -> None:
    code = """
import sys
class Blocker:
    def find_spec(self, name, *rest):
        assert name.split(".")[0] not in ("fairseq", "transformers"), name
sys.meta_path.insert(0, Blocker())
from adapt.formats.names import *; from pretrain.masked_lm import MaskedLM; from pretrain.encoder import *
s = MaskedLM(EncoderConfig(1, 8, 2, 8, 8, 8), 9).state_dict()
assert from_fairseq(to_fairseq(s)).keys() == from_huggingface(to_huggingface(s)).keys() == s.keys()
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, timeout=120, env=warm())
