"""The masked language model: encoder, RoBERTa's LM head, output matrix tied to the token embedding.

Plain torch; `pretrain/trainer/roberta.py` makes it known to fairseq, `adapt` and `tasks` use it without fairseq.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pretrain.encoder import Dropout, Encoder, EncoderConfig, Linear, autocast, init_weights, linear

EMBEDDING_WEIGHT = "encoder.embed_tokens.weight"
"""State-dict name of the token embedding [V, E]: the tensor that active forgetting resets."""
OUTPUT_BIAS = "lm_head.bias"
"""State-dict name of the output bias [V], the other vocabulary-indexed tensor."""
VOCABULARY_INDEXED = (EMBEDDING_WEIGHT, OUTPUT_BIAS)
"""Everything that travels with an embedding module; all other tensors belong to the body (docs/artefacts.md)."""


@dataclass(frozen=True)
class Lexicon:
    """The vocabulary-indexed parameters of a model: what belongs to a language and what forgetting may reset."""

    tables: list[Tensor]
    """Token embeddings [V, E], each tied one once."""
    biases: list[Tensor]
    """Output biases [V]."""
    offsets: list[Tensor]
    """Tables [V, E] that are added to another and start from zero."""


class LMHead(nn.Module):
    """dense -> gelu -> LayerNorm, then the tied output matrix and the output bias [V] (Liu et al. 2019).

    The dense layer maps D to the embedding width E, so that a body with E != D keeps one tied table.
    """

    def __init__(self, config: EncoderConfig, vocabulary_size: int):
        super().__init__()
        self.dense = Linear(config.width, config.embedding_width)
        self.norm = nn.LayerNorm(config.embedding_width, eps=config.norm_eps)
        self.bias = nn.Parameter(torch.zeros(vocabulary_size))
        self.apply(init_weights)

    def forward(self, states: Tensor, table_VE: Tensor) -> Tensor:
        """States [..., D] -> logits [..., V]."""
        return linear(self.norm(F.gelu(self.dense(states))), table_VE, self.bias)


class MaskedLM(nn.Module):
    """Encoder with an LM head that is computed only where it is asked for."""

    def __init__(self, config: EncoderConfig, vocabulary_size: int, dropout: Dropout | None = None,
                 precision: str = "fp32"):
        super().__init__()
        self.precision = precision
        self.encoder = Encoder(config, vocabulary_size, dropout)
        self.lm_head = LMHead(config, vocabulary_size)

    def forward(self, tokens_BT: Tensor, positions: Tensor | None = None, full: bool = False,
                segments_BT: Tensor | None = None) -> Tensor:
        """Logits at `positions`.

        Args:
            tokens_BT: (masked) ids [B, T].
            positions: flat indices into B*T; everywhere where None. Either any N of them, [N], or the same number from
                each row, [B, Q], which is cheaper: the last layer is then computed for them alone.
            full: nothing is padded.
            segments_BT: see `Encoder.forward`.

        Returns:
            fp32 logits [N, V], or [B, T, V] without `positions`.
        """
        with autocast(tokens_BT.device, self.precision):
            logits = self.lm_head(self.states(tokens_BT, positions, full, segments_BT), self.encoder.embed_tokens.weight)
        return logits.float()

    def states(self, tokens_BT: Tensor, positions: Tensor | None, full: bool,
               segments_BT: Tensor | None = None) -> Tensor:
        """States [N, D] at `positions`, [B, T, D] without; the caller sets the precision. Arguments as in `forward`."""
        rows = positions if positions is not None and positions.ndim == 2 else None
        states = self.encoder(tokens_BT, full=full, rows_BQ=rows, segments_BT=segments_BT)
        if positions is not None:
            states = states.reshape(-1, states.size(-1))
            if rows is None:
                states = states.index_select(0, positions)
        return states

    def lexicon(self) -> Lexicon:
        """What a vocabulary indexes in this model."""
        return Lexicon([self.encoder.embed_tokens.weight], [self.lm_head.bias], [])
