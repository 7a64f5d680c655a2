"""ELECTRA: a generator that fills hidden positions and a discriminator that finds the replaced tokens.

Clark et al. 2020, "ELECTRA", §2 and §3.2. Both networks are the project's one `Encoder`; the discriminator's is called
`encoder`, so that whatever uses a body uses it unchanged. One polarity everywhere: label 1 and a positive logit mean
*replaced*. Plain torch; `pretrain/trainer/electra.py` makes the pair known to fairseq.
Shapes in names: B batch, T time, D width, E embedding width, V vocabulary, N hidden positions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pretrain.base.errors import UserError, unknown
from pretrain.choices import HARDNESS_HEADS, TYINGS
from pretrain.electra.hardness import sampling_log_probs
from pretrain.electra.replacement import Replacements, Sampling, corrupt, draw, log_probs
from pretrain.encoder import Dropout, Encoder, EncoderConfig, Linear, autocast, init_weights
from pretrain.masked_lm import Lexicon, LMHead, MaskedLM
from pretrain.masking import Masked

NORM_EPS = 1e-12
"""Epsilon of every LayerNorm in ELECTRA's own code."""

DISENTANGLED = "delta"
"""Name of the offset parameter of a disentangled table."""
HEAD = "rtd_head."
"""Prefix of the discriminator head's tensors."""
GENERATOR = "generator."
"""Prefix of the generator's tensors."""


@dataclass(frozen=True)
class ElectraConfig:
    """The shapes of a pair and what its networks share."""

    discriminator: EncoderConfig
    generator: EncoderConfig | None
    """None where replacements come from a fixed distribution."""
    tying: str = "embedding"
    hardness: str = "none"
    """Kind of the generator's hardness head, see `pretrain.electra.hardness`."""

    def __post_init__(self) -> None:
        if self.tying not in TYINGS:
            raise unknown("tying", self.tying, TYINGS)
        if self.hardness not in HARDNESS_HEADS:
            raise unknown("hardness head", self.hardness, HARDNESS_HEADS)
        if self.generator is None:
            if self.hardness != "none":
                raise UserError(f"--hardness-head {self.hardness} sits on the generator, and this pair has none; use "
                                "--generator network")
            return
        one, two = self.discriminator, self.generator
        if self.tying != "none" and (one.embedding_width, one.max_positions) != (two.embedding_width, two.max_positions):
            raise UserError(f"--tying {self.tying} needs embeddings of one shape, got widths {one.embedding_width} and "
                            f"{two.embedding_width}, positions {one.max_positions} and {two.max_positions}")
        if self.tying == "all" and one != two:
            raise UserError("--tying all needs a generator of the discriminator's own size; add --generator-width 1 "
                            "--generator-depth 1")


def generator_config(config: EncoderConfig, width: float, depth: float) -> EncoderConfig:
    """The generator's shape from the discriminator's and two multipliers.

    Hidden and feed-forward width are multiplied by `width`, layers by `depth`; heads keep the discriminator's size (64 in
    the published models), at least one, and their number divides the width (Clark et al. 2020, appendix A).

    Raises:
        UserError: a multiplier that is not positive.
    """
    if width <= 0 or depth <= 0:
        raise UserError(f"the generator's multipliers must be positive, got width {width} and depth {depth}")
    hidden = max(1, round(config.width * width))
    heads = max(1, hidden * config.heads // config.width)
    while hidden % heads:
        heads -= 1
    return replace(config, width=hidden, heads=heads, ffn=max(1, hidden * config.ffn // config.width),
                   layers=max(1, round(config.layers * depth)))


class OffsetEmbedding(nn.Module):
    """stop_grad(base) + delta: reads another table, learns only the difference (He et al. 2021).

    `base` is held by reference and is no submodule: it belongs to the generator, which trains it.
    """

    def __init__(self, base: nn.Embedding):
        super().__init__()
        object.__setattr__(self, "base", base)
        self.padding_idx = base.padding_idx
        self.delta = nn.Parameter(torch.zeros_like(base.weight))

    base: nn.Embedding

    def forward(self, ids: Tensor) -> Tensor:
        """Ids [...] -> rows [..., E]."""
        return F.embedding(ids, self.base.weight.detach()) + F.embedding(ids, self.delta, self.padding_idx)

    @property
    def weight(self) -> Tensor:
        """The table as the discriminator sees it: what an export folds into one tensor."""
        return self.base.weight.detach() + self.delta


class ReplacedTokenHead(nn.Module):
    """dense D -> D, gelu, dense D -> 1 (the official code; the paper's formula shows the last layer alone)."""

    def __init__(self, width: int):
        super().__init__()
        self.dense = Linear(width, width)
        self.out = Linear(width, 1)
        self.apply(init_weights)

    def forward(self, states_BTD: Tensor) -> Tensor:
        """States [B, T, D] -> logits [B, T]; positive: replaced."""
        return self.out(F.gelu(self.dense(states_BTD))).squeeze(-1)


class Discriminator(nn.Module):
    """Encoder with a replaced-token head: what remains of a pair after pre-training."""

    def __init__(self, config: EncoderConfig, vocabulary_size: int, dropout: Dropout | None = None,
                 precision: str = "fp32"):
        super().__init__()
        self.precision = precision
        self.encoder = Encoder(config, vocabulary_size, dropout)
        self.rtd_head = ReplacedTokenHead(config.width)

    def detect(self, tokens_BT: Tensor, full: bool = False, segments_BT: Tensor | None = None) -> Tensor:
        """fp32 logits [B, T] that a token was replaced; without meaning at PAD."""
        with autocast(tokens_BT.device, self.precision):
            logits = self.rtd_head(self.encoder(tokens_BT, full=full, segments_BT=segments_BT))
        return logits.float()

    def forward(self, tokens_BT: Tensor, full: bool = False) -> Any:
        """As `detect`."""
        return self.detect(tokens_BT, full)


class Generator(MaskedLM):
    """The masked language model that proposes replacements, with an optional second head that says how hard they are.

    The heads share the encoder and the token table, their own layers are separate (Hao et al. 2021).
    """

    def __init__(self, config: EncoderConfig, vocabulary_size: int, dropout: Dropout | None = None,
                 precision: str = "fp32", hardness: str = "none"):
        super().__init__(config, vocabulary_size, dropout, precision)
        self.hardness_head = LMHead(config, vocabulary_size) if hardness != "none" else None

    def both(self, tokens_BT: Tensor, positions: Tensor, full: bool, detach: bool = False,
             segments_BT: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """fp32 logits [N, V] of the language model and of the hardness head at `positions`, from one pass.

        Args:
            detach: the hardness head's gradient ends at its own layers: neither encoder nor token table feel it.
        """
        with autocast(tokens_BT.device, self.precision):
            states, table = self.states(tokens_BT, positions, full, segments_BT), self.encoder.embed_tokens.weight
            logits = self.lm_head(states, table).float()
            if self.hardness_head is None:
                return logits, None
            if detach:
                states, table = states.detach(), table.detach()
            return logits, self.hardness_head(states, table).float()


@dataclass(frozen=True)
class PairOutput:
    """What one pass of a pair gives; N = B * M slots, of which those whose target is PAD count for nothing."""

    mlm_NV: Tensor | None
    """Logits of the generator; None without one."""
    hardness_NV: Tensor | None
    """Logits of the hardness head, for `dist` -inf where nothing may be sampled; None without one."""
    drawn: Replacements
    """The sampled ids and their probabilities."""
    labels_BT: Tensor
    """True where the discriminator sees another token than the text had."""
    rtd_BT: Tensor
    """Logits of the discriminator."""
    positions: Tensor
    """Flat indices [N] of the slots into B*T."""
    hardness: str
    """Kind of the hardness head."""


class Electra(Discriminator):
    """The pair. A tied tensor is one Parameter under two names; a state dict holds it once, under the discriminator's."""

    def __init__(self, config: ElectraConfig, vocabulary_size: int, dropout: Dropout | None = None,
                 precision: str = "fp32", prior_V: Tensor | None = None):
        """Args:
            prior_V: log-frequencies [V] to sample from where there is no generator; uniform where None.
        """
        super().__init__(config.discriminator, vocabulary_size, dropout, precision)
        self.config = config
        self.generator: Generator | None = None
        if config.generator is not None:
            self.generator = Generator(config.generator, vocabulary_size, dropout, precision, config.hardness)
            self._tie(self.generator)
        prior_V = torch.zeros(vocabulary_size) if prior_V is None else prior_V
        self.register_buffer("prior_V", prior_V.float(), persistent=False)
        self.register_state_dict_post_hook(_drop_aliases)
        self.register_load_state_dict_pre_hook(_fill_aliases)

    prior_V: Tensor

    def _tie(self, generator: Generator) -> None:
        tying, own, theirs = self.config.tying, self.encoder, generator.encoder
        if tying == "all":
            generator.encoder = own
        if tying in ("token", "embedding"):
            theirs.embed_tokens = own.embed_tokens
        if tying == "embedding":
            theirs.embed_positions, theirs.embed_norm = own.embed_positions, own.embed_norm
        if tying == "gdes":
            own.embed_tokens = OffsetEmbedding(theirs.embed_tokens)  # type: ignore[assignment]
            own.embed_positions = OffsetEmbedding(theirs.embed_positions)  # type: ignore[assignment]

    def lexicon(self) -> Lexicon:
        """What a vocabulary indexes in the pair, every tied parameter once; the discriminator's table first."""
        tables: list[Tensor] = []
        biases: list[Tensor] = []
        offsets: list[Tensor] = []
        if isinstance(self.encoder.embed_tokens, OffsetEmbedding):
            offsets.append(self.encoder.embed_tokens.delta)
        else:
            tables.append(self.encoder.embed_tokens.weight)
        if self.generator is not None:
            table = self.generator.encoder.embed_tokens.weight
            if not any(table is known for known in tables):
                tables.append(table)
            biases.append(self.generator.lm_head.bias)
            if self.generator.hardness_head is not None:
                biases.append(self.generator.hardness_head.bias)
        return Lexicon(tables, biases, offsets)

    def networks(self) -> dict[str, list[nn.Parameter]]:
        """Trained parameters by owner: `generator`, `discriminator`, and `shared` for what both use."""
        own = {id(p) for p in [*self.encoder.parameters(), *self.rtd_head.parameters()]}
        theirs = {id(p) for p in self.generator.parameters()} if self.generator is not None else set()
        groups: dict[str, list[nn.Parameter]] = {"generator": [], "discriminator": [], "shared": []}
        for parameter in self.parameters():
            both = id(parameter) in own and id(parameter) in theirs
            groups["shared" if both else "discriminator" if id(parameter) in own else "generator"].append(parameter)
        return groups

    def forward(self, tokens_BT: Tensor, masked: Masked | None = None, sampling: Sampling | None = None,  # type: ignore[override]
                generator: torch.Generator | None = None, full: bool = False, detect: bool = True,
                segments_BT: Tensor | None = None) -> Any:
        """One pass of the pair, or the discriminator's logits [B, T] where `masked` is None.

        No gradient passes from the discriminator to the generator: what lies between them are sampled ids. Everything
        happens in this one call, as a distributed wrapper needs it.

        Args:
            tokens_BT: the text as it stands.
            masked: its hidden version; the generator sees this, the discriminator never does.
            sampling: how replacements are drawn.
            generator: source of the draws, on the device of the tokens.
            full: nothing is padded.
            detect: without, nothing is sampled and the discriminator rests.
            segments_BT: see `Encoder.forward`.

        Returns:
            A `PairOutput`, or without `detect` the generator's logits [N, V].
        """
        if masked is None:
            return self.detect(tokens_BT, full, segments_BT)
        sampling = sampling or Sampling()
        mlm_NV = hardness_NV = None
        mask_id = len(self.prior_V) - 1
        if self.generator is not None:
            rows = masked.positions.view(len(tokens_BT), -1)
            if not detect:
                return self.generator(masked.tokens, rows, full, segments_BT)
            mlm_NV, hardness_NV = self.generator.both(masked.tokens, rows, full, sampling.detach_hardness, segments_BT)
        with torch.no_grad():
            logits_NV = self.prior_V.expand(len(masked.positions), -1) if mlm_NV is None else mlm_NV
            log_p_NV = log_probs(logits_NV, masked.targets, mask_id, sampling)
            log_q_NV = None
            if hardness_NV is not None and sampling.hard:
                log_q_NV = sampling_log_probs(self.config.hardness, log_p_NV, hardness_NV, masked.targets,
                                              sampling.mixture)
            drawn = draw(log_p_NV, log_q_NV, generator)
            corrupted_BT, labels_BT = corrupt(tokens_BT, masked, drawn.ids)
        if hardness_NV is not None and self.config.hardness == "dist":  # a distribution over what may be sampled
            hardness_NV = hardness_NV.masked_fill(log_p_NV.isneginf(), -math.inf)
        return PairOutput(mlm_NV, hardness_NV, drawn, labels_BT, self.detect(corrupted_BT, full, segments_BT),
                          masked.positions, self.config.hardness)


def aliases(model: nn.Module) -> dict[str, str]:
    """Second names of tied parameters -> the name under which a state dict holds them."""
    first: dict[int, str] = {}
    names = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        if first.setdefault(id(parameter), name) != name:
            names[name] = first[id(parameter)]
    return names


def _drop_aliases(model: nn.Module, state: dict[str, Any], prefix: str, _: Any) -> None:
    for alias in aliases(model):
        state.pop(prefix + alias, None)


def _fill_aliases(model: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    for alias, name in aliases(model).items():
        given = state.get(prefix + alias)
        if given is None:
            if prefix + name in state:
                state[prefix + alias] = state[prefix + name]
        elif prefix + name in state and not torch.equal(given, state[prefix + name]):
            raise UserError(f"{name!r} and {alias!r} are one tensor in this model, but the checkpoint holds two different "
                            "ones; load it with the --tying it was trained with")
