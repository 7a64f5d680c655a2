"""Nearest neighbours by hand, and the same in blocks of any size."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tasks.retrieval.search import nearest, neighbourhoods, unit


def drawn(rows: int, columns: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    draw = np.random.default_rng(seed)
    return unit(draw.normal(size=(rows, 8)).astype(np.float32)), unit(draw.normal(size=(columns, 8)).astype(np.float32))


def test_margin_takes_what_is_near_to_everything_out_of_the_way() -> None:
    """y0 lies between x0 and x1 and is nearer to both than what belongs to them: a hub. Cosines by hand."""
    cosines = np.array([[0.9, 0.8, 0.1], [0.9, 0.1, 0.8], [0.6, 0.0, 0.0]])
    x, y = torch.tensor(cosines, dtype=torch.float32), torch.eye(3)  # rows are their own cosines to the axes
    assert nearest(x, y).forward.tolist() == [0, 0, 0]
    margin = neighbourhoods(x, y, 2)
    assert margin[0].tolist() == pytest.approx([0.85, 0.85, 0.3]) and margin[1].tolist() == pytest.approx([0.9, 0.45, 0.45])
    found = nearest(x, y, margin)
    # x0: 1.8 - .85 - .9, 1.6 - .85 - .45, .2 - .85 - .45
    assert found.forward.tolist() == [1, 2, 0]
    assert found.forward_scores.tolist() == pytest.approx([0.3, 0.3, 0.0], abs=1e-6, rel=1e-6)
    # y0: 1.8 - .85 - .9 twice, 1.2 - .3 - .9
    assert found.backward.tolist() in ([0, 0, 1], [1, 0, 1])
    assert found.backward_scores.tolist() == pytest.approx([0.05, 0.3, 0.3], abs=1e-6, rel=1e-6)


@pytest.mark.parametrize("block", [1, 3, 7, 64])
def test_blocks_do_not_change_what_is_found(block: int) -> None:
    x, y = drawn(23, 31, 1)
    whole, margin = nearest(x, y, block=4096), neighbourhoods(x, y, 5, block=4096)
    parts = neighbourhoods(x, y, 5, block=block)
    for own, other in zip(margin, parts, strict=True):
        torch.testing.assert_close(own, other, rtol=1e-5, atol=1e-6)
    for expected, found in ((whole, nearest(x, y, block=block)), (nearest(x, y, margin), nearest(x, y, parts, block))):
        assert (expected.forward == found.forward).all() and (expected.backward == found.backward).all()
    cosines = (x @ y.T).numpy()
    assert (whole.forward == cosines.argmax(1)).all() and (whole.backward == cosines.argmax(0)).all()
    expected_x = np.sort(cosines, 1)[:, -5:].mean(1)
    np.testing.assert_allclose(margin[0].numpy(), expected_x, rtol=1e-5, atol=1e-6)


def test_no_block_is_larger_than_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    from tasks.retrieval import search

    shapes: list[tuple[int, ...]] = []
    real = search._blocks

    def watched(*given: object) -> object:
        for rows, columns, cosines in real(*given):  # type: ignore[arg-type]
            shapes.append(tuple(cosines.shape))
            yield rows, columns, cosines

    monkeypatch.setattr(search, "_blocks", watched)
    x, y = drawn(50, 30, 2)
    nearest(x, y, neighbourhoods(x, y, 4, 16), 16)
    assert max(max(shape) for shape in shapes) == 16 and len(shapes) == 2 * 4 * 2


def test_fewer_sentences_than_neighbours() -> None:
    x, y = drawn(3, 2, 3)
    margin = neighbourhoods(x, y, 10)
    np.testing.assert_allclose(margin[0].numpy(), (x @ y.T).mean(1).numpy(), rtol=1e-5, atol=1e-6)


def test_a_vector_of_zeros_is_like_nothing() -> None:
    assert (unit(np.zeros((2, 4), dtype=np.float32)) == 0).all()
