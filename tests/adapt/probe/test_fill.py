"""Fillers: what the masked language model finds most probable where the text says `<mask>`."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from adapt.artefacts.assemble import assemble, assemble_pair, swap
from adapt.artefacts.embedding import Embedding
from adapt.probe.fill import fill, join, load_filler
from adapt.text.tokenizer import Tokenizer, train_tokenizer
from pretrain.artefacts.body import Body
from pretrain.base.errors import UserError
from tests.pairs import other_embedding, save_pair


@pytest.fixture(scope="module", params=["roberta", "electra"])
def loaded(request, journey, electra):
    """(masked language model, tokenizer) of either kind of body."""
    return load_filler(journey / "en" if request.param == "roberta" else electra)


@pytest.fixture(scope="module")
def lines(journey) -> list[str]:
    return (journey / "qaa.txt").read_text(encoding="utf-8").splitlines()[:30]


def hide(text: str, *words: int) -> str:
    """The text with these of its words hidden."""
    return " ".join("<mask>" if number in words else word for number, word in enumerate(text.split(" ")))


@torch.no_grad()
def direct(model, ids: list[int]) -> torch.Tensor:
    """Probabilities [T, V] from one unpadded pass."""
    return model(torch.tensor([ids]), full=True)[0].softmax(-1)


def test_fillers_are_the_models_best_at_the_mask_without_specials(loaded, lines):
    model, tokenizer = loaded
    mask = tokenizer.vocabulary.mask
    for line in lines[:6]:
        text = hide(line, 1)
        ids = [0, *tokenizer.encode_with_masks(text), 2]
        expected = direct(model, ids)[ids.index(mask), 4:mask].topk(5)
        ((found,),) = [filling.masks for filling in fill(model, tokenizer, [text])]
        assert [filler.piece for filler in found.fillers] == [tokenizer.vocabulary.symbols[i + 4] for i in expected.indices]
        torch.testing.assert_close(torch.tensor([filler.probability for filler in found.fillers]), expected.values,
                                   rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("tying", ["embedding", "none", "gdes"])
def test_generator_of_a_pair_fills(journey, tmp_path, tying):
    folder = save_pair(tmp_path / "pair", Tokenizer.load(journey / "data" / "qaa"), "qaa", tying=tying)
    model, tokenizer = load_filler(folder)
    generator = assemble_pair(Body.load(folder / "body"), Embedding.load(folder / "embedding")).generator
    ids = [0, tokenizer.vocabulary.mask, 2]
    expected = direct(generator, ids)[1, 4:-1].max(0)
    (best,) = fill(model, tokenizer, ["<mask>"], top=1)[0].masks[0].fillers
    assert best.piece == tokenizer.vocabulary.symbols[int(expected.indices) + 4]
    assert best.probability == pytest.approx(float(expected.values), rel=1e-5, abs=1e-6)


def test_specials_are_never_offered_but_count_in_the_probabilities(journey):
    model, tokenizer = load_filler(journey / "en")
    specials = [0, 1, 2, 3, tokenizer.vocabulary.mask]
    with torch.no_grad():
        model.lm_head.bias[specials] = 20.0
    (filling,) = fill(model, tokenizer, ["<mask>"], top=10_000)
    fillers = filling.masks[0].fillers
    assert len(fillers) == len(tokenizer) - len(specials) == len({filler.piece for filler in fillers})
    assert not {"<s>", "<pad>", "</s>", "<unk>", "<mask>"} & {filler.piece for filler in fillers}
    assert sum(filler.probability for filler in fillers) < 1e-3


def test_probabilities_of_all_pieces_and_specials_sum_to_one(loaded):
    model, tokenizer = loaded
    (filling,) = fill(model, tokenizer, ["<mask>"], top=10_000)
    specials = direct(model, [0, tokenizer.vocabulary.mask, 2])[1, [0, 1, 2, 3, -1]].sum()
    assert sum(filler.probability for filler in filling.masks[0].fillers) + specials == pytest.approx(1, rel=1e-5, abs=1e-5)


def test_several_masks_are_answered_in_their_order_each_seeing_the_others_hidden(loaded, lines):
    model, tokenizer = loaded
    text = hide(lines[0], 0, 2, 3)
    ids = [0, *tokenizer.encode_with_masks(text), 2]
    places = [place for place, token in enumerate(ids) if token == tokenizer.vocabulary.mask]
    best = direct(model, ids)[places, 4:-1].argmax(-1) + 4
    (filling,) = fill(model, tokenizer, [text], top=2)
    assert [mask.fillers[0].piece for mask in filling.masks] == [tokenizer.vocabulary.symbols[i] for i in best]
    assert [text[mask.start:mask.end] for mask in filling.masks] == ["<mask>"] * 3
    assert [mask.start for mask in filling.masks] == sorted({mask.start for mask in filling.masks})


def test_text_is_filled_with_the_best_of_each_mask(loaded, lines):
    model, tokenizer = loaded
    (filling,) = fill(model, tokenizer, [hide(lines[0], 1, 3)])
    text = filling.text.split("<mask>")
    expected = text[0]
    for mask, rest in zip(filling.masks, text[1:], strict=True):
        expected = join(tokenizer, expected, mask.fillers[0].piece) + rest
    assert filling.filled == expected and "<mask>" not in expected


@pytest.fixture(scope="module")
def letters() -> Tokenizer:
    """Pieces with and without a word boundary, the boundary itself, and bytes."""
    return Tokenizer(train_tokenizer(["ab ba", "a b"] * 30, 300, byte_fallback=True))


@pytest.mark.parametrize(("text", "piece", "expected"), [
    ("the ", "▁a", "the a"), ("the", "▁a", "the a"), ("the ", "a", "thea"), ("the", "a", "thea"), ("", "▁a", "a"),
    ("  ", "▁a", "  a"), ("the\t", "▁a", "the\ta"), ("", "a", "a"), ("the", "▁", "the "), ("the ", "▁", "the "),
    ("the ", "<0x41>", "theA")])
def test_the_piece_says_whether_a_word_begins(letters, text, piece, expected):
    assert join(letters, text, piece) == expected


@pytest.mark.parametrize("max_tokens", [1, 60, 100_000])
def test_neither_order_nor_batch_nor_padding_changes_a_filler(loaded, lines, max_tokens):
    model, tokenizer = loaded
    texts = [hide(line, 0, number % 4) for number, line in enumerate(lines)] + [hide(" ".join(lines[:4]), 3, 25)]
    one = fill(model, tokenizer, texts)
    two = fill(model, tokenizer, texts[::-1], max_tokens=max_tokens)[::-1]
    for a, b in zip(one, two, strict=True):
        assert a.text == b.text and a.filled == b.filled
        for left, right in zip(a.masks, b.masks, strict=True):
            assert (left.start, left.end) == (right.start, right.end)
            for x, y in zip(left.fillers, right.fillers, strict=True):
                assert x.probability == pytest.approx(y.probability, rel=1e-5, abs=1e-6)


def test_each_mask_of_a_long_text_is_filled_in_the_middle_of_its_window(loaded, lines):
    model, tokenizer = loaded
    words = " ".join(lines[:8]).split(" ")
    hidden = (0, len(words) // 2, len(words) - 1)
    text = hide(" ".join(words), *hidden)
    stream = [*tokenizer.encode_with_masks(text), 2]
    mask, room = tokenizer.vocabulary.mask, 31
    places = [place for place, token in enumerate(stream) if token == mask]
    assert len(stream) > 4 * room and len(places) == 3
    starts = [0, places[1] - room // 2, len(stream) - room]
    (filling,) = fill(model, tokenizer, [text])
    for place, start, found in zip(places, starts, filling.masks, strict=True):
        expected = direct(model, [0, *stream[start:start + room]])[place - start + 1, 4:mask].max(0)
        assert found.fillers[0].piece == tokenizer.vocabulary.symbols[int(expected.indices) + 4]
        assert found.fillers[0].probability == pytest.approx(float(expected.values), rel=1e-5, abs=1e-6)


def test_language_changes_with_the_embedding(journey, electra):
    body, source = Body.load(electra / "body"), Embedding.load(electra / "embedding")
    other = other_embedding(body, Tokenizer.load(journey / "data" / "qab"), "qab")
    pair = assemble_pair(body, source)
    swap(pair, other)
    texts = [hide(line, 1) for line in (journey / "qab.txt").read_text(encoding="utf-8").splitlines()[:5]]
    assert pair.generator is not None
    found = fill(pair.generator, other.tokenizer, texts)
    assert found == fill(assemble_pair(body, other).generator, other.tokenizer, texts)


def test_text_without_a_mask_is_refused(loaded):
    with pytest.raises(UserError, match="text 2: expected a text with <mask> in it, got 'tok'"):
        fill(*loaded, ["<mask>", "tok"])
    with pytest.raises(UserError, match=r"my.txt:1: expected a text with <mask>"):
        fill(*loaded, [""], names=["my.txt:1"])


def test_no_fillers_are_refused(loaded):
    with pytest.raises(UserError, match="expected at least 1"):
        fill(*loaded, ["<mask>"], top=0)


def test_outputs_that_are_no_numbers_are_refused(body, source):
    model = assemble(body, source)
    with torch.no_grad():
        model.lm_head.bias[7] = float("nan")
    with pytest.raises(UserError, match="NaN or infinite"):
        fill(model, source.tokenizer, ["<mask>"])


def test_pair_without_generator_is_refused(journey, tmp_path):
    folder = save_pair(tmp_path / "pair", Tokenizer.load(journey / "data" / "qaa"), "qaa", network=False)
    with pytest.raises(UserError, match=r"without a generator network.*`generator: uniform` or `unigram`"):
        load_filler(folder)


@pytest.mark.parametrize("backbone", ["roberta", "electra"])
def test_task_body_is_refused(journey, electra, tmp_path, backbone):
    folder = journey / "en" if backbone == "roberta" else electra
    body = Body.load(folder / "body")
    task = {"name": "xnli", "head": "classification", "labels": ["a", "b", "c"]}
    replace(body, lineage=body.lineage, task=task, generator=None).save(tmp_path / "task" / "body")
    with pytest.raises(UserError, match=r"is a task body \(xnli\).*generator"):
        load_filler(tmp_path / "task", folder)
