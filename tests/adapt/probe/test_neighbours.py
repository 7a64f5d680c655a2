from dataclasses import replace

import pytest
import torch

from adapt.artefacts.embedding import Embedding
from adapt.probe.neighbours import neighbours, word_rows, word_vector
from adapt.text.tokenizer import Tokenizer
from pretrain.base.errors import UserError
from recipes.cli import main


@pytest.fixture
def known(source: Embedding) -> Embedding:
    """An embedding whose rows stand at known angles: row r at r degrees, whatever its length."""
    angles = torch.deg2rad(torch.arange(len(source.weight), dtype=torch.float64))
    weight = torch.zeros_like(source.weight)
    weight[:, 0], weight[:, 1] = (angles.cos() * (1 + angles)).float(), (angles.sin() * (1 + angles)).float()
    return replace(source, weight=weight)


def test_the_nearest_are_by_angle_and_never_special_tokens(known):
    (found,) = neighbours(known, known.weight[6:7], 4, [[6]])
    assert {one.row for one in found[:2]} == {5, 7} and {one.row for one in found} == {4, 5, 7, 8}
    assert found[0].cosine == pytest.approx(0.99985, rel=1e-4)
    assert [one.piece for one in found] == [known.tokenizer.spellings[one.row] for one in found]
    last = len(known.weight) - 1
    (found,) = neighbours(known, known.weight[last:], 3)
    assert [one.row for one in found] == [last - 1, last - 2, last - 3]  # the mask itself is none


def test_many_words_at_once_give_what_each_gives_alone(source):
    vectors = source.weight[4:20]
    together = neighbours(source, vectors, 5)
    for number, vector in enumerate(vectors):
        (alone,) = neighbours(source, vector[None], 5)
        assert [one.row for one in alone] == [one.row for one in together[number]]


def test_a_word_of_several_pieces_is_their_mean_at_length_one(known):
    vector = word_vector(known, [10, 30])  # row 30 is longer: it has no more say
    (found,) = neighbours(known, vector[None], 1)
    assert found[0].row == 20


def test_a_table_of_few_rows_gives_few(source):
    (found,) = neighbours(source, source.weight[4:5], 10_000)
    assert len(found) == len(source.weight) - 5


def test_a_word_that_the_tokenizer_cannot_write_is_refused(source):
    with pytest.raises(UserError, match="'ж': the tokenizer of qaa does not know a character of it"):
        word_rows(source, "ж")


def test_on_the_command_line_within_and_across_languages(journey, source, tmp_path, capsys):
    other = Tokenizer.load(journey / "data" / "qab")
    draw = torch.Generator().manual_seed(1)
    weight = torch.randn(len(other.vocabulary), source.width, generator=draw)
    Embedding(weight, weight[:, 0].clone(), other, "qab", source.lineage).save(tmp_path / "qab")
    word = source.tokenizer.spellings[30].replace("▁", "")
    paths = [str(journey / "en"), str(tmp_path / "qab")]
    assert main(["inspect", *paths, "--neighbours", word, "--count", "3"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"{word} (qaa): ") and [line[:6] for line in lines[1:]] == ["  qaa:", "  qab:"]
    assert main(["inspect", *paths, "--neighbours", word, "--in", "qab"]) == 0
    assert [line[:6] for line in capsys.readouterr().out.splitlines()[1:]] == ["  qab:"]
    assert main(["inspect", *paths, "--neighbours", word, "--in", "qac"]) == 2
    assert main(["inspect", paths[0], "--in", "qaa"]) == 2
    replace(source, lineage="0" * 64).save(tmp_path / "strange")
    assert main(["inspect", paths[0], str(tmp_path / "strange"), "--neighbours", word]) == 2
    assert "the angle between rows of two bodies says nothing" in capsys.readouterr().err
