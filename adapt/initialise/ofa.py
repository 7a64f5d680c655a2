"""Initialiser in the coordinates of a factorised source table."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from adapt.initialise import Request, register
from adapt.initialise.distribution import gaussian
from adapt.initialise.mixtures import identical, mix, ordinary, similar, sparse
from adapt.initialise.static_vectors import aligned_piece_vectors
from adapt.initialise.wechsel import NEEDS, READS, weigh


@register("ofa", needs=NEEDS, reads=READS)
def ofa(request: Request) -> tuple[Tensor, Tensor]:
    """The source's table is factorised into coordinates [V, E/2] and primitives [E/2, E]; shared pieces take their coordinates,
    others a mixture of those of the ten nearest source pieces in static vectors, softmax(cosine / 0.1) (Liu et al. 2024, "OFA",
    section 3). The rest is drawn from the distribution of the coordinates.

    The rank is half the width, near the 400 of 768 that did best there. Coordinates are multiplied out again, as an embedding
    of ours has one table; resources are those of `wechsel`, and already aligned vectors need no dictionary.
    """
    rows = ordinary(len(request.source.tokenizer))
    table = request.source.weight.double().numpy()
    left, scale, primitives = np.linalg.svd(table[rows], full_matrices=False)
    rank = max(1, min(request.source.width // 2, len(scale)))
    left, primitives = left[:, :rank] * scale[:rank], primitives[:rank]
    low = table.copy()
    low[rows] = left @ primitives
    shared = identical(request)
    target, source = aligned_piece_vectors(request)
    others = np.array([row for row in ordinary(len(target)) if row not in shared], dtype=np.int64)
    entries = {(row, old): 1.0 for row, old in shared.items()} | similar(target, source, others, rows, weigh)
    weight, bias = mix(request, sparse(entries, (len(target), len(source))), low)
    made = {row for row, _ in entries}
    drawn = [int(row) for row in ordinary(len(target)) if row not in made]
    noise = gaussian(request)[0][drawn].double().numpy()  # per dimension of the table; brought into the primitives' span
    weight[drawn] = weight.new_tensor(noise @ primitives.T @ primitives)
    return weight, bias
