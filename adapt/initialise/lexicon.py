"""Initialiser from a bilingual dictionary."""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import chain

from torch import Tensor

from adapt.initialise import Request, register
from adapt.initialise.mixtures import identical, mix, normalised, sparse
from adapt.text.dictionary import translations
from pretrain.base.vocabulary import SPECIALS


@register("lexicon", needs=("dictionary",))
def lexicon(request: Request) -> tuple[Tensor, Tensor]:
    """A row is the mean over the words that its piece takes part in: of each word the mean row of its translations' pieces.

    A word of n pieces counts 1/n for each of them, so that whole words decide where there are any. Pieces that both languages
    write alike are copied where the dictionary says nothing of them; all others are drawn as `gaussian` draws. Only words of
    one part are used, see `adapt.text.dictionary`.
    """
    known = translations(request.resources["dictionary"])
    words = list(known)
    sources = list(dict.fromkeys(chain.from_iterable(known.values())))
    theirs = dict(zip(sources, request.source.tokenizer.encode_words(sources), strict=True))
    weights: dict[tuple[int, int], float] = defaultdict(float)
    for word, ids in zip(words, request.tokenizer.encode_words(words), strict=True):
        usable = [theirs[other] for other in known[word] if theirs[other] and min(theirs[other]) >= len(SPECIALS)]
        if not ids or min(ids) < len(SPECIALS) or not usable:
            continue
        share: Counter[int] = Counter()
        for other in usable:
            for old in other:
                share[old] += 1 / len(other) / len(usable)  # type: ignore[assignment]
        for row in ids:
            if row != request.tokenizer.boundary:
                for old, part in share.items():
                    weights[row, old] += part / len(ids)
    made = {row for row, _ in weights}
    weights.update({(row, old): 1.0 for row, old in identical(request).items() if row not in made})
    return mix(request, normalised(sparse(weights, (request.shape[0], len(request.source.tokenizer)))))
