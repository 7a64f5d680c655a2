"""A tiny body with two embeddings, and inference pairs in two invented languages."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import torch

from adapt.artefacts.embedding import Embedding
from adapt.text.tokenizer import Tokenizer, train_tokenizer
from pretrain.artefacts.body import Body, load_body
from pretrain.encoder import EncoderConfig
from pretrain.masked_lm import MaskedLM
from tasks.heads.model import TaskModel
from tasks.settings import FinetuneSettings

CONFIG = EncoderConfig(layers=2, width=32, heads=2, ffn=64, embedding_width=32, max_positions=64)
LABELS = ("entailment", "neutral", "contradiction")
WORDS = {"qaa": ("tilo", "mapu", "reno", "sadi", "kove", "buna"),
         "qab": ("жуба", "цего", "фыли", "шора", "хине", "дяму")}


def pairs(language: str, count: int, seed: int) -> list[tuple[str, str, int]]:
    """Pairs that a tiny model learns in seconds: the hypothesis holds one of two marker words, or none."""
    draw = random.Random(seed)
    *words, neutral, negation = WORDS[language]
    rows = []
    for number in range(count):
        a, b = draw.sample(words, 2)
        label = number % 3
        second = (f"{a} {b}", f"{neutral} {b}", f"{negation} {a} {b}")[label]
        rows.append((f"{a} {b} {a}" if draw.random() < 0.3 else f"{a} {b}", second, label))
    return rows


def write_pairs(path: Path, rows: list[tuple[str, str, int]]) -> None:
    lines = [f"{number}\t{a}\t{b}\t{label}\n" for number, (a, b, label) in enumerate(rows)]
    path.write_text("id\tpremise\thypothesis\tlabel\n" + "".join(lines), encoding="utf-8")


def make_embedding(language: str, lineage: str, seed: int, width: int = 32) -> Embedding:
    texts = [f"{a} {b}" for a, b, _ in pairs(language, 300, 7)]
    tokenizer = Tokenizer(train_tokenizer(texts, 60))
    generator = torch.Generator().manual_seed(seed)
    rows = len(tokenizer.vocabulary)
    weight = torch.randn(rows, width, generator=generator)
    weight[1] = 0
    return Embedding(weight, torch.zeros(rows), tokenizer, language, lineage, {"seed": seed, "updates": 10})


def settings_for(world: Path, output: Path, **changes: Any) -> FinetuneSettings:
    """A run of about three seconds that reaches full accuracy; it validates in the middle of an epoch."""
    values = {"body": str(world / "body"), "embedding": str(world / "qaa"), "data": str(world / "data"), "updates": 60,
              "lr": 5e-3, "batch_size": 16, "validate_every": 10, "threads": 1, "cpu": True}
    return FinetuneSettings(output=str(output), **{**values, **changes})


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with `body`, `qaa`, `qab` (embeddings) and `data` (train, dev, test files)."""
    root = tmp_path_factory.mktemp("world")
    torch.manual_seed(1)
    model = MaskedLM(CONFIG, 8)
    with torch.no_grad():
        for layer in model.encoder.layers.parameters():
            layer.mul_(4 if layer.ndim > 1 else 1)  # a narrow body learns slowly from N(0, 0.02)
    body = Body.of_model(model, made={"seed": 1})
    body.save(root / "body")
    for seed, language in enumerate(WORDS):
        make_embedding(language, body.lineage, seed).save(root / language)
    data = root / "data"
    data.mkdir()
    write_pairs(data / "train-qaa.tsv", pairs("qaa", 240, 1))
    for language in WORDS:
        write_pairs(data / f"dev-{language}.tsv", pairs(language, 60, 2))
        write_pairs(data / f"test-{language}.tsv", pairs(language, 90, 3))
    return root


@pytest.fixture(scope="session")
def finetuned(world: Path) -> Path:
    """A task body made by `settings_for`, with its training folder beside it."""
    pytest.importorskip("fairseq")
    from tasks.learning.finetune import finetune

    output = world / "runs" / "xnli"
    finetune(settings_for(world, output, tensorboard=str(world / "runs" / "tb")), quiet=True, keep=True)
    return output


@pytest.fixture(scope="session")
def untrained(world: Path) -> Path:
    """A task body with a random head: enough for evaluation, and made without fairseq."""
    torch.manual_seed(3)
    start = Body.load(world / "body")
    model = TaskModel(CONFIG, 8)
    load_body(model, start)
    model.add_head("xnli", "classification", 3)
    with torch.no_grad():
        model.heads["xnli"].out_proj.weight.mul_(50)
    task = {"name": "xnli", "version": "1.0", "head": "classification", "labels": list(LABELS), "metric": "accuracy"}
    Body.of_model(model, lineage=start.lineage, task=task, made={"seed": 3}).save(world / "untrained")
    return world / "untrained"
