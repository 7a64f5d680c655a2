"""A tokenizer cut to what a text uses: the same pieces on that text, and a table that is a fraction of a multilingual one.

What is left out is no piece any more, so that another text is written with the pieces that remain. Kept besides: pieces of one
character, bytes, and what BPE merges on the way to a piece.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from adapt.text.tokenizer import JSON_NAME, Tokenizer
from adapt.text.tokenizer.kind import WORD_BOUNDARY
from pretrain.base.errors import UserError

BATCH = 1000
"""Lines that are encoded at once."""
NORMAL = 1
"""SentencePiece's type of an ordinary piece (sentencepiece_model.proto)."""


def pruned(tokenizer: Tokenizer, lines: Iterable[str]) -> Tokenizer:
    """The tokenizer with the pieces that `lines` use; on them it gives the same pieces, which is checked.

    Raises:
        UserError: no text, or a tokenizer that would read the text otherwise.
    """
    lines = [line for line in lines if line.strip()]
    symbols = tokenizer.vocabulary.symbols
    used = {symbols[token] for batch in _batches(lines) for token in tokenizer.encode_flat(batch)[0].tolist()}
    if not used:
        raise UserError("--text: expected a text of the language, found one that gives no token; name a file that holds some")
    cut = _json if tokenizer.file_name == JSON_NAME else _sentencepiece
    made = Tokenizer(cut(tokenizer, used), tokenizer.name)
    new = made.vocabulary.symbols
    for batch in _batches(lines):
        for line, old_ids, new_ids in zip(batch, tokenizer.encode_batch(batch), made.encode_batch(batch), strict=True):
            if [symbols[token] for token in old_ids] != [new[token] for token in new_ids]:
                raise UserError(f"{tokenizer.name}: cut to the pieces of the text, it would read {line[:40]!r} otherwise; keep "
                                "it whole (import it without --text)")
    return made


def _batches(lines: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(lines), BATCH):
        yield lines[start:start + BATCH]


def _json(tokenizer: Tokenizer, used: set[str]) -> bytes:
    content: dict[str, Any] = json.loads(tokenizer.model)
    model = content["model"]
    kind, vocabulary = model.get("type"), model["vocab"]
    kept = used | {str(token["content"]) for token in content.get("added_tokens") or []}
    kept |= {token for token in content["relexify"].values() if token}
    names = [row[0] for row in vocabulary] if isinstance(vocabulary, list) else sorted(vocabulary, key=vocabulary.__getitem__)
    prefix = model.get("continuing_subword_prefix") or ""
    kept |= {name for name in names if len(name.removeprefix(prefix)) == 1 or (name.startswith("<0x") and name.endswith(">"))}
    if kind == "BPE":
        pairs = [tuple(pair) if isinstance(pair, list) else tuple(pair.split(" ")) for pair in model["merges"]]
        ranks = {pair: rank for rank, pair in enumerate(pairs)}
        for piece in list(kept):
            kept |= _on_the_way(piece, ranks)
        model["merges"] = [list(pair) for pair in pairs if {pair[0], pair[1], "".join(pair)} <= kept]
    order = [name for name in names if name in kept]
    places = {name: place for place, name in enumerate(order)}
    if isinstance(vocabulary, list):
        unknown = vocabulary[model["unk_id"]][0] if isinstance(model.get("unk_id"), int) else None
        model["vocab"] = [row for row in vocabulary if row[0] in kept]
        model["unk_id"] = places.get(unknown) if unknown else None
    else:
        model["vocab"] = places
    for token in content.get("added_tokens") or []:
        token["id"] = places.setdefault(str(token["content"]), len(places))
    content["post_processor"] = None  # names ids; which tokens are special stands under our own key
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()


def merged(piece: str, ranks: Mapping[tuple[str, ...], int]) -> list[str]:
    """The pieces that BPE makes from the letters of `piece`."""
    return list(_steps(piece, ranks))[-1]


def _on_the_way(piece: str, ranks: Mapping[tuple[str, ...], int]) -> set[str]:
    """The pieces that BPE makes from the letters of `piece` until it is whole."""
    return {piece, *(part for parts in _steps(piece, ranks) for part in parts)}


def _steps(piece: str, ranks: Mapping[tuple[str, ...], int]) -> Iterator[list[str]]:
    """The letters, and the pieces after each merge."""
    parts = list(piece)
    yield list(parts)
    while len(parts) > 1:
        best = min(range(len(parts) - 1), key=lambda place: ranks.get((parts[place], parts[place + 1]), len(ranks)))
        if (parts[best], parts[best + 1]) not in ranks:
            break
        parts[best:best + 2] = [parts[best] + parts[best + 1]]
        yield list(parts)


def _sentencepiece(tokenizer: Tokenizer, used: set[str]) -> bytes:
    from adapt.formats.huggingface.tokenizer import protobuf_fields, read_kind

    if read_kind(tokenizer) != "unigram":
        raise UserError(f"{tokenizer.name}: only unigram models of SentencePiece can be cut to a text: a byte-pair model "
                        "builds its pieces from one another; keep it whole (import it without --text)")
    written = bytearray()
    for field, value in protobuf_fields(tokenizer.model):
        if field == 1:
            inner = dict(protobuf_fields(value))
            piece = inner[1].decode()
            if inner.get(3, NORMAL) == NORMAL and piece not in used and len(piece.removeprefix(WORD_BOUNDARY)) > 1:
                continue
        written += _varint(field << 3 | 2) + _varint(len(value)) + value
    return bytes(written)


def _varint(number: int) -> bytes:
    found = bytearray()
    while number > 127:
        found.append(number & 127 | 128)
        number >>= 7
    found.append(number)
    return bytes(found)
