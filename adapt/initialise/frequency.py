"""Initialiser that matches pieces by how often they occur."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from adapt.initialise import Request, register
from adapt.initialise.mixtures import mix, ordinary, sparse
from adapt.initialise.texts import piece_counts


@register("frequency")
def frequency(request: Request) -> tuple[Tensor, Tensor]:
    """The row of the source piece of the same rank, a baseline that knows nothing of meaning.

    The new pieces' ranks are those of the prepared text; the source's those of its output bias, which a trained model holds
    near the logarithm of a piece's frequency. Pieces beyond the source's last are drawn as `gaussian` draws.
    """
    counts = piece_counts(request)
    ours, theirs = ordinary(request.shape[0]), ordinary(len(request.source.tokenizer))
    ours = ours[np.argsort(-counts[ours], kind="stable")]
    theirs = theirs[np.argsort(-request.source.bias.double().numpy()[theirs], kind="stable")]
    entries = {(int(row), int(old)): 1.0 for row, old in zip(ours, theirs, strict=False)}
    return mix(request, sparse(entries, (request.shape[0], len(request.source.tokenizer))))
