"""Which language a text is in: scripts first, then the cost of the text under each embedding."""

from __future__ import annotations

import math
from collections import Counter

import pytest
import torch

from adapt.artefacts.assemble import assemble, swap
from adapt.artefacts.embedding import Embedding
from adapt.probe.language import bits_per_character, candidates, guess, script_of, writes
from adapt.text.tokenizer import Tokenizer, train_tokenizer
from pretrain.base.errors import UserError
from tests.pairs import other_embedding

DUTCH = ["de kat zit op de mat en kijkt naar de hond", "het huis is groot en de tuin is mooi", "wij gaan naar de zee"]
WELSH = ["mae'r gath yn eistedd ar y mat", "mae'r tŷ yn fawr a'r ardd yn hardd", "rydym ni'n mynd i'r môr"]


def frequent(body, texts: list[str], language: str) -> Embedding:
    """An embedding that knows nothing but how frequent each piece is in its texts: rows of zeros, log frequencies as bias."""
    tokenizer = Tokenizer(train_tokenizer(texts * 20, 60, model_type="bpe"))
    counts = Counter(token for text in texts for token in tokenizer.encode(text))
    bias = torch.tensor([math.log(counts[token] + 0.01) for token in range(len(tokenizer))])
    return other_embedding(body, tokenizer, language, torch.zeros(len(tokenizer), body.config.embedding_width), bias)


def test_script_of_letters_only():
    assert [script_of(char) for char in "aж中かกا1 !"] == ["LATIN", "CYRILLIC", "CJK", "HIRAGANA", "THAI", "ARABIC", "", "", ""]


def test_candidates_are_those_that_write_the_commonest_script():
    scripts = {"en": frozenset({"LATIN"}), "ru": frozenset({"CYRILLIC"}), "bg": frozenset({"CYRILLIC"})}
    assert candidates("дом stands here дома дому домой", scripts) == ["ru", "bg"]
    assert candidates("the дом of ours", scripts) == ["en"]
    assert candidates("ไทย", scripts) == ["en", "ru", "bg"]  # nobody writes it: the model has to say
    assert candidates("12:30 !", scripts) == ["en", "ru", "bg"]


def test_the_script_decides_without_the_model(journey, body, source):
    tokenizer = Tokenizer.load(journey / "data" / "qab")
    other = other_embedding(body, tokenizer, "qab")
    assert writes(source.tokenizer) == {"LATIN"} and writes(tokenizer) == {"CYRILLIC"}
    assert guess({"qaa": source, "qab": other}, ["eik 7 !", "еик 7 !", "рос"]) == ["qaa", "qab", "qab"]


def test_of_one_script_the_cheaper_embedding_is_chosen(body):
    embeddings = {"nl": frequent(body, DUTCH, "nl"), "cy": frequent(body, WELSH, "cy")}
    model = assemble(body, embeddings["nl"])
    texts = [text for pair in zip(DUTCH, WELSH, strict=True) for text in pair]
    assert guess(embeddings, texts, model) == ["nl", "cy"] * 3
    assert guess(dict(reversed(embeddings.items())), texts, model) == ["nl", "cy"] * 3


def test_without_a_model_the_vocabulary_decides(body):
    embeddings = {"nl": frequent(body, DUTCH, "nl"), "cy": frequent(body, WELSH, "cy")}
    texts = [text for pair in zip(DUTCH, WELSH, strict=True) for text in pair]
    assert guess(embeddings, texts) == ["nl", "cy"] * 3


def test_whoever_puts_embeddings_in_is_asked_to(body):
    embeddings = {"nl": frequent(body, DUTCH, "nl"), "cy": frequent(body, WELSH, "cy")}
    model, seen = assemble(body, embeddings["nl"]), []

    def put(embedding):
        seen.append(embedding.language)
        swap(model, embedding)

    assert guess(embeddings, DUTCH[:1], model, put) == ["nl"]
    assert seen == ["nl", "cy"]


@torch.no_grad()
def test_bits_are_those_of_hiding_every_seventh_token(body, source):
    model, text = assemble(body, source), "eik tas mopr eik 7 ! kost tim"
    ids = source.tokenizer.encode(text)
    row = torch.tensor([[0, *ids, 2]])
    bits = 0.0
    for first in range(min(7, len(ids))):
        changed = row.clone()
        changed[0, first + 1:len(ids) + 1:7] = source.tokenizer.vocabulary.mask
        log2 = model(changed, full=True)[0].log_softmax(-1) / math.log(2)
        bits -= sum(float(log2[place, row[0, place]]) for place in range(first + 1, len(ids) + 1, 7))
    assert 3 not in ids
    assert bits_per_character(model, source.tokenizer, [text])[0] == pytest.approx(bits / len(text), rel=1e-4)


def test_a_text_without_a_token_costs_infinitely_much_and_still_gets_a_language(body, source):
    model = assemble(body, source)
    assert bits_per_character(model, source.tokenizer, ["", "eik"])[0] == math.inf
    assert guess({"qaa": source}, [""], model) == ["qaa"]


def test_no_embedding_is_a_mistake(body, source):
    with pytest.raises(UserError, match="no embedding"):
        guess({}, ["eik"], assemble(body, source))
