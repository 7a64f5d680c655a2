"""Long texts as overlapping windows, and batches of inputs of similar length."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pretrain.base.vocabulary import BOS, EOS, PAD

MAX_TOKENS = 8192
"""Padded tokens of a batch."""


def window_starts(length: int, room: int, stride: int) -> list[int]:
    """First tokens of the windows over a context of `length` tokens: the last one is the first that reaches its end."""
    starts = [0]
    while starts[-1] + room < length:
        starts.append(starts[-1] + stride)
    return starts


def most_context(starts: Sequence[int], room: int, length: int) -> NDArray[np.int64]:
    """Which tokens of a context each of its windows owns [windows, 2], from and to.

    A token belongs to the window in which the smaller of its left and right context is largest, where 100 tokens of
    window count as one of context, so that a longer window wins a tie (BERT's rule); the earlier one wins what is still
    equal. What a window owns has no gaps, and every token is owned once.
    """
    first = np.array(starts)[:, None]
    last = np.minimum(first + room, length) - 1
    token = np.arange(length)
    shown = 100 * np.minimum(token - first, last - token) + last - first + 1  # whole numbers: rounding would break ties
    owner = np.where((token < first) | (token > last), -1, shown).argmax(0)
    return np.stack([np.searchsorted(owner, np.arange(len(starts)), side) for side in ("left", "right")], 1)


def pad(tokens: Sequence[NDArray[np.int32]]) -> Tensor:
    """Ids [B, T], int64, padded on the right with PAD to the longest."""
    batch = np.full((len(tokens), max(len(ids) for ids in tokens)), PAD, dtype=np.int64)
    for row, ids in zip(batch, tokens, strict=True):
        row[: len(ids)] = ids
    return torch.from_numpy(batch)


def batches(sizes: NDArray[np.int64], max_tokens: int) -> list[NDArray[np.int64]]:
    """Indices grouped by length, longest first: each batch holds at most `max_tokens` padded tokens (but one input)."""
    order = np.argsort(-sizes, kind="stable")
    groups: list[NDArray[np.int64]] = []
    start = 0
    while start < len(order):
        count = max(1, max_tokens // int(sizes[order[start]]))
        groups.append(order[start:start + count])
        start += count
    return groups


def batched(tokens: Sequence[NDArray[np.int32]], device: torch.device, max_tokens: int = MAX_TOKENS,
            description: str | None = None, unit: str = "window") -> Iterator[tuple[list[int], Tensor, bool]]:
    """Batches of inputs of similar length, each once: numbers of the inputs, their padded ids [B, T], whether none is padded.

    Args:
        device: where the ids will be.
        max_tokens: padded tokens of a batch: decides about memory and speed, not about the result.
        description: text of the progress bar on stderr; none where None.
        unit: what the bar calls an input.
    """
    from tqdm import tqdm

    sizes = np.array([len(ids) for ids in tokens], dtype=np.int64)
    with tqdm(total=len(tokens), desc=description, disable=description is None, unit=unit, leave=False,
              dynamic_ncols=True) as bar:
        for indices in batches(sizes, max_tokens):
            lengths = sizes[indices]
            yield indices.tolist(), pad([tokens[index] for index in indices]).to(device), bool(lengths[0] == lengths[-1])
            bar.update(len(indices))


def stream_of(ids: Sequence[int]) -> NDArray[np.int32]:
    """A text as it stands in a block of pre-training: its tokens and `</s>`.

    A window is `<s>` and a stretch of it. The window that holds the end of the text thus ends with `</s>` and no other
    does, like the blocks into which pre-training cuts its text (`pretrain.data.Blocks`).
    """
    return np.array([*ids, EOS], dtype=np.int32)


def window(stream: NDArray[np.int32], start: int, room: int) -> NDArray[np.int32]:
    """`<s>` and up to `room` tokens of the stream from `start` on."""
    return np.concatenate([np.array([BOS], dtype=np.int32), stream[start:start + room]])
