"""Texts as vectors: which layer, which tokens, long texts in windows."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from adapt.artefacts.assemble import assemble
from adapt.probe.states import layer_number, states, vectors
from pretrain.base.errors import UserError


@pytest.fixture(scope="module")
def lines(journey) -> list[str]:
    return (journey / "qaa.txt").read_text(encoding="utf-8").splitlines()[:8]


def test_layers_are_counted_from_both_ends():
    assert [layer_number(layer, 4) for layer in (1, 4, -1, -4)] == [0, 3, 3, 0]
    for wrong in (0, 5, -5):
        with pytest.raises(UserError, match="this body has 4"):
            layer_number(wrong, 4)


@torch.no_grad()
def test_the_last_layers_states_are_the_encoders_output(body, source, lines):
    model = assemble(body, source)
    found = states(model.encoder, source.tokenizer, lines[:3])
    for text, got in zip(lines, found, strict=False):
        ids = source.tokenizer.encode(text)
        assert len(ids) + 2 <= body.config.max_positions
        expected = model.encoder(torch.tensor([[0, *ids, 2]]), full=True)[0, 1:-1]
        torch.testing.assert_close(torch.from_numpy(got), expected, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_a_lower_layer_is_what_the_next_one_reads(body, source, lines):
    model = assemble(body, source)
    seen: list[torch.Tensor] = []
    hook = model.encoder.layers[1].register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    found = states(model.encoder, source.tokenizer, lines[:1], 1)[0]
    hook.remove()
    torch.testing.assert_close(torch.from_numpy(found), seen[0][0, 1:-1], rtol=0, atol=0)


def test_a_batch_gives_what_each_text_gives_alone(body, source, lines):
    model = assemble(body, source)
    together = vectors(model.encoder, source.tokenizer, lines)
    alone = np.concatenate([vectors(model.encoder, source.tokenizer, [text]) for text in lines])
    np.testing.assert_allclose(together, alone, rtol=1e-4, atol=1e-5)


def test_every_token_of_a_long_text_has_a_state(body, source, lines):
    model = assemble(body, source)
    text = " ".join(lines * 3)
    (found,) = states(model.encoder, source.tokenizer, [text])
    ids = source.tokenizer.encode(text)
    assert len(ids) > 2 * body.config.max_positions
    assert found.shape == (len(ids), body.config.width) and np.isfinite(found).all()
    with torch.no_grad():  # the first token is judged in the first window
        expected = model.encoder(torch.tensor([[0, *ids[:body.config.max_positions - 1]]]), full=True)[0, 1]
    np.testing.assert_allclose(found[0], expected.numpy(), rtol=1e-4, atol=1e-5)


def test_no_hook_stays_behind(body, source):
    model = assemble(body, source)
    states(model.encoder, source.tokenizer, ["eik"])
    assert not any(layer._forward_hooks for layer in model.encoder.layers)


def test_a_text_without_a_token_is_named(body, source):
    model = assemble(body, source)
    with pytest.raises(UserError, match="text 2: expected a text"):
        states(model.encoder, source.tokenizer, ["eik", ""])
    assert vectors(model.encoder, source.tokenizer, []).shape == (0, body.config.width)
