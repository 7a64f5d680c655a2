"""Which tokens of somebody's tokenizer are the beginning, the padding, the end, the unknown piece, the mask."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pretrain.base.vocabulary import MASK_SYMBOL

OWN_KEY = "relexify"
"""The key of a `tokenizer.json` of ours that says so: our symbol -> its token, or null where it has none."""
ROLES = {"<s>": (("cls_token", "bos_token"), ("[CLS]", "<s>")), "<pad>": (("pad_token",), ("[PAD]", "<pad>")),
         "</s>": (("sep_token", "eos_token"), ("[SEP]", "</s>")), "<unk>": (("unk_token",), ("[UNK]", "<unk>")),
         MASK_SYMBOL: (("mask_token",), ("[MASK]", "<mask>"))}
"""Our special tokens: the names under which a tokenizer's settings say its own, and the usual ones."""


def with_roles(content: Mapping[str, Any], settings: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A `tokenizer.json` with `OWN_KEY`.

    Believed first is what `settings` (tokenizer_config.json, special_tokens_map.json) say, then what the file puts around
    texts and calls unknown, then the usual names, those in the style of its first token before the others.
    """
    model = content["model"]
    vocabulary = model.get("vocab") or {}
    tokens = {str(row[0]) for row in vocabulary} if isinstance(vocabulary, list) else set(vocabulary)
    tokens |= {str(token["content"]) for token in content.get("added_tokens") or []}
    around = _around(content.get("post_processor"))
    if isinstance(vocabulary, list):
        unknown = vocabulary[model["unk_id"]][0] if isinstance(model.get("unk_id"), int) else None
    else:
        unknown = model.get("unk_token")
    found: dict[str, str | None] = {}
    for ours, (keys, usual) in ROLES.items():
        said = [name_of(settings[key]) for key in keys if settings and settings.get(key) is not None]
        said += [str(token) for token in (around.get(ours), unknown if ours == "<unk>" else None) if token]
        if str(found.get("<s>") or "[").startswith("<"):
            usual = usual[::-1]
        found[ours] = next((name for name in (*said, *usual) if name in tokens), None)
    return {**content, OWN_KEY: found}


def name_of(token: Any) -> str:
    """A token in settings: its text, or an object that has it."""
    return str(token["content"]) if isinstance(token, dict) and "content" in token else str(token)


def _around(processor: Any) -> dict[str, str]:
    """What a post-processor puts before and after a text."""
    if not isinstance(processor, dict):
        return {}
    if processor.get("type") == "Sequence":
        return {role: token for inner in processor.get("processors") or [] for role, token in _around(inner).items()}
    if processor.get("type") in ("BertProcessing", "RobertaProcessing"):
        return {"<s>": str(processor["cls"][0]), "</s>": str(processor["sep"][0])}
    if processor.get("type") == "TemplateProcessing":
        single = processor.get("single") or [{}]
        ends = {"<s>": single[0].get("SpecialToken"), "</s>": single[-1].get("SpecialToken")}
        return {role: str(token["id"]) for role, token in ends.items() if token}
    return {}
