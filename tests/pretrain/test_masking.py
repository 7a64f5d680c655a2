import pytest
import torch

from pretrain.base.errors import UserError
from pretrain.base.vocabulary import PAD
from pretrain.masking import generator_for, mask_tokens

MASK = 200
CPU = torch.device("cpu")


def blocks(rows: int = 64, time: int = 40) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(4, MASK, (rows, time), generator=generator)
    tokens[:, 0] = 0
    tokens[:, 17] = 2
    return tokens


def masked(tokens, key=1, **kwargs):
    return mask_tokens(tokens, MASK, generator_for(CPU, key), **kwargs)


def test_every_block_hides_the_same_number_without_replacement():
    result = masked(blocks())
    rows = result.positions // 40
    assert torch.bincount(rows, minlength=64).tolist() == [6] * 64
    assert result.positions.unique().numel() == result.positions.numel()


def test_special_tokens_are_never_hidden():
    tokens = blocks()
    result = masked(tokens, share=0.5)
    assert (result.targets[result.targets != PAD] >= 4).all()
    assert (result.tokens[:, 0] == 0).all() and (result.tokens[:, 17] == 2).all()


def test_targets_are_the_original_tokens():
    tokens = blocks()
    result = masked(tokens)
    assert torch.equal(tokens.view(-1)[result.positions], result.targets)


def test_tokens_elsewhere_stay_as_they_are():
    tokens = blocks()
    result = masked(tokens)
    rest = torch.ones(tokens.numel(), dtype=torch.bool)
    rest[result.positions] = False
    assert torch.equal(tokens.view(-1)[rest], result.tokens.view(-1)[rest])


@pytest.mark.parametrize(("policy", "shares"), [("bert", (0.8, 0.1)), ("electra", (0.85, 0.15)), ("mask", (1.0, 0.0))])
def test_policies_have_their_shares(policy, shares):
    tokens = blocks(2000)
    result = masked(tokens, policy=policy)
    shown = result.tokens.view(-1)[result.positions]
    hidden = (shown == MASK).float().mean().item()
    same = (shown == result.targets).float().mean().item()
    assert hidden == pytest.approx(shares[0], abs=0.02)
    assert same == pytest.approx(shares[1], abs=0.02)


def test_random_replacements_are_ordinary_pieces():
    result = masked(blocks(2000))
    shown = result.tokens.view(-1)[result.positions]
    assert shown.min() >= 4 and shown.max() <= MASK


def test_every_ordinary_position_is_hidden_equally_often():
    tokens = blocks(4000)
    counts = torch.bincount(masked(tokens).positions % 40, minlength=40).float()
    ordinary = [i for i in range(40) if i not in (0, 17)]
    assert counts[ordinary].std() / counts[ordinary].mean() < 0.08


def test_short_rows_hide_their_own_share_and_padding_never():
    tokens = blocks(8)
    tokens[:, 10:] = PAD
    result = masked(tokens)
    real = result.targets != PAD
    assert real.sum() == 8  # 15 % of 9 ordinary tokens, at least one
    assert (result.positions[real] % 40 < 10).all()


def test_row_without_ordinary_tokens_has_no_target():
    tokens = torch.tensor([[0, 2, 2, 2], [0, 5, 6, 2]])
    result = masked(tokens)
    assert torch.equal(result.tokens[0], tokens[0])
    assert (result.targets != PAD).sum() == 1


def test_number_of_slots_depends_on_the_shape_alone():
    tokens = blocks(4)
    shorter = tokens.clone()
    shorter[0, 5:] = PAD
    assert masked(tokens).positions.shape == masked(shorter).positions.shape


def test_the_key_alone_decides_the_draw():
    tokens = blocks()
    first = masked(tokens, key=5)
    torch.manual_seed(99)
    assert torch.equal(first.tokens, masked(tokens, key=5).tokens)
    assert not torch.equal(first.tokens, masked(tokens, key=6).tokens)


def test_neighbouring_keys_give_unrelated_draws():
    draws = torch.stack([torch.rand(2000, generator=generator_for(CPU, 1, n)) for n in range(4)])
    assert torch.corrcoef(draws).fill_diagonal_(0).abs().max() < 0.1


def test_unknown_policy_names_the_known_ones():
    with pytest.raises(UserError, match="did you mean 'electra'"):
        masked(blocks(), policy="elektra")


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1])
def test_share_outside_the_unit_interval_is_refused(share):
    with pytest.raises(UserError, match="mask share"):
        masked(blocks(), share=share)
