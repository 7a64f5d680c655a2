"""Texts of a task as token ids, and batches of similar length. Shared by task adaptation and evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from adapt.text.windows import batches as batches  # here too, where tasks look for it
from adapt.text.windows import pad as pad
from pretrain.base.errors import UserError
from pretrain.base.vocabulary import BOS, EOS

if TYPE_CHECKING:
    from adapt.text.tokenizer import Tokenizer
    from pretrain.encoder import EncoderConfig
    from tasks.classification.examples import Example

def resolve_max_length(wanted: int, positions: int) -> int:
    """The longest input in tokens: as asked for, or all positions of the body where 0.

    Raises:
        UserError: more than the body has.
    """
    if wanted > positions:
        raise UserError(f"--max-length {wanted} exceeds the body's {positions} positions; lower it")
    return wanted or positions


SPECIALS_OF_PAIR = 4
"""`<s> a </s> </s> b </s>`"""


def separators_of(config: EncoderConfig) -> int:
    """How many `</s>` stand between two texts: RoBERTa's two, BERT's one where the body tells segments apart."""
    return 1 if config.segments > 1 else 2


def segments_of(tokens_BT: Tensor, config: EncoderConfig) -> Tensor | None:
    """Of each token 0 for the first text and its `</s>`, 1 for what follows [B, T] (Devlin et al. 2019, figure 2); None for
    a body of one segment."""
    if config.segments == 1:
        return None
    ends = tokens_BT.eq(EOS)
    return (ends.cumsum(1) - ends.long()).clamp(max=1)



@dataclass
class Encoded:
    """Inputs in the order of their examples.

    Attributes:
        tokens: int32 ids of each input.
        sizes: their lengths in tokens, int64 [N].
        truncated: how many were longer than allowed.
    """

    tokens: list[NDArray[np.int32]]
    sizes: NDArray[np.int64]
    truncated: int

    def __len__(self) -> int:
        return len(self.tokens)


def kept_lengths(first: int, second: int, budget: int) -> tuple[int, int]:
    """How much of two texts remains when the longer one loses its last token until both fit into `budget` tokens.

    Of two equally long texts the first one loses.
    """
    second = min(second, max(budget - first, (budget + 1) // 2))
    return min(first, budget - second), second


def encode_examples(tokenizer: Tokenizer, examples: Sequence[Example], max_length: int,
                    separators: int = 2) -> Encoded:
    """RoBERTa's inputs: `<s> a </s> </s> b </s>`, or `<s> a </s>`; the final `</s>` always stays (Liu et al. 2019).

    Args:
        max_length: longest input in tokens, specials included.
        separators: `</s>` between two texts, see `separators_of`.

    Raises:
        UserError: `max_length` leaves no room for both texts.
    """
    if max_length < SPECIALS_OF_PAIR + 2:
        raise UserError(f"--max-length {max_length}: expected at least {SPECIALS_OF_PAIR + 2}: the specials and "
                        "a token of each text")
    first = tokenizer.encode_batch([item.text_a for item in examples])
    pairs = [item.text_b for item in examples]
    second = iter(tokenizer.encode_batch([text for text in pairs if text is not None]))
    tokens: list[NDArray[np.int32]] = []
    truncated = 0
    for a, text in zip(first, pairs, strict=True):
        if text is None:
            keep = max_length - 2
            truncated += len(a) > keep
            ids = [BOS, *a[:keep], EOS]
        else:
            b = next(second)
            budget = max_length - (SPECIALS_OF_PAIR - 2 + separators)
            keep_a, keep_b = kept_lengths(len(a), len(b), budget)
            truncated += len(a) + len(b) > budget
            ids = [BOS, *a[:keep_a], *[EOS] * separators, *b[:keep_b], EOS]
        tokens.append(np.array(ids, dtype=np.int32))
    return Encoded(tokens, np.array([len(ids) for ids in tokens], dtype=np.int64), truncated)


def shuffled_by_length(sizes: NDArray[np.int64], seed: int, epoch: int, window: int = 2048,
                       extra: Sequence[int] = ()) -> NDArray[np.int64]:
    """A training order: all indices shuffled from (seed, epoch, extra), then sorted by length within windows.

    Neighbours are of similar length, so batches hold little padding, and differ from epoch to epoch.
    """
    order = np.random.default_rng([seed, epoch, *extra]).permutation(len(sizes))
    for start in range(0, len(order), window):
        part = order[start:start + window]
        order[start:start + window] = part[np.argsort(sizes[part], kind="stable")]
    return order
