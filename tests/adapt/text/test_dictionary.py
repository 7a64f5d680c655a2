"""Bilingual dictionaries: both forms, remarks and phrases left out, mistakes named with their line."""

import pytest

from adapt.text.dictionary import read_dictionary, translations
from pretrain.base.errors import UserError


def pairs(tmp_path, text):
    path = tmp_path / "d.txt"
    path.write_text(text, encoding="utf-8")
    return read_dictionary(path)


def test_a_word_list_with_several_translations(tmp_path):
    text = "house\tHaus , Gebäude; das Heim\n\nto go\tgehen\ncat (animal)\tKatze [f.]\nhouse\tHaus\n"
    assert pairs(tmp_path, text) == [("house", "Haus"), ("house", "Gebäude"), ("cat", "Katze")]


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
