from dataclasses import replace

import pytest
import torch

from pretrain.base.errors import UserError
from pretrain.base.records import Record
from pretrain.base.vocabulary import PAD
from pretrain.encoder import Dropout, Encoder, EncoderConfig, relative_bucket


def tokens(*rows: list[int]) -> torch.Tensor:
    width = max(map(len, rows))
    return torch.tensor([row + [PAD] * (width - len(row)) for row in rows])


def test_padding_does_not_change_the_states_of_real_tokens(model):
    long, short = [0, 9, 8, 7, 6, 2], [0, 5, 2]
    both = model.encoder(tokens(long, short))
    alone = model.encoder(tokens(short))
    assert torch.allclose(both[1, :3], alone[0], atol=1e-6)


def test_full_blocks_need_no_mask(model):
    block = tokens([0, 9, 8, 7], [0, 4, 5, 6])
    assert torch.allclose(model.encoder(block), model.encoder(block, full=True), atol=1e-6)


def test_narrow_embedding_is_projected(tiny):
    encoder = Encoder(replace(tiny, embedding_width=8), 20)
    assert encoder.embed_tokens.weight.shape == (20, 8)
    assert encoder(tokens([0, 4, 2])).shape == (1, 3, tiny.width)


def test_relative_bias_tells_left_from_right(tiny):
    encoder = Encoder(replace(tiny, relative_buckets=8, relative_distance=16), 20, Dropout(0, 0, 0)).eval()
    with torch.no_grad():
        encoder.embed_positions.weight.zero_()
    forward, backward = encoder(tokens([0, 4, 5, 2])), encoder(tokens([2, 5, 4, 0]))
    assert not torch.allclose(forward.flip(1), backward, atol=1e-5)


def test_relative_buckets_are_exact_when_near_and_shared_when_far():
    buckets = relative_bucket(torch.tensor([0, 1, -1, 2, -2, 100, -100, 5000]), 32, 128)
    assert buckets[:5].tolist() == [0, 17, 1, 18, 2]
    assert buckets[5] == buckets[5] and buckets[7] == 31


def test_relative_bias_ignores_padding(tiny):
    encoder = Encoder(replace(tiny, relative_buckets=8), 20, Dropout(0, 0, 0)).eval()
    both = encoder(tokens([0, 9, 8, 7, 6, 2], [0, 5, 2]))
    assert torch.allclose(both[1, :3], encoder(tokens([0, 5, 2]))[0], atol=1e-6)


def test_too_long_input_is_a_users_mistake(model):
    with pytest.raises(UserError, match=r"33 tokens.*32 positions"):
        model.encoder(torch.full((1, 33), 5))


def test_heads_must_divide_the_width():
    with pytest.raises(UserError, match=r"width 30 is not divisible by heads 4"):
        EncoderConfig(width=30, heads=4)


def test_unknown_architecture_field_is_refused():
    with pytest.raises(UserError, match=r"depth"):
        EncoderConfig.from_record(Record({"depth": 3}, "body.json: architecture"))


def test_padding_row_and_biases_start_at_zero(tiny):
    encoder = Encoder(tiny, 20)
    assert not encoder.embed_tokens.weight[PAD].any()
    assert not encoder.layers[0].ffn_in.bias.any()


def test_bf16_stays_close_to_fp32(model):
    block = tokens([0, 9, 8, 7, 2])
    exact = model(block)
    model.precision = "bf16"
    assert model(block).dtype == torch.float32
    assert torch.allclose(model(block), exact, atol=0.05)


def test_relative_bias_starts_local_and_directed(tiny):
    encoder = Encoder(replace(tiny, heads=4, relative_buckets=16), 20)
    bias = encoder._relative_mask(9, encoder.relative_bias, None)[0, :, 4]  # what position 4 sees: [heads, 9]
    assert (bias[:, 4] == 0).all()
    assert bias[0, 5] > bias[0, 3] and bias[1, 3] > bias[1, 5]  # one head of a pair looks right, the other left
    assert (bias[0, 5:].diff() <= 0).all() and (bias[2, 5:].diff() <= 0).all()
    assert bias[0, 8] < bias[2, 8] and bias.min() >= -8
