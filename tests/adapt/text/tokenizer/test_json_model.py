"""A tokenizer of the `tokenizers` library: the original's ids under our numbers, spans of the text as it was written."""

from __future__ import annotations

import gzip
import json
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st

from adapt.text.prepare import prepare
from adapt.text.tokenizer import Tokenizer
from pretrain.base.errors import UserError
from pretrain.data import MappedTokens
from tests.foreign import KINDS, SENTENCES, lines, saved

SHARED = Path(os.environ.get("RELEXIFY_SHARED", Path(__file__).resolve().parents[5] / "shared"))
ODD = "aeé ı İ ﬁ½①ёक़̣́中น้ำ👍🏽\u200d \t\n"
SPECIAL = ("[PAD]", "[unused0]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "<s>", "<pad>", "</s>", "<unk>", "<mask>")
TEXT = st.text(st.one_of(st.characters(exclude_categories=["Cs"]), st.sampled_from(ODD)), max_size=30).filter(
    lambda text: not any(token in text for token in SPECIAL))  # text is text here; the original would read them as tokens


@pytest.fixture(scope="module", params=KINDS)
def pair(request):
    """Our tokenizer and the original."""
    original = tokenizers.Tokenizer.from_str(saved(request.param).decode())
    original.no_truncation()
    original.no_padding()
    return Tokenizer(saved(request.param)), original


def check(ours: Tokenizer, original, text: str) -> None:
    """Ids are the original's, and spans walk over the text."""
    expected = original.encode(text, add_special_tokens=False).ids
    ids, spans = ours.encode_with_offsets(text)
    assert ours.encode(text) == ids
    assert [int(ours.file_ids[token]) for token in ids] == expected
    assert [start for start, _ in spans] == sorted(start for start, _ in spans)
    assert [end for _, end in spans] == sorted(end for _, end in spans)
    assert all(0 <= start <= end <= len(text) and text[start:end] == text[start:end].strip() for start, end in spans)


def test_rows_keep_our_order_and_lead_to_the_originals(pair):
    ours, original = pair
    symbols = ours.vocabulary.symbols
    assert symbols[:4] == ["<s>", "<pad>", "</s>", "<unk>"] and symbols[-1] == "<mask>"
    assert sorted(ours.file_ids.tolist()) == list(range(original.get_vocab_size()))
    assert np.all(np.diff(ours.file_ids[4:-1]) > 0)
    assert all(original.id_to_token(int(index)) == piece for index, piece in zip(ours.file_ids[4:-1], symbols[4:-1], strict=True))
    roles = [original.id_to_token(int(ours.file_ids[row])).strip("[]<>").lower() for row in (0, 1, 2, 3, len(ours) - 1)]
    assert roles in (["cls", "pad", "sep", "unk", "mask"], ["s", "pad", "/s", "unk", "mask"])


@pytest.mark.parametrize("text", [*SENTENCES, "", "  two  blanks \t and\nlines ", "cafe\u0301 İİ x", "a\u200bb"])
def test_ids_and_spans_of_many_scripts(pair, text):
    check(*pair, text)


@settings(max_examples=120, deadline=None)
@given(text=TEXT)
def test_ids_and_spans_of_any_text(pair, text):
    check(*pair, text)


@settings(max_examples=60, deadline=None)
@given(words=st.lists(st.sampled_from(" ".join(SENTENCES).split(" ")), min_size=1, max_size=6))
def test_spans_cover_every_letter_that_is_read(pair, words):
    """All but white space and marks that a normaliser drops."""
    text = "  ".join(words)
    _, spans = pair[0].encode_with_offsets(text)
    covered = {place for start, end in spans for place in range(start, end)}
    assert all(place in covered for place, letter in enumerate(text) if letter.isalnum())


def test_pieces_of_one_character_have_its_span():
    ours = Tokenizer(saved("bytes"))
    ids, spans = ours.encode_with_offsets("a 𒀀b")
    assert len(ids) > 3 and set(spans[2:-1]) == {(2, 3)} and spans[-1] == (3, 4)
    assert ours.decode(ids) == "a 𒀀b"


def test_spans_are_of_the_text_as_written_where_the_normaliser_changes_it():
    ours = Tokenizer(saved("wordpiece"))
    text = "ÜBER Naïve CAFÉ"
    ids, spans = ours.encode_with_offsets(text)
    assert ids == ours.encode("uber naive cafe")
    assert "".join(text[start:end] for start, end in spans) == "ÜBERNaïveCAFÉ"


def test_special_tokens_written_in_a_text_are_text(pair):
    ours, _ = pair
    specials = {0, 1, 2, ours.vocabulary.mask}
    assert not specials & set(ours.encode("a [CLS] <s> b </s> [SEP] <pad> [PAD] <mask> [MASK]"))


def test_text_comes_back(pair):
    ours, _ = pair
    text = "old books about rivers"
    ids = ours.encode(text)
    assert ours.decode([0, *ids, 2, 1, ours.vocabulary.mask]) == text
    with pytest.raises(UserError, match="another tokenizer"):
        ours.decode([len(ours)])


def test_a_file_that_cuts_and_pads_is_read_whole(pair):
    ours, _ = pair
    assert len(ours.encode("rivers " * 40)) >= 40
    assert [len(ids) for ids in ours.encode_batch(["", "a"])] == [0, 1] or pair[0].boundary >= 0


def test_hash_and_file_survive(pair, tmp_path):
    ours, _ = pair
    path = ours.save_in(tmp_path)
    for again in (Tokenizer.load(tmp_path), Tokenizer.load(path), pickle.loads(pickle.dumps(ours))):
        assert again.sha256 == ours.sha256 and again.model == ours.model
        assert again.encode("rivers") == ours.encode("rivers")


def test_a_mask_hides_a_word(pair):
    ours, _ = pair
    mask = ours.vocabulary.mask
    assert ours.encode_with_masks("old <mask> about") == [*ours.encode("old"), mask, *ours.encode_words(["about"])[0]]
    assert ours.encode_with_masks("<mask> <mask>") == [mask, mask]


def test_spellings_of_all_kinds_are_sentencepieces():
    for kind in KINDS:
        spellings = Tokenizer(saved(kind)).spellings
        assert "▁rivers" in spellings or "▁rivers," in spellings or "▁river" in spellings or "▁r" in spellings, kind
        assert not any(piece.startswith(("##", "Ġ")) for piece in spellings), kind


def test_words_stand_as_inside_a_text(pair):
    ours, _ = pair
    text = ours.encode("x old books about")
    assert text[len(ours.encode("x")):] == [token for word in ours.encode_words(["old", "books", "about"]) for token in word]


def test_the_piece_inside_a_word():
    wordpiece = Tokenizer(saved("wordpiece"))
    ids = wordpiece.vocabulary.ids
    assert wordpiece.inside[ids["r"]] == ids["##r"]
    assert not {ids["书"], ids[","]} & set(wordpiece.inside)  # always words of their own
    bytes_ = Tokenizer(saved("bytes"))
    assert bytes_.inside[bytes_.vocabulary.ids["Ġr"]] == bytes_.vocabulary.ids["r"]
    assert bytes_.vocabulary.symbols[bytes_.boundary] == "Ġ"


@pytest.mark.parametrize("kind", ["wordpiece", "bytes", "unigram"])
def test_prepare_takes_the_file(kind, tmp_path):
    (tmp_path / "text.txt").write_text("\n".join(lines(60)) + "\n", encoding="utf-8")
    (tmp_path / "t.json").write_bytes(saved(kind))
    record = prepare([tmp_path / "text.txt"], "mul", tmp_path / "data", tokenizer=tmp_path / "t.json", valid_documents=3,
                     documents="line", workers=1, progress=False)
    ours = Tokenizer.load(tmp_path / "data")
    assert record["vocabulary"]["tokenizer_sha256"] == ours.sha256
    assert (tmp_path / "data" / "tokenizer.json").is_file() and not (tmp_path / "data" / "tokenizer.model").exists()
    found = MappedTokens(tmp_path / "data" / "valid")
    found.check_ids(len(ours))
    expected = {tuple([*ours.encode(line), 2]) for line in lines(60)}
    assert all(tuple(np.asarray(found[number]).tolist()) in expected for number in range(len(found)))


@pytest.mark.parametrize(("content", "message"), [
    (b"{", "not valid JSON"),
    (b"{}", "expected a tokenizer.json"),
    (b'{"model": {"type": "Strange"}}', "does not read"),
    (b'{"model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 9, '
     b'"vocab": {"[UNK]": 0}}}', "without a piece"),
])
def test_what_is_no_tokenizer_is_refused(tmp_path, content, message):
    (tmp_path / "tokenizer.json").write_bytes(content)
    with pytest.raises(UserError, match=message) as caught:
        Tokenizer.load(tmp_path)
    assert "\n" not in str(caught.value) and "tokenizer.json" in str(caught.value)


@pytest.mark.realdata
@pytest.mark.slow
@pytest.mark.parametrize("path", sorted((SHARED / "data" / "text").glob("*.txt.gz")) or [None], ids=str)
def test_ids_on_real_text(pair, path):
    if path is None:
        pytest.skip("no ../shared/data/text")
    with gzip.open(path, "rt", encoding="utf-8") as file:
        text = [line.rstrip("\n") for number, line in zip(range(6000), file, strict=False) if number % 40 == 0 and line.strip()]
    for line in text:
        check(*pair, line)


def test_the_saved_file_says_which_token_is_which():
    assert json.loads(Tokenizer(saved("wordpiece")).model)["relexify"] == {
        "<s>": "[CLS]", "<pad>": "[PAD]", "</s>": "[SEP]", "<unk>": "[UNK]", "<mask>": "[MASK]"}
