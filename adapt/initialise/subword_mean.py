"""Initialiser from the source's own pieces of the same string."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from adapt.initialise import Request, register
from adapt.initialise.mixtures import identical, mix, ordinary, sparse
from adapt.text.tokenizer import WORD_BOUNDARY
from pretrain.base.vocabulary import SPECIALS


@register("subword-mean")
def subword_mean(request: Request) -> tuple[Tensor, Tensor]:
    """Each row is the mean of the rows of the pieces into which the source's tokenizer cuts the new piece's text
    (Sachidananda et al. 2021; Hewitt 2021); a piece that both have is copied.

    A piece whose text the source cannot write (an unknown token among its pieces) is drawn as `gaussian` draws.
    """
    source, spellings = request.source.tokenizer, request.tokenizer.spellings
    known = identical(request)
    rows = [int(row) for row in ordinary(len(spellings)) if row not in known and spellings[row].strip(WORD_BOUNDARY)]
    entries = {(row, old): 1.0 for row, old in known.items()}
    beginning = [row for row in rows if spellings[row].startswith(WORD_BOUNDARY)]
    inner = [row for row in rows if not spellings[row].startswith(WORD_BOUNDARY)]
    cut = {row: ids for row, ids in zip(beginning, source.encode_words([spellings[row][1:] for row in beginning]), strict=True)}
    cut |= {row: inside(request, spellings[row]) for row in inner}
    for row, ids in cut.items():
        if ids and min(ids) >= len(SPECIALS):
            for old, count in zip(*np.unique(ids, return_counts=True), strict=True):
                entries[row, int(old)] = count / len(ids)
    return mix(request, sparse(entries, (len(spellings), len(source))))


def inside(request: Request, text: str) -> list[int]:
    """The source's pieces of a text that goes on with a word: without a piece that is a word boundary alone, and each piece
    that begins a word exchanged for the one of the same text inside a word, where there is one."""
    source = request.source.tokenizer
    ids = [token for token in source.encode_words([text])[0] if token != source.boundary]
    return [source.inside.get(token, token) for token in ids]
