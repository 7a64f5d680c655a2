"""Initialisers of a new language's embedding: one interface, one file each, registered by name.

To add one: a file here with a function `(request: Request) -> tuple[Tensor, Tensor]` under `@register("name")`, and
its import in `load_all`. It returns the weight [V, E] and the output bias [V]; it draws from `request.generator()`
alone, so that it is deterministic though every global generator is disturbed, and it never reaches the network. The local
files that it reads and needs are named where it is registered: one that nobody would read, or that lacks, is refused before
anything is trained.
docs/initialisers.md says what each of them does, from which paper, and how they compare.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path

import torch
from torch import Tensor

from adapt.artefacts.embedding import Embedding
from adapt.settings import SPECIAL_ROWS
from adapt.text.tokenizer import Tokenizer
from pretrain.base.errors import UserError, nearest, unknown
from pretrain.base.vocabulary import PAD, SPECIALS
from pretrain.masking import generator_for


@dataclass(frozen=True)
class Request:
    """What an initialiser may look at."""

    source: Embedding
    """Embedding module of the source language (English)."""
    tokenizer: Tokenizer
    """Tokenizer of the target language."""
    data: Path | None = None
    """Folder of the prepared target text."""
    resources: dict[str, Path] = field(default_factory=dict)
    """Local files that the user names, by what they are (`dictionary`, `vectors`, …)."""
    seed: int = 1
    from_source: list[Sequence[int]] = field(default_factory=list, compare=False)
    """For the initialiser to fill in: the rows that it copies or mixes from the source's, where it does not only draw.
    `adapt.initialise.coverage` counts them."""

    @property
    def shape(self) -> tuple[int, int]:
        """[V, E] of the table to make."""
        return len(self.tokenizer.vocabulary), self.source.width

    def generator(self) -> torch.Generator:
        """The only source of randomness: keyed by the seed."""
        return generator_for(torch.device("cpu"), self.seed, 0x_1D_17)

    def ordinary_rows(self) -> Tensor:
        """Source rows of ordinary pieces, without specials and mask: [V_source - 5, E]."""
        return self.source.weight[len(SPECIALS) : -1].float()


Initialiser = Callable[[Request], tuple[Tensor, Tensor]]
REGISTRY: dict[str, Initialiser] = {}
RESOURCES: dict[str, tuple[str, ...]] = {}
"""Initialiser -> the resources that it reads."""
NEEDS: dict[str, tuple[tuple[str, ...], ...]] = {}
"""Initialiser -> what it cannot do without: of each of these alternatives it reads one."""


def register(name: str, needs: Iterable[str | tuple[str, ...]] = (),
             reads: Iterable[str] = ()) -> Callable[[Initialiser], Initialiser]:
    """Makes an initialiser known by `name`; a name can be taken once.

    Args:
        needs: names of the resources without which it cannot work; a tuple of names: one of them, and no second one.
        reads: names of those that it reads where they are given.
    """
    needed = tuple((need,) if isinstance(need, str) else tuple(need) for need in needs)

    def add(function: Initialiser) -> Initialiser:
        if name in REGISTRY:
            raise ValueError(f"initialiser {name!r} is registered twice")
        REGISTRY[name] = function
        RESOURCES[name], NEEDS[name] = (*reads, *chain.from_iterable(needed)), needed
        return function

    return add


def load_all() -> dict[str, Initialiser]:
    """Imports the files of this folder and returns the registry."""
    from adapt.initialise import (  # noqa: F401
        distribution,
        focus,
        frequency,
        lexicon,
        ofa,
        overlap,
        script,
        subword_mean,
        wechsel,
    )

    return REGISTRY


def check_resources(name: str, given: Iterable[str]) -> None:
    """That an initialiser is known, reads every resource that is given, and gets those that it needs.

    This is asked where a run is planned, where a command is printed, and before a training starts.

    Raises:
        UserError: with what is wrong.
    """
    registry = load_all()
    if name not in registry:
        raise unknown("initialiser", name, registry)
    known, there = RESOURCES[name], set(given)
    for resource in sorted(there - set(known)):
        reads = f"it reads {', '.join(sorted(known))}" if known else "it reads none"
        if others := sorted(other for other, names in RESOURCES.items() if resource in names):
            reads += f"; {', '.join(others)} {'do' if len(others) > 1 else 'does'}"
        raise UserError(f"--resources {resource}: the initialiser {name!r} does not read it ({reads}){nearest(resource, known)}")
    for alternatives in NEEDS[name]:
        if len(both := [resource for resource in alternatives if resource in there]) > 1:
            raise UserError(f"--resources {both[1]}: the initialiser {name!r} does not read it, as {both[0]} is given; drop one")
    if absent := [alternatives for alternatives in NEEDS[name] if there.isdisjoint(alternatives)]:
        wanted = ",".join(" or ".join(f"{resource}=FILE" for resource in alternatives) for alternatives in absent)
        raise UserError(f"the initialiser {name!r} needs --resources {wanted}")


def initialise(name: str, request: Request, special_rows: str = "copy") -> tuple[Tensor, Tensor]:
    """Weight [V, E] and output bias [V] for a new language.

    Args:
        name: a registered initialiser.
        special_rows: `copy` takes the rows (and output biases) of `<s> <pad> </s> <unk> <mask>` from the source, as the
            adaptation text hardly trains some of them (`<s>`!) and the body relies on them; `draw` leaves them to the
            initialiser, as the reference does.

    Raises:
        UserError: unknown name, resources that it does not read or lacks, or a result that is not finite.
    """
    check_resources(name, request.resources)
    registry = load_all()
    if special_rows not in SPECIAL_ROWS:
        raise unknown("choice for --special-rows", special_rows, SPECIAL_ROWS)
    weight, bias = registry[name](request)
    if weight.shape != request.shape or bias.shape != request.shape[:1]:
        raise ValueError(f"initialiser {name!r} returned {tuple(weight.shape)} and {tuple(bias.shape)}")
    if not bool(torch.isfinite(weight).all() and torch.isfinite(bias).all()):
        raise UserError(f"initialiser {name!r} produced NaN or infinite values; check the resources it was given")
    if special_rows == "copy":
        for old, new in special_pairs(request.source.tokenizer, request.tokenizer):
            weight[new] = request.source.weight[old]
            bias[new] = request.source.bias[old]
    weight[PAD] = 0
    return weight, bias


def initialise_pair(name: str, request: Request, special_rows: str, tying: str) -> Embedding:
    """A new language's embedding for an ELECTRA pair, without a record.

    Where the networks do not share their table, the generator's is made as the discriminator's is, from its own source
    rows and the same draws. The output biases of generator and hardness head are copied or drawn alike.
    """
    source = request.source
    weight, bias = initialise(name, request, special_rows)
    generator: dict[str, Tensor] = {}
    if tying == "gdes" or (tying == "none" and "weight" in source.generator):
        theirs = replace(source, weight=source.generator.get("weight", source.weight))
        generator["weight"], _ = initialise(name, replace(request, source=theirs), special_rows)
    if "hardness_bias" in source.generator:
        head = replace(source, bias=source.generator["hardness_bias"])
        _, generator["hardness_bias"] = initialise(name, replace(request, source=head), special_rows)
    return Embedding(weight, bias, request.tokenizer, "", source.lineage, generator=generator)


def special_pairs(source: Tokenizer, target: Tokenizer) -> list[tuple[int, int]]:
    """(source row, target row) of each special token."""
    old, new = source.vocabulary.special_ids(), target.vocabulary.special_ids()
    return [(old[symbol], new[symbol]) for symbol in new]
