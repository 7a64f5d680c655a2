"""The Python door: `import relexify`, one body, several languages."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

import relexify
from adapt.artefacts.assemble import assemble
from adapt.artefacts.embedding import Embedding
from adapt.probe.detect import detect, load_detector
from adapt.probe.fill import fill, load_filler
from adapt.probe.states import states
from adapt.text.tokenizer import Tokenizer, train_tokenizer
from pretrain.artefacts.body import Body
from pretrain.encoder import Dropout, EncoderConfig
from pretrain.masked_lm import MaskedLM
from tests.killing import warm
from tests.pairs import other_embedding, save_pair

ROOT = Path(__file__).resolve().parents[1]
TEXTS = {"nl": ["de kat zit op de mat", "het huis is groot", "wij gaan naar de zee"],
         "ru": ["кот сидит на ковре", "дом большой", "мы едем к морю"]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Folder with `run` (`body` and `embedding`, of nl), `ru`, and `pair` (an ELECTRA body with its embedding of nl)."""
    root = tmp_path_factory.mktemp("door")
    tokenizers = {code: Tokenizer(train_tokenizer(texts * 30, 50, model_type="bpe")) for code, texts in TEXTS.items()}
    torch.manual_seed(4)
    model = MaskedLM(EncoderConfig(layers=2, width=16, heads=2, ffn=32, embedding_width=16, max_positions=32),
                     len(tokenizers["nl"]), Dropout(0, 0, 0))
    body = Body.of_model(model, made={"seed": 4})
    body.save(root / "run" / "body")
    Embedding.of_model(model, tokenizers["nl"], "nl", body.lineage).save(root / "run" / "embedding")
    other_embedding(body, tokenizers["ru"], "ru").save(root / "ru")
    save_pair(root / "pair", tokenizers["nl"], "nl")
    return root


@pytest.fixture(scope="module")
def model(folder) -> relexify.Model:
    return relexify.load(folder / "run", folder / "run", folder / "ru", device="cpu")


def test_it_says_what_it_reads(model, folder):
    assert model.languages == ("nl", "ru") and model.task is None
    assert relexify.load(folder / "run").languages == ("nl",)  # the embedding beside the body
    assert "languages nl, ru" in repr(model)


def test_vectors_are_the_means_of_the_states_under_the_languages_embedding(model, folder):
    for code, place in (("nl", folder / "run" / "embedding"), ("ru", folder / "ru")):
        embedding = Embedding.load(place)
        plain = assemble(Body.load(folder / "run" / "body"), embedding)
        expected = states(plain.encoder, embedding.tokenizer, TEXTS[code])
        np.testing.assert_allclose(model.encode(TEXTS[code], language=code), np.stack([each.mean(0) for each in expected]),
                                   rtol=1e-5, atol=1e-6)
        for got, each in zip(model.encode(TEXTS[code], code, pool="none"), expected, strict=True):
            np.testing.assert_allclose(got, each, rtol=1e-5, atol=1e-6)
    assert model.encode("de kat", "nl", layer=1).shape == (16,)
    assert model.encode([], "nl").shape == (0, 16)


def test_languages_take_turns_without_a_trace(model):
    first = model.encode(TEXTS["nl"], "nl")
    model.encode(TEXTS["ru"], "ru")
    np.testing.assert_array_equal(model.encode(TEXTS["nl"], "nl"), first)


def test_auto_reads_each_text_in_its_own_language_and_keeps_the_order(model):
    mixed = [text for pair in zip(TEXTS["nl"], TEXTS["ru"], strict=True) for text in pair]
    assert model.guess(mixed) == ["nl", "ru"] * 3
    got = model.encode(mixed, "auto")
    np.testing.assert_allclose(got[::2], model.encode(TEXTS["nl"], "nl"), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(got[1::2], model.encode(TEXTS["ru"], "ru"), rtol=1e-5, atol=1e-6)


def test_with_language_and_with_embedding_share_the_body(model, folder):
    russian = model.with_language("ru")
    np.testing.assert_array_equal(russian.encode(TEXTS["ru"]), model.encode(TEXTS["ru"], "ru"))
    more = relexify.load(folder / "run").with_embedding(folder / "ru")
    assert more.languages == ("nl", "ru") and model.with_language("ru").body is model.body


def test_threads_do_not_read_with_each_others_embedding(model):
    expected = {code: model.encode(TEXTS[code], code) for code in TEXTS}
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda code: (code, model.encode(TEXTS[code], code)), list(TEXTS) * 20))
    for code, vectors in found:
        np.testing.assert_array_equal(vectors, expected[code])


def test_fill_and_detect_are_those_of_the_commands(folder):
    text = "de <mask> zit op de mat"
    assert relexify.load(folder / "run").fill(text) == fill(*load_filler(folder / "run"), [text])[0]
    pair = relexify.load(folder / "pair")
    assert pair.fill([text]) == fill(*load_filler(folder / "pair"), [text])
    assert pair.detect(TEXTS["nl"]) == detect(*load_detector(folder / "pair"), TEXTS["nl"])


@pytest.mark.parametrize(("ask", "message"), [
    (lambda model, folder: model.encode("x"), "language is missing: this model reads nl, ru"),
    (lambda model, folder: model.encode("x", "n1"), r"unknown language 'n1' \(known: nl, ru\)"),
    (lambda model, folder: model.encode("x", "nl", layer=3), "layer 3: this body has 2"),
    (lambda model, folder: model.encode("x", "nl", pool="max"), "unknown pool 'max'"),
    (lambda model, folder: model.detect("x", "nl"), "a RoBERTa body has no replaced-token head"),
    (lambda model, folder: model.with_language("de"), "unknown language 'de'"),
    (lambda model, folder: relexify.load(folder / "run", folder / "ru", folder / "ru"), "a second embedding of 'ru'"),
    (lambda model, folder: relexify.load(folder / "pair", folder / "ru"), "lineage|wide"),
    (lambda model, folder: relexify.load(folder / "nothing"), "expected a body"),
])
def test_mistakes_are_one_line(model, folder, ask, message):
    with pytest.raises(relexify.UserError, match=message) as caught:
        ask(model, folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["tasks.py", "recipes/__init__.py"])
def test_another_package_of_the_same_name_is_named_in_one_line(name, tmp_path):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("")
    run = subprocess.run([sys.executable, "-c", "import relexify"], cwd=tmp_path, capture_output=True, text=True, check=False,
                         env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}, timeout=120)
    last = run.stderr.strip().splitlines()[-1]
    assert run.returncode == 1 and last.startswith("ImportError: relexify needs its own package")
    assert str(tmp_path / name) in last


def test_no_fairseq_is_needed(folder):
    code = ("import sys\nclass No:\n    def find_spec(self, name, *rest):\n        assert name.split('.')[0] != 'fairseq', name\n"
            "sys.meta_path.insert(0, No())\nimport relexify\n"
            f"print(relexify.load({str(folder / 'run')!r}, device='cpu').encode('de kat').shape)")
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False, timeout=120,
                         env=warm())
    assert run.stdout.strip() == "(16,)", run.stderr
