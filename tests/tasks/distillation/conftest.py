"""Teachers and students: bodies of two sizes with tokenizers of their own, pairs in two languages, and files of outputs."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from adapt.artefacts.embedding import Embedding
from adapt.text.tokenizer import Tokenizer, train_tokenizer
from pretrain.artefacts.body import Body
from pretrain.encoder import EncoderConfig
from pretrain.masked_lm import MaskedLM
from recipes.cli import main
from tests.tasks.conftest import WORDS, pairs, write_pairs

SMALL = EncoderConfig(layers=1, width=24, heads=2, ffn=48, embedding_width=24, max_positions=48)


@pytest.fixture(scope="session")
def school(world: Path, finetuned: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with `data`, whose training pairs are the same in both languages and without labels in `bare`; a smaller `body` with
    embeddings of a smaller tokenizer; and `xnli.parquet`, what the trained body says of the pairs in the base language."""
    folder = tmp_path_factory.mktemp("school")
    for name in ("data", "bare"):
        (folder / name).mkdir()
        for language in WORDS:
            rows = pairs(language, 240, 1)
            write_pairs(folder / name / f"train-{language}.tsv", rows if name == "data" else [(a, b, "") for a, b, _ in rows])  # type: ignore[misc]
            write_pairs(folder / name / f"dev-{language}.tsv", pairs(language, 60, 2))
    torch.manual_seed(4)
    model = MaskedLM(SMALL, 8)
    with torch.no_grad():
        for parameter in model.encoder.layers.parameters():
            parameter.mul_(4 if parameter.ndim > 1 else 1)
    body = Body.of_model(model, made={"seed": 4})
    body.save(folder / "body")
    for seed, language in enumerate(WORDS):
        tokenizer = Tokenizer(train_tokenizer([f"{a} {b}" for a, b, _ in pairs(language, 300, 7)], 30))
        generator = torch.Generator().manual_seed(seed)
        weight = torch.randn(len(tokenizer), 24, generator=generator)
        Embedding(weight, torch.zeros(len(tokenizer)), tokenizer, language, body.lineage).save(folder / language)
    assert teach("--body", finetuned, "--embedding", world / "qaa", "--data", folder / "data", "--output",
                 folder / "xnli.parquet") == 0
    return folder


def teach(*words: object) -> int:
    """`relexify teach` with these words."""
    return main(["teach", *map(str, words), "--device", "cpu", "--quiet"])
