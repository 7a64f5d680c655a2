"""Active forgetting: when the embedding is reset, to what, and which learning rate it follows.

Chen et al. 2023, section 3; docs/design-notes.md.

Source: Chen et al. 2023, "Improving Language Plasticity via Pretraining with Active Forgetting", §3. Everything is a
function of the number of completed updates n, so micro-batches, skipped updates and resuming change nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from pretrain.base.errors import UserError, unknown
from pretrain.base.vocabulary import PAD
from pretrain.choices import BIAS_RESETS, RESETS, SCOPES
from pretrain.encoder import INIT_STD
from pretrain.masked_lm import Lexicon
from pretrain.masking import generator_for


@dataclass(frozen=True)
class Forgetting:
    """The forgetting settings of a run. `every == 0` means a standard run."""

    every: int = 0
    """K, updates per episode (paper: 1000)."""
    start: int = 0
    """No episode begins before this many updates; until then the embedding follows the body's schedule."""
    until: int = 0
    """Temporary forgetting: no reset after this many updates, the embedding then follows the body's schedule; 0: never stop."""
    reset: str = "normal"
    """`normal`: N(0, std); `gaussian`: N(mean, std) of the current table; `none`: matched control, nothing is reset."""
    scope: str = "embedding"
    """What follows the embedding's learning rate, and what a reset covers unless `bias` says otherwise: `embedding` (paper) or
    `embedding+bias` (the output bias is set to zero as well)."""
    std: float = INIT_STD
    """Standard deviation of a `normal` reset."""
    bias: str = ""
    """Whether a reset sets the output bias to zero, apart from `scope`: `reset` or `keep`; empty: as `scope` says."""
    warmup: float = 0.0
    """Share of an episode in which the embedding's rate rises from 0; 0: the share that the body's warm-up has of the run."""

    @classmethod
    def of(cls, get: Callable[[str, Any], Any]) -> Forgetting:
        """From settings: `get(name, default)` gives the value of `forget_every`, `forget_start`, …"""
        names = ("every", "start", "until", "reset", "scope", "bias", "warmup")
        return cls(**{name: get(f"forget_{name}", getattr(cls, name)) for name in names})

    def __post_init__(self) -> None:
        if self.reset not in RESETS:
            raise unknown("forget reset", self.reset, RESETS)
        if self.scope not in SCOPES:
            raise unknown("forget scope", self.scope, SCOPES)
        if self.bias not in BIAS_RESETS:
            raise unknown("forget bias", self.bias, BIAS_RESETS)
        for name in ("every", "start", "until"):
            if getattr(self, name) < 0:
                raise UserError(f"--forget-{name} must not be negative, got {getattr(self, name)}")
        if self.until and self.until <= self.start:
            raise UserError(f"--forget-until {self.until} must be larger than --forget-start {self.start}")

    @property
    def resets_bias(self) -> bool:
        """Whether a reset sets output biases to zero."""
        return self.bias == "reset" or (not self.bias and self.scope == "embedding+bias")

    @property
    def covered(self) -> str:
        """What a reset covers, in words."""
        return "embedding+bias" if self.resets_bias else "embedding"

    @property
    def first(self) -> int:
        """The update count at which the first episode begins: the first multiple of K at or after `start`."""
        return math.ceil(self.start / self.every) * self.every if self.every else 0

    def in_episode(self, updates: int) -> bool:
        """Whether the embedding follows an episode's schedule after `updates` completed updates."""
        return bool(self.every) and updates >= self.first and not (self.until and updates >= self.until)

    def begins_episode(self, updates: int) -> bool:
        """Whether a new episode begins right before update number `updates + 1`; never at update 0."""
        return self.in_episode(updates) and updates > 0 and updates % self.every == 0

    def phase(self, updates: int) -> float | None:
        """(n mod K) / K inside the forgetting period, None outside it."""
        return updates % self.every / self.every if self.in_episode(updates) else None

    def updates_since_reset(self, updates: int) -> int | None:
        """Updates that the present embedding has been trained for since its last reset; None if never reset.

        After n = mK updates it is K: the reset of mK happens before the next update.
        """
        if not self.every or self.reset == "none":
            return None
        last_possible = updates - 1 if not self.until else min(updates - 1, self.until - 1)
        last = last_possible // self.every * self.every
        if last <= 0 or last < self.first:
            return None
        return updates - last

    def age(self, updates: int) -> int:
        """Updates completed since the present episode began; since the start of training where there is none yet.

        The matched control has the same episodes. After `until` the last episode goes on.
        """
        if not self.every or updates < self.first:
            return updates
        last = updates if not self.until else min(updates, self.until - 1)
        return updates - max(last // self.every * self.every, self.first)

    def to_dict(self) -> dict[str, Any]:
        """As artefacts record it: without the later additions that are not in use."""
        return {name: value for name, value in asdict(self).items() if value or name not in ("bias", "warmup")}

    def warnings(self, total_updates: int, warmup_updates: int) -> list[str]:
        """Settings that run but are probably a mistake.

        Raises:
            UserError: the run would never forget.
        """
        if not self.every:
            return []
        if self.every >= total_updates:
            raise UserError(f"--forget-every {self.every} is not smaller than the {total_updates} updates of the run, so "
                            "nothing would ever be forgotten; lower it, or leave it out for a standard run")
        if self.first >= total_updates:
            raise UserError(f"--forget-start {self.start} leaves no episode within {total_updates} updates; lower it")
        found = []
        if self.every < warmup_updates:
            found.append(f"--forget-every {self.every} is shorter than the warm-up of {warmup_updates} updates: the first "
                         "episodes are spent before the body has learnt anything (see --forget-start)")
        left = total_updates % self.every
        if left and not self.until:
            found.append(f"the run ends {left} updates into an episode of {self.every}: the last embedding is not fully "
                         f"annealed; make the number of updates a multiple of {self.every}")
        return found


def draw(shape: torch.Size, settings: Forgetting, seed: int, updates: int, current: Tensor, index: int = 0) -> Tensor:
    """The fresh table [V, E] of the reset after `updates` updates, with a zero PAD row.

    From a CPU generator keyed by (seed, updates) and, in a model with several untied tables, the table's `index`: the
    same on every rank and after every resume.
    """
    generator = generator_for(torch.device("cpu"), seed, updates, 0x_F0_26_E7, *([index] if index else []))
    fresh = torch.randn(shape, generator=generator)
    if settings.reset == "gaussian":
        table = current.detach().float().cpu()
        fresh = table.mean(0) + table.std(0) * fresh
    else:
        fresh *= settings.std
    fresh[PAD] = 0
    return fresh


@torch.no_grad()
def reset(weight: Tensor, bias: Tensor | None, settings: Forgetting, seed: int,
          updates: int, index: int = 0) -> list[Tensor]:
    """Resets in place what the scope names; returns the parameters whose optimizer state must go with them."""
    if settings.reset == "none":
        return []
    weight.copy_(draw(weight.shape, settings, seed, updates, weight, index))
    changed = [weight]
    if settings.resets_bias and bias is not None:
        bias.zero_()
        changed.append(bias)
    return changed


@torch.no_grad()
def reset_lexicon(lexicon: Lexicon, settings: Forgetting, seed: int, updates: int) -> list[Tensor]:
    """Resets every table of a model once, however often it is tied, sets offsets to zero, and biases where the settings say
    so; returns the parameters whose optimizer state must go with them."""
    changed: list[Tensor] = []
    for index, table in enumerate(lexicon.tables):
        changed += reset(table, None, settings, seed, updates, index)
    if not changed:
        return []
    zeroed = [*lexicon.offsets, *(lexicon.biases if settings.resets_bias else [])]
    for parameter in zeroed:
        parameter.zero_()
    return changed + zeroed
