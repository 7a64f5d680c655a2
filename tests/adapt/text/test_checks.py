"""Shares of tokens, and dictionaries that are read back."""

import io
import logging
import re

import pytest

from adapt.text.checks import check_cut, check_dictionary, check_held_out, check_unknown
from adapt.text.prepare import prepare
from adapt.text.tokenizer import Tokenizer
from pretrain.base.errors import UserError
from pretrain.base.vocabulary import Vocabulary


def lines(count):
    return "".join(f"ein kurzer Satz mit der Nummer {number}\n" for number in range(count))


def tokenizer(*symbols):
    import sentencepiece

    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines(200).split("\n")), model_writer=model, vocab_size=60, hard_vocab_limit=False, minloglevel=2,
        user_defined_symbols=list(symbols), normalization_rule_name="identity")
    return model.getvalue()


@pytest.mark.parametrize("piece", ["\n", "a\nb", "\r"])
def test_pieces_that_break_a_dictionary_are_refused(tmp_path, piece):
    (tmp_path / "odd.model").write_bytes(tokenizer(piece))
    (tmp_path / "t.txt").write_text(lines(50))
    with pytest.raises(UserError, match="holds a line break or nothing") as caught:
        prepare([tmp_path / "t.txt"], "de", tmp_path / "o", tokenizer=tmp_path / "odd.model")
    assert "\n" not in str(caught.value) and "odd.model" in str(caught.value)
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize("piece", ["\t", "a b", "#fairseq:overwrite"])
def test_odd_pieces_that_a_dictionary_holds(tmp_path, piece):
    given = Tokenizer(tokenizer(piece))
    check_dictionary(given, tmp_path / "dict.txt")
    assert Vocabulary.load(tmp_path / "dict.txt").symbols == given.vocabulary.symbols


def test_next_to_nothing_left_to_train_on(tmp_path):
    sizes = (10, 10, 2380)
    texts = ["\n\n".join([lines(size) for size in sizes[shift:] + sizes[:shift]]) for shift in range(3)]
    refused = 0
    for number, text in enumerate(texts):  # the large document is held out in one of the three orders
        (tmp_path / f"{number}.txt").write_text(text)
        try:
            record = prepare([tmp_path / f"{number}.txt"], "de", tmp_path / f"o{number}", vocab_size=60)
            assert record["splits"]["valid"]["tokens"] < 0.03 * record["splits"]["train"]["tokens"]
        except UserError as error:
            refused += 1
            assert "left to train on" in str(error) and not (tmp_path / f"o{number}").exists()
    assert refused == 1


def test_usual_texts_say_nothing(tmp_path, caplog):
    (tmp_path / "t.txt").write_text(lines(1000))
    prepare([tmp_path / "t.txt"], "de", tmp_path / "o", vocab_size=60)
    assert not caplog.records


@pytest.mark.parametrize(("train", "valid", "wanted", "refused"), [
    (990, 10, 0.01, False), (500, 500, 0.01, False), (99, 901, 0.01, True), (99, 901, 0.9, False), (5, 716_635, 0.01, True),
    (689, 135_530, 2 / 3, True), (300, 700, 2 / 3, False), (40, 960, 0.9, True)])
def test_what_is_left_to_train_on(train, valid, wanted, refused):
    if refused:
        with pytest.raises(UserError, match=f"and {train} left to train on"):
            check_held_out(train, valid, wanted)
    else:
        check_held_out(train, valid, wanted)


def test_three_documents_of_which_two_are_asked_for(tmp_path, caplog):
    """Whichever two are held out: nothing is said where the long one is left, and the rest is refused."""
    text = "\n\n".join(map(lines, (10, 10, 2380)))
    (tmp_path / "t.txt").write_text(text)
    refused = 0
    for seed in range(6):
        try:
            record = prepare([tmp_path / "t.txt"], "de", tmp_path / f"o{seed}", vocab_size=60, documents="blank",
                             valid_documents=2, seed=seed)
            assert record["splits"]["train"]["tokens"] > 50 * record["splits"]["valid"]["tokens"]
        except UserError as error:
            refused += 1
            assert "though 66.7 % of the documents were asked for: documents differ" in str(error)
    assert 0 < refused < 6 and not caplog.records


@pytest.mark.parametrize(("train", "valid", "wanted", "warned"), [
    (990, 10, 0.01, False), (940, 60, 0.01, True), (940, 60, 0.03, False), (300, 700, 0.2, True), (150, 850, 0.5, True)])
def test_what_is_warned_of(train, valid, wanted, warned, caplog):
    check_held_out(train, valid, wanted)
    assert bool(caplog.records) == warned


def test_a_training_part_that_was_cut_is_not_taken_for_long_documents(tmp_path, caplog):
    (tmp_path / "t.txt").write_text(lines(3000))
    record = prepare([tmp_path / "t.txt"], "de", tmp_path / "o", vocab_size=60, tokens=2000)
    train, valid = (record["splits"][name]["documents"] for name in ("train", "valid"))
    (said,) = [one.getMessage() for one in caplog.records]
    assert f"--tokens cut the training part to {train} documents, and 1 % of the whole text's, {valid}, are held out" in said
    fewer = re.search(r"--valid-documents (\d+)", said)
    assert fewer and "--documents line" not in said
    caplog.clear()
    prepare([tmp_path / "t.txt"], "de", tmp_path / "p", vocab_size=60, tokens=2000, valid_documents=int(fewer[1]))
    assert not caplog.records


def test_long_documents_are_told_of_though_the_training_part_was_cut(caplog):
    assert not check_cut((99, 1), (1000, 1000), 0.01, True) and check_cut((99, 1), (990, 10), 0.01, True)
    assert not caplog.records


@pytest.mark.parametrize(("text", "more", "advice"), [
    ("one line alone\n", {}, "pass more text, or break it into lines"),
    ("one line\nand another\n", {"documents": "blank"}, "pass more text, or --documents line to count each line as one"),
    ('{"text": "a record\\nof two lines"}\n', {}, "pass more text, or break it into lines")])
def test_a_text_of_one_document_is_given_advice_that_helps(text, more, advice, tmp_path, tokenized):
    (tmp_path / "t.txt").write_text(text)
    with pytest.raises(UserError, match=f"the text has 1 document, expected at least 2 .*{advice}$"):
        prepare([tmp_path / "t.txt"], "de", tmp_path / "o", tokenizer=tokenized, **more)


@pytest.fixture
def tokenized(tmp_path):
    (tmp_path / "m.model").write_bytes(tokenizer())
    return tmp_path / "m.model"


def test_unknown_tokens(caplog):
    with caplog.at_level(logging.WARNING):
        check_unknown(29, 1000)
        assert not caplog.records
        check_unknown(40, 1000)
    assert "4.0 % of the training tokens are <unk>" in caplog.text
