"""Initialiser from static word vectors of both languages, aligned with a dictionary."""

from __future__ import annotations

from functools import partial

from torch import Tensor

from adapt.initialise import Request, register
from adapt.initialise.mixtures import mix, ordinary, similar, softmax_of_nearest, sparse
from adapt.initialise.static_vectors import aligned_piece_vectors

NEIGHBOURS, TEMPERATURE = 10, 0.1
"""Minixhofer et al. 2022, section 3.2."""
weigh = partial(softmax_of_nearest, neighbours=NEIGHBOURS, temperature=TEMPERATURE)
NEEDS, READS = (("source_vectors", "source_text"),), ("dictionary", "target_vectors")


@register("wechsel", needs=NEEDS, reads=READS)
def wechsel(request: Request) -> tuple[Tensor, Tensor]:
    """Each row is a mixture of the ten source rows that are nearest in a space of static word vectors, weighted by
    softmax(cosine / 0.1) (Minixhofer et al. 2022, "WECHSEL", section 3).

    A piece's place in that space is the mean of the vectors of the words it takes part in, weighted by how often they occur;
    the source's space is turned into the target's by the orthogonal matrix that fits a dictionary best. Resources: see
    `adapt.initialise.static_vectors.aligned_piece_vectors`. A piece of no known word is drawn as `gaussian` draws.
    """
    target, source = aligned_piece_vectors(request)
    entries = similar(target, source, ordinary(len(target)), ordinary(len(source)), weigh)
    return mix(request, sparse(entries, (len(target), len(source))))
