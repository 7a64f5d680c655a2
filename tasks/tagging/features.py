"""Tagged sentences as model inputs: words as pieces, long sentences as windows, one column for each word.

**Pieces.** Every word is tokenised by itself, so that no piece belongs to two words. With spaces between words that gives
the pieces of the sentence as text, a space between any two words. In languages written without spaces
(`adapt.text.segment.spaceless`) the words of a sentence stand side by side: from the second word on a piece that is only a
word boundary is left out, and one that begins with a boundary is replaced by the same piece without, where there is one.

**The column of a word** is that of its first piece, a lone word boundary apart. A word of which the tokenizer leaves
nothing (invisible characters) is `<unk>`, so every word is read and predicted.

**Windows.** A sentence longer than the model's inputs is cut into windows that overlap by half; a word belongs to the window
that shows most context around its column (`tasks.qa.features.most_context`), so it is trained on and predicted once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from adapt.text.segment import spaceless
from pretrain.base.errors import UserError
from pretrain.base.vocabulary import BOS, EOS, UNK
from tasks.qa.features import most_context, window_starts
from tasks.tagging.data import Sentence

if TYPE_CHECKING:
    from adapt.text.tokenizer import Tokenizer

SPECIALS_OF_WINDOW = 2


@dataclass
class Windows:
    """All windows of some sentences, in their order.

    Attributes:
        tokens: int32 ids of each window, `<s>` and `</s>` included.
        sizes: their lengths [W].
        columns: of the words that each window predicts, rising; all windows' columns in order are all words in order.
        first: number of each sentence's first window, and the count of all windows at the end [S + 1].
        unread: words that the tokenizer leaves nothing of.
    """

    tokens: list[NDArray[np.int32]]
    sizes: NDArray[np.int64]
    columns: list[NDArray[np.int64]]
    first: NDArray[np.int64]
    unread: int = 0

    def __len__(self) -> int:
        return len(self.tokens)


def pieces_of_words(tokenizer: Tokenizer, sentences: Sequence[Sentence],
                    language: str) -> tuple[list[tuple[NDArray[np.int32], NDArray[np.int64]]], int]:
    """Of each sentence its token ids, and the place of each word's column among them; and how many words gave no token."""
    distinct = list(dict.fromkeys(word for item in sentences for word in item.words))
    spelled = dict(zip(distinct, tokenizer.encode_words(distinct), strict=True))
    openings = list(dict.fromkeys(item.words[0] for item in sentences if item.words))
    opening = dict(zip(openings, tokenizer.encode_batch(openings), strict=True))  # not every tokenizer begins a text with a space
    boundary = tokenizer.boundary
    inner = tokenizer.inside if spaceless(language) else None
    found = []
    unread = 0
    for item in sentences:
        tokens: list[int] = []
        heads: list[int] = []
        for written in item.words:
            word = spelled[written] if heads else opening[written]
            if inner is not None and tokens and word:
                word = [inner.get(word[0], word[0]), *word[1:]] if word[0] != boundary else word[1:]
            if not any(piece != boundary for piece in word):
                word = [*word, UNK]
                unread += 1
            heads.append(len(tokens) + (word[0] == boundary))
            tokens += word
        found.append((np.array(tokens, dtype=np.int32), np.array(heads, dtype=np.int64)))
    return found, unread


def encode_sentences(tokenizer: Tokenizer, sentences: Sequence[Sentence], max_length: int, language: str) -> Windows:
    """The windows of all sentences.

    Args:
        max_length: tokens of a window, specials included.
        language: decides whether words stand side by side.

    Raises:
        UserError: `max_length` leaves no room for windows that overlap.
    """
    room = max_length - SPECIALS_OF_WINDOW
    if room < 2:
        raise UserError(f"--max-length {max_length}: expected at least {SPECIALS_OF_WINDOW + 2}: the specials and two tokens")
    tokens: list[NDArray[np.int32]] = []
    columns: list[NDArray[np.int64]] = []
    first = [0]
    pieces, unread = pieces_of_words(tokenizer, sentences, language)
    for ids, heads in pieces:
        starts = window_starts(len(ids), room, (room + 1) // 2)
        owned = most_context(starts, room, len(ids)).tolist() if len(starts) > 1 else [[0, len(ids)]]
        for start, (low, high) in zip(starts, owned, strict=True):
            own = heads[np.searchsorted(heads, low):np.searchsorted(heads, high)]
            if len(own):  # a window may hold the middle of one very long word only
                tokens.append(np.concatenate([[BOS], ids[start:start + room], [EOS]]).astype(np.int32))
                columns.append(own - start + 1)
        first.append(len(tokens))
    sizes = np.array([len(ids) for ids in tokens], dtype=np.int64)
    return Windows(tokens, sizes, columns, np.array(first, dtype=np.int64), unread)
