"""The most probable pieces for every `<mask>` of a text: by an ELECTRA pair's generator, or by a RoBERTa body's LM head."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from adapt.artefacts.assemble import assemble, assemble_pair
from adapt.artefacts.embedding import Embedding
from adapt.artefacts.resources import embedding_of, locate
from adapt.probe.detect import require_pretrained
from adapt.text.tokenizer import WORD_BOUNDARY, Tokenizer
from adapt.text.windows import batched, stream_of, window
from pretrain.artefacts.body import DRAWN, ELECTRA, Body
from pretrain.base.errors import UserError
from pretrain.base.vocabulary import MASK_SYMBOL, SPECIALS
from pretrain.masked_lm import MaskedLM

MAX_FILL_TOKENS = 2048
"""Padded tokens of a batch; fewer than elsewhere, because every mask brings a row of V logits."""


@dataclass(frozen=True, slots=True)
class Filler:
    """A piece as the vocabulary writes it, and its probability among all rows of the vocabulary."""

    piece: str
    probability: float


@dataclass(frozen=True, slots=True)
class FilledMask:
    """A `<mask>` at characters `[start, end)` of the text, and its best fillers, best first."""

    start: int
    end: int
    fillers: tuple[Filler, ...]


@dataclass(frozen=True, slots=True)
class Filling:
    """A text, its masks in their order, and the text with the best filler of each in its place."""

    text: str
    masks: tuple[FilledMask, ...]
    filled: str


def load_filler(body: str | Path, embedding: str | Path = "",
                device: str | torch.device = "cpu") -> tuple[MaskedLM, Tokenizer]:
    """A masked language model in evaluation mode (of an ELECTRA body, its generator), and its tokenizer.

    Args:
        embedding: the one in or beside the body's folder where empty.

    Raises:
        UserError: a task body, an ELECTRA body without a generator, or an embedding that does not fit.
    """
    given = Body.load(locate(body, "body"))
    require_pretrained(given, str(body))
    if given.made.get("head") == DRAWN:
        raise UserError(f"{body}: its LM head was drawn when it was imported and never trained: it has nothing to say; import a "
                        "model that has one (…ForMaskedLM)")
    if given.backbone == ELECTRA and given.generator is None:
        raise UserError(f"{body} is an ELECTRA body without a generator network (generator.safetensors), as pre-training with "
                        "`generator: uniform` or `unigram` leaves it; use one that was pre-trained with `generator: network`")
    module = Embedding.load(embedding_of(body, embedding))
    if given.backbone == ELECTRA:
        model: object = assemble_pair(given, module, device).generator
    else:
        model = assemble(given, module, device)
    assert isinstance(model, MaskedLM)
    return model, module.tokenizer


@torch.inference_mode()
def fill(model: MaskedLM, tokenizer: Tokenizer, texts: Sequence[str], top: int = 5, *, max_tokens: int = MAX_FILL_TOKENS,
         names: Sequence[str] = (), description: str | None = None) -> list[Filling]:
    """The best fillers of every `<mask>` of every text; special tokens are never among them.

    Several masks of a text are filled independently of each other: each sees the others hidden. In a text longer than the
    body's positions, each mask is filled from a window with the mask in its middle, as far as the text goes.

    Args:
        model: in evaluation mode, on the device that is to be used.
        tokenizer: that of the model's embedding; `Tokenizer.encode_with_masks` says how a mask in a text is read.
        top: how many fillers of each mask.
        max_tokens, names, description: as in `adapt.probe.detect.detect`.

    Returns:
        One `Filling` for each text, in their order.

    Raises:
        UserError: a text without a mask, `top` below 1, or outputs that are no numbers.
    """
    if top < 1:
        raise UserError(f"{top} fillers asked for; expected at least 1")
    mask, room = tokenizer.vocabulary.mask, model.encoder.config.max_positions - 1
    inputs, rows, counts = [], [], []
    for number, text in enumerate(texts):
        ids = tokenizer.encode_with_masks(text)
        places = [place for place, token in enumerate(ids) if token == mask]
        if not places:
            raise UserError(f"{names[number] if names else f'text {number + 1}'}: expected a text with {MASK_SYMBOL} in it, "
                            f"got {text[:40]!r}; write {MASK_SYMBOL} where a piece is to be filled in")
        stream = stream_of(ids)
        groups = [(places, 0)] if len(stream) <= room else [
            ([place], min(max(0, place - room // 2), len(stream) - room)) for place in places]
        for asked, start in groups:
            inputs.append(window(stream, start, room))
            rows.append((number, [place - start + 1 for place in asked]))  # column 0 is <s>
        counts.append(len(places))
    found: list[list[tuple[Filler, ...]]] = [[()] * len(columns) for _, columns in rows]
    device = model.lm_head.bias.device
    special = torch.tensor([*range(len(SPECIALS)), mask], device=device)
    symbols = tokenizer.vocabulary.symbols
    for indices, tokens_BT, full in batched(inputs, device, max_tokens, description):
        places_N = [row * tokens_BT.size(1) + column for row, index in enumerate(indices) for column in rows[index][1]]
        logits_NV = model(tokens_BT, torch.tensor(places_N, device=device), full)
        if not bool(torch.isfinite(logits_NV).all()):
            raise UserError("the model's outputs are NaN or infinite; the body or the embedding diverged in training")
        total_N1 = logits_NV.logsumexp(-1, keepdim=True)
        best = logits_NV.index_fill_(1, special, -torch.inf).topk(min(top, len(symbols) - len(special)))
        fillers = iter(zip(best.indices.tolist(), (best.values - total_N1).exp().tolist(), strict=True))
        for index in indices:
            found[index] = [tuple(Filler(symbols[token], p) for token, p in zip(*next(fillers), strict=True))
                            for _ in rows[index][1]]
    in_order = (fillers for window_of in found for fillers in window_of)
    return [_filling(tokenizer, text, [next(in_order) for _ in range(count)])
            for text, count in zip(texts, counts, strict=True)]


def _filling(tokenizer: Tokenizer, text: str, fillers: Sequence[tuple[Filler, ...]]) -> Filling:
    first, *rest = text.split(MASK_SYMBOL)
    masks, end, filled = [], len(first), first
    for best, part in zip(fillers, rest, strict=True):
        masks.append(FilledMask(end, end + len(MASK_SYMBOL), best))
        end += len(MASK_SYMBOL) + len(part)
        filled = join(tokenizer, filled, best[0].piece) + part
    return Filling(text, tuple(masks), filled)


def join(tokenizer: Tokenizer, text: str, piece: str) -> str:
    """A text and a piece after it: the piece, not the space that stood before the mask, says whether a new word begins."""
    token = tokenizer.vocabulary.ids[piece]
    written = tokenizer.decode([token]).lstrip()
    if not tokenizer.spellings[token].startswith(WORD_BOUNDARY):
        return text.rstrip() + written
    return text + written if not text or text[-1].isspace() else f"{text} {written}"
