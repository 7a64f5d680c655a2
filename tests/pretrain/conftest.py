"""Tiny prepared text and models for the tests of pretrain."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from pretrain.base.files import write_json
from pretrain.base.vocabulary import EOS, Vocabulary
from pretrain.data import write_index
from pretrain.encoder import Dropout, EncoderConfig
from pretrain.masked_lm import MaskedLM

PIECES = 60


def write_prepared(folder: Path, seed: int = 0, documents: int = 300) -> Path:
    """Binarised sentences of a made-up language with regular successions, so that a model has something to learn."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    Vocabulary([f"w{i}" for i in range(PIECES)]).save(folder / "dict.txt")
    for split, count in (("train", documents), ("valid", 40)):
        items = []
        for size in rng.integers(5, 30, count):
            start = rng.integers(PIECES)
            items.append(np.r_[(start + 7 * np.arange(size)) % PIECES + 4, EOS])
        np.concatenate(items).astype(np.uint16).tofile(folder / f"{split}.bin")
        write_index(folder / f"{split}.idx", np.array([len(i) for i in items]), np.uint16)
    write_json(folder / "prepare.json", {"language": "qaa"})
    return folder


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_prepared(tmp_path_factory.mktemp("data") / "qaa")


@pytest.fixture
def tiny() -> EncoderConfig:
    return EncoderConfig(layers=2, width=16, heads=2, ffn=32, embedding_width=16, max_positions=32)


@pytest.fixture
def model(tiny: EncoderConfig) -> MaskedLM:
    torch.manual_seed(3)
    return MaskedLM(tiny, PIECES + 5, Dropout(0.0, 0.0, 0.0)).eval()
