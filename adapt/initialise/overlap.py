"""Initialiser for pieces that both languages share: their rows are copied, the others drawn as `gaussian` draws."""

from __future__ import annotations

from torch import Tensor

from adapt.initialise import Request, register
from adapt.initialise.distribution import gaussian
from adapt.initialise.mixtures import identical


@register("overlap")
def overlap(request: Request) -> tuple[Tensor, Tensor]:
    """Rows and output biases of pieces with the same string come from the source (names, numbers, punctuation)."""
    weight, bias = gaussian(request)
    shared = identical(request)
    request.from_source.append(list(shared))
    for row, old in shared.items():
        weight[row] = request.source.weight[old]
        bias[row] = request.source.bias[old]
    return weight, bias
