"""Initialisers that look at the source table's distribution alone: random, mean, gaussian."""

from __future__ import annotations

import torch
from torch import Tensor

from adapt.initialise import Request, register
from pretrain.encoder import INIT_STD


@register("random")
def random(request: Request) -> tuple[Tensor, Tensor]:
    """N(0, 0.02), the distribution a forgetting body has met at every reset (Chen et al. 2023)."""
    weight = torch.randn(request.shape, generator=request.generator()) * INIT_STD
    return weight, torch.zeros(request.shape[0])


@register("mean")
def mean(request: Request) -> tuple[Tensor, Tensor]:
    """Every row is the mean of the source's ordinary rows; training on different contexts tells them apart."""
    weight = request.ordinary_rows().mean(0).expand(request.shape).clone()
    return weight, torch.zeros(request.shape[0])


@register("gaussian")
def gaussian(request: Request) -> tuple[Tensor, Tensor]:
    """N(mean, standard deviation) of the source's ordinary rows, per dimension."""
    rows = request.ordinary_rows()
    noise = torch.randn(request.shape, generator=request.generator())
    return rows.mean(0) + rows.std(0) * noise, torch.zeros(request.shape[0])
