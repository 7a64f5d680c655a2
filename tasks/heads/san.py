"""The answer module of stochastic answer networks: several steps of reasoning over two texts (Liu et al. 2018, section 3; used
for pairs by MT-DNN, Liu et al. 2019, section 3, equations 3 to 5).

Shapes: B inputs, T columns, D width, C labels, K steps. A text's memory is the states of its tokens and of the `</s>` that
ends it, so that no memory is empty. An input of one text is its own premise and hypothesis, which the papers do not treat.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pretrain.base.vocabulary import EOS, PAD
from pretrain.encoder import init_weights

STEPS = 5
"""K, as in the published code of MT-DNN."""
DROPPED = 0.1
"""Share of steps whose prediction is dropped in training, as there."""


def memories(tokens_BT: Tensor) -> tuple[Tensor, Tensor]:
    """Which columns hold the premise and which the hypothesis, [B, T] each, of inputs as `tasks.encoding` makes them.

    The hypothesis stands between the last two `</s>`, or, of one text alone, before the only one.
    """
    ends = tokens_BT.eq(EOS)
    before = ends.cumsum(1) - ends.long()
    words = tokens_BT.ne(PAD)
    words = words & torch.arange(tokens_BT.size(1), device=tokens_BT.device).gt(0)  # `<s>` is of neither text
    return words & before.eq(0), words & before.eq(ends.sum(1, keepdim=True) - 1)


class SANHead(nn.Module):
    """K steps of attention and a GRU over premise and hypothesis; the mean of the steps' probabilities.

    s_0 = sum_j a_j h_j, a = softmax(w_1 h); x_k = sum_j b_j p_j, b = softmax(s_(k-1) W_2 p); s_k = GRU(s_(k-1), x_k) with s_0
    as the first step's state; P_k = softmax(W_3 [s; x; |s - x|; s * x]) of step k. In training each input keeps one step drawn
    uniformly and each other one with probability 1 - `DROPPED` (stochastic prediction dropout); the mean is that of the kept.

    The result is the logarithm of that mean: its softmax is the mean itself, its cross entropy the paper's loss.
    """

    first_only = False
    reads_tokens = True

    def __init__(self, width: int, classes: int, dropout: float, steps: int = STEPS, dropped: float = DROPPED):
        super().__init__()
        self.steps, self.dropped = steps, dropped
        self.dropout = nn.Dropout(dropout)
        self.summary = nn.Linear(width, 1)
        self.attention = nn.Linear(width, width, bias=False)
        self.cell = nn.GRUCell(width, width)
        self.out_proj = nn.Linear(4 * width, classes)
        self.apply(init_weights)

    def forward(self, states_BTD: Tensor, tokens_BT: Tensor) -> Tensor:
        """States [B, T, D] and the ids that they are of [B, T] -> log probabilities [B, C]."""
        premise, hypothesis = memories(tokens_BT)
        memory = self.dropout(states_BTD)
        state = attended(self.summary(memory).squeeze(-1), memory, hypothesis)
        steps = []
        for _ in range(self.steps):
            read = attended((memory @ self.attention(state)[:, :, None]).squeeze(-1), memory, premise)
            state = self.cell(read.to(state.dtype), state)
            both = torch.cat([state, read, (state - read).abs(), state * read], -1)
            steps.append(F.log_softmax(self.out_proj(self.dropout(both)), -1))
        steps_BKC = torch.stack(steps, 1)
        if not self.training or not self.dropped:
            return steps_BKC.logsumexp(1) - math.log(self.steps)
        kept_BK = kept_steps(len(states_BTD), self.steps, self.dropped, states_BTD.device)
        kept = steps_BKC.masked_fill(~kept_BK[:, :, None], -torch.inf)
        return kept.logsumexp(1) - kept_BK.sum(1, keepdim=True).log()


def attended(scores_BT: Tensor, memory_BTD: Tensor, of_BT: Tensor) -> Tensor:
    """The mean of the columns `of_BT`, weighted by the softmax of their scores [B, D]."""
    weights = scores_BT.masked_fill(~of_BT, -torch.inf).softmax(-1)
    return (weights[:, None] @ memory_BTD.to(weights.dtype)).squeeze(1)


def kept_steps(batch: int, steps: int, dropped: float, device: torch.device) -> Tensor:
    """Which steps of each input count [B, K], at least one of each."""
    kept = torch.rand(batch, steps, device=device).ge(dropped)
    return kept.scatter(1, torch.randint(steps, (batch, 1), device=device), True)
