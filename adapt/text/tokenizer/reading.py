"""Somebody's tokenizer files as the bytes of a `tokenizer.json`: BERT's `vocab.txt`, GPT-2's vocabulary and merges.

A SentencePiece model is left as it is.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from adapt.text.tokenizer.roles import OWN_KEY, with_roles
from pretrain.base.errors import UserError
from pretrain.base.files import read_json, require_file

SETTINGS = ("special_tokens_map.json", "tokenizer_config.json")
MERGES = ("vocab.bpe", "merges.txt")
LONGEST_WORD = 100
"""Characters of a word above which WordPiece gives up, in every BERT."""


def read_foreign(path: Path) -> bytes:
    """The bytes of a SentencePiece model as they are, else of a `tokenizer.json` that says which tokens are special.

    Raises:
        UserError: damaged files, or merges that are missing.
    """
    data = path.read_bytes()
    if path.name == "vocab.txt":
        content = of_wordpieces(path, settings_beside(path))
    elif data.lstrip()[:1] == b"{":
        content = read_json(path, "a tokenizer")
        if isinstance(content, dict) and content and all(isinstance(row, int) for row in content.values()):
            content = of_byte_pairs(content, path)
        if not isinstance(content, dict) or not isinstance(content.get("model"), dict):
            raise UserError(f"{path}: expected a tokenizer.json, with `model`, or GPT-2's vocabulary, found neither; save the "
                            "tokenizer again with transformers' save_pretrained")
        if OWN_KEY in content:
            return data
    else:
        return data
    try:
        written = json.dumps(with_roles(content, settings_beside(path)), ensure_ascii=False, separators=(",", ":"))
    except (KeyError, TypeError, IndexError, AttributeError):
        raise UserError(f"{path}: expected a tokenizer.json of the tokenizers library, found another layout; save the "
                        "tokenizer again with transformers' save_pretrained") from None
    return written.encode()


def settings_beside(path: Path) -> dict[str, Any]:
    """What the settings of a tokenizer say, those that say nothing left out."""
    found: dict[str, Any] = {}
    for name in SETTINGS:
        if (path.parent / name).is_file():
            said = read_json(path.parent / name, "the settings of a tokenizer")
            if isinstance(said, dict):
                found.update({key: value for key, value in said.items() if value is not None})
    return found


def of_wordpieces(path: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """BERT's `vocab.txt`: a piece a line. Whether it lower-cases stands in tokenizer_config.json; without that it does, unless
    the vocabulary has pieces in capitals."""
    try:
        lines = path.read_bytes().decode("utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: expected pieces in UTF-8, found byte {error.object[error.start]:#x} at offset "
                        f"{error.start}") from None
    rows = {piece.removesuffix("\r"): row for row, piece in enumerate(lines) if piece.removesuffix("\r")}
    unknown = str(settings.get("unk_token", "[UNK]"))
    if unknown not in rows:
        raise UserError(f"{path}: expected BERT's vocabulary, a piece a line with {unknown} among them; found "
                        f"{len(rows):,} lines without it; name it as unk_token in tokenizer_config.json beside it")
    capitals = any(piece != piece.lower() for piece in rows if piece[:1] not in "[<")
    special = [token for token in ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "<s>", "<pad>", "</s>", "<mask>")
               if token in rows]
    return {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [{"id": rows[token], "content": token, "single_word": False, "lstrip": token == "<mask>",
                          "rstrip": False, "normalized": False, "special": True} for token in special],
        "normalizer": {"type": "BertNormalizer", "clean_text": True,
                       "handle_chinese_chars": bool(settings.get("tokenize_chinese_chars", True)),
                       "strip_accents": settings.get("strip_accents"),
                       "lowercase": bool(settings.get("do_lower_case", not capitals))},
        "pre_tokenizer": {"type": "BertPreTokenizer"}, "post_processor": None,
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": {"type": "WordPiece", "unk_token": unknown, "continuing_subword_prefix": "##",
                  "max_input_chars_per_word": LONGEST_WORD, "vocab": rows}}


def of_byte_pairs(vocabulary: dict[str, int], path: Path) -> dict[str, Any]:
    """GPT-2's `encoder.json` (or `vocab.json`) with `vocab.bpe` (or `merges.txt`): byte-level BPE."""
    merges = next((path.parent / name for name in MERGES if (path.parent / name).is_file()), None)
    if merges is None:
        raise UserError(f"{path}: expected GPT-2's merges beside it ({' or '.join(MERGES)}), found none; put the file there")
    pairs = []
    for number, line in enumerate(require_file(merges, "merges").read_bytes().decode("utf-8", "replace").split("\n"), 1):
        parts = line.removesuffix("\r").split(" ")
        if line.startswith("#version") or not line.strip():
            continue
        if len(parts) != 2 or "".join(parts) not in vocabulary:
            raise UserError(f"{merges}:{number}: expected two pieces that merge to one of {path.name}, got {line[:40]!r}; "
                            "take both files from one model")
        pairs.append(parts)
    special = [token for token in ("<s>", "<pad>", "</s>", "<unk>", "<mask>", "<|endoftext|>") if token in vocabulary]
    return {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [{"id": vocabulary[token], "content": token, "single_word": False, "lstrip": token == "<mask>",
                          "rstrip": False, "normalized": False, "special": True} for token in special],
        "normalizer": None, "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True,
                                              "use_regex": True},
        "post_processor": None, "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True,
                                            "use_regex": True},
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
                  "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "vocab": vocabulary,
                  "merges": [" ".join(pair) for pair in pairs]}}
