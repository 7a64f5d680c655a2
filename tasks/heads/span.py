"""Heads that choose a span of tokens: independent start and end, and ELECTRA's joint start -> end beam.

Shapes: B windows, T columns, D width, N candidates. Scores are log probabilities within a window, so spans of different
windows of a question compare. Questions and padding have -inf: they can never be chosen and take no probability.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pretrain.encoder import init_weights

ANSWERABLE_WEIGHT = 0.5
"""Of the answerability loss beside the span loss (Clark et al. 2020, official ELECTRA fine-tuning code)."""


@dataclass
class SpanSearch:
    """What may be chosen.

    Attributes:
        allowed: columns that hold context, and column 0 (`<s>`) for "no answer here" [B, T].
        starts: columns at which an answer may start: the context tokens that see most context in this window [B, T].
        limit: longest answer in tokens.
        count: N, how many candidates a window returns.
    """

    allowed: Tensor
    starts: Tensor
    limit: int = 30
    count: int = 20

    def to(self, device: torch.device) -> SpanSearch:
        """The same search on another device."""
        return SpanSearch(self.allowed.to(device), self.starts.to(device), self.limit, self.count)


@dataclass
class Candidates:
    """The best spans of each window.

    Attributes:
        score: log probability [B, N], falling; -inf where a window has fewer.
        first, last: columns of first and last token [B, N].
        null: how much speaks for "no answer in this window" [B], on the scale that the head says in `null_is_odds`.
    """

    score: Tensor
    first: Tensor
    last: Tensor
    null: Tensor

    def cpu(self) -> Candidates:
        """The same on the CPU."""
        return Candidates(self.score.cpu(), self.first.cpu(), self.last.cpu(), self.null.cpu())


@dataclass
class SpanOutput:
    """Of one batch: the loss of each window [B] where targets were given, candidates where a search was; of a head that scores
    starts and ends by themselves the two logits of each token [B, 2, T], -inf where none may be."""

    loss: Tensor | None
    candidates: Candidates | None
    logits: Tensor | None = None


def masked_log_softmax(logits_BT: Tensor, allowed_BT: Tensor) -> Tensor:
    """fp32 log probabilities over the allowed columns, -inf elsewhere."""
    return logits_BT.float().masked_fill(~allowed_BT, float("-inf")).log_softmax(-1)


def context_columns(allowed_BT: Tensor) -> Tensor:
    """The allowed columns without `<s>`."""
    inside = allowed_BT.clone()
    inside[:, 0] = False
    return inside


def best_pairs(start_BT: Tensor, end_BT: Tensor, limit: int, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """The `count` best spans of at most `limit` tokens: exact over all pairs, not over the best starts and ends alone.

    Args:
        start_BT, end_BT: log probabilities; -inf where a span may not start or end.

    Returns:
        score, first, last [B, N].
    """
    batch, time = start_BT.shape
    limit = min(limit, time)
    ends_BTL = F.pad(end_BT, (0, limit - 1), value=float("-inf")).unfold(1, limit, 1)
    score_BTL = start_BT[:, :, None] + ends_BTL
    count = min(count, time * limit)
    # the best ends of each start first, then the best of those: the same result as one search over T * L, but faster
    keep = min(count, limit)
    score_BTK, length_BTK = score_BTL.topk(keep, dim=-1)
    score, flat = score_BTK.reshape(batch, -1).topk(min(count, time * keep), dim=-1)
    first = flat // keep
    return score, first, first + length_BTK.reshape(batch, -1).gather(1, flat)


class SpanHead(nn.Module):
    """One linear layer gives every token a start and an end logit (Devlin et al. 2019).

    "No answer in this window" is the span `<s>`..`<s>`; windows without the answer are trained towards it.
    """

    first_only = False
    null_is_odds = False
    """`null` is the log probability of the null span; it is compared with the best span's."""

    def __init__(self, width: int, classes: int, dropout: float):
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.out_proj = nn.Linear(width, 2)
        self.apply(init_weights)

    def forward(self, states_BTD: Tensor, targets_B2: Tensor | None = None, allowed: Tensor | None = None,
                search: SpanSearch | None = None) -> SpanOutput:
        """States [B, T, D] -> losses for `targets_B2` (first and last column, 0 and 0 for none) and/or candidates."""
        allowed_BT = search.allowed if search is not None else allowed
        assert allowed_BT is not None
        logits = self.out_proj(self.dropout(states_BTD))
        start_BT, end_BT = (masked_log_softmax(logits[..., side], allowed_BT) for side in (0, 1))
        loss = None
        if targets_B2 is not None:
            loss = -(start_BT.gather(1, targets_B2[:, :1]) + end_BT.gather(1, targets_B2[:, 1:]))[:, 0] / 2
        candidates = None
        if search is not None:
            inside = context_columns(allowed_BT)
            score, first, last = best_pairs(start_BT.masked_fill(~(search.starts & inside), float("-inf")),
                                            end_BT.masked_fill(~inside, float("-inf")), search.limit, search.count)
            candidates = Candidates(score, first, last, start_BT[:, 0] + end_BT[:, 0])
        return SpanOutput(loss, candidates, torch.stack([start_BT, end_BT], 1))


class JointSpanHead(nn.Module):
    """ELECTRA's head: the end is chosen given the start, and a classifier says whether there is an answer.

    End logits come from each token's state beside the start's (dense 512, gelu); in training the true start, in
    prediction each of the `beam` best. Answerability reads `<s>` beside the mean state under the start distribution
    (Clark et al. 2020, appendix B, and the official fine-tuning code). Unlike there, the classifier says of each window
    whether it holds the answer, and windows without it teach nothing about spans.
    """

    first_only = False
    null_is_odds = True
    """`null` is the log odds of "no answer"."""
    beam = 20

    def __init__(self, width: int, classes: int, dropout: float, hidden: int = 512):
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.start = nn.Linear(width, 1)
        # one dense layer on [token; start], as two halves: the start's half is computed once for each start
        self.end_token = nn.Linear(width, hidden)
        self.end_start = nn.Linear(width, hidden, bias=False)
        self.end = nn.Linear(hidden, 1)
        self.answer_dense = nn.Linear(2 * width, hidden)
        self.answer = nn.Linear(hidden, 1)
        self.apply(init_weights)

    def ends(self, token_BTH: Tensor, start_states_BKD: Tensor) -> Tensor:
        """End logits given each of K starts [B, K, T]."""
        return self.end(F.gelu(token_BTH[:, None] + self.end_start(start_states_BKD)[:, :, None])).squeeze(-1)

    def forward(self, states_BTD: Tensor, targets_B2: Tensor | None = None, allowed: Tensor | None = None,
                search: SpanSearch | None = None) -> SpanOutput:
        """As `SpanHead.forward`; a target of 0 and 0 trains the answerability classifier alone."""
        allowed_BT = search.allowed if search is not None else allowed
        assert allowed_BT is not None
        inside = context_columns(allowed_BT)
        # a window without any context has nothing to choose: `<s>` stays allowed there, so that nothing turns NaN
        inside[:, 0] |= ~inside.any(1)
        states = self.dropout(states_BTD)
        start_BT = masked_log_softmax(self.start(states).squeeze(-1), inside)
        mean_BD = (start_BT.exp().to(states.dtype)[:, None] @ states)[:, 0]
        null_B = self.answer(F.gelu(self.answer_dense(torch.cat([states[:, 0], mean_BD], -1)))).squeeze(-1).float()
        token_BTH = self.end_token(states)
        loss = None
        if targets_B2 is not None:
            none_B = targets_B2[:, 0].eq(0)
            at = torch.where(none_B[:, None], inside.int().argmax(1, keepdim=True), targets_B2[:, :1])
            last = torch.where(none_B[:, None], at, targets_B2[:, 1:])
            chosen_B1D = states.gather(1, at[..., None].expand(-1, -1, states.size(-1)))
            end_BT = masked_log_softmax(self.ends(token_BTH, chosen_B1D)[:, 0], inside)
            span_B = -(start_BT.gather(1, at) + end_BT.gather(1, last))[:, 0] / 2
            answer_B = F.binary_cross_entropy_with_logits(null_B, none_B.float(), reduction="none")
            loss = torch.where(none_B, torch.zeros_like(span_B), span_B) + ANSWERABLE_WEIGHT * answer_B
        candidates = None
        if search is not None:
            candidates = self._search(states, token_BTH, start_BT, inside, null_B, search)
        return SpanOutput(loss, candidates)

    def _search(self, states: Tensor, token_BTH: Tensor, start_BT: Tensor, inside: Tensor, null_B: Tensor,
                search: SpanSearch) -> Candidates:
        beam = min(self.beam, start_BT.size(1))
        score_BK, first_BK = start_BT.masked_fill(~search.starts, float("-inf")).topk(beam, dim=-1)
        columns = torch.arange(start_BT.size(1), device=states.device)
        rows = []
        for k in range(beam):  # one start at a time: [B, K, T, H] would be K times the memory
            at = first_BK[:, k:k + 1]
            state = states.gather(1, at[..., None].expand(-1, -1, states.size(-1)))
            end_BT = masked_log_softmax(self.ends(token_BTH, state)[:, 0], inside)
            fits = (columns >= at) & (columns < at + search.limit)
            rows.append(end_BT.masked_fill(~fits, float("-inf")))
        pairs_BKT = torch.stack(rows, 1) + score_BK[..., None]
        count = min(search.count, pairs_BKT[0].numel())
        score, flat = pairs_BKT.flatten(1).topk(count, dim=-1)
        first = first_BK.gather(1, flat // start_BT.size(1))
        return Candidates(score + F.logsigmoid(-null_B)[:, None], first, flat % start_BT.size(1), null_B)
