"""Which tokens of a text were replaced, by a pre-trained ELECTRA discriminator (Clark et al. 2020, "ELECTRA", §2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from adapt.artefacts.assemble import assemble
from adapt.artefacts.embedding import Embedding
from adapt.artefacts.resources import embedding_of, locate
from adapt.text.tokenizer import Tokenizer
from adapt.text.windows import MAX_TOKENS, batched, most_context, stream_of, window, window_starts
from pretrain.artefacts.body import ELECTRA, Body
from pretrain.base.errors import UserError
from pretrain.electra.networks import Discriminator


@dataclass(frozen=True, slots=True)
class DetectedToken:
    """A token with the probability that it was replaced.

    Attributes:
        piece: as the vocabulary writes it.
        start: its first character in the original text, in code points.
        end: one past its last; equal to `start` for a token that is only a word boundary.
        text: `text[start:end]`, the token in the text's own writing.
        probability: that another token stood here.
    """

    piece: str
    start: int
    end: int
    text: str
    probability: float


@dataclass(frozen=True, slots=True)
class Detection:
    """A text and its tokens in their order."""

    text: str
    tokens: tuple[DetectedToken, ...]


def load_detector(body: str | Path, embedding: str | Path = "",
                  device: str | torch.device = "cpu") -> tuple[Discriminator, Tokenizer]:
    """A discriminator in evaluation mode, and its tokenizer.

    Args:
        embedding: the one in or beside the body's folder where empty.

    Raises:
        UserError: the body is no pre-trained ELECTRA body, or the embedding does not fit it.
    """
    given = Body.load(locate(body, "body"))
    require_pretrained(given, str(body))
    if given.backbone != ELECTRA:
        raise UserError(f"{body} is a RoBERTa body, which has no replaced-token head; detect needs an ELECTRA body, and "
                        "`relexify fill` works with this one")
    module = Embedding.load(embedding_of(body, embedding))
    model = assemble(given, module, device)
    assert isinstance(model, Discriminator)
    return model, module.tokenizer


def require_pretrained(body: Body, place: str) -> None:
    """Raises UserError for a task body, named by `place`: fine-tuning moved it away from its pre-training heads."""
    if body.task:
        raise UserError(f"{place} is a task body ({body.task.get('name')}), fine-tuned away from the heads and without the "
                        "generator of its pre-training; name the pre-trained body, an output of `relexify pretrain`")


@torch.inference_mode()
def detect(model: Discriminator, tokenizer: Tokenizer, texts: Sequence[str], *, max_tokens: int = MAX_TOKENS,
           names: Sequence[str] = (), description: str | None = None) -> list[Detection]:
    """The probability of every token of every text that it was replaced, as the text stands.

    A text longer than the body's positions is read in windows that overlap by half; each token is judged in the window
    that shows most context around it.

    Args:
        model: in evaluation mode, on the device that is to be used; a pair (`Electra`) does as well.
        tokenizer: that of the model's embedding.
        texts: any number, of any length.
        max_tokens: padded tokens of a batch: decides about memory and speed, not about the result.
        names: what error messages call the texts; `text 1` and so on where empty.
        description: text of the progress bar on stderr; none where None.

    Returns:
        One `Detection` for each text, in their order.

    Raises:
        UserError: a text without a token, or outputs that are no numbers.
    """
    encoded = [tokenizer.encode_with_offsets(text) for text in texts]
    room = model.encoder.config.max_positions - 1
    inputs, rows = [], []
    for number, (ids, _) in enumerate(encoded):
        if not ids:
            raise UserError(f"{names[number] if names else f'text {number + 1}'}: expected a text, got one without a token; "
                            "leave empty texts out")
        stream = stream_of(ids)
        starts = window_starts(len(stream), room, max(1, room // 2))
        for start, (low, high) in zip(starts, most_context(starts, room, len(stream)).tolist(), strict=True):
            inputs.append(window(stream, start, room))
            rows.append((number, start, low, high))
    found = [[0.0] * (len(ids) + 1) for ids, _ in encoded]
    device = model.rtd_head.out.weight.device
    for indices, tokens_BT, full in batched(inputs, device, max_tokens, description):
        probabilities_BT = model.detect(tokens_BT, full=full).sigmoid()
        if not bool(torch.isfinite(probabilities_BT).all()):
            raise UserError("the model's outputs are NaN or infinite; the body or the embedding diverged in training")
        for index, row in zip(indices, probabilities_BT.tolist(), strict=True):
            number, start, low, high = rows[index]
            found[number][low:high] = row[low - start + 1:high - start + 1]  # column 0 is <s>
    symbols = tokenizer.vocabulary.symbols
    return [Detection(text, tuple(DetectedToken(symbols[token], start, end, text[start:end], probability)
                                  for token, (start, end), probability in zip(ids, spans, row, strict=False)))  # not </s>
            for text, (ids, spans), row in zip(texts, encoded, found, strict=True)]
