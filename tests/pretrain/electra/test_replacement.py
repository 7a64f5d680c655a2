"""Sampling of replacements: distributions, what is never sampled, labels."""

from __future__ import annotations

import math

import pytest
import torch

from pretrain.base.errors import UserError
from pretrain.base.vocabulary import PAD
from pretrain.electra.replacement import Sampling, corrupt, draw, gumbel_argmax, log_probs, unigram
from pretrain.masking import Masked, generator_for

ROWS = 12
MASK = ROWS - 1
SPECIAL = [0, 1, 2, 3, MASK]


def key(seed: int = 0) -> torch.Generator:
    return generator_for(torch.device("cpu"), seed)


def logits(count: int = 1) -> torch.Tensor:
    return torch.randn(1, ROWS, generator=torch.Generator().manual_seed(4)).expand(count, -1)


def frequencies(log_p: torch.Tensor) -> torch.Tensor:
    return torch.bincount(gumbel_argmax(log_p, key()), minlength=ROWS) / len(log_p)


def test_gumbel_max_draws_with_the_given_probabilities():
    log_p = log_probs(logits(40_000), torch.full((40_000,), 5), MASK, Sampling())
    torch.testing.assert_close(frequencies(log_p), log_p[0].exp(), rtol=1e-3, atol=0.01)


def test_specials_are_never_sampled():
    wanted = logits(2000).clone()
    wanted[:, SPECIAL] = 100.0
    ids = draw(log_probs(wanted, torch.full((2000,), 5), MASK, Sampling()), None, key()).ids
    assert not torch.isin(ids, torch.tensor(SPECIAL)).any()


def test_temperature_divides_the_logits():
    log_p = log_probs(logits(), torch.tensor([5]), MASK, Sampling(temperature=2.0))
    expected = torch.log_softmax(logits()[0, 4:MASK] / 2, -1)
    torch.testing.assert_close(log_p[0, 4:MASK], expected)


def test_original_token_can_be_ruled_out():
    targets = torch.arange(2000) % 7 + 4
    ids = draw(log_probs(torch.zeros(2000, ROWS), targets, MASK, Sampling(disallow_correct=True)), None, key()).ids
    assert not (ids == targets).any() and set(ids.tolist()) == set(range(4, MASK))


def test_sampling_is_fp32_whatever_the_logits_are():
    log_p = log_probs(logits().bfloat16(), torch.tensor([5]), MASK, Sampling())
    assert log_p.dtype == torch.float32 and log_p.exp().sum().item() == pytest.approx(1, rel=1e-5, abs=1e-6)


def test_logits_are_left_as_they_are():
    given = logits(3).clone()
    log_probs(given, torch.tensor([4, 5, PAD]), MASK, Sampling(disallow_correct=True))
    assert torch.equal(given, logits(3))


def test_draws_repeat_with_their_key_and_change_with_it():
    log_p = log_probs(torch.zeros(50, ROWS), torch.full((50,), 5), MASK, Sampling())
    assert torch.equal(draw(log_p, None, key(1)).ids, draw(log_p, None, key(1)).ids)
    assert not torch.equal(draw(log_p, None, key(1)).ids, draw(log_p, None, key(2)).ids)


def test_unigram_frequencies_are_those_of_the_dictionary():
    prior = unigram([3, 0, 1])
    log_p = log_probs(prior.expand(1, -1), torch.tensor([4]), 7, Sampling())
    assert log_p.exp()[0].tolist() == pytest.approx([0, 0, 0, 0, 0.75, 0, 0.25, 0])


def test_dictionary_without_frequencies_is_refused():
    with pytest.raises(UserError, match=r"dict\.txt has none"):
        unigram([0, 0])


def test_slots_without_a_target_keep_their_token():
    tokens = torch.tensor([[0, 5, 6, 7], [0, 8, 2, 1]])
    masked = Masked(tokens, torch.tensor([1, 2, 5, 6]), torch.tensor([5, 6, 8, PAD]))
    corrupted, labels = corrupt(tokens, masked, torch.tensor([9, 6, 4, 10]))
    assert corrupted.tolist() == [[0, 9, 6, 7], [0, 4, 2, 1]]
    assert labels.tolist() == [[False, True, False, False], [False, True, False, False]]


def test_log_probabilities_of_the_samples_are_returned():
    log_p = log_probs(logits(6), torch.full((6,), 5), MASK, Sampling())
    log_q = torch.full_like(log_p, -math.inf)
    log_q[:, 8] = 0.0
    drawn = draw(log_p, log_q, key())
    assert drawn.ids.tolist() == [8] * 6 and drawn.log_q.tolist() == [0.0] * 6
    assert torch.equal(drawn.log_p, log_p[:, 8])


@pytest.mark.parametrize("wrong", [{"temperature": 0.0}, {"mixture": 1.5}])
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(UserError):
        Sampling(**wrong)
