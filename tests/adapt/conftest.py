"""A tiny pre-trained body with its embedding and prepared text in two invented languages."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import torch

from adapt.artefacts.embedding import Embedding
from adapt.text.prepare import prepare
from adapt.text.tokenizer import Tokenizer
from pretrain.artefacts.body import Body
from pretrain.encoder import Dropout, EncoderConfig
from pretrain.masked_lm import MaskedLM
from tests.pairs import save_pair

CONFIG = EncoderConfig(layers=2, width=16, heads=2, ffn=32, embedding_width=16, max_positions=32)
LETTERS = {"qaa": "aeioktmprs", "qab": "аеиоктмпрс"}


def write_text(path: Path, language: str, lines: int = 400) -> Path:
    """Sentences of a few dozen words with fixed successions; `7 !` occurs in both languages."""
    draw = random.Random(language)
    letters = LETTERS[language]
    words = ["".join(draw.choices(letters, k=draw.randint(2, 5))) for _ in range(40)]
    text = []
    for _ in range(lines):
        start = draw.randrange(40)
        text.append(" ".join(words[(start + 3 * i) % 40] for i in range(draw.randint(4, 9))) + " 7 !")
    path.write_text("\n".join(text) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def journey(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with `data/qaa`, `data/qab`, and `en` holding `body` and `embedding` (of qaa)."""
    root = tmp_path_factory.mktemp("journey")
    for language in LETTERS:
        prepare([str(write_text(root / f"{language}.txt", language))], language, str(root / "data" / language),
                vocab_size=70, documents="line", workers=1)
    torch.manual_seed(4)
    tokenizer = Tokenizer.load(root / "data" / "qaa")
    model = MaskedLM(CONFIG, len(tokenizer.vocabulary), Dropout(0, 0, 0))
    with torch.no_grad():
        model.lm_head.bias.normal_()
    body = Body.of_model(model, made={"seed": 4})
    body.save(root / "en" / "body")
    Embedding.of_model(model, tokenizer, "qaa", body.lineage, seed=4).save(root / "en" / "embedding")
    return root


@pytest.fixture
def body(journey: Path) -> Body:
    return Body.load(journey / "en" / "body")


@pytest.fixture
def source(journey: Path) -> Embedding:
    return Embedding.load(journey / "en" / "embedding")


@pytest.fixture(scope="session")
def electra(journey: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with `body` (an ELECTRA pair's, random) and `embedding` (of qaa)."""
    return save_pair(tmp_path_factory.mktemp("electra"), Tokenizer.load(journey / "data" / "qaa"), "qaa")


@pytest.fixture(scope="session")
def sentencepiece() -> Tokenizer:
    """A small tokenizer of German."""
    from adapt.text.tokenizer import train_tokenizer

    text = ["der hund läuft durch den wald und die katze schläft im haus", "kinder lernen in der schule rechnen 1 2 3"]
    return Tokenizer(train_tokenizer(text * 40, 60))
