"""Mixtures of the source's rows: weights by hand, and each initialiser against what its rows must be."""

import random
import re
import shutil
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from adapt.artefacts.embedding import Embedding
from adapt.initialise import Request, initialise
from adapt.initialise.frequency import frequency
from adapt.initialise.mixtures import identical, softmax_of_nearest, sparsemax
from adapt.initialise.script import group_of
from adapt.text.tokenizer import WORD_BOUNDARY, Tokenizer, train_tokenizer
from pretrain.base.errors import UserError
from pretrain.base.vocabulary import SPECIALS

FIRST = len(SPECIALS)
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def request_(journey, source) -> Request:
    return Request(source, Tokenizer.load(journey / "data" / "qab"), journey / "data" / "qab", seed=3)


def same(made, expected):
    assert torch.allclose(made, expected, rtol=1e-5, atol=1e-7)


def test_sparsemax_by_hand():
    # Two of (.9, .5, -1) stay: their sum less 1, halved, is .2.
    assert sparsemax(np.array([[0.9, 0.5, -1.0], [0.2, 0.2, 0.2], [3.0, 0.0, 0.0]])) == pytest.approx(
        np.array([[0.7, 0.3, 0.0], [1 / 3] * 3, [1.0, 0.0, 0.0]]), rel=1e-9)


def test_softmax_of_the_nearest_by_hand():
    weights = softmax_of_nearest(np.array([[0.5, 0.1, 0.4]]), neighbours=2, temperature=0.1)
    assert weights == pytest.approx(np.array([[1 / (1 + np.exp(-1)), 0.0, 1 / (1 + np.exp(1))]]), rel=1e-9)


def test_more_neighbours_than_there_are_pieces_are_all_of_them():
    assert softmax_of_nearest(np.zeros((1, 3)), neighbours=10, temperature=0.1) == pytest.approx(np.full((1, 3), 1 / 3), rel=1e-9)


# script

def test_the_group_of_a_piece():
    assert [group_of(piece) for piece in ("▁ab", "ж7", "▁7", "!", "▁")] == [
        ("LATIN", True), ("CYRILLIC", False), ("", True), ("", False), ("", True)]


def test_script_draws_each_group_from_its_own_rows(request_):
    begins = torch.tensor([piece.startswith(WORD_BOUNDARY) for piece in request_.source.tokenizer.spellings])
    with torch.no_grad():
        request_.source.weight[begins] = 5 + 0.01 * request_.source.weight[begins]
        request_.source.weight[~begins] = -5 + 0.01 * request_.source.weight[~begins]
    weight, _ = initialise("script", request_)
    for row, piece in enumerate(request_.tokenizer.spellings[FIRST:-1], FIRST):
        assert (weight[row] > 4).all() if piece.startswith(WORD_BOUNDARY) else (weight[row] < -4).all()


def test_script_prefers_rows_of_the_same_script(request_, journey, source):
    tokenizer = Tokenizer(train_tokenizer((journey / "qaa.txt").read_text().splitlines(), 45))
    latin = torch.tensor([group_of(piece)[0] == "LATIN" for piece in source.tokenizer.spellings])
    with torch.no_grad():
        source.weight[latin] = 5 + 0.01 * source.weight[latin]
    weight, _ = initialise("script", replace(request_, tokenizer=tokenizer))
    written = [row for row, piece in enumerate(tokenizer.spellings[:-1]) if row >= FIRST and group_of(piece)[0] == "LATIN"]
    assert len(written) > 10 and (weight[written] > 4).all()


# subword-mean

def test_subword_mean_is_the_mean_over_the_sources_pieces(request_, journey, source):
    words = list(dict.fromkeys((journey / "qaa.txt").read_text().split()))[:40]
    compounds = [one + other for one, other in pairwise(words)]
    tokenizer = Tokenizer(train_tokenizer([" ".join(compounds)] * 50, 130))
    request = replace(request_, tokenizer=tokenizer)
    weight, bias = initialise("subword-mean", request)
    shared = identical(request)
    checked = {True: 0, False: 0}
    for row, piece in enumerate(tokenizer.spellings[:-1]):
        ids = source.tokenizer.encode(piece.removeprefix(WORD_BOUNDARY))
        begins = piece.startswith(WORD_BOUNDARY)
        if row >= FIRST and row not in shared and (begins or ids[0] == source.tokenizer.boundary):
            ids = ids if begins else ids[1:]  # a boundary that the piece inside a word has not
            same(weight[row], source.weight[ids].mean(0))
            same(bias[row], source.bias[ids].mean())
            checked[begins] += 1
        elif row in shared:
            assert torch.equal(weight[row], source.weight[shared[row]])
    assert checked[True] and checked[False] > 1


def test_subword_mean_draws_what_the_source_cannot_write(request_):
    made, drawn = initialise("subword-mean", request_)[0], initialise("gaussian", request_)[0]
    shared = identical(request_)
    others = [row for row in range(FIRST, len(made) - 1) if row not in shared
              and request_.tokenizer.spellings[row].strip(WORD_BOUNDARY)]
    assert others and torch.equal(made[others], drawn[others])


# frequency

def test_frequency_matches_ranks(request_, source):
    from pretrain.data import MappedTokens

    weight, bias = frequency(request_)
    counts = np.bincount(MappedTokens(request_.data / "train").tokens, minlength=len(weight))
    ours = sorted(range(FIRST, len(weight) - 1), key=lambda row: (-counts[row], row))
    theirs = sorted(range(FIRST, len(source.bias) - 1), key=lambda row: (-float(source.bias[row]), row))
    for row, old in list(zip(ours, theirs, strict=False))[:30]:
        assert torch.equal(weight[row], source.weight[old]) and bias[row] == source.bias[old]


def test_frequency_needs_prepared_text(request_):
    with pytest.raises(UserError, match="reads the prepared text"):
        initialise("frequency", replace(request_, data=None))


# lexicon

def lexicon_of(request_, path, pairs):
    """The rows that a dictionary gives."""
    path.write_text("".join(f"{one}\t{other}\n" for one, other in pairs), encoding="utf-8")
    return initialise("lexicon", replace(request_, resources={"dictionary": path}))[0]


def test_lexicon_is_the_mean_of_translations_by_words(request_, journey, source, tmp_path):
    words = [list(dict.fromkeys((journey / f"{code}.txt").read_text().split()))[:20] for code in ("qaa", "qab")]
    weight = lexicon_of(request_, tmp_path / "d.tsv", [*zip(*words, strict=True), (words[0][3], words[1][4])])
    boundary = request_.tokenizer.boundary
    sums, shares, whole = {}, {}, {}
    for number, word in enumerate(words[1]):
        ids = [row for row in request_.tokenizer.encode(word) if row != boundary]
        translations = [words[0][number], *([words[0][3]] if number == 4 else [])]
        cuts = [source.tokenizer.encode(other) for other in translations]
        counts = [1 / len(cut) for cut in cuts]  # all ranks of so small a vocabulary count alike
        mean = sum(count * source.weight[cut].mean(0) for count, cut in zip(counts, cuts, strict=True)) / sum(counts)
        if len(ids) == 1:
            whole[ids[0]] = mean
        for row in ids:
            if min(ids) >= FIRST:
                sums[row] = sums.get(row, 0) + mean / len(ids)
                shares[row] = shares.get(row, 0) + 1 / len(ids)
    assert len(sums) > 20
    for row, total in sums.items():
        if row not in whole:
            same(weight[row], total / shares[row])


def test_frequent_translations_count_more(request_, journey, source, tmp_path, monkeypatch):
    """Weights 1/(n √rank): of a word of two translations the row is nearer to the more frequent one's row."""
    monkeypatch.setattr("adapt.initialise.lexicon.FREQUENT", 1)
    word = next(word for word in (journey / "qab.txt").read_text().split() if len(
        [row for row in request_.tokenizer.encode(word) if row != request_.tokenizer.boundary]) == 1)
    cuts = {one: source.tokenizer.encode(one) for one in dict.fromkeys((journey / "qaa.txt").read_text().split())}
    single = sorted((one for one, cut in cuts.items() if len(cut) == 1 and cut[0] >= FIRST), key=lambda one: cuts[one][0])
    often, seldom = single[0], single[-1]
    weight = lexicon_of(request_, tmp_path / "d.tsv", [(seldom, word), (often, word)])
    row = next(row for row in request_.tokenizer.encode(word) if row != request_.tokenizer.boundary)
    (one,), (other,) = cuts[often], cuts[seldom]
    first, second = (one - FIRST + 1) ** -0.5, (other - FIRST + 1) ** -0.5
    assert first > second
    same(weight[row], (first * source.weight[one] + second * source.weight[other]) / (first + second))


@pytest.fixture
def languages(request_, source):
    """(request, how the source cuts a word); `das`, `Das` and `Haus` are one piece each, and `Haus` a part of `Hausmeister`."""
    text = ["das Haus am See und das Haus im Wald Das", "Das Haus und das"] * 60 + ["Hausmeister Seemann dasselbe"] * 3
    tokenizer = Tokenizer(train_tokenizer(text, 40))
    return replace(request_, tokenizer=tokenizer), source.tokenizer.encode


def test_a_piece_that_is_a_word_takes_that_word_alone(languages, journey, source, tmp_path):
    request, cut = languages
    house, master, other = list(dict.fromkeys((journey / "qaa.txt").read_text().split()))[:3]
    (row,) = request.tokenizer.encode("Haus")
    compound = request.tokenizer.encode("Hausmeister")
    assert row in compound and len(compound) > 1
    weight = lexicon_of(request, tmp_path / "d.tsv", [(house, "Haus"), (master, "Hausmeister"), (other, "Hausmeister")])
    same(weight[row], source.weight[cut(house)].mean(0))
    without = lexicon_of(request, tmp_path / "d.tsv", [(master, "Hausmeister")])
    same(without[row], source.weight[cut(master)].mean(0))


def test_a_word_stands_for_its_capitalised_form_unless_the_dictionary_has_that(languages, journey, source, tmp_path):
    request, cut = languages
    one, two = list(dict.fromkeys((journey / "qaa.txt").read_text().split()))[:2]
    (small,), (capital,) = request.tokenizer.encode("das"), request.tokenizer.encode("Das")
    weight = lexicon_of(request, tmp_path / "d.tsv", [(one, "das")])
    assert small != capital and torch.equal(weight[small], weight[capital])
    weight = lexicon_of(request, tmp_path / "d.tsv", [(one, "das"), (two, "Das")])
    same(weight[small], source.weight[cut(one)].mean(0))
    same(weight[capital], source.weight[cut(two)].mean(0))


def test_a_word_behind_a_boundary_of_its_own_is_a_word_by_itself(request_, journey, source, tmp_path):
    """As in languages written without spaces."""
    draw = random.Random(1)
    tokenizer = Tokenizer(train_tokenizer(["".join(draw.choices("狗猫屋好大小人天", k=30)) for _ in range(200)], 13))
    dog, kennel, other = list(dict.fromkeys((journey / "qaa.txt").read_text().split()))[:3]
    boundary, row = tokenizer.encode("狗")
    _, first, second = tokenizer.encode("狗屋")
    assert boundary == tokenizer.boundary and row == first
    pairs = [(dog, "狗"), (kennel, "狗屋"), (other, "好猫屋")]
    weight = lexicon_of(replace(request_, tokenizer=tokenizer), tmp_path / "d.tsv", pairs)
    means = [source.weight[source.tokenizer.encode(word)].mean(0) for word in (dog, kennel, other)]
    same(weight[row], means[0])
    same(weight[second], (means[1] / 2 + means[2] / 3) / (1 / 2 + 1 / 3))  # of two and three pieces, without the boundary


def test_so_is_a_capitalised_form(languages, journey, source, tmp_path):
    request, cut = languages
    word = (journey / "qaa.txt").read_text().split()[0]
    boundary, row = request.tokenizer.encode("W")
    assert boundary == request.tokenizer.boundary
    weight = lexicon_of(request, tmp_path / "d.tsv", [(word, "w")])
    same(weight[row], source.weight[cut(word)].mean(0))


def test_the_start_that_the_retrofit_page_makes(request_, journey, source, tmp_path, monkeypatch):
    """docs/retrofit.md, "How it was counted": its lines run as they stand, and give what `adapt` begins from."""
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "retrofit.md").read_text(encoding="utf-8"), re.DOTALL)
    words = [(journey / f"{one}.txt").read_text().split()[:20] for one in ("qaa", "qab")]
    weight = lexicon_of(replace(request_, seed=1), tmp_path / "en-de.tsv", [*zip(*words, strict=True)])
    for place, made in (("models/minilm/embedding", journey / "en" / "embedding"), ("data/de", journey / "data" / "qab")):
        shutil.copytree(made, tmp_path / place)
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "docs/retrofit.md", "exec"), {})
    assert torch.equal(Embedding.load("starts/de").weight, weight)


# focus

def test_focus_mixes_shared_rows_by_the_sparsemax_of_cosines(request_, source, tmp_path):
    shared = {row: old for row, old in identical(request_).items() if FIRST <= row < request_.shape[0] - 1}
    spellings = request_.tokenizer.spellings
    (one, first), (other, second) = list(shared.items())[:2]
    new = next(row for row in range(FIRST, request_.shape[0] - 1) if row not in shared)
    vectors = tmp_path / "v.vec"
    # cosines with the new piece: 1 and .6, so sparsemax (1.6 - 1) / 2 = .3 lower: .7 and .3
    vectors.write_text(f"3 2\n{spellings[one]} 2 0\n{spellings[other]} 0.6 0.8\n{spellings[new]} 1 0\n")
    weight, bias = initialise("focus", replace(request_, resources={"vectors": vectors}))
    same(weight[new], 0.7 * source.weight[first] + 0.3 * source.weight[second])
    same(bias[new], 0.7 * source.bias[first] + 0.3 * source.bias[second])
    assert torch.equal(weight[one], source.weight[first])


def test_focus_draws_pieces_without_a_vector(request_, tmp_path):
    vectors = tmp_path / "v.vec"
    vectors.write_text("nothing 1 0\n")
    shared = identical(request_)
    weight = initialise("focus", replace(request_, resources={"vectors": vectors}))[0]
    others = [row for row in range(FIRST, len(weight) - 1) if row not in shared]
    assert torch.equal(weight[others], initialise("gaussian", request_)[0][others])
