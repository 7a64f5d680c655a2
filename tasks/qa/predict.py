"""From windows to answers: the best spans of every question, as slices of the original text, with probabilities."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from pretrain.base.errors import UserError
from tasks.encoding import batches
from tasks.family import LONGEST_ANSWER

if TYPE_CHECKING:
    from tasks.heads.model import TaskModel
    from tasks.heads.span import Candidates
    from tasks.qa.features import Windows
    from tasks.qa.spans import TokenizedText

N_BEST = 20
"""BERT's setting: answers kept of a question."""


@dataclass(frozen=True, slots=True)
class Span:
    """One possible answer: characters `[start, end)` of the context, its log probability in its window, and its share
    of the probability of all answers kept of the question."""

    text: str
    start: int
    end: int
    score: float
    probability: float = 0.0


@dataclass(frozen=True, slots=True)
class Prediction:
    """What the model says about a question.

    Attributes:
        spans: the best answers, best first; empty where the context has no token.
        no_answer: probability that the context holds no answer.
    """

    spans: tuple[Span, ...]
    no_answer: float

    @property
    def best(self) -> str:
        """The best answer, whatever `no_answer` is."""
        return self.spans[0].text if self.spans else ""

    def text(self, threshold: float = 1.0) -> str:
        """The answer, or an empty one where "no answer" is more probable than `threshold`."""
        return "" if self.no_answer > threshold else self.best


@torch.inference_mode()
def predict_windows(model: TaskModel, windows: Windows, head: str, max_tokens: int, limit: int = LONGEST_ANSWER,
                    count: int = N_BEST, description: str | None = None) -> Candidates:
    """The candidates of all windows, in their order, on the CPU.

    Args:
        head: name of the model's head (the task it was trained for).
        max_tokens: padded tokens of a batch: decides about memory and speed, not about the result.
        description: text of the progress bar; none where None.
    """
    from tqdm import tqdm

    from tasks.heads.span import Candidates

    device = model.encoder.embed_tokens.weight.device
    score = torch.full((len(windows), count), -math.inf)
    first, last = torch.zeros((2, len(windows), count), dtype=torch.int64)
    null = torch.zeros(len(windows))
    with tqdm(total=len(windows), desc=description, disable=description is None, unit="window", leave=False,
              dynamic_ncols=True) as bar:
        for indices in batches(windows.sizes, max_tokens):
            tokens, full = windows.batch(indices)
            search = windows.search(indices, limit, count).to(device)
            found = model.spans(tokens.to(device), head, full=full, search=search).candidates
            assert found is not None
            if bool(torch.isnan(found.score).any() | ~torch.isfinite(found.null).all()):
                raise UserError("the model's outputs are NaN or infinite; try --precision fp32, else the body or the "
                                "embedding diverged in training")
            rows, kept = torch.from_numpy(indices), found.score.size(1)
            score[rows, :kept] = found.score.cpu()
            first[rows, :kept] = found.first.cpu()
            last[rows, :kept] = found.last.cpu()
            null[rows] = found.null.cpu()
            bar.update(len(indices))
    return Candidates(score, first, last, null)


def merge(windows: Windows, candidates: Candidates, null_is_odds: bool, count: int = N_BEST,
          rows: NDArray[np.int64] | None = None) -> Iterator[tuple[int, Prediction]]:
    """The number of each question and its prediction from the candidates of its windows.

    Args:
        null_is_odds: the head's: `null` is the log odds of no answer, else the log probability of the null span.
        rows: numbers of the windows that the candidates are of, all those of a question together; all where None.
    """
    rows = np.arange(len(windows)) if rows is None else rows
    score, null = candidates.score.numpy(), candidates.null.numpy()
    shift = (windows.offset - windows.context_at)[rows][:, None]
    first, last = candidates.first.numpy() + shift, candidates.last.numpy() + shift
    owner = windows.question[rows]
    borders = [*np.flatnonzero(np.diff(owner, prepend=-1)).tolist(), len(rows)]
    for low, high in pairwise(borders):
        number = int(owner[low])
        yield number, _merge(windows.contexts[number], score[low:high], first[low:high], last[low:high], null[low:high],
                             null_is_odds, count)


def _merge(context: TokenizedText, score: NDArray[Any], first: NDArray[Any], last: NDArray[Any], null: NDArray[Any],
           null_is_odds: bool, count: int) -> Prediction:
    flat = score.ravel()
    order = np.argsort(-flat, kind="stable")
    spans: dict[tuple[int, int], Span] = {}
    for index in order.tolist():
        if len(spans) == count or flat[index] == -math.inf:
            break
        start, end = context.characters_of(int(first.flat[index]), int(last.flat[index]))
        text = context.text[start:end].strip()
        if not text:  # a word boundary without a word
            continue
        start = context.text.index(text, start)
        spans.setdefault((start, start + len(text)), Span(text, start, start + len(text), float(flat[index])))
    # "no answer" must hold in every window, so the window that believes in it least decides (Devlin et al. 2019)
    least = float(null.min())
    best = max((span.score for span in spans.values()), default=-math.inf)
    odds = least if null_is_odds else least - best
    return Prediction(with_probabilities(list(spans.values())), sigmoid(odds))


def with_probabilities(spans: Sequence[Span]) -> tuple[Span, ...]:
    """The spans with their shares: a softmax over their scores."""
    if not spans:
        return ()
    scores = np.array([span.score for span in spans])
    shares = np.exp(scores - scores.max())
    shares /= shares.sum()
    return tuple(Span(span.text, span.start, span.end, span.score, float(share))
                 for span, share in zip(spans, shares, strict=True))


def sigmoid(odds: float) -> float:
    """Probability of log odds, without overflow."""
    return 1 / (1 + math.exp(-odds)) if odds >= 0 else math.exp(odds) / (1 + math.exp(odds)) if odds > -700 else 0.0
