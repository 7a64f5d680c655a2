"""Initialiser for pieces that both languages share: their rows are copied, the others drawn as `gaussian` draws."""

from __future__ import annotations

from torch import Tensor

from adapt.initialise import Request, register
from adapt.initialise.distribution import gaussian


@register("overlap")
def overlap(request: Request) -> tuple[Tensor, Tensor]:
    """Rows and output biases of pieces with the same string come from the source (names, numbers, punctuation).

    Pieces of tokenizers of two kinds are compared as SentencePiece would write them.
    """
    weight, bias = gaussian(request)
    source = {written: row for row, written in reversed(list(enumerate(request.source.tokenizer.spellings)))}
    for row, piece in enumerate(request.tokenizer.spellings):
        old = source.get(piece)
        if old is not None:
            weight[row] = request.source.weight[old]
            bias[row] = request.source.bias[old]
    return weight, bias
