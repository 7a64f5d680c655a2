"""Active forgetting: when the embedding is reset, to what, and which learning rate it follows.

Chen et al. 2023, section 3; docs/design-notes.md.

Source: Chen et al. 2023, "Improving Language Plasticity via Pretraining with Active Forgetting", §3. Everything is a
function of the number of completed updates n, and a checkpoint says whether the next update was begun before its step was
skipped, so micro-batches, skipped updates and resuming change nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from pretrain.base.errors import UserError, unknown
from pretrain.base.vocabulary import PAD, SPECIALS
from pretrain.choices import BIAS_RESETS, RESETS, SCOPES
from pretrain.encoder import INIT_STD
from pretrain.masked_lm import Lexicon
from pretrain.masking import generator_for

ROWS, ORDER = 0x_50_A2, 0x_02_DE2
"""Purposes of the draws that choose rows and their new places."""
LATER = ("bias", "warmup", "share", "tables", "hold")
"""Settings that came later: a record says nothing of them where they have their defaults."""


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
    """`normal`: N(0, std); `gaussian`: N(mean, std) of the current table; `permute`: the pieces' rows change places, those of the
    special tokens stay; `rotate`: the table is put away with its moments and the next of `tables` taken up where it was left, the
    first time as `normal` draws it; `none`: matched control, nothing is reset."""
    scope: str = "embedding"
    """What follows the embedding's learning rate, and what a reset covers unless `bias` says otherwise: `embedding` (paper) or
    `embedding+bias` (the output bias is set to zero as well)."""
    std: float = INIT_STD
    """Standard deviation of a `normal` reset."""
    bias: str = ""
    """Whether a reset sets the output bias to zero, apart from `scope`: `reset` or `keep`; empty: as `scope` says."""
    warmup: float = 0.0
    """Share of an episode in which the embedding's rate rises from 0; 0: the share that the body's warm-up has of the run."""

    share: float = 1.0
    """Share of the pieces' rows that a reset covers, drawn anew at each; below 1 all others stay as they are, with their moments,
    among them the special tokens'."""
    tables: int = 0
    """Tables that `rotate` has, from 2 on."""
    hold: int = 0
    """For so many updates after each reset only what it covered learns; the body stays where it is."""

    @classmethod
    def of(cls, get: Callable[[str, Any], Any]) -> Forgetting:
        """From settings: `get(name, default)` gives the value of `forget_every`, `forget_start`, …"""
        names = ("every", "start", "until", "reset", "scope", *LATER)
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
        self._check_variants()

    def _check_variants(self) -> None:
        """Refuses variants of a reset that do not go together."""
        if not self.every:
            unused = [name for name in ("share", "tables", "hold") if getattr(self, name) != getattr(Forgetting, name)]
            for name in [*(["reset"] if self.reset in ("permute", "rotate") else []), *unused]:
                raise UserError(f"--forget-{name} {getattr(self, name)}: nothing is reset without --forget-every; set it, or "
                                f"leave --forget-{name} out")
            return
        if not 0 < self.share <= 1:
            raise UserError(f"--forget-share {self.share}: expected a number above 0 to 1")
        if self.share != 1 and self.reset in ("rotate", "none"):
            raise UserError(f"--forget-share {self.share}: with --forget-reset {self.reset} no rows are reset; leave it out, or "
                            "take normal, gaussian or permute")
        if self.reset == "rotate" and self.tables < 2:
            raise UserError(f"--forget-reset rotate needs --forget-tables of 2 or more, got {self.tables}")
        if self.tables and self.reset != "rotate":
            raise UserError(f"--forget-tables {self.tables}: only --forget-reset rotate has several tables, got {self.reset}; "
                            "leave it out")
        if self.every == 1 and self.reset != "rotate":
            raise UserError(f"--forget-every 1: with --forget-reset {self.reset} an embedding would be relearned within one "
                            "update; expected 2 or more")
        if self.hold and self.reset == "none":
            raise UserError(f"--forget-hold {self.hold}: the body is held after a reset, and --forget-reset none resets nothing; "
                            "leave it out")
        if self.hold < 0 or self.hold >= self.every:
            raise UserError(f"--forget-hold {self.hold}: expected fewer updates than the {self.every} of an episode "
                            "(--forget-every), or the body would never learn again")

    @property
    def resets_bias(self) -> bool:
        """Whether a reset sets output biases to zero."""
        return self.bias == "reset" or (not self.bias and self.scope == "embedding+bias")

    @property
    def covered(self) -> str:
        """What a reset covers, in words."""
        return "embedding+bias" if self.resets_bias else "embedding"

    @property
    def part(self) -> str:
        """How much of that a reset covers, in words."""
        return f"a share of {self.share:g} of the rows of the {self.covered}" if self.share != 1 else f"the {self.covered}"

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
        """(n mod K) / K inside the forgetting period, None outside it; with K = 1 always None, as one update is no schedule."""
        return updates % self.every / self.every if self.in_episode(updates) and self.every > 1 else None

    def begun(self, updates: int) -> int:
        """How many episodes have begun by the update that follows `updates` completed ones, without the one at update 0."""
        last, earliest = min(updates, self.until - 1) if self.until else updates, max(self.first, self.every)
        return last // self.every - earliest // self.every + 1 if self.every and last >= earliest else 0

    def table(self, updates: int) -> int:
        """Which of the tables of `rotate` the update that follows `updates` completed ones trains: 0 to `tables` - 1."""
        return self.begun(updates) % self.tables

    def holds(self, updates: int) -> bool:
        """Whether the body stays where it is in the update that follows `updates` completed ones."""
        return bool(self.hold) and self.begun(updates) > 0 and self.age(updates) < self.hold

    def updates_since_reset(self, updates: int, begun: int | None = None) -> int | None:
        """Updates that the present embedding has been trained for since its last reset; None if never reset.

        After n = mK updates it is K: the reset of mK happens before the next update, unless that was `begun` (with n completed
        updates) and its step skipped; then it is 0. Of a table of `rotate`, those that it has been trained for since it was
        drawn; None of the first, which is the one that the run began with.
        """
        if not self.every or self.reset == "none":
            return None
        episodes = self.begun(updates if begun == updates else updates - 1)
        if not episodes or (self.reset == "rotate" and episodes % self.tables == 0):
            return None
        last = max(self.first, self.every) + (episodes - 1) * self.every
        return updates - last + (episodes // self.tables * self.every if self.reset == "rotate" else 0)

    def untrained(self, updates: int, begun: int | None = None) -> bool:
        """Whether the present embedding has had less than a tenth of an episode since its last reset: then it is hardly trained,
        and no artefact is made of it. Arguments as of `updates_since_reset`."""
        since = self.updates_since_reset(updates, begun)
        return since is not None and since < self.every / 10

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
        return {name: value for name, value in asdict(self).items() if name not in LATER or value != getattr(Forgetting, name)}

    def check_end(self, total_updates: int) -> None:
        """Refuses a run of this length whose embedding would be `untrained` in the end; in the names of a recipe's settings.

        Raises:
            UserError: the last reset comes too late.
        """
        if not self.untrained(total_updates):
            return
        since = self.updates_since_reset(total_updates)
        last = max(self.first, self.every) + (self.begun(total_updates - 1) - 1) * self.every
        raise UserError(f"updates={total_updates}: the embedding would be reset after {last} updates (forget_every={self.every}) "
                        f"and trained for {since} more, less than a tenth of an episode: too little to be exported; expected "
                        f"updates={last + math.ceil(self.every / 10)} or more, at best {last + self.every}")

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
        earliest = max(self.first, self.every)
        if not self.begun(total_updates - 1):
            raise UserError(f"--forget-until {self.until}: the first episode would begin after {earliest} updates, the first "
                            f"multiple of --forget-every {self.every} from --forget-start {self.start} on, so nothing would ever "
                            f"be forgotten; expected more than {earliest}, or leave it out")
        found = []
        if self.every < warmup_updates and self.reset != "rotate":
            found.append(f"--forget-every {self.every} is shorter than the warm-up of {warmup_updates} updates: the first "
                         "episodes are spent before the body has learnt anything (see --forget-start)")
        left = total_updates % self.every
        if left and self.in_episode(total_updates - 1):
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


def rows_of(size: int, settings: Forgetting, seed: int, updates: int) -> Tensor | None:
    """The rows [R] of a table of `size` rows that the reset after `updates` updates covers, in order; None: all of it.

    Without replacement from the rows of the pieces, the special tokens' left out: at least one of them. From a CPU generator
    keyed by (seed, updates): of every table of a model, its output biases and offsets the same ones, on every rank and after
    every resume.
    """
    if settings.share == 1 or settings.reset in ("rotate", "none"):
        return None
    rows = torch.arange(len(SPECIALS), size - 1)  # the last is <mask>
    generator = generator_for(torch.device("cpu"), seed, updates, ROWS)
    order = torch.randperm(len(rows), generator=generator)
    return rows[order[:max(1, round(settings.share * len(rows)))]].sort().values


def _permute(parameter: Tensor, rows: Tensor | None, seed: int, updates: int) -> None:
    """Lets rows change places, in place: `rows`, or all of the pieces where None; every tensor of a model in the same way."""
    rows = torch.arange(len(SPECIALS), len(parameter) - 1) if rows is None else rows
    order = torch.randperm(len(rows), generator=generator_for(torch.device("cpu"), seed, updates, ORDER))
    old, rows = rows[order].to(parameter.device), rows.to(parameter.device)
    parameter.index_copy_(0, rows, parameter.index_select(0, old))


def _zero(parameter: Tensor, rows: Tensor | None) -> None:
    """Sets rows, or all of them where None, to zero in place."""
    if rows is None:
        parameter.zero_()
    else:
        parameter.index_fill_(0, rows.to(parameter.device), 0)


@torch.no_grad()
def reset(weight: Tensor, bias: Tensor | None, settings: Forgetting, seed: int,
          updates: int, index: int = 0) -> list[Tensor]:
    """Resets in place what the scope names, of the rows that `rows_of` names; returns the parameters whose optimizer state must
    go with them."""
    if settings.reset == "none":
        return []
    rows = rows_of(len(weight), settings, seed, updates)
    if settings.reset == "permute":
        _permute(weight, rows, seed, updates)
    else:
        fresh = draw(weight.shape, settings, seed, updates, weight, index).to(weight)
        if rows is None:
            weight.copy_(fresh)
        else:
            rows = rows.to(weight.device)
            weight.index_copy_(0, rows, fresh.index_select(0, rows))
    changed = [weight]
    if settings.resets_bias and bias is not None:
        _zero(bias, rows)
        changed.append(bias)
    return changed


@torch.no_grad()
def reset_lexicon(lexicon: Lexicon, settings: Forgetting, seed: int, updates: int) -> list[Tensor]:
    """Resets every table of a model once, however often it is tied, sets offsets to zero (where rows are permuted, those of the
    offsets are with them), and biases to zero where the settings say so; all of the rows that `rows_of` names.

    Returns:
        The parameters whose optimizer state must go with them.
    """
    changed: list[Tensor] = []
    for index, table in enumerate(lexicon.tables):
        changed += reset(table, None, settings, seed, updates, index)
    if not changed:
        return []
    rows = rows_of(len(lexicon.tables[0]), settings, seed, updates)
    for offset in lexicon.offsets:
        if settings.reset == "permute":
            _permute(offset, rows, seed, updates)
        else:
            _zero(offset, rows)
    biases = lexicon.biases if settings.resets_bias else []
    for bias in biases:
        _zero(bias, rows)
    return [*changed, *lexicon.offsets, *biases]


def covered(lexicon: Lexicon, settings: Forgetting) -> list[Tensor]:
    """The parameters of a model that a reset covers, in an order that is always the same."""
    return [*lexicon.tables, *lexicon.offsets, *(lexicon.biases if settings.resets_bias else [])]


def draw_lexicon(lexicon: Lexicon, settings: Forgetting, seed: int, updates: int) -> None:
    """Draws in place a table of `rotate` that is taken up for the first time."""
    reset_lexicon(lexicon, Forgetting(scope=settings.scope, bias=settings.bias, std=settings.std), seed, updates)
