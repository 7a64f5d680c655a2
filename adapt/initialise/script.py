"""Initialiser from the distribution of the source's rows of the same script and place in a word."""

from __future__ import annotations

from collections import Counter

import torch
from torch import Tensor

from adapt.initialise import Request, register
from adapt.initialise.mixtures import ordinary
from adapt.probe.language import script_of
from adapt.text.tokenizer import WORD_BOUNDARY

FEWEST = 10
"""Rows of the source below which a group says too little of a distribution; its pieces are then drawn from a wider one."""


def group_of(spelling: str) -> tuple[str, bool]:
    """(the commonest script of a piece's letters, empty without letters; whether the piece begins a word)."""
    scripts = Counter(filter(None, map(script_of, spelling)))
    return (scripts.most_common(1)[0][0] if scripts else "", spelling.startswith(WORD_BOUNDARY))


@register("script")
def script(request: Request) -> tuple[Tensor, Tensor]:
    """N(mean, standard deviation) per dimension of the source's pieces of the same script and position, begin of a word or not
    (Downey et al. 2023, "Embedding structure matters", script- and position-wise initialisation).

    Where the source has fewer than ten such pieces, as for a script that it does not write, those of any script in the same
    position are taken, and all ordinary pieces where there are too few of them too.
    """
    rows = request.ordinary_rows()
    spellings = request.source.tokenizer.spellings
    groups = [group_of(spellings[row]) for row in ordinary(len(spellings))]

    def distribution(wanted: tuple[str, bool]) -> tuple[Tensor, Tensor]:
        alike = [number for number, group in enumerate(groups) if group == wanted]
        if len(alike) < FEWEST:
            alike = [number for number, group in enumerate(groups) if group[1] == wanted[1]]
        chosen = rows[alike] if len(alike) >= FEWEST else rows
        return chosen.mean(0), chosen.std(0)

    noise = torch.randn(request.shape, generator=request.generator())
    ours = [group_of(spelling) for spelling in request.tokenizer.spellings]
    known = {group: distribution(group) for group in dict.fromkeys(ours)}
    means, deviations = (torch.stack([known[group][part] for group in ours]) for part in (0, 1))
    return means + deviations * noise, torch.zeros(request.shape[0])
