"""Questions as model inputs: `<s> question </s> </s> context window </s>`, with sliding windows over long contexts.

The double separator is RoBERTa's own form for a pair of texts (Liu et al. 2019) and the one that this project's NLI
uses. Windows overlap; a token that several windows hold belongs to the one that shows most context around it
(Devlin et al. 2019). A window keeps where it lies in its context, so every prediction is a slice of the original text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from adapt.text.windows import most_context, window_starts
from pretrain.base.errors import UserError
from pretrain.base.vocabulary import BOS, EOS
from tasks.encoding import pad, resolve_max_length
from tasks.heads.span import SpanSearch
from tasks.qa.data import Question, aligned_span
from tasks.qa.spans import TokenizedText, tokenize

if TYPE_CHECKING:
    from adapt.text.tokenizer import Tokenizer

SPECIALS_OF_WINDOW = 4
LONGEST, STEP, LONGEST_QUESTION = 384, 128, 64
"""BERT's and the paper's settings: tokens of a window, step between two, tokens of a question."""


@dataclass(frozen=True)
class WindowSettings:
    """How questions become windows.

    Attributes:
        max_length: tokens of a window, specials included.
        stride: context tokens from the start of one window to the start of the next.
        max_question: tokens that are kept of a question.
        separators: `</s>` between question and context, see `tasks.encoding.separators_of`.
    """

    max_length: int = LONGEST
    stride: int = STEP
    max_question: int = LONGEST_QUESTION
    separators: int = 2

    @classmethod
    def fit(cls, positions: int, max_length: int = 0, stride: int = 0, max_question: int = 0,
            separators: int = 2) -> WindowSettings:
        """The settings for a body with so many positions; 0 chooses: BERT's 384 / 128 / 64, or less where they do not fit.

        Raises:
            UserError: a window longer than the body's positions, or settings that would leave tokens in no window.
        """
        length = resolve_max_length(max_length or min(LONGEST, positions), positions)
        asked = max_question or min(LONGEST_QUESTION, (length - SPECIALS_OF_WINDOW) // 3)
        room = length - SPECIALS_OF_WINDOW - asked
        if asked < 1 or room < 2:
            raise UserError(f"--max-length {length} with --max-question {asked}: no room is left for a context (4 tokens are "
                            "specials); allow longer windows or cut questions shorter")
        step = stride or min(STEP, (room + 1) // 2)
        if not 0 < step <= room:
            raise UserError(f"--stride {step}: expected 1 to {room}, the context tokens beside the longest question; a "
                            "longer step would leave tokens in no window")
        return cls(length, step, asked, separators)

    def record(self) -> dict[str, int]:
        """The fields; `separators` only where they are not RoBERTa's two, so that records stay as they were."""
        return {name: value for name, value in vars(self).items() if name != "separators" or value != 2}


@dataclass
class Windows:
    """All windows of some questions, in their order.

    Attributes:
        tokens: int32 ids of each window.
        sizes: their lengths [W].
        question: the number of each window's question [W].
        context_at: column of the first context token [W].
        offset: that token's number in its context [W].
        count: how many context tokens the window holds [W].
        best: columns [W, 2], from and to, of the tokens that have most context in this window.
        contexts: each question's tokenized context; equal contexts share one object.
        cut_questions: how many questions were longer than allowed.
        targets: columns of the answer's first and last token [W, 2], 0 and 0 where the window does not hold it.
        unplaced: questions whose answer stands nowhere in the context: their targets of 0 mean nothing.
    """

    tokens: list[NDArray[np.int32]]
    sizes: NDArray[np.int64]
    question: NDArray[np.int64]
    context_at: NDArray[np.int64]
    offset: NDArray[np.int64]
    count: NDArray[np.int64]
    best: NDArray[np.int64]
    contexts: list[TokenizedText]
    cut_questions: int = 0
    targets: NDArray[np.int64] = field(default_factory=lambda: np.zeros((0, 2), dtype=np.int64))
    unplaced: list[int] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.tokens)

    def of_questions(self) -> NDArray[np.int64]:
        """Number of the first window of each question, and the count of all windows at the end [Q + 1]."""
        return np.searchsorted(self.question, np.arange(len(self.contexts) + 1))

    def search(self, indices: NDArray[np.int64], limit: int, count: int) -> SpanSearch:
        """What may be chosen in these windows, on the CPU."""
        columns = torch.arange(int(self.sizes[indices].max()))
        at, held = (torch.from_numpy(part[indices])[:, None] for part in (self.context_at, self.count))
        best = torch.from_numpy(self.best[indices])
        inside = (columns >= at) & (columns < at + held)
        return SpanSearch(inside | (columns == 0), (columns >= best[:, :1]) & (columns < best[:, 1:]), limit, count)

    def batch(self, indices: NDArray[np.int64]) -> tuple[Tensor, bool]:
        """Padded ids [B, T] of these windows, and whether nothing is padded."""
        lengths = self.sizes[indices]
        return pad([self.tokens[index] for index in indices]), bool((lengths == lengths[0]).all())


def encode_questions(tokenizer: Tokenizer, questions: Sequence[Question], settings: WindowSettings,
                     question_tokenizer: Tokenizer | None = None, targets: bool = False) -> Windows:
    """The windows of all questions.

    Args:
        question_tokenizer: where questions are in another language than contexts: its ids are moved up by the size of
            the contexts' vocabulary, as `tasks.qa.model.swap_pair` puts the two embeddings on top of each other.
        targets: find the answers' columns too (training).
    """
    shift = len(tokenizer.vocabulary) if question_tokenizer is not None else 0
    asked = (question_tokenizer or tokenizer).encode_batch([item.question for item in questions])
    known: dict[str, TokenizedText] = {}
    tokens: list[NDArray[np.int32]] = []
    rows: list[tuple[int, int, int, int, int, int]] = []
    contexts: list[TokenizedText] = []
    spans: list[tuple[int, int] | None] = []
    unplaced: list[int] = []
    cut = 0
    closing = np.array([EOS], dtype=np.int32)
    for number, (item, ids) in enumerate(zip(questions, asked, strict=True)):
        context = known.get(item.context)
        if context is None:
            context = known[item.context] = tokenize(tokenizer, item.context)
        contexts.append(context)
        cut += len(ids) > settings.max_question
        ids = ids[: settings.max_question]
        head = np.array([BOS, *ids, *[EOS] * (settings.separators - 1)], dtype=np.int32) + shift
        head = np.append(head, closing)
        room = settings.max_length - SPECIALS_OF_WINDOW + (2 - settings.separators) - len(ids)
        starts = window_starts(len(context), room, settings.stride)
        owned = most_context(starts, room, len(context)) if len(context) else np.zeros((1, 2), dtype=np.int64)
        span = answer_tokens(item, context) if targets else None
        if targets and span is None and not item.impossible:
            unplaced.append(number)
        for start, (low, high) in zip(starts, owned.tolist(), strict=True):
            part = context.ids[start:start + room]
            move = len(head) - start
            tokens.append(np.concatenate([head, part, closing]))
            rows.append((number, len(head), start, len(part), low + move, high + move))
            spans.append(span)
    table = np.array(rows, dtype=np.int64).reshape(-1, 6)
    windows = Windows(tokens, np.array([len(ids) for ids in tokens], dtype=np.int64), table[:, 0], table[:, 1], table[:, 2],
                      table[:, 3], table[:, 4:], contexts, cut, unplaced=unplaced)
    if targets:
        windows.targets = place_targets(windows, spans)
    return windows


def left_out(files: Sequence[str], questions: Sequence[Question], windows: Windows, training: bool = True) -> str:
    """What a warning says of questions whose answer stands nowhere in the context."""
    count, first = len(windows.unplaced), questions[windows.unplaced[0]].id
    fate = "are left out of the training" if training else "are scored all the same"
    return (f"{', '.join(files)}: {count:,} of {len(questions):,} questions {fate}: none of their answers stands in the context "
            f"(first: id {first})")


def answer_tokens(item: Question, context: TokenizedText) -> tuple[int, int] | None:
    """First and last token of the first answer that stands in the context; None without one."""
    for answer in item.answers:
        place = aligned_span(item, answer)
        if place is not None and (span := context.tokens_of(*place)) is not None:
            return span
    return None


def place_targets(windows: Windows, spans: Sequence[tuple[int, int] | None]) -> NDArray[np.int64]:
    """Columns of each window's answer [W, 2]; 0 and 0, the column of `<s>`, where the window does not hold all of it."""
    targets = np.zeros((len(windows), 2), dtype=np.int64)
    for row, span in enumerate(spans):
        if span is None:
            continue
        low, high = windows.offset[row], windows.offset[row] + windows.count[row]
        if low <= span[0] and span[1] < high:
            targets[row] = np.array(span) - low + windows.context_at[row]
    return targets


