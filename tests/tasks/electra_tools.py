"""A tiny pre-trained ELECTRA body: the discriminator of a pair, with its generator beside it."""

from __future__ import annotations

import torch

from pretrain.artefacts.body import Body
from pretrain.artefacts.pair import pair_body, sort_tensors
from pretrain.electra.networks import Electra, ElectraConfig, generator_config
from pretrain.encoder import EncoderConfig

SHAPE = EncoderConfig(layers=2, width=32, heads=2, ffn=64, embedding_width=16, max_positions=64, relative_buckets=8)


def electra_body(shape: EncoderConfig = SHAPE) -> Body:
    """The body of a pair that was drawn with weights large enough for a narrow body to learn from."""
    torch.manual_seed(1)
    model = Electra(ElectraConfig(shape, generator_config(shape, 0.5, 1)), 8)
    with torch.no_grad():
        for parameter in [*model.encoder.layers.parameters(), *model.rtd_head.parameters()]:
            parameter.mul_(4 if parameter.ndim > 1 else 1)
        assert model.encoder.embed_project is not None and model.encoder.relative_bias is not None
        model.encoder.embed_project.weight.mul_(10)
        model.encoder.relative_bias.weight.mul_(0.1)  # as drawn it keeps `<s>` from seeing the second text
    tensors = sort_tensors({name: tensor.clone() for name, tensor in model.state_dict().items()})
    return pair_body(model.config, tensors, made={"seed": 1})
