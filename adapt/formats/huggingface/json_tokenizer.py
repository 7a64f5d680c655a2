"""A `tokenizer.json` as it goes out with a model: its own ids or ours, special tokens where our tasks put them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adapt.formats.huggingface.tokenizer import SAMPLES, around, check, in_places, write_settings
from adapt.text.tokenizer import JSON_NAME, Tokenizer
from adapt.text.tokenizer.roles import OWN_KEY
from pretrain.base.errors import UserError
from pretrain.base.vocabulary import MASK_SYMBOL

if TYPE_CHECKING:
    from adapt.formats.order import Order


def names_of(tokenizer: Tokenizer) -> dict[str, str]:
    """What the file calls our special tokens; ours where it has none, or calls two by one name (GPT-2's <|endoftext|>)."""
    rows = {symbol: row for row, symbol in enumerate(tokenizer.vocabulary.symbols)}
    return {ours: theirs if theirs and tokenizer.file_ids[rows[ours]] >= 0 else ours
            for ours, theirs in json.loads(tokenizer.model)[OWN_KEY].items()}


def numbered(content: Mapping[str, Any], ids: Mapping[str, int]) -> dict[str, Any]:
    """A `tokenizer.json` in which tokens have other ids; those that `ids` does not name are left out.

    Args:
        content: the file.
        ids: token -> id.
    """
    model = dict(content["model"])
    if isinstance(model["vocab"], list):
        scores = {str(piece): float(score) for piece, score in model["vocab"]}
        least = min(scores.values())
        unknown = model["vocab"][model["unk_id"]][0] if isinstance(model.get("unk_id"), int) else None
        listed = in_places({token: (scores.get(token, least), place) for token, place in ids.items()}, least)
        model |= {"vocab": [list(row) for row in listed], "unk_id": ids.get(str(unknown)) if unknown else None}
    else:
        model["vocab"] = dict(sorted(ids.items(), key=lambda item: item[1]))
    added = [{**token, "id": ids[token["content"]]} for token in content.get("added_tokens") or [] if token["content"] in ids]
    return {**content, "model": model, "added_tokens": sorted(added, key=lambda token: int(token["id"]))}


def special(token: str, place: int) -> dict[str, Any]:
    """The entry of a special token among the added ones."""
    return {"id": place, "content": token, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
            "special": True}


def build(tokenizer: Tokenizer, order: Order, segments: int = 1) -> Any:
    """The library's tokenizer with the ids of `order`.

    Args:
        segments: of the body: what stands between two texts.
    """
    from tokenizers import Tokenizer as Library
    from tokenizers import processors

    content = json.loads(tokenizer.model)
    content.pop(OWN_KEY)
    names = names_of(tokenizer)
    places = order.ids.tolist()
    ids = {names.get(symbol, symbol): place for symbol, place in zip(tokenizer.vocabulary.symbols, places, strict=True)}
    if places != tokenizer.file_ids.tolist():
        content = numbered(content, ids)
    listed = {str(token["content"]): token for token in content.get("added_tokens") or []}
    for token in names.values():
        listed[token] = {**listed.get(token, special(token, ids[token])), "special": True, "normalized": False}
    if json.loads(tokenizer.model)["model"].get("type") != "WordPiece":
        listed[names[MASK_SYMBOL]]["lstrip"] = True  # a blank before a mask is the hidden piece's word boundary
    content |= {"added_tokens": sorted(listed.values(), key=lambda token: int(token["id"])), "truncation": None, "padding": None,
                "post_processor": None}
    made = Library.from_str(json.dumps(content))
    single, pair = around(names["<s>"], names["</s>"], segments)
    template = processors.TemplateProcessing(single=single, pair=pair, special_tokens=[
        (names[symbol], ids[names[symbol]]) for symbol in ("<s>", "</s>")])
    blank = _byte_level(content.get("pre_tokenizer"))  # whose spans begin with the space before a word
    made.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=True), template]) if blank else template
    return made


def _byte_level(part: Any) -> bool:
    """Whether one of the steps of a pre-tokenizer is byte-level."""
    if not isinstance(part, dict):
        return False
    return part.get("type") == "ByteLevel" or any(map(_byte_level, part.get("pretokenizers") or []))


def _check_words(tokenizer: Tokenizer, made: Any, texts: Sequence[str], order: Order) -> None:
    """Words with a space between them must be read as a text, since that is what a pipeline gets."""
    for words in (text.split() for text in texts):
        read = [*tokenizer.encode_batch(words[:1]), *tokenizer.encode_words(words[1:])]
        ours = [int(order.ids[token]) for word in read for token in word]
        theirs = made.encode(" ".join(words), add_special_tokens=False).ids
        if theirs != ours:
            raise UserError(f"{tokenizer.name}: the exported {JSON_NAME} would read the words {' '.join(words)[:60]!r} otherwise "
                            f"({theirs[:8]} and {ours[:8]}); nothing was written; export the model without a tokenizer "
                            "(--no-tokenizer)")


def write_json_tokenizer(tokenizer: Tokenizer, order: Order, folder: Path, longest: int, texts: Sequence[str] = (),
                         segments: int = 1, words: bool = False) -> None:
    """`tokenizer.json` and `tokenizer_config.json`, after comparing ids on `SAMPLES` and `texts`.

    Args:
        longest: the model's longest input in tokens.
        segments: see `build`.
        words: the model tags words.

    Raises:
        UserError: the library would read a text otherwise than here.
    """
    made = build(tokenizer, order, segments)
    check(tokenizer, made, [*SAMPLES, *texts], order)
    if words:
        _check_words(tokenizer, made, texts, order)
    made.save(str(folder / JSON_NAME))
    write_settings(folder, longest, segments, names_of(tokenizer))
