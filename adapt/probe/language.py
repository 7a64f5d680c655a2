"""Which of several languages a text is in: by its script, and where scripts do not tell by which embedding models it best.

No list of languages and no classifier: the candidates are the embeddings at hand. Their vocabularies say which scripts they
write; among those that write the text's script the masked language model decides, in bits per character, which can be compared
between vocabularies where bits per token cannot.
"""

from __future__ import annotations

import math
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray

from adapt.artefacts.assemble import swap
from adapt.artefacts.embedding import Embedding
from adapt.text.tokenizer import Tokenizer
from adapt.text.windows import batched, stream_of, window
from pretrain.base.errors import UserError
from pretrain.base.vocabulary import SPECIALS, UNK
from pretrain.masked_lm import MaskedLM

SHARE = 0.1
"""A vocabulary writes a script if it has this share of the pieces that its commonest script has."""
ROUNDS = 7
"""Forward passes per text: in each, every seventh token is hidden, so that each token is judged once."""
TOKENS = 96
"""Tokens of a text that are looked at: its beginning tells."""
MAX_TOKENS = 2048
"""Padded tokens of a batch; few, because every hidden token brings a row of V logits."""


@lru_cache(maxsize=1 << 16)
def script_of(char: str) -> str:
    """The script of a letter as the first word of its Unicode name (LATIN, CYRILLIC, CJK, …); empty for what is no letter."""
    return unicodedata.name(char, "").partition(" ")[0] if unicodedata.category(char)[0] == "L" else ""


def scripts_of(texts: Iterable[str]) -> Counter[str]:
    """How many letters of each script the texts hold."""
    found = Counter(script for text in texts for script in map(script_of, text) if script)
    return found


def writes(tokenizer: Tokenizer) -> frozenset[str]:
    """The scripts that a vocabulary writes."""
    pieces = Counter(script for piece in tokenizer.spellings[len(SPECIALS):-1]
                     for script in {script_of(char) for char in piece} if script)
    most = max(pieces.values(), default=0)
    return frozenset(script for script, count in pieces.items() if count >= SHARE * most)


def candidates(text: str, scripts: Mapping[str, frozenset[str]]) -> list[str]:
    """The languages whose vocabularies write the commonest script of a text; all of them where none does.

    Args:
        scripts: language -> what `writes` says of its vocabulary.
    """
    counted = scripts_of([text])
    for script, _ in counted.most_common():
        if able := [language for language, known in scripts.items() if script in known]:
            return able
    return list(scripts)


@torch.inference_mode()
def bits_per_character(model: MaskedLM, tokenizer: Tokenizer, texts: Sequence[str]) -> NDArray[np.float64]:
    """What each text costs under a masked language model, in bits per character of what was looked at [N]; infinite for a text
    without a token.

    Every token is hidden once, with every seventh other one, and costs minus log2 of its probability; an unknown token costs
    the logarithm of the vocabulary's size.

    Args:
        model: in evaluation mode, with the tokenizer's embedding in place.
    """
    room = min(TOKENS, model.encoder.config.max_positions - 1)
    mask = tokenizer.vocabulary.mask
    inputs: list[NDArray[np.int32]] = []
    hidden: list[tuple[int, NDArray[np.int64], NDArray[np.int64]]] = []  # text, columns, ids there
    characters = np.zeros(len(texts))
    cost = np.zeros(len(texts))
    for number, text in enumerate(texts):
        ids, spans = tokenizer.encode_with_offsets(text)
        kept = min(len(ids), room)
        if not kept:
            continue
        characters[number] = max(1, len(text[:spans[kept - 1][1]].strip()))
        cost[number] = math.log2(len(tokenizer)) * sum(token == UNK for token in ids[:kept])
        row = window(stream_of(ids), 0, room)
        for first in range(min(ROUNDS, kept)):
            columns = np.arange(first + 1, kept + 1, ROUNDS)  # column 0 is <s>
            columns = columns[row[columns] != UNK]
            if len(columns):
                changed = row.copy()
                changed[columns] = mask
                inputs.append(changed)
                hidden.append((number, columns, row[columns].astype(np.int64)))
    device = model.lm_head.bias.device
    for indices, tokens_BT, full in batched(inputs, device, MAX_TOKENS):
        places = np.concatenate([row * tokens_BT.size(1) + hidden[index][1] for row, index in enumerate(indices)])
        ids_N = torch.from_numpy(np.concatenate([hidden[index][2] for index in indices])).to(device)
        logits_NV = model(tokens_BT, torch.from_numpy(places).to(device), full)
        bits_N = (logits_NV.logsumexp(-1) - logits_NV.gather(1, ids_N[:, None])[:, 0]) / math.log(2)
        owners = np.concatenate([np.full(len(hidden[index][1]), hidden[index][0]) for index in indices])
        np.add.at(cost, owners, bits_N.double().cpu().numpy())
    return np.where(characters > 0, cost / np.maximum(characters, 1), math.inf)


def bits_without_a_model(tokenizer: Tokenizer, texts: Sequence[str]) -> NDArray[np.float64]:
    """The same where every token is as probable as any other: what the vocabulary alone says of each text [N]."""
    found = np.full(len(texts), math.inf)
    for number, (text, ids) in enumerate(zip(texts, tokenizer.encode_batch(texts), strict=True)):
        if ids:
            unknown = sum(token == UNK for token in ids)  # an unknown stretch counts as if each character were a token
            found[number] = math.log2(len(tokenizer)) * (len(ids) + unknown) / max(1, len(text.strip()))
    return found


def guess(embeddings: Mapping[str, Embedding], texts: Sequence[str], model: MaskedLM | None = None,
          put: Callable[[Embedding], None] | None = None) -> list[str]:
    """The language of each text, among those of the embeddings.

    Args:
        embeddings: language -> embedding.
        model: a masked language model of the embeddings' lineage, in evaluation mode; its embedding is another one afterwards.
            Without one the vocabularies decide where scripts do not.
        put: puts an embedding into the model, where that is more than `swap` (a generator inside a pair).

    Raises:
        UserError: no embeddings.
    """
    if not embeddings:
        raise UserError("no embedding to choose a language from; name at least one with --embedding")
    scripts = {language: writes(embedding.tokenizer) for language, embedding in embeddings.items()}
    able = [candidates(text, scripts) for text in texts]
    chosen = [languages[0] for languages in able]
    best = np.full(len(texts), math.inf)
    for language, embedding in embeddings.items():
        asked = [number for number, languages in enumerate(able) if len(languages) > 1 and language in languages]
        if not asked:
            continue
        if model is None:
            bits = bits_without_a_model(embedding.tokenizer, [texts[number] for number in asked])
        else:
            swap(model, embedding) if put is None else put(embedding)
            bits = bits_per_character(model, embedding.tokenizer, [texts[number] for number in asked])
        for number, cost in zip(asked, bits.tolist(), strict=True):
            if cost < best[number]:
                best[number], chosen[number] = cost, language
    return chosen
