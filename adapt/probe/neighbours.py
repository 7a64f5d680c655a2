"""The pieces whose embeddings lie nearest to a word's, within its language and in others of the same body."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from adapt.artefacts.embedding import Embedding
from pretrain.base.errors import UserError
from pretrain.base.vocabulary import SPECIALS, UNK


@dataclass(frozen=True)
class Neighbour:
    """A piece near a word.

    Attributes:
        piece: as SentencePiece would write it, whatever tokenizer it is of.
        row: its row in the table.
        cosine: of the angle between its row and the word's vector, -1 to 1.
    """

    piece: str
    row: int
    cosine: float


def word_rows(embedding: Embedding, word: str) -> list[int]:
    """The rows of the pieces that a word is written with.

    Raises:
        UserError: a word that the tokenizer does not know.
    """
    rows = embedding.tokenizer.encode(word)
    if not rows or UNK in rows:
        raise UserError(f"{word!r}: the tokenizer of {embedding.language} "
                        + ("gives it no piece" if not rows else "does not know a character of it") + "; name another word")
    return rows


def word_vector(embedding: Embedding, rows: Sequence[int]) -> Tensor:
    """The mean of these rows, each at length 1 [E]: a long row (rare pieces have them) has no more say than another."""
    return F.normalize(embedding.weight[list(rows)].float(), dim=-1).mean(0)


def neighbours(embedding: Embedding, vectors: Tensor, count: int,
               leave_out: Sequence[Sequence[int]] = ()) -> list[list[Neighbour]]:
    """The nearest pieces to each vector, by cosine, nearest first; special tokens are none.

    Args:
        embedding: whose pieces are looked at.
        vectors: [N, E].
        count: how many for each; fewer where the table has fewer.
        leave_out: rows that are no neighbours of the n-th vector, such as the word's own.
    """
    table = F.normalize(embedding.weight.float(), dim=-1)
    cosines = F.normalize(vectors.float(), dim=-1) @ table.T
    cosines[:, :len(SPECIALS)] = cosines[:, -1] = -torch.inf
    for number, rows in enumerate(leave_out):
        cosines[number, list(rows)] = -torch.inf
    spellings = embedding.tokenizer.spellings
    best, places = cosines.topk(min(count, cosines.size(1)), dim=1)
    return [[Neighbour(spellings[row], row, value) for value, row in zip(values, rows, strict=True) if value > -torch.inf]
            for values, rows in zip(best.tolist(), places.tolist(), strict=True)]
