"""What initialisers share that make a row as a mixture of the source's rows: matching pieces, mixing, nearest neighbours."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array
from torch import Tensor

from adapt.initialise import Request
from adapt.initialise.distribution import gaussian
from pretrain.base.vocabulary import SPECIALS

CHUNK = 1024
"""Target pieces whose similarities to all source pieces are in memory at once."""


def identical(request: Request) -> dict[int, int]:
    """Target row -> source row of the pieces that both tokenizers write alike; specials and the mask among them.

    Pieces of tokenizers of two kinds are compared as SentencePiece would write them.
    """
    source = {written: row for row, written in reversed(list(enumerate(request.source.tokenizer.spellings)))}
    return {row: source[written] for row, written in enumerate(request.tokenizer.spellings) if written in source}


def ordinary(pieces: int) -> NDArray[np.int64]:
    """Rows of a table of `pieces` rows that are neither specials nor the mask."""
    return np.arange(len(SPECIALS), pieces - 1)


def sparse(entries: dict[tuple[int, int], float], shape: tuple[int, int]) -> csr_array:
    """A matrix from its entries."""
    places = np.array(list(entries), dtype=np.int64).reshape(-1, 2)
    return csr_array(coo_array((np.fromiter(entries.values(), dtype=np.float64), (places[:, 0], places[:, 1])), shape=shape))


def normalised(weights: csr_array) -> csr_array:
    """Rows that sum to one; empty rows stay empty."""
    sums = np.asarray(weights.sum(1)).ravel()
    return csr_array(weights.multiply((1 / np.where(sums == 0, 1, sums))[:, None]))


def mix(request: Request, weights: csr_array, rows: NDArray[np.float64] | None = None) -> tuple[Tensor, Tensor]:
    """Weight [V, E] and output bias [V]: mixtures of the source's rows; rows without a mixture are drawn as `gaussian` draws.

    Args:
        weights: [V, V_source]; what a row has of each source row.
        rows: [V_source, E] instead of the source's table.
    """
    weight, bias = gaussian(request)
    table = request.source.weight.double().numpy() if rows is None else rows
    made = np.flatnonzero(np.diff(weights.indptr))
    request.from_source.append(made.tolist())
    chosen = weights[made]
    weight[made] = torch.from_numpy(chosen @ table).to(weight.dtype)
    bias[made] = torch.from_numpy(chosen @ request.source.bias.double().numpy()).to(bias.dtype)
    return weight, bias


def units(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rows of length one; zero rows stay zero."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(lengths == 0, 1, lengths))


def similar(target: NDArray[np.float64], source: NDArray[np.float64], targets: NDArray[np.int64], sources: NDArray[np.int64],
            weigh: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> dict[tuple[int, int], float]:
    """(target row, source row) -> weight, from the cosines of auxiliary vectors.

    Args:
        target: auxiliary vectors [V, D]; a zero row has none and gets no weights.
        source: [V_source, D] in the same space; a zero row is nobody's neighbour.
        targets: rows to weigh.
        sources: rows that may be mixed.
        weigh: cosines [n, m] -> weights [n, m], mostly zero.
    """
    sources = sources[np.abs(source[sources]).sum(1) > 0]
    targets = targets[np.abs(target[targets]).sum(1) > 0]
    entries: dict[tuple[int, int], float] = {}
    if not len(sources):
        return entries
    theirs = units(source[sources]).T
    for start in range(0, len(targets), CHUNK):
        some = targets[start:start + CHUNK]
        weights = weigh(units(target[some]) @ theirs)
        for place, column in zip(*np.nonzero(weights), strict=True):
            entries[int(some[place]), int(sources[column])] = float(weights[place, column])
    return entries


def softmax_of_nearest(cosines: NDArray[np.float64], neighbours: int, temperature: float) -> NDArray[np.float64]:
    """softmax(cosine / temperature) over each row's nearest columns; zero elsewhere."""
    count = min(neighbours, cosines.shape[1])
    nearest = np.argsort(-cosines, axis=1, kind="stable")[:, :count]
    chosen = np.take_along_axis(cosines, nearest, axis=1) / temperature
    raised = np.exp(chosen - chosen.max(1, keepdims=True))
    weights = np.zeros_like(cosines)
    np.put_along_axis(weights, nearest, raised / raised.sum(1, keepdims=True), axis=1)
    return weights


def sparsemax(cosines: NDArray[np.float64]) -> NDArray[np.float64]:
    """The point of the probability simplex that is nearest to each row (Martins and Astudillo 2016, Algorithm 1)."""
    ordered = -np.sort(-cosines, axis=1)
    sums = np.cumsum(ordered, axis=1)
    counts = np.arange(1, cosines.shape[1] + 1)
    support = (1 + counts * ordered > sums).sum(1)
    threshold = (np.take_along_axis(sums, support[:, None] - 1, axis=1)[:, 0] - 1) / support
    return np.maximum(cosines - threshold[:, None], 0)
