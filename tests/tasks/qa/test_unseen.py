"""Spans where SentencePiece and Python disagree about white space, and answers written in another Unicode form."""

import unicodedata

import pytest

from adapt.text.tokenizer import Tokenizer
from adapt.text.tokenizer.training import train_tokenizer
from tasks.qa.data import Answer, Question, aligned_span
from tasks.qa.features import answer_tokens
from tasks.qa.scores import mlqa_rules, score
from tasks.qa.spans import tokenize

TEXT = ["der schauspieler Mark Ruffalo spielt den grünen Mann", "die Brücke über den Fluß ist schön und für alle"]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer(train_tokenizer(TEXT * 30, 60))


@pytest.mark.parametrize("unseen", ["\u200b", "\u200c", "\u200e", "\u200f", "\ufeff", "\u061c"])
def test_the_tokens_of_an_answer_give_the_answer(tokenizer, unseen):
    text = f"der schauspieler {unseen}Mark Ruffalo{unseen} spielt"
    item = Question("q", "wer?", text, (Answer("Mark Ruffalo", text.index("Mark")),))
    context = tokenize(tokenizer, text)
    said = context.slice(*answer_tokens(item, context))
    assert said == "Mark Ruffalo"
    assert score([item], {"q": said}, mlqa_rules("de"), "de")["exact_match"] == 100


@pytest.mark.parametrize(("context", "answer"), [("NFD", "NFC"), ("NFC", "NFD"), ("NFD", "NFD"), ("NFC", "NFC")])
def test_an_answer_in_another_form_is_found_with_the_contexts_own_characters(context, answer):
    text = unicodedata.normalize(context, "Über die schöne Brücke für alle; die schöne Brücke")
    item = Question("q", "?", text, (Answer(unicodedata.normalize(answer, "schöne Brücke"), 9),))
    start, end = aligned_span(item, item.answers[0])
    assert text[start:end] == unicodedata.normalize(context, "schöne Brücke") and start < 15


def test_an_answer_that_is_nowhere_has_no_span():
    assert aligned_span(Question("q", "?", "ein Text", ()), Answer("grün", 0)) is None
