"""The benchmark of finding languages: shares of the lines, and what was taken for what."""

import json

import pytest
import torch

from adapt.artefacts.embedding import Embedding
from adapt.text.tokenizer import Tokenizer, train_tokenizer
from pretrain.artefacts.body import Body
from pretrain.encoder import EncoderConfig
from pretrain.masked_lm import MaskedLM
from recipes.bench import language as bench

TEXTS = {"qaa": "bona kile dosa buka nadi", "qab": "pret sturm klang frost blint", "qac": "бона киле доса бука нади"}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """`texts`, `body`, and an embedding of each language; two share a script."""
    root = tmp_path_factory.mktemp("languages")
    (root / "texts").mkdir()
    body = None
    for code, words in TEXTS.items():
        lines = [" ".join(words.split()[number % 5:] + words.split()[:number % 5]) for number in range(40)]
        (root / "texts" / f"{code}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
        tokenizer = Tokenizer(train_tokenizer(lines * 5, 40))
        if body is None:
            torch.manual_seed(1)
            config = EncoderConfig(layers=1, width=8, heads=1, ffn=16, embedding_width=8, max_positions=64)
            body = Body.of_model(MaskedLM(config, len(tokenizer)))
            body.save(root / "body")
        rows = len(tokenizer)
        Embedding(torch.zeros(rows, 8), torch.zeros(rows), tokenizer, code, body.lineage).save(root / code)
    return root


def test_each_way_is_scored_by_language(place, capsys):
    words = [str(place / "texts"), "--body", str(place / "body"), "--embedding",
             *(str(place / code) for code in TEXTS), "--lines", "20", "--skip", "10"]
    assert bench.main(words) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found["languages"]["qac"] == {"script": 1.0, "model": 1.0, "vocabulary": 1.0}  # its script is no other's
    assert found["languages"]["qaa"]["script"] == 0.0 and found["languages"]["qaa"]["vocabulary"] == 1.0
    for way in ("model", "vocabulary"):
        missed = sum(round(20 * (1 - row[way])) for row in found["languages"].values())
        assert missed == sum(found["confused"][way].values())


@pytest.mark.parametrize(("words", "message"), [
    (["--lines", "100"], "expected 100; lower --lines"),
    (["--lines", "0"], "expected at least 1 line"),
])
def test_too_few_lines(place, capsys, words, message):
    given = [str(place / "texts"), "--body", str(place / "body"), "--embedding", str(place / "qaa"), str(place / "qab")]
    assert bench.main([*given, *words]) == 2
    assert message in capsys.readouterr().err


def test_one_language_and_a_missing_text(place, tmp_path, capsys):
    body = ["--body", str(place / "body"), "--embedding", str(place / "qaa")]
    assert bench.main([str(place / "texts"), *body]) == 2
    assert "a language is chosen among two or more" in capsys.readouterr().err
    assert bench.main([str(tmp_path), *body, str(place / "qab")]) == 2
    assert "no qaa.txt there" in capsys.readouterr().err


def test_frequencies_of_prepared_texts_decide_without_training(place, tmp_path, capsys):
    from adapt.text.prepare import prepare

    for code in TEXTS:
        prepare([str(place / "texts" / f"{code}.txt")], code, str(tmp_path / code), vocab_size=40, documents="line", workers=1)
    given = [str(place / "texts"), "--data", *(str(tmp_path / code) for code in TEXTS), "--lines", "20"]
    assert bench.main(given) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["mean"]["model"] == 1.0
    assert bench.main([*given, "--body", "x", "--embedding", "y"]) == 2
    assert "or --data alone" in capsys.readouterr().err
