"""Texts that public reports were about: few documents, nested records, a hub's second shard, a tokenizer with a line break."""

from __future__ import annotations

import json

import pytest
import sentencepiece.sentencepiece_model_pb2 as schema

from adapt.text.corpus import Corpus
from adapt.text.prepare import prepare
from adapt.text.tokenizer import train_tokenizer
from pretrain.base.errors import UserError
from recipes.cli import main

LINES = [f"a line of text number {number} with some words" for number in range(400)]


def test_one_stray_blank_line_is_warned_of(tmp_path, capsys):
    (tmp_path / "stray.txt").write_text("\n".join([*LINES[:200], "", *LINES[200:]]) + "\n")
    words = ["prepare", str(tmp_path / "stray.txt"), "--language", "en", "--vocab-size", "60", "--output"]
    assert main([*words, str(tmp_path / "a")]) == 0
    said = capsys.readouterr().err
    assert "warning:" in said and "% of the tokens are held out" in said and "--documents line" in said
    assert main([*words, str(tmp_path / "b"), "--documents", "line"]) == 0
    assert "warning:" not in capsys.readouterr().err


def test_a_field_inside_a_field(tmp_path):
    (tmp_path / "nested.jsonl").write_text("".join(json.dumps({"doc": {"text": line}}) + "\n" for line in LINES[:5]))
    assert list(Corpus([tmp_path / "nested.jsonl"], text_field="doc.text")) == [[line] for line in LINES[:5]]
    (tmp_path / "dot.jsonl").write_text(json.dumps({"doc.text": "a field of that name"}) + "\n")
    assert list(Corpus([tmp_path / "dot.jsonl"], text_field="doc.text")) == [["a field of that name"]]
    with pytest.raises(UserError, match="expected the field"):
        list(Corpus([tmp_path / "nested.jsonl"], text_field="doc.body"))


def test_a_second_shard_that_cannot_be_read_is_one_line(monkeypatch):
    def records():
        yield {"text": LINES[0]}
        raise ValueError("Couldn't cast array\nwith a long explanation")

    monkeypatch.setattr("datasets.load_dataset", lambda *args, **more: records())
    with pytest.raises(UserError, match="could not read on after record 1") as caught:
        list(Corpus(["hf:some/data"]))
    assert "\n" not in str(caught.value)


def test_a_piece_with_a_line_break_is_refused_before_anything_is_written(tmp_path):
    model = schema.ModelProto.FromString(train_tokenizer(LINES, 40))
    model.pieces[-1].piece = "a\n"
    (tmp_path / "broken.model").write_bytes(model.SerializeToString())
    (tmp_path / "text.txt").write_text("\n".join(LINES))
    with pytest.raises(UserError, match=r"its piece 'a\\n' holds a line break"):
        prepare([tmp_path / "text.txt"], "en", tmp_path / "out", tokenizer=tmp_path / "broken.model")
    assert not (tmp_path / "out").exists()


def test_sentencepieces_own_bound_of_coverage_is_named(tmp_path, capsys):
    (tmp_path / "text.txt").write_text("\n".join(LINES))
    assert main(["prepare", str(tmp_path / "text.txt"), "--language", "en", "--output", str(tmp_path / "out"),
                 "--character-coverage", "0.95"]) == 2
    assert "0.98" in capsys.readouterr().err


def test_a_tag_of_universal_dependencies_1_is_told_its_new_name(tmp_path):
    from tasks.tagging.udpos import UDPOS

    (tmp_path / "dev-en.tsv").write_text("and\tCONJ\n\n")
    with pytest.raises(UserError, match="Universal Dependencies 2 calls it CCONJ"):
        UDPOS.read(tmp_path, "dev", "en")


def test_records_without_text_are_refused_or_left_out_and_counted(tmp_path, capsys):
    rows = [{"text": line} for line in LINES] + [{"text": None}, {"text": " "}]
    (tmp_path / "null.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    words = ["prepare", str(tmp_path / "null.jsonl"), "--language", "en", "--vocab-size", "60", "--output", str(tmp_path / "out")]
    assert main(words) == 2
    assert "leave such records out with --skip-empty" in capsys.readouterr().err
    assert main([*words, "--skip-empty"]) == 0
    assert "note: 2 records had no text and were left out" in capsys.readouterr().err


@pytest.mark.parametrize(("rule", "joined"), [("nmt_nfkc", False), ("identity", True)])
def test_the_normalisation_of_a_tokenizer_can_be_chosen(rule, joined, tmp_path):
    from adapt.text.tokenizer import Tokenizer

    text = "\u0645\u06cc\u200c\u0631\u0648\u0645 \u200c \u0645\u06cc\u200c\u0631\u0648\u062f"
    tokenizer = Tokenizer(train_tokenizer([text] * 50, 30, character_coverage=1.0, normalisation=rule))
    assert ("\u200c" in "".join(tokenizer.vocabulary.pieces)) is joined
