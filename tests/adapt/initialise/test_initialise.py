import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from adapt.artefacts.resources import parse_resources
from adapt.initialise import Request, check_resources, initialise, load_all, register, special_pairs
from adapt.text.tokenizer import Tokenizer
from pretrain.base.errors import UserError
from pretrain.base.vocabulary import PAD, SPECIALS

NAMES = ("random", "mean", "gaussian", "overlap")
EVERY = (*NAMES, "script", "frequency", "subword-mean", "lexicon", "focus", "wechsel", "ofa")
RESOURCES = {"lexicon": ("dictionary",), "wechsel": ("dictionary", "source_text"), "ofa": ("source_text",)}


@pytest.fixture
def request_(journey: Path, source) -> Request:
    return Request(source, Tokenizer.load(journey / "data" / "qab"), journey / "data" / "qab", seed=3)


@pytest.fixture
def resourceful(request, request_, journey, tmp_path) -> Request:
    """The request with the files that the initialiser `name` reads."""
    def words(language):
        return list(dict.fromkeys((journey / f"{language}.txt").read_text().split()))

    dictionary = tmp_path / "qaa-qab.txt"
    dictionary.write_text("".join(f"{one} {other}\n" for one, other in zip(words("qaa"), words("qab"), strict=False)))
    files = {"dictionary": dictionary, "source_text": journey / "qaa.txt"}
    return replace(request_, resources={name: files[name] for name in RESOURCES.get(request.getfixturevalue("name"), ())})


def test_the_initialisers_are_registered():
    assert set(EVERY) <= set(load_all())


@pytest.mark.parametrize("name", EVERY)
def test_same_seed_same_table_though_every_global_generator_is_disturbed(name, resourceful):
    first = initialise(name, resourceful)
    torch.manual_seed(77)
    random.seed(77)
    np.random.seed(77)
    torch.rand(5)
    second = initialise(name, resourceful)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("name", ["random", "gaussian"])
def test_another_seed_gives_another_table(name, request_):
    assert not torch.equal(initialise(name, request_)[0], initialise(name, replace(request_, seed=4))[0])


@pytest.mark.parametrize("name", EVERY)
def test_shapes_follow_the_target_tokenizer_and_the_source_width(name, resourceful):
    weight, bias = initialise(name, resourceful)
    assert weight.shape == (len(resourceful.tokenizer.vocabulary), resourceful.source.width)
    assert bias.shape == weight.shape[:1]


@pytest.mark.parametrize("name", EVERY)
def test_special_rows_are_copied_by_default(name, resourceful):
    weight, bias = initialise(name, resourceful)
    for old, new in special_pairs(resourceful.source.tokenizer, resourceful.tokenizer):
        if new != PAD:
            assert torch.equal(weight[new], resourceful.source.weight[old])
            assert bias[new] == resourceful.source.bias[old]


@pytest.mark.parametrize("name", ["random", "mean", "gaussian"])
def test_special_rows_can_be_drawn(name, request_):
    weight, _ = initialise(name, request_, special_rows="draw")
    assert not torch.equal(weight[0], request_.source.weight[0])


@pytest.mark.parametrize("name", NAMES)
def test_padding_row_is_zero(name, request_):
    assert not initialise(name, request_, special_rows="draw")[0][PAD].any()


def test_random_is_n_0_002(request_):
    weight, _ = initialise("random", request_, "draw")
    assert weight.std().item() == pytest.approx(0.02, rel=0.1)


def test_mean_rows_are_the_mean_of_ordinary_source_rows(request_):
    weight, _ = initialise("mean", request_)
    expected = request_.source.weight[len(SPECIALS):-1].mean(0)
    assert torch.allclose(weight[len(SPECIALS):-1], expected.expand(weight.size(0) - 5, -1))


def test_gaussian_has_the_sources_mean_and_spread_per_dimension(request_):
    source = request_.source
    with torch.no_grad():
        source.weight[:, 0] = source.weight[:, 0] * 40 + 9
    weight, _ = initialise("gaussian", request_)
    column, own = weight[len(SPECIALS):-1, 0], source.weight[len(SPECIALS):-1, 0]
    assert abs(column.mean() - own.mean()) < 3 * own.std() / len(column) ** 0.5  # three standard errors
    assert column.std().item() == pytest.approx(own.std().item(), rel=0.35)


def test_overlap_copies_rows_and_biases_of_shared_pieces_alone(request_):
    weight, bias = initialise("overlap", request_)
    old, new = request_.source.tokenizer.vocabulary.ids, request_.tokenizer.vocabulary.ids
    shared = [piece for piece in new if piece in old and new[piece] >= len(SPECIALS)]
    assert any("7" in piece for piece in shared)
    for piece, row in new.items():
        if row != PAD:
            copied = piece in old and torch.equal(weight[row], request_.source.weight[old[piece]])
            assert copied == (piece in old)
            if piece in old:
                assert bias[row] == request_.source.bias[old[piece]]


def test_unknown_initialiser_names_the_nearest(request_):
    with pytest.raises(UserError, match="unknown initialiser 'gausian', did you mean 'gaussian'"):
        initialise("gausian", request_)


def test_unknown_choice_for_special_rows_is_refused(request_):
    with pytest.raises(UserError, match="special-rows 'keep'"):
        initialise("random", request_, "keep")


def test_initialiser_that_returns_nan_is_refused(request_):
    @register("broken-for-test")
    def broken(request):
        return torch.full(request.shape, float("nan")), torch.zeros(request.shape[0])

    with pytest.raises(UserError, match="NaN"):
        initialise("broken-for-test", request_)


def test_a_name_can_be_taken_once():
    with pytest.raises(ValueError, match="registered twice"):
        register("random")(lambda request: request)


def test_resources_must_exist():
    with pytest.raises(UserError, match=r"--resources vectors: /nowhere\.vec does not exist"):
        parse_resources("vectors=/nowhere.vec")


def test_a_resource_that_stands_twice_is_refused_with_how_to_join(tmp_path):
    with pytest.raises(UserError, match=r"dictionary: got a\.tsv and b\.tsv, .* join them, as .*awk 1 a\.tsv b\.tsv"):
        parse_resources("dictionary=a.tsv,dictionary=b.tsv")


def test_resources_need_names():
    with pytest.raises(UserError, match="expected name=path"):
        parse_resources("/some/file")


@pytest.mark.parametrize(("name", "given", "message"), [
    ("random", ["dictionary"], "the initialiser 'random' does not read it (it reads none; lexicon, ofa, wechsel do)"),
    ("lexicon", ["dictionary", "vectors"], "resources vectors: the initialiser 'lexicon' does not read it (it reads dictionary; "
     "focus does)"),
    ("wechsel", ["source_vector"], "did you mean 'source_vectors'"),
    ("lexicon", [], "the initialiser 'lexicon' needs --resources dictionary=FILE"),
    ("wechsel", ["dictionary"], "the initialiser 'wechsel' needs --resources source_vectors=FILE or source_text=FILE"),
    ("ofa", [], "the initialiser 'ofa' needs --resources source_vectors=FILE or source_text=FILE"),
    ("wechsel", ["source_vectors", "target_vectors", "source_text"],
     "resources source_text: the initialiser 'wechsel' does not read it, as source_vectors is given; drop one"),
    ("lexikon", [], "unknown initialiser 'lexikon', did you mean 'lexicon'"),
])
def test_every_resource_is_read_and_those_needed_are_there(name, given, message):
    with pytest.raises(UserError) as caught:
        check_resources(name, given)
    assert message in str(caught.value)
