"""Pairs whose distributions and answers are known beforehand, as models and as artefacts."""

from __future__ import annotations

import math
import random
from pathlib import Path

import numpy as np
import torch

from adapt.artefacts.embedding import Embedding
from adapt.text.prepare import prepare
from adapt.text.tokenizer import Tokenizer
from pretrain.artefacts.pair import pair_body, sort_tensors
from pretrain.data import Blocks, MappedTokens, write_index
from pretrain.electra.networks import Electra, ElectraConfig, generator_config
from pretrain.encoder import Dropout, EncoderConfig

SHAPE = EncoderConfig(layers=1, width=16, heads=2, ffn=32, embedding_width=8, max_positions=16)
PIECES = 20
ROWS = PIECES + 5


def random_pair(hardness: str = "none", seed: int = 1, rows: int = ROWS) -> Electra:
    """Untrained and far from uniform, with dropout that must not be felt."""
    torch.manual_seed(seed)
    pair = Electra(ElectraConfig(SHAPE, generator_config(SHAPE, 0.5, 1), "none", hardness), rows, Dropout(0.5, 0.5, 0.5))
    with torch.no_grad():
        for parameter in pair.parameters():
            parameter += 0.3 * torch.randn_like(parameter)
    return pair.eval()


@torch.no_grad()
def known_pair(hardness: str = "none", logit: float = -1.0, favourite: float | None = None, head: float | torch.Tensor = 0.0,
               rows: int = ROWS) -> Electra:
    """One distribution at every position, one answer to every token.

    Args:
        logit: the discriminator's, everywhere.
        favourite: probability of piece 4, the others share the rest; all alike where None.
        head: logits of the hardness head.
    """
    pair = random_pair(hardness, rows=rows)
    assert pair.generator is not None
    pair.generator.encoder.embed_tokens.weight.zero_()
    pair.generator.lm_head.bias.zero_()
    if favourite is not None:
        pair.generator.lm_head.bias[4] = math.log(favourite / (1 - favourite) * (rows - 6))
    if pair.generator.hardness_head is not None:
        pair.generator.hardness_head.bias.zero_().add_(torch.as_tensor(head))
    pair.rtd_head.out.weight.zero_()
    pair.rtd_head.out.bias.fill_(logit)
    return pair


def blocks(folder: Path, tokens: int = 700, time: int = 16) -> Blocks:
    """Random pieces, the last block padded."""
    ids = np.random.default_rng(3).integers(4, ROWS - 1, tokens).astype(np.uint16)
    ids[30::31] = 2
    folder.mkdir(parents=True, exist_ok=True)
    ids.tofile(folder / "valid.bin")
    write_index(folder / "valid.idx", np.array([len(ids)]), np.uint16)
    return Blocks(MappedTokens(folder / "valid"), time, keep_last=True)


def prepared(folder: Path, letters: str = "aeioktmprs") -> Path:
    """A prepared language of a few words."""
    draw = random.Random(letters)
    words = ["".join(draw.choices(letters, k=draw.randint(2, 5))) for _ in range(40)]
    folder.mkdir(parents=True)
    text = folder / "text.txt"
    text.write_text("".join(" ".join(draw.choices(words, k=draw.randint(4, 9))) + "\n" for _ in range(400)), encoding="utf-8")
    prepare([str(text)], "qaa", str(folder / "data"), vocab_size=60, documents="line", valid_fraction=0.2, workers=1)
    return folder / "data"


def save(pair: Electra, data: Path, output: Path, lineage: str = "", **made: object) -> Path:
    """The pair as `relexify pretrain` writes it."""
    tensors = sort_tensors(pair.state_dict())
    body = pair_body(pair.config, tensors, made=made)
    body.save(output / "body")
    Embedding(tensors.weight, tensors.bias, Tokenizer.load(data), "qaa", lineage or body.lineage,
              generator=tensors.generator_lexicon).save(output / "embedding")
    return output
