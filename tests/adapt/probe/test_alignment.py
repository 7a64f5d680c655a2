"""The alignment of two tables, by hand; dictionaries; the judgement without one."""

from __future__ import annotations

from dataclasses import replace

import torch

from adapt.artefacts.embedding import Embedding
from adapt.probe.alignment import LEAST_SHARED, alignment, looks_relabelled
from adapt.text.tokenizer import Tokenizer, train_tokenizer

WORDS = {"base": ["sun", "moon", "star", "sea"], "new": ["zor", "lum", "vek", "mar"]}


def embedding(words: list[str], width: int = 4) -> Embedding:
    tokenizer = Tokenizer(train_tokenizer([" ".join(words)] * 50, 4 * len(words) + 30, model_type="bpe"))
    rows = len(tokenizer.vocabulary)
    assert all("▁" + word in tokenizer.vocabulary.ids for word in words)
    return Embedding(torch.zeros(rows, width), torch.zeros(rows), tokenizer, "x", "lineage")


def filled(words: list[str], vectors: list[list[float]]) -> Embedding:
    one = embedding(words)
    for word, vector in zip(words, vectors, strict=True):
        one.weight[one.tokenizer.vocabulary.ids["▁" + word]] = torch.tensor(vector)
    return one


def test_share_and_rank_by_hand():
    """zor is nearest to its translation; lum's is second after star's; vek and mar have each other's: rank 2."""
    base = filled(WORDS["base"], [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    new = filled(WORDS["new"], [[3, 1, 0, 0], [0, 1, 2, 0], [0, 0, 1, 2], [0, 0, 2, 1]])
    pairs = {new: [old] for new, old in zip(WORDS["new"], WORDS["base"], strict=True)}
    found = alignment(base, new, pairs)
    assert (found.share, found.words, found.candidates.count, found.chance) == (0.25, 4, 4, 0.25)
    assert found.median_rank == 2.0
    both = alignment(base, new, {**pairs, "lum": ["moon", "star"], "unheard": ["sun"]})
    assert (both.share, both.words) == (0.5, 4)  # of several translations the best counts


def test_chance_counts_every_right_candidate():
    """Of four candidates zor has two right ones, lum, vek and mar one each: (2 + 1 + 1 + 1) / 4 / 4."""
    base, new = (filled(WORDS[name], [[1, 0, 0, 0]] * 4) for name in ("base", "new"))
    found = alignment(base, new, {"zor": ["sun", "sea"], "lum": ["moon"], "vek": ["star"], "mar": ["sun"]})
    assert (found.candidates.count, found.chance) == (4, 5 / 16)


def test_among_all_base_words_one_pair_says_something():
    """zor is nearest to star; a dictionary of the one pair zor, sun sees no star unless it looks among all words."""
    base = filled(WORDS["base"], [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    new = filled(WORDS["new"], [[1, 0, 2, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    alone, among_all = (alignment(base, new, {"zor": ["sun"]}, among_all=choice) for choice in (False, True))
    assert (alone.share, alone.candidates.count) == (1.0, 1)
    words = [piece for piece in base.tokenizer.spellings if piece[0] == "▁" and any(map(str.isalpha, piece))]
    assert (among_all.share, among_all.median_rank, among_all.candidates.count) == (0.0, 2.0, len(words)) and len(words) >= 4
    assert among_all.chance == 1 / len(words)


def test_words_that_are_no_piece_are_not_judged():
    one = filled(WORDS["base"], [[1, 0, 0, 0]] * 4)
    assert alignment(one, one, {"sunmoon": ["sun"]}).words == 0


def test_an_embedding_whose_shared_words_have_other_neighbours_looks_relabelled():
    words = [f"{a}{b}{c}" for a in "bdgk" for b in "aeiou" for c in "mn"]
    assert len(words) >= LEAST_SHARED
    base = embedding(words, 16)
    base.weight = torch.randn(base.weight.shape, generator=torch.Generator().manual_seed(1))
    same, turned = replace(base, weight=base.weight.clone()), replace(base, weight=base.weight.roll(1, 0))
    found = looks_relabelled(base, turned, 3.0)
    assert found is not None and found.share < 0.1 and found.words >= len(words)
    assert looks_relabelled(base, same, 3.0) is None
    assert looks_relabelled(base, turned, 0.5) is None  # the loss has not fallen: nothing was learned yet
