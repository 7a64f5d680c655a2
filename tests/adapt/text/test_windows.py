"""Windows are stretches of pre-training's blocks; batches hold every input once."""

import numpy as np
import torch

from adapt.text.prepare import encode_documents
from adapt.text.tokenizer import Tokenizer
from adapt.text.windows import batched, stream_of, window
from pretrain.base.vocabulary import BOS


def test_a_text_stands_as_pre_training_saw_it(journey):
    tokenizer = Tokenizer.load(journey / "data" / "qaa")
    line = (journey / "qaa.txt").read_text(encoding="utf-8").splitlines()[0]
    prepared = np.frombuffer(encode_documents(tokenizer, [[line]])[0], dtype=np.uint16)
    assert window(stream_of(tokenizer.encode(line)), 0, 100).tolist() == [BOS, *prepared.tolist()]


def test_a_window_inside_a_text_is_a_block_inside_a_document():
    assert window(stream_of(range(4, 24)), 5, 3).tolist() == [BOS, 9, 10, 11]


def test_batches_hold_every_input_once_with_padding_at_the_right():
    inputs = [np.arange(4, 4 + size, dtype=np.int32) for size in (3, 5, 3, 1, 5)]
    seen = {}
    for indices, tokens, full in batched(inputs, torch.device("cpu"), 10):
        assert tokens.numel() <= 10
        assert full == bool((tokens != 1).all())
        for index, row in zip(indices, tokens.tolist(), strict=True):
            assert index not in seen
            seen[index] = [token for token in row if token != 1]
    assert [seen[index] for index in range(5)] == [ids.tolist() for ids in inputs]
