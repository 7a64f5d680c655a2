"""Nearest neighbours between two sets of vectors, in blocks: memory is that of the vectors and of one block, whatever their
number.

Plain: the highest cosine. With margin (CSLS, Conneau et al. 2018): 2 cos(x, y) - r(x) - r(y), where r is the mean cosine of the K
nearest on the other side; what is near to everything is no longer everybody's neighbour.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

BLOCK = 4096
"""Rows and columns whose cosines are held at a time: 64 MiB."""
NEIGHBOURS = 10
"""K of CSLS (Conneau et al. 2018)."""


@dataclass(frozen=True)
class Found:
    """The best match of every vector, in both directions.

    Attributes:
        forward: of each x the number of the best y [N].
        backward: of each y the number of the best x [M].
        forward_scores, backward_scores: of those matches.
    """

    forward: NDArray[np.int64]
    backward: NDArray[np.int64]
    forward_scores: NDArray[np.float32]
    backward_scores: NDArray[np.float32]


def unit(vectors_ND: NDArray[np.float32]) -> Tensor:
    """Rows of length one; a row of zeros stays."""
    return torch.nn.functional.normalize(torch.from_numpy(np.ascontiguousarray(vectors_ND, dtype=np.float32)), dim=1)


def _blocks(x_ND: Tensor, y_MD: Tensor, block: int) -> Iterator[tuple[slice, slice, Tensor]]:
    for top in range(0, len(x_ND), block):
        rows = slice(top, min(top + block, len(x_ND)))
        for left in range(0, len(y_MD), block):
            columns = slice(left, min(left + block, len(y_MD)))
            yield rows, columns, x_ND[rows] @ y_MD[columns].T


def neighbourhoods(x_ND: Tensor, y_MD: Tensor, neighbours: int, block: int = BLOCK) -> tuple[Tensor, Tensor]:
    """Mean cosine of every x [N] and every y [M] to its nearest on the other side, at most `neighbours` of them.

    Args:
        x_ND, y_MD: rows of length one.
    """
    tops = [torch.full((len(side), min(neighbours, len(other))), -torch.inf) for side, other in ((x_ND, y_MD), (y_MD, x_ND))]
    for rows, columns, cosines in _blocks(x_ND, y_MD, block):
        for top, part, own in ((tops[0], rows, cosines), (tops[1], columns, cosines.T)):
            both = torch.cat([top[part], own.topk(min(top.size(1), own.size(1)), dim=1).values], 1)
            top[part] = both.topk(top.size(1), dim=1).values
    return tops[0].mean(1), tops[1].mean(1)


def nearest(x_ND: Tensor, y_MD: Tensor, margin: tuple[Tensor, Tensor] | None = None, block: int = BLOCK) -> Found:
    """The best match of every vector; of equal ones the first.

    Args:
        x_ND, y_MD: rows of length one.
        margin: what `neighbourhoods` gives, for CSLS; None: plain cosine.
    """
    scores = [torch.full((len(side),), -torch.inf) for side in (x_ND, y_MD)]
    numbers = [torch.zeros(len(side), dtype=torch.long) for side in (x_ND, y_MD)]
    for rows, columns, cosines in _blocks(x_ND, y_MD, block):
        if margin is not None:
            cosines = 2 * cosines - margin[0][rows, None] - margin[1][None, columns]
        for side, part, other, own in ((0, rows, columns, cosines), (1, columns, rows, cosines.T)):
            best, at = own.max(1)
            better = best > scores[side][part]
            scores[side][part] = torch.where(better, best, scores[side][part])
            numbers[side][part] = torch.where(better, at + other.start, numbers[side][part])
    forward, backward = (each.numpy() for each in numbers)
    return Found(forward, backward, scores[0].numpy(), scores[1].numpy())
