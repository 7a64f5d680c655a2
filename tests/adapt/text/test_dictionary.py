"""Bilingual dictionaries: both forms, remarks and phrases left out, mistakes named with their line."""

import pytest

from adapt.text.dictionary import missing_initials, read_dictionary, translations, warn_if_cut_off
from pretrain.base.errors import UserError


def pairs(tmp_path, text):
    path = tmp_path / "d.txt"
    path.write_text(text, encoding="utf-8")
    return read_dictionary(path)


def test_a_word_list_with_several_translations(tmp_path):
    text = "house\tHaus , Gebäude; das Heim\n\nto go\tgehen\ncat (animal)\tKatze [f.]\nhouse\tHaus\n"
    assert pairs(tmp_path, text) == [("house", "Haus"), ("house", "Gebäude"), ("cat", "Katze")]


def test_the_number_of_a_sense_is_no_second_word(tmp_path):
    assert pairs(tmp_path, "victim\tжертва 2.\nfirst\t1.\ntable\tмаса  1. , трапеза 2.\n") == [
        ("victim", "жертва"), ("first", "1."), ("table", "маса"), ("table", "трапеза")]


def test_nor_behind_a_word_of_the_base_language(tmp_path):
    assert pairs(tmp_path, "house 2.\tHaus\ncat (animal)  1. \tKatze\n3.\tdritte\n") == [
        ("house", "Haus"), ("cat", "Katze"), ("3.", "dritte")]


@pytest.mark.parametrize(("word", "written"), [
    ("же\u0301ртва", "жертва"), ("поразя\u0300", "поразя"), ("مُحرّ\u0651ك", "محرك"), ("كتـاب", "كتاب")])
def test_marks_of_pronunciation_are_left_out_of_a_second_form(tmp_path, word, written):
    assert pairs(tmp_path, f"a\t{word}\n") == [("a", word), ("a", written)]


@pytest.mark.parametrize("word", ["\u0439од", "caf\u00e9", "cafe\u0301", "\u1f04νθρωπος", "\u0928\u093f\u092f\u092e"])
def test_letters_with_marks_that_texts_write_stay(tmp_path, word):
    assert pairs(tmp_path, f"a\t{word}\n") == [("a", word)]


def test_two_words_a_line(tmp_path):
    assert pairs(tmp_path, "house Haus\ncat   Katze\n") == [("house", "Haus"), ("cat", "Katze")]


def test_a_line_of_neither_form_is_named(tmp_path):
    with pytest.raises(UserError, match=r"d\.txt:2: expected a word, a tab and .* or two words, got 'one two three'"):
        pairs(tmp_path, "house Haus\none two three\n")


def test_a_dictionary_of_phrases_alone_is_refused(tmp_path):
    with pytest.raises(UserError, match="no pair of single words"):
        pairs(tmp_path, "to go\tgehen\n")


def test_translations_are_asked_by_the_new_languages_word(tmp_path):
    path = tmp_path / "d.txt"
    path.write_text("house Haus\nhome Haus\ncat Katze\n")
    assert translations(path) == {"Haus": ["house", "home"], "Katze": ["cat"]}


PIECES = ["<s>", "▁", "▁a", "▁ab", *(f"▁{first}{rest}" for first in "abcd" for rest in ("ar", "er", "or")), "▁1st", "zoo", "▁Dar"]


def test_initials_that_a_dictionary_lacks_by_hand():
    # 13 pieces count: three of each letter, and Dar; `zoo` begins no word, `1st` has a digit, `ab` is short
    assert missing_initials(["apple", "Bear", "10th"], PIECES) == (["c", "d"], pytest.approx(7 / 13, rel=1e-9))
    assert missing_initials(["apple", "bear", "cat", "dog"], PIECES) == ([], 0)


def test_a_rare_initial_may_be_missing():
    pieces = PIECES + ["▁abc"] * 1000
    assert missing_initials(["apple"], pieces) == ([], 0)


def test_a_large_dictionary_without_some_initials_is_warned_of(caplog):
    words = [f"{first}{number}" for first in "abc" for number in range(334)]
    warn_if_cut_off("d.tsv", words, PIECES)
    (record,) = caplog.records
    assert record.getMessage() == ("d.tsv: none of its 1,002 words of the base language begins with d, as 31% of that language's "
                                   "pieces do; is the file cut off?")


def test_a_small_or_a_whole_dictionary_is_not(caplog):
    warn_if_cut_off("d.tsv", ["a"] * 999, PIECES)
    warn_if_cut_off("d.tsv", [f"{first}{number}" for first in "abcd" for number in range(334)], PIECES)
    assert not caplog.records
