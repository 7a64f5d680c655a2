import pytest

from pretrain.base.errors import UserError
from pretrain.base.vocabulary import Vocabulary


def test_specials_come_first_and_mask_last():
    vocabulary = Vocabulary(["▁a", "b"])
    assert vocabulary.symbols == ["<s>", "<pad>", "</s>", "<unk>", "▁a", "b", "<mask>"]
    assert vocabulary.mask == 6 and len(vocabulary) == 7
    assert vocabulary.special_ids() == {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3, "<mask>": 6}


def test_file_round_trip_is_fairseqs_dictionary(tmp_path):
    Vocabulary(["▁a", "b"], [5, 2]).save(tmp_path / "dict.txt")
    assert (tmp_path / "dict.txt").read_text() == "▁a 5\nb 2\n"
    loaded = Vocabulary.load(tmp_path / "dict.txt")
    assert (loaded.pieces, loaded.counts) == (["▁a", "b"], [5, 2])


def test_fairseq_reads_the_same_ids(tmp_path):
    dictionary = pytest.importorskip("fairseq.data").Dictionary
    Vocabulary(["▁a", "b", "#"], [5, 2, 1]).save(tmp_path / "dict.txt")
    theirs = dictionary.load(str(tmp_path / "dict.txt"))
    theirs.add_symbol("<mask>")
    assert theirs.symbols == Vocabulary.load(tmp_path / "dict.txt").symbols


def test_piece_that_stands_twice_is_refused():
    with pytest.raises(UserError, match=r"'a' twice"):
        Vocabulary(["a", "a"])


def test_line_without_a_count_is_named(tmp_path):
    (tmp_path / "dict.txt").write_text("a 1\nb\n")
    with pytest.raises(UserError, match=r"dict.txt:2: expected 'piece count', got 'b'"):
        Vocabulary.load(tmp_path / "dict.txt")
