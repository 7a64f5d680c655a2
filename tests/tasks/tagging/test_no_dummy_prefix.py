"""A SentencePiece model that puts no space before a text: the words of a sentence have the pieces of the running sentence."""

import io

import pytest
import sentencepiece

from adapt.text.tokenizer import Tokenizer
from tasks.tagging.data import Sentence
from tasks.tagging.features import pieces_of_words

TEXT = ["der hund läuft durch den wald", "die katze schläft im haus", "der wald ist groß und die katze klein"]


@pytest.mark.parametrize("prefix", [True, False])
def test_pieces_equal_those_of_the_running_sentence(prefix):
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(TEXT * 20), model_writer=model, vocab_size=60,
                                             hard_vocab_limit=False, add_dummy_prefix=prefix, minloglevel=2)
    tokenizer = Tokenizer(model.getvalue())
    for text in TEXT:
        words = tuple(text.split())
        ((ids, heads),), unread = pieces_of_words(tokenizer, [Sentence(words, (0,) * len(words))], "de")
        assert ids.tolist() == tokenizer.encode(text) and len(heads) == len(words) and not unread
