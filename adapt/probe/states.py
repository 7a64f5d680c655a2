"""Texts as vectors: the states of a layer, one for each token or their mean."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from adapt.text.tokenizer import Tokenizer
from adapt.text.windows import MAX_TOKENS, batched, most_context, stream_of, window, window_starts
from pretrain.base.errors import UserError
from pretrain.encoder import Encoder


def layer_number(layer: int, layers: int) -> int:
    """Which of `layers` layers is meant, from 0: 1 is the first, -1 the last, as -2 is the last but one.

    Raises:
        UserError: there is no such layer.
    """
    if not 1 <= abs(layer) <= layers:
        raise UserError(f"layer {layer}: this body has {layers}; expected 1 to {layers}, or -1 (the last) to -{layers}")
    return layer - 1 if layer > 0 else layers + layer


@torch.inference_mode()
def states(encoder: Encoder, tokenizer: Tokenizer, texts: Sequence[str], layer: int = -1, *, max_tokens: int = MAX_TOKENS,
           names: Sequence[str] = (), description: str | None = None) -> list[NDArray[np.float32]]:
    """The states of a layer at the tokens of each text, [T, D] each, without those of `<s>` and `</s>`.

    A text longer than the body's positions is read in windows that overlap by half; each token's state is that of the window
    that shows most context around it.

    Args:
        encoder: in evaluation mode, with the tokenizer's embedding in place.
        layer: 1 is the first, -1 the last.
        max_tokens: padded tokens of a batch: decides about memory and speed, not about the result.
        names: what error messages call the texts; `text 1` and so on where empty.
        description: text of the progress bar on stderr; none where None.

    Raises:
        UserError: no such layer, or a text without a token.
    """
    wanted = layer_number(layer, len(encoder.layers))
    room = encoder.config.max_positions - 1
    inputs, owners = [], []
    found: list[NDArray[np.float32]] = []
    for number, ids in enumerate(tokenizer.encode_batch(texts)):
        if not ids:
            raise UserError(f"{names[number] if names else f'text {number + 1}'}: expected a text, got one without a token; "
                            "leave empty texts out")
        found.append(np.empty((len(ids), encoder.config.width), dtype=np.float32))
        stream = stream_of(ids)
        starts = window_starts(len(stream), room, max(1, room // 2))
        for start, (low, high) in zip(starts, most_context(starts, room, len(stream)).tolist(), strict=True):
            inputs.append(window(stream, start, room))
            owners.append((number, start, low, min(high, len(ids))))  # the last token of the stream is </s>
    caught: list[Tensor] = []

    def catch(module: nn.Module, given: object, result: Tensor) -> None:
        caught.append(result)

    hook = encoder.layers[wanted].register_forward_hook(catch)
    try:
        for indices, tokens_BT, full in batched(inputs, encoder.embed_tokens.weight.device, max_tokens, description):
            caught.clear()
            encoder(tokens_BT, full=full)
            for index, row_TD in zip(indices, caught[0].float().cpu().numpy(), strict=True):
                number, start, low, high = owners[index]
                found[number][low:high] = row_TD[low - start + 1:high - start + 1]  # column 0 is <s>
    finally:
        hook.remove()
    return found


def vectors(encoder: Encoder, tokenizer: Tokenizer, texts: Sequence[str], layer: int = -1, *, max_tokens: int = MAX_TOKENS,
            names: Sequence[str] = (), description: str | None = None) -> NDArray[np.float32]:
    """One vector for each text [N, D]: the mean of its tokens' states, see `states`."""
    found = states(encoder, tokenizer, texts, layer, max_tokens=max_tokens, names=names, description=description)
    return np.stack([each.mean(0) for each in found]) if found else np.zeros((0, encoder.config.width), dtype=np.float32)
