"""Tiny ELECTRA pairs as artefacts, made without training."""

from __future__ import annotations

from pathlib import Path

import torch

from adapt.artefacts.embedding import Embedding
from adapt.text.tokenizer import Tokenizer
from pretrain.artefacts.body import Body
from pretrain.artefacts.pair import pair_body, sort_tensors
from pretrain.electra.networks import Electra, ElectraConfig, generator_config
from pretrain.encoder import Dropout, EncoderConfig

SHAPE = EncoderConfig(layers=2, width=16, heads=2, ffn=32, embedding_width=8, max_positions=32, relative_buckets=8)


def random_pair(rows: int, network: bool = True, tying: str = "embedding", seed: int = 6) -> Electra:
    """A pair whose weights are so large that every token gets another answer; with dropout, which must be off in use."""
    torch.manual_seed(seed)
    config = ElectraConfig(SHAPE, generator_config(SHAPE, 0.5, 1) if network else None, tying)
    model = Electra(config, rows, Dropout(0.2, 0.2, 0.2))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.3 * torch.randn_like(parameter)
        tokens = torch.arange(4, min(rows, 32))[None]
        model.rtd_head.out.bias -= model.detect(tokens).mean()  # probabilities on both sides of a half
    return model.eval()


def save_pair(folder: Path, tokenizer: Tokenizer, language: str, network: bool = True, tying: str = "embedding") -> Path:
    """Writes body and embedding of a random pair as pre-training does; returns `folder`."""
    model = random_pair(len(tokenizer), network, tying)
    tensors = sort_tensors(model.state_dict())
    body = pair_body(model.config, tensors)
    body.save(folder / "body")
    other_embedding(body, tokenizer, language, tensors.weight, tensors.bias, tensors.generator_lexicon).save(folder / "embedding")
    return folder


def other_embedding(body: Body, tokenizer: Tokenizer, language: str, weight: torch.Tensor | None = None,
                    bias: torch.Tensor | None = None, generator: dict[str, torch.Tensor] | None = None) -> Embedding:
    """An embedding for this body; drawn at random where no tensors are given."""
    draw = torch.Generator().manual_seed(2)
    rows = len(tokenizer)
    weight = torch.randn(rows, body.config.embedding_width, generator=draw) if weight is None else weight
    bias = torch.randn(rows, generator=draw) if bias is None else bias
    return Embedding(weight, bias, tokenizer, language, body.lineage, generator=dict(generator or {}))
