"""Initialiser from the pieces that both languages share, by how alike pieces are used in the new text."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from adapt.initialise import Request, register
from adapt.initialise.mixtures import identical, mix, ordinary, similar, sparse, sparsemax
from adapt.initialise.static_vectors import read_vectors, vectors_of_pieces_in_text
from pretrain.base.vocabulary import SPECIALS


@register("focus", reads=("vectors",))
def focus(request: Request) -> tuple[Tensor, Tensor]:
    """Pieces that both languages have are copied; every other row is a mixture of the copied ones, weighted by the sparsemax of
    the cosines of auxiliary vectors of the new pieces (Dobler and de Melo 2023, "FOCUS", section 2).

    The auxiliary vectors are trained on the prepared text as it stands in pieces; `vectors=FILE` gives others, in word2vec's
    text format with our spelling of the pieces. A piece without such a vector (it is too rare) is drawn as `gaussian` draws.
    """
    shared = identical(request)
    spellings = request.tokenizer.spellings
    if "vectors" in request.resources:
        words, table = read_vectors(request.resources["vectors"])
        place = {word: number for number, word in enumerate(words)}
        auxiliary = np.zeros((len(spellings), table.shape[1]))
        for row, written in enumerate(spellings):
            if written in place:
                auxiliary[row] = table[place[written]]
    else:
        auxiliary = vectors_of_pieces_in_text(request)
    rows = ordinary(len(spellings))
    anchors = np.array([row for row in rows if row in shared], dtype=np.int64)
    others = np.array([row for row in rows if row not in shared], dtype=np.int64)
    entries = {(row, old): 1.0 for row, old in shared.items()}
    for (row, anchor), weight in similar(auxiliary, auxiliary, others, anchors, sparsemax).items():
        place_of = row, shared[anchor]
        entries[place_of] = entries.get(place_of, 0.0) + weight
    assert all(row >= len(SPECIALS) for row in others)
    return mix(request, sparse(entries, (len(spellings), len(request.source.tokenizer))))
