"""Initialiser from a bilingual dictionary."""

from __future__ import annotations

import math
from collections import defaultdict
from itertools import chain, product

from torch import Tensor

from adapt.initialise import Request, register
from adapt.initialise.mixtures import identical, mix, normalised, sparse
from adapt.text.dictionary import translations, warn_if_cut_off
from pretrain.base.vocabulary import SPECIALS

FREQUENT = 1000
"""The first so many rows of a source count alike: WordPiece has its characters there, others bytes or the commonest words."""
_Weights = dict[tuple[int, int], float]
"""(new row, source row) -> weight."""


@register("lexicon", needs=("dictionary",))
def lexicon(request: Request) -> tuple[Tensor, Tensor]:
    """A row is the mean over words of the dictionary: of each word the weighted mean row of its translations' pieces.

    Frequent translations and those of few pieces count more (`_shares`): a dictionary's rare synonyms blur a row, and the pieces
    of a word that is cut up mean little by themselves.

    A piece that is a word by itself takes that word alone. Another takes all words that it is a part of, each of n pieces
    counting 1/n. A word boundary that is a piece of its own counts nowhere: in languages written without spaces nearly every word
    is cut behind one (99 of 100 of a Chinese dictionary's). A word that the dictionary has only in small letters stands for its
    capitalised form too where that is one piece, as at the begin of a sentence. Pieces that both languages write alike are copied
    where the dictionary says nothing of them; all others are drawn as `gaussian` draws. Only words of one part are used, see
    `adapt.text.dictionary`.
    """
    known = translations(request.resources["dictionary"])
    capitalised = {title: found for word, found in known.items() if (title := word[0].upper() + word[1:]) not in known}
    sources = list(dict.fromkeys(chain.from_iterable(known.values())))
    warn_if_cut_off(request.resources["dictionary"], sources, request.source.tokenizer.spellings)
    theirs = dict(zip(sources, request.source.tokenizer.encode_words(sources), strict=True))
    whole: _Weights = defaultdict(float)
    parts: _Weights = defaultdict(float)
    for some, most in ((known, None), (capitalised, 1)):
        for others, written in zip(some.values(), request.tokenizer.encode_words(list(some)), strict=True):
            ids = [row for row in written if row != request.tokenizer.boundary]
            usable = [theirs[other] for other in others if theirs[other] and min(theirs[other]) >= len(SPECIALS)]
            if ids and min(ids) >= len(SPECIALS) and usable and len(ids) <= (most or len(ids)):
                weights = whole if len(ids) == 1 else parts
                shares = _shares(usable)
                for row, (cut, share) in product(ids, zip(usable, shares, strict=True)):
                    for old in cut:
                        weights[row, old] += share / len(cut) / len(ids)
    decided = {row for row, _ in whole}
    weights = whole | {place: weight for place, weight in parts.items() if place[0] not in decided}
    made = {row for row, _ in weights}
    weights.update({(row, old): 1.0 for row, old in identical(request).items() if row not in made})
    return mix(request, normalised(sparse(weights, (request.shape[0], len(request.source.tokenizer)))))


def _shares(translations: list[list[int]]) -> list[float]:
    """What each of a word's translations counts: 1/(n √rank) of one of n pieces, made to sum to 1. Its rank is that of its
    rarest piece in the source's vocabulary, `FREQUENT` or more. It stands in for its frequency: tokenizers are written in about
    that order.

    Chosen by retrieval from starts alone (docs/initialisers.md); no part of any paper.
    """
    weights = [1 / (len(cut) * math.sqrt(max(FREQUENT, max(cut) - len(SPECIALS) + 1))) for cut in translations]
    total = sum(weights)
    return [weight / total for weight in weights]
