import torch

from pretrain.base.vocabulary import BOS, EOS, PAD
from pretrain.segments import WHOLE, draw_segments


def draw(tokens, seed=1):
    return draw_segments(torch.tensor(tokens), torch.Generator().manual_seed(seed))


def test_a_block_is_cut_after_one_of_its_ends_that_something_follows():
    row = [BOS, 7, EOS, 8, 9, EOS, 5, EOS, PAD]
    found = {tuple(one) for one in draw([row] * 200).tolist()}
    assert found == {(0,) * 9, (0, 0, 0, 1, 1, 1, 1, 1, 1), (0, 0, 0, 0, 0, 0, 1, 1, 1)}


def test_a_block_without_an_inner_end_is_one_segment():
    assert not draw([[BOS, 7, 8, EOS], [BOS, 7, EOS, PAD], [BOS, 7, 8, 9]]).any()


def test_a_tenth_of_the_blocks_stays_whole():
    whole = (draw([[BOS, 7, EOS, 8]] * 4000).sum(1) == 0).float().mean().item()
    assert abs(whole - WHOLE) < 0.03


def test_the_same_draws_cut_alike():
    rows = [[BOS, 7, EOS, 8, EOS, 9, EOS, 6]] * 20
    assert torch.equal(draw(rows, 4), draw(rows, 4)) and not torch.equal(draw(rows, 4), draw(rows, 5))
