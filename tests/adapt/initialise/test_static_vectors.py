"""Static vectors: from text, from files, in one space; and the two initialisers that stand on them."""

import gzip
import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from adapt.initialise import Request, initialise
from adapt.initialise.mixtures import identical
from adapt.initialise.static_vectors import FEWEST, aligned_piece_vectors, of_pieces, read_vectors, vectors_from
from adapt.initialise.texts import numbered, words_of
from adapt.text.tokenizer import Tokenizer
from pretrain.base.errors import UserError
from pretrain.base.vocabulary import SPECIALS

FIRST = len(SPECIALS)


@pytest.fixture
def request_(journey, source) -> Request:
    return Request(source, Tokenizer.load(journey / "data" / "qab"), journey / "data" / "qab", seed=3)


def words(journey, code):
    return list(dict.fromkeys((journey / f"{code}.txt").read_text().split()))[:40]


@pytest.fixture
def spaces(journey, tmp_path):
    """Vectors of both languages' words, those of translations equal; the target's space turned; and the dictionary."""
    draw = np.random.default_rng(5)
    vectors = draw.normal(size=(40, 6))
    turn, _ = np.linalg.qr(draw.normal(size=(6, 6)))
    source, target = words(journey, "qaa"), words(journey, "qab")

    def write(name, names, table):
        path = tmp_path / name
        path.write_text("".join(f"{word} {' '.join(map(str, row))}\n" for word, row in zip(names, table, strict=True)))
        return path

    dictionary = tmp_path / "d.txt"
    dictionary.write_text("".join(f"{one} {other}\n" for one, other in zip(source, target, strict=True)))
    return {"source_vectors": write("s.vec", source, vectors), "turned": write("t.vec", target, vectors @ turn),
            "equal": write("e.vec", target, vectors), "dictionary": dictionary}


def test_words_of_the_same_surroundings_are_alike():
    # 0 and 1 stand in the same places, 2 and 3 in others.
    draw = np.random.default_rng(1)
    sequences = [np.array([4, draw.integers(0, 2), 5]) if draw.random() < 0.5 else np.array([6, draw.integers(2, 4), 7])
                 for _ in range(400)]
    vectors = vectors_from(sequences, 8)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines = unit @ unit.T
    assert cosines[0, 1] > 0.8 > 0.3 > abs(cosines[0, 2]) and cosines[2, 3] > 0.8


def test_the_same_text_gives_the_same_vectors_by_either_decomposition():
    draw = np.random.default_rng(2)
    for size in (30, 500):
        sequences = [draw.integers(0, size, 20) for _ in range(300)]
        first, second = vectors_from(sequences, size), vectors_from(sequences, size)
        assert first.shape == (size, min(100, size - 1)) and np.array_equal(first, second)


@pytest.mark.parametrize(("text", "expected"), [
    ("यह किताब अच्छी है, नहीं?", ["यह", "किताब", "अच्छी", "है", "नहीं"]), ("கணினி.", ["கணினி"]), ("أيضًا، نعم", ["أيضًا", "نعم"]),
    ("cafe\u0301 don’t (mother-in-law) \u0301b", ["cafe\u0301", "don’t", "mother-in-law", "b"]),
    ("می\u200cخواهم", ["می\u200cخواهم"])], ids=["Hindi", "Tamil", "Arabic", "accents and hyphens", "Persian"])
def test_a_word_keeps_its_vowel_signs_and_joiners(text, expected):
    assert list(words_of([text])) == [expected]


def test_words_are_numbered_by_frequency_and_rare_ones_left_out():
    text = words_of(["b a, b!", "c a b-d's", "never read"])
    words, counts, sequences = numbered(text, most=2, fewest=2, length=6)
    assert words == ["b", "a"] and counts.tolist() == [2, 2]
    assert [each.tolist() for each in sequences] == [[0, 1, 0], [-1, 1, -1]]


def test_surroundings_end_with_the_sequence():
    together, apart = [np.array([0, 1] * 3)], [np.array([0]), np.array([1])] * 3
    assert vectors_from(together, 2).any() and not vectors_from(apart, 2).any()


def test_a_pieces_vector_is_the_mean_of_its_words_by_count(request_, journey):
    names = words(journey, "qab")[:2]
    tokenizer = request_.tokenizer
    vectors = of_pieces(tokenizer, names, np.eye(2), np.array([3.0, 1.0]))
    first, second = (set(ids) for ids in tokenizer.encode_words(names))
    for row in first - second:
        assert vectors[row].tolist() == [1, 0]
    for row in first & second:
        assert vectors[row] == pytest.approx([0.75, 0.25], rel=1e-9)
    assert not vectors[sorted(set(range(len(tokenizer))) - first - second)].any()


def test_a_dictionary_turns_one_space_into_the_other(request_, spaces):
    aligned = {"source_vectors": spaces["source_vectors"], "target_vectors": spaces["equal"]}
    turned = {**aligned, "target_vectors": spaces["turned"], "dictionary": spaces["dictionary"]}
    target, source = aligned_piece_vectors(replace(request_, resources=turned))
    plain_target, plain_source = aligned_piece_vectors(replace(request_, resources=aligned))
    assert target @ source.T == pytest.approx(plain_target @ plain_source.T, rel=1e-6, abs=1e-9)


def test_wechsel_gives_a_whole_word_most_of_its_translations_row(request_, spaces, source):
    given = {"source_vectors": spaces["source_vectors"], "target_vectors": spaces["turned"], "dictionary": spaces["dictionary"]}
    request = replace(request_, resources=given)
    weight, _ = initialise("wechsel", request)
    target, theirs = aligned_piece_vectors(request)
    rows = [row for row in range(FIRST, len(target) - 1) if target[row].any()]
    olds = [old for old in range(FIRST, len(theirs) - 1) if theirs[old].any()]
    assert len(rows) > 20
    for row in rows:  # the ten nearest, softmax(cosine / .1), spelt out
        cosines = sorted(((float(target[row] @ theirs[old] / np.linalg.norm(target[row]) / np.linalg.norm(theirs[old])), -old)
                          for old in olds), reverse=True)[:10]
        raised = np.exp(np.array([cosine for cosine, _ in cosines]) / 0.1)
        expected = sum(float(share) * source.weight[-old] for share, (_, old) in zip(raised / raised.sum(), cosines, strict=True))
        assert torch.allclose(weight[row], expected, rtol=1e-4, atol=1e-6)


def test_ofa_copies_and_mixes_in_the_coordinates_of_a_table_of_low_rank(request_, spaces, source):
    rank = source.width // 2
    with torch.no_grad():
        draw = torch.Generator().manual_seed(1)
        source.weight[FIRST:-1] = torch.randn(len(source.weight) - FIRST - 1, rank, generator=draw) @ torch.randn(
            rank, source.width, generator=draw)
    given = {"source_vectors": spaces["source_vectors"], "target_vectors": spaces["equal"]}
    request = replace(request_, resources=given)
    ofa, wechsel = initialise("ofa", request)[0], initialise("wechsel", request)[0]
    shared = identical(request)
    target, _ = aligned_piece_vectors(request)
    for row in range(FIRST, len(target) - 1):
        if row in shared:
            assert torch.allclose(ofa[row], source.weight[shared[row]], rtol=1e-4, atol=1e-5)
        elif target[row].any():
            assert torch.allclose(ofa[row], wechsel[row], rtol=1e-4, atol=1e-5)


def test_ofa_keeps_half_the_width_of_a_full_table(request_, spaces):
    given = {"source_vectors": spaces["source_vectors"], "target_vectors": spaces["equal"]}
    weight = initialise("ofa", replace(request_, resources=given))[0][FIRST:-1]
    assert torch.linalg.matrix_rank(weight.double(), rtol=1e-4) == request_.source.width // 2


@pytest.mark.parametrize(("text", "message"), [
    ("a 1 2\nb 1\n", "v.vec:2: expected 2 finite numbers as before, got 1 after 'b'"),
    ("a 1 2\nb 1 nan\n", "v.vec:2: expected 2 finite numbers as before"),
    ("a 1 2\nb x 2\n", "v.vec:2: expected a word and its numbers, got 'b x 2'"),
    ("\n", "v.vec:1: expected a word and its numbers"),
    ("", "no vectors"),
])
def test_a_damaged_file_of_vectors_is_named_with_its_line(tmp_path, text, message):
    path = tmp_path / "v.vec"
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        read_vectors(path)
    assert message in str(caught.value)


def test_the_source_needs_vectors_or_text(request_):
    with pytest.raises(UserError, match="needs --resources source_vectors=FILE or source_text=FILE"):
        initialise("wechsel", request_)


def test_a_dictionary_without_a_usable_pair_is_refused(request_, spaces, tmp_path):
    other = tmp_path / "other.txt"
    other.write_text("nowhere nirgends\n")
    given = {"source_vectors": spaces["source_vectors"], "target_vectors": spaces["equal"], "dictionary": other}
    with pytest.raises(UserError, match=r"other\.txt: none of its pairs has vectors on both sides"):
        initialise("wechsel", replace(request_, resources=given))


def test_two_widths_are_refused(request_, spaces, journey, tmp_path):
    narrow = tmp_path / "n.vec"
    narrow.write_text("".join(f"{word} 1 2\n" for word in words(journey, "qab")))
    with pytest.raises(UserError, match="the source's vectors have 6 dimensions, the target's 2"):
        initialise("wechsel", replace(request_, resources={"source_vectors": spaces["source_vectors"], "target_vectors": narrow}))


def test_a_source_text_of_records_is_read_as_its_texts(request_, journey, tmp_path):
    """Keys and syntax of JSON lines are no words of the text, whatever the file is called."""
    plain = journey / "qaa.txt"
    records = tmp_path / "s.jsonl.gz"
    with gzip.open(records, "wt", encoding="utf-8") as file:
        file.writelines(json.dumps({"id": "x1", "text": line}) + "\n" for line in plain.read_text().splitlines() if line.strip())
    one, other = (aligned_piece_vectors(replace(request_, resources={"source_text": path})) for path in (plain, records))
    assert np.array_equal(one[0], other[0]) and np.array_equal(one[1], other[1])


def test_a_source_text_without_the_field_is_refused_without_an_option_that_there_is_not(request_, tmp_path):
    records = tmp_path / "s.jsonl"
    records.write_text('{"body": "one two"}\n')
    with pytest.raises(UserError) as caught:
        aligned_piece_vectors(replace(request_, resources={"source_text": records}))
    assert str(caught.value).endswith("s.jsonl:1: expected the field 'text', got 'body'; rename it, or give plain text")


def test_too_little_text_for_vectors_is_refused(request_, tmp_path):
    text = tmp_path / "s.txt"
    text.write_text("one two\n" * (FEWEST - 1))
    with pytest.raises(UserError, match=f"no word occurs {FEWEST} times"):
        initialise("wechsel", replace(request_, resources={"source_text": text}))
