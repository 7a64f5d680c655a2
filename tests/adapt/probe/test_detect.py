"""Replaced-token probabilities: those of the discriminator, one for each token, whatever stands beside it in a batch."""

from __future__ import annotations

import unicodedata
from dataclasses import replace

import pytest
import torch

from adapt.artefacts.assemble import assemble, assemble_pair, swap
from adapt.artefacts.embedding import Embedding
from adapt.probe.detect import detect, load_detector
from adapt.text.tokenizer import Tokenizer, train_tokenizer
from pretrain.artefacts.body import Body
from pretrain.base.errors import UserError
from tests.pairs import other_embedding, random_pair

SCRIPTS = {
    "arabic": "قَرَأَ الولدُ كتابًا جديدًا",  # with vowel signs, which are combining marks
    "han": "孩子在学校读了一本关于河流的新书",
    "decomposed": unicodedata.normalize("NFD", "Très naïve, über café ở Huế"),
    "devanagari": "बच्चे ने नदी के बारे में किताब पढ़ी",
}


@pytest.fixture(scope="module")
def model(electra):
    return load_detector(electra)[0]


@pytest.fixture(scope="module")
def tokenizer(electra) -> Tokenizer:
    return load_detector(electra)[1]


@pytest.fixture(scope="module")
def lines(journey) -> list[str]:
    return (journey / "qaa.txt").read_text(encoding="utf-8").splitlines()[:30]


def probabilities(detection) -> torch.Tensor:
    return torch.tensor([token.probability for token in detection.tokens])


@torch.no_grad()
def direct(model, ids: list[int]) -> torch.Tensor:
    """Probability of each input token, from one unpadded pass."""
    return model.detect(torch.tensor([ids]), full=True)[0].sigmoid()


def test_probabilities_are_those_of_the_trained_pair_on_the_same_ids(electra, tokenizer, lines):
    pair = assemble_pair(Body.load(electra / "body"), Embedding.load(electra / "embedding"))
    for found in detect(pair, tokenizer, lines[:5]):
        expected = direct(pair, [0, *tokenizer.encode(found.text), 2])[1:-1]
        torch.testing.assert_close(probabilities(found), expected, rtol=1e-5, atol=1e-6)
        assert expected.std() > 0.01


def test_discriminator_without_its_generator_answers_as_the_pair(electra, tokenizer, model, lines):
    pair = assemble_pair(Body.load(electra / "body"), Embedding.load(electra / "embedding"))
    assert detect(model, tokenizer, lines[:5]) == detect(pair, tokenizer, lines[:5])


@pytest.mark.parametrize("max_tokens", [1, 60, 100_000])
def test_neither_order_nor_batch_nor_padding_changes_a_probability(model, tokenizer, lines, max_tokens):
    texts = [*lines, " ".join(lines[:4])]
    one = detect(model, tokenizer, texts)
    two = detect(model, tokenizer, texts[::-1], max_tokens=max_tokens)[::-1]
    assert [found.text for found in two] == texts
    for a, b in zip(one, two, strict=True):
        torch.testing.assert_close(probabilities(a), probabilities(b), rtol=1e-5, atol=1e-6)


def test_dropout_is_off(electra, tokenizer, lines):
    model = assemble(Body.load(electra / "body"), Embedding.load(electra / "embedding"))
    assert detect(model, tokenizer, lines[:3]) == detect(model, tokenizer, lines[:3])


def test_tokens_of_a_long_text_are_judged_once_where_most_context_stands(model, tokenizer, lines):
    text = " ".join(lines[:8])
    stream = [*tokenizer.encode(text), 2]
    room = 31
    assert len(stream) > 4 * room
    starts = [0]
    while starts[-1] + room < len(stream):
        starts.append(starts[-1] + room // 2)
    scores = [direct(model, [0, *stream[start:start + room]])[1:] for start in starts]
    expected = []
    for place in range(len(stream) - 1):
        holding = [(min(place - start, min(start + room, len(stream)) - 1 - place), number)
                   for number, start in enumerate(starts) if start <= place < start + room]
        most = max(context for context, _ in holding)
        expected.append([float(scores[number][place - starts[number]]) for context, number in holding if context == most])
    (found,) = detect(model, tokenizer, [text])
    assert len(found.tokens) == len(expected)
    for token, allowed in zip(found.tokens, expected, strict=True):  # two windows may show equally much
        assert min(abs(token.probability - value) for value in allowed) < 1e-6


def test_short_and_long_texts_side_by_side(model, tokenizer, lines):
    texts = [lines[0], " ".join(lines[:8]), lines[1]]
    together = detect(model, tokenizer, texts)
    for text, found in zip(texts, together, strict=True):
        (alone,) = detect(model, tokenizer, [text])
        torch.testing.assert_close(probabilities(found), probabilities(alone), rtol=1e-5, atol=1e-6)


def test_language_changes_with_the_embedding(journey, electra, lines):
    body = Body.load(electra / "body")
    other = Tokenizer.load(journey / "data" / "qab")
    embedding = other_embedding(body, other, "qab")
    texts = (journey / "qab.txt").read_text(encoding="utf-8").splitlines()[:5]
    model = assemble(body, Embedding.load(electra / "embedding"))
    before = detect(model, Embedding.load(electra / "embedding").tokenizer, lines[:5])
    swap(model, embedding)
    assert detect(model, other, texts) == detect(assemble(body, embedding), other, texts)
    swap(model, Embedding.load(electra / "embedding"))
    assert detect(model, Embedding.load(electra / "embedding").tokenizer, lines[:5]) == before


@pytest.mark.parametrize("script", SCRIPTS)
def test_places_are_characters_of_the_original_text(script):
    written = SCRIPTS[script]
    own = Tokenizer(train_tokenizer([written, *written.split()] * 20, 60))
    text = f"  {written}\t {written}"
    (found,) = detect(random_pair(len(own)).eval(), own, [text])
    covered = set()
    for token in found.tokens:
        assert token.text == text[token.start:token.end]
        covered.update(range(token.start, token.end))
    assert covered == {i for i, letter in enumerate(text) if not letter.isspace()}
    assert [own.vocabulary.ids[token.piece] for token in found.tokens] == own.encode(text)


def test_mask_written_in_a_text_is_ordinary_text(model, tokenizer):
    (found,) = detect(model, tokenizer, ["a <mask>"])
    assert "<mask>" not in {token.piece for token in found.tokens}


@pytest.mark.parametrize("text", ["", "  ", "\u0007"])
def test_text_without_a_token_is_refused(model, tokenizer, text):
    with pytest.raises(UserError, match="text 2: expected a text, got one without a token"):
        detect(model, tokenizer, ["a", text])
    with pytest.raises(UserError, match=r"my.txt:7: expected a text"):
        detect(model, tokenizer, ["a", text], names=["my.txt:6", "my.txt:7"])


def test_no_texts_give_no_results(model, tokenizer):
    assert detect(model, tokenizer, []) == []


def test_outputs_that_are_no_numbers_are_refused(electra, tokenizer):
    model = assemble(Body.load(electra / "body"), Embedding.load(electra / "embedding"))
    with torch.no_grad():
        model.rtd_head.out.bias.fill_(float("nan"))
    with pytest.raises(UserError, match="NaN or infinite"):
        detect(model, tokenizer, ["a"])


def test_roberta_body_is_refused(journey):
    with pytest.raises(UserError, match=r"is a RoBERTa body, which has no replaced-token head"):
        load_detector(journey / "en")


def test_task_body_is_refused(electra, tmp_path):
    body = Body.load(electra / "body")
    task = {"name": "xnli", "head": "classification", "labels": ["a", "b", "c"]}
    task_body = replace(body, lineage=body.lineage, task=task, generator=None)
    task_body.save(tmp_path / "task" / "body")
    with pytest.raises(UserError, match=r"is a task body \(xnli\).*name the pre-trained body"):
        load_detector(tmp_path / "task", electra)


def test_missing_embedding_is_named(electra, tmp_path):
    Body.load(electra / "body").save(tmp_path / "alone")
    with pytest.raises(UserError, match="no embedding in or beside this body"):
        load_detector(tmp_path / "alone")
