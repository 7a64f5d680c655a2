"""Did a new embedding learn the words' meanings, or another labelling? Nearest base words against known translations.

A new embedding can model its language well and still call every word by another name; then hardly any word is nearest to its
translation, and nothing transfers (docs/forgetting.md).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch.nn.functional import normalize

from adapt.artefacts.embedding import Embedding
from adapt.text.tokenizer import WORD_BOUNDARY
from pretrain.base.vocabulary import SPECIALS


@dataclass(frozen=True)
class Candidates:
    """The base words among which the nearest was sought.

    Attributes:
        count: how many there are.
        right: how many are right, summed over the words that were judged: a word may have several translations.
    """

    count: int = 0
    right: int = 0


@dataclass(frozen=True)
class Alignment:
    """How near the rows of a new embedding are to those of their translations.

    Attributes:
        share: of the words, how many have a translation as their nearest base word (cosine).
        median_rank: of the best translation among the base words, from 1.
        words: how many were judged.
        candidates: base words among which the nearest was sought.
    """

    share: float
    median_rank: float
    words: int
    candidates: Candidates

    @property
    def chance(self) -> float:
        """The share that rows without any relation would have: the mean over words of right candidates / candidates."""
        return self.candidates.right / (self.words * self.candidates.count) if self.words else 0.0


def alignment(base: Embedding, new: Embedding, translations: Mapping[str, Iterable[str]], among_all: bool = False) -> Alignment:
    """Judges the words that are one piece in both languages.

    Args:
        translations: word of the new language -> its words in the base language.
        among_all: seek the nearest among all base words (pieces that begin a word and have a letter), instead of among the
            translations alone: those of a small dictionary are so few that any row is near one.
    """
    old_rows, new_rows = (_words(one) for one in (base, new))
    golden = {new_rows[word]: {old_rows[other] for other in others if other in old_rows}
              for word, others in translations.items() if word in new_rows}
    golden = {row: found for row, found in golden.items() if found}
    if not golden:
        return Alignment(0.0, 0.0, 0, Candidates())
    others = {row for word, row in old_rows.items() if any(map(str.isalpha, word))} if among_all else set()
    candidates = sorted(others.union(*golden.values()))
    place = {row: index for index, row in enumerate(candidates)}
    rows = list(golden)
    near = normalize(new.weight[rows].float(), dim=1) @ normalize(base.weight[candidates].float(), dim=1).T
    best = torch.tensor([max(float(near[index, place[row]]) for row in golden[word]) for index, word in enumerate(rows)])
    rank = (near > best[:, None]).sum(1) + 1
    return Alignment(float((rank == 1).float().mean()), float(torch.quantile(rank.float(), 0.5)), len(rows),
                     Candidates(len(candidates), sum(map(len, golden.values()))))


def _words(one: Embedding) -> dict[str, int]:
    """Words that are one piece, without the mark of a word's beginning -> row."""
    ordinary = range(len(SPECIALS), len(one.tokenizer.vocabulary) - 1)
    spelled = one.tokenizer.spellings
    return {spelled[row].removeprefix(WORD_BOUNDARY): row for row in reversed(ordinary)
            if spelled[row].startswith(WORD_BOUNDARY) and spelled[row] != WORD_BOUNDARY}


LEAST_SHARED = 20
"""Pieces that both languages must share for a judgement without a dictionary."""
UNRELATED = 0.1
"""Share of words nearest to their translation below which nothing transferred in the miniature world."""


def looks_relabelled(base: Embedding, new: Embedding, fallen: float) -> Alignment | None:
    """The alignment of the pieces that are spelled alike in both languages (names, numbers), where it says that a new embedding
    models its language but means something else; None where it does not, or where too few are shared to say.

    Args:
        fallen: by how many bits the held-out loss is below that of guessing among all pieces.
    """
    shared = {word: [word] for word in _words(new).keys() & _words(base).keys()}
    found = alignment(base, new, shared)
    return found if fallen > 1 and found.words >= LEAST_SHARED and found.share < UNRELATED else None
