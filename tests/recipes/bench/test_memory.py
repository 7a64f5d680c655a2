"""The benchmark of memory: figures of processes of its own, which grow with the languages as the files do."""

import json

import pytest

from recipes.bench import memory


@pytest.mark.slow
def test_each_number_of_languages_is_measured(capsys):
    assert memory.main(["--languages", "1", "3", "--layers", "1", "--width", "64", "--rows", "2000"]) == 0
    one, three = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (one["languages"], three["languages"]) == (1, 3)
    assert three["embeddings_mb"] >= 2 * one["embeddings_mb"] > 0
    assert one["change_ms"] > 0 and three["processor_ms"] > 0


def test_numbers_that_cannot_be_are_refused(capsys):
    assert memory.main(["--languages", "0"]) == 2
    assert "expected numbers from 1 on" in capsys.readouterr().err
