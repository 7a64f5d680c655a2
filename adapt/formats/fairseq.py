"""`relexify import-fairseq`: a fairseq RoBERTa or XLM-R checkpoint to a Body and an Embedding module.

The checkpoint is loaded safely (`pretrain.base.checkpoints.load_checkpoint`), and fairseq need not be installed. Rows of the
token table are re-ordered by symbol, from the numbers of `dict.txt` to those of our `Vocabulary` of the SentencePiece
model.

This module imports nothing heavy by itself: the command line reads it for `--help`.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pretrain.base.errors import UserError, unknown
from pretrain.base.files import atomic_folder, require_file, sha256_file
from pretrain.base.outputs import makes

if TYPE_CHECKING:
    from torch import Tensor

    from adapt.text.tokenizer import Tokenizer
    from pretrain.encoder import EncoderConfig

MISSING_ROWS = ("error", "draw")
LARGEST_PADDING = 64
"""Tables padded to a multiple of 8 for tensor cores hold at most this many rows that no symbol has."""

_NO_TOKENIZER = ("an embedding module needs the checkpoint's tokenizer: sentencepiece.bpe.model of XLM-R and its like, GPT-2's "
                 "encoder.json with vocab.bpe beside it of roberta.base; or take the body alone with --body-only")


def read_dictionary(path: str | Path) -> dict[str, int]:
    """Row of each symbol of a fairseq `dict.txt`, the four specials included; `<mask>` only where it is written there.

    Follows `fairseq.data.Dictionary.add_from_file`: every line takes the next row; a symbol may stand twice with the
    overwrite flag and then has the later row, but specials keep rows 0-3, which fairseq remembers by number.

    Raises:
        UserError: a line that is not `symbol count`, or a symbol that stands twice.
    """
    from pretrain.base.vocabulary import SPECIALS

    path = require_file(path, "a fairseq dictionary (dict.txt)")
    try:
        text = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: expected a fairseq dictionary in UTF-8, found byte {error.object[error.start]:#x} at "
                        f"offset {error.start}") from None
    rows = {symbol: row for row, symbol in enumerate(SPECIALS)}
    row = len(rows)
    for number, line in enumerate(io.StringIO(text, newline=None), 1):
        line = line.rstrip()
        overwrite = line.endswith(" #fairseq:overwrite")
        symbol, _, count = line.removesuffix(" #fairseq:overwrite").rpartition(" ")
        if not symbol or not count.lstrip("-").isdigit():
            raise UserError(f"{path}:{number}: expected 'symbol count', got {line!r}; is this a fairseq dict.txt?")
        if symbol in rows and not overwrite:
            raise UserError(f"{path}:{number}: symbol {symbol!r} stands twice, and without the flag "
                            "#fairseq:overwrite; download the file again")
        if symbol not in SPECIALS:
            rows[symbol] = row
        row += 1
    rows.setdefault("<mask>", row)  # fairseq's tasks append it
    return rows


def settings_of(checkpoint: Mapping[str, Any]) -> dict[str, Any]:
    """The model's settings in a checkpoint of today's fairseq (`cfg["model"]`) or of old ones (`args`)."""
    cfg = checkpoint.get("cfg")
    for found in (cfg.get("model") if isinstance(cfg, dict) else None, checkpoint.get("args")):
        if isinstance(found, argparse.Namespace):
            return vars(found)
        if isinstance(found, dict):
            return found
    return {}


def _heads(settings: Mapping[str, Any], given: int | None, path: Path) -> int:
    recorded = settings.get("encoder_attention_heads")
    if given is not None and recorded is not None and int(recorded) != given:
        raise UserError(f"--heads {given}: {path} says that its model has {recorded} attention heads; leave the option "
                        "out")
    heads = given if given is not None else recorded
    if heads is None:
        raise UserError(f"{path}: neither cfg nor args says encoder_attention_heads, and the tensors do not show it; "
                        "pass --heads N (roberta.base and xlmr.base: 12, the large ones: 16)")
    return int(heads)


def _check_kind(settings: Mapping[str, Any], path: Path) -> None:
    for name, expected in (("encoder_normalize_before", (False,)), ("activation_fn", ("gelu",)),
                           ("encoder_learned_pos", (True,)), ("no_token_positional_embeddings", (False,))):
        got = settings.get(name)
        if got is not None and got not in expected:
            raise UserError(f"{path}: its model has {name} = {got!r}, this project's encoder has {expected[0]!r}; such "
                            "a model cannot be taken over")


def shape_of(state: Mapping[str, Tensor], heads: int) -> EncoderConfig:
    """The encoder's shape from tensors with our names (heads do not show in them)."""
    from adapt.formats.names import count_layers
    from pretrain.base.vocabulary import PAD
    from pretrain.encoder import EncoderConfig

    ffn, width = state["encoder.layers.0.ffn_in.weight"].shape
    positions, embedding_width = state["encoder.embed_positions.weight"].shape
    return EncoderConfig(layers=count_layers(state), width=width, heads=heads, ffn=ffn, embedding_width=embedding_width,
                         max_positions=positions - PAD - 1)


def align_rows(weight: Tensor, bias: Tensor, rows: Mapping[str, int], tokenizer: Tokenizer, name: str,
               missing: str = "error") -> tuple[Tensor, Tensor, int]:
    """Weight [V, E] and bias [V] in the order of the tokenizer's ids.

    Args:
        weight: the checkpoint's table [rows, E]; `bias` [rows].
        rows: symbol -> row of that table (`read_dictionary`).
        name: the dictionary, for messages.
        missing: `error`, or `draw`: pieces without a row get one from N(mean, sd) of the table, and the mean bias.

    Returns:
        The two tensors and the number of rows that were drawn.

    Raises:
        UserError: the dictionary belongs to another model or another tokenizer.
    """
    if missing not in MISSING_ROWS:
        raise unknown("choice for --missing", missing, MISSING_ROWS)
    needed, have = max(rows.values()) + 1, weight.size(0)
    padded = needed < have < needed + LARGEST_PADDING and have % 8 == 0
    if have != needed and not padded:
        raise UserError(f"{name}: its symbols with <mask> need {needed:,} rows, the checkpoint's token table has "
                        f"{have:,}; take the dict.txt that came with the checkpoint")
    symbols = tokenizer.vocabulary.symbols
    absent = [symbol for symbol in symbols if symbol not in rows]
    if absent and missing == "error":
        raise UserError(f"{name}: {len(absent):,} of the tokenizer's {len(symbols):,} pieces are not in it, among them "
                        f"{', '.join(map(repr, absent[:5]))}; take the SentencePiece model that came with the "
                        "checkpoint, or draw rows for them with --missing draw")
    return take_rows(weight, bias, rows, tokenizer)


def take_rows(weight: Tensor, bias: Tensor, rows: Mapping[str, int], tokenizer: Tokenizer) -> tuple[Tensor, Tensor, int]:
    """Weight [V, E] and bias [V] in the order of the tokenizer's ids, and how many rows were drawn.

    A piece that `rows` lacks gets a row from N(mean, sd) of the table, and the mean bias.
    """
    import torch

    from pretrain.masking import generator_for

    symbols = tokenizer.vocabulary.symbols
    absent = [symbol for symbol in symbols if symbol not in rows]
    index = torch.tensor([rows.get(symbol, 0) for symbol in symbols])
    new_weight, new_bias = weight.index_select(0, index), bias.index_select(0, index)
    if absent:
        places = torch.tensor([tokenizer.vocabulary.ids[symbol] for symbol in absent])
        noise = torch.randn(len(absent), weight.size(1), generator=generator_for(torch.device("cpu"), len(absent)))
        new_weight[places] = weight.mean(0) + weight.std(0) * noise
        new_bias[places] = bias.mean()
    return new_weight, new_bias, len(absent)


@makes("a body with an embedding")
def import_checkpoint(model_pt: str | Path, dict_txt: str | Path | None, sentencepiece_model: str | Path | None,
                      language: str | None, output: str | Path, *, heads: int | None = None, body_only: bool = False,
                      missing: str = "error", overwrite: bool = False) -> dict[str, Any]:
    """Writes `OUTPUT/body` and, unless `body_only`, `OUTPUT/embedding`; both or none.

    Args:
        model_pt: fairseq's checkpoint of a RoBERTa or XLM-R model.
        dict_txt: the dictionary it was trained with; `<mask>` need not stand in it.
        sentencepiece_model: its tokenizer.
        language: BCP-47 code for the embedding (`mul` for a multilingual one).
        heads: attention heads, where the checkpoint does not say.
        missing: what to do with pieces that the dictionary lacks, see `align_rows`.

    Returns:
        What was written: architecture, fingerprint, rows, rows drawn, rows left out.

    Raises:
        UserError: a file that is missing, damaged, foreign, or does not belong to the others.
    """
    from pretrain.base.checkpoints import load_checkpoint

    model_pt = Path(model_pt)
    if not body_only and (dict_txt is None or sentencepiece_model is None):
        absent = "--dict" if dict_txt is None else "--sentencepiece"
        raise UserError(f"{absent} is missing: {_NO_TOKENIZER}")
    if not body_only and language is None:
        raise UserError("--language is missing: the embedding module's language, such as en, or mul for a multilingual "
                        "one")
    checkpoint = load_checkpoint(model_pt)
    settings = settings_of(checkpoint)
    _check_kind(settings, model_pt)

    from adapt.artefacts.embedding import Embedding
    from adapt.formats.names import from_fairseq
    from pretrain.artefacts.body import Body
    from pretrain.masked_lm import EMBEDDING_WEIGHT, OUTPUT_BIAS, VOCABULARY_INDEXED

    state = {name: tensor.float() if tensor.is_floating_point() else tensor
             for name, tensor in checkpoint["model"].items()}
    try:
        tensors = from_fairseq(state)
    except UserError as error:
        raise UserError(f"{model_pt}: {error}") from None
    config = shape_of(tensors, _heads(settings, heads, model_pt))
    made: dict[str, Any] = {"recipe": "import-fairseq", "source": model_pt.name, "source_sha256": sha256_file(model_pt)}
    history = checkpoint.get("optimizer_history") or []
    if history and isinstance(history[-1], dict) and "num_updates" in history[-1]:
        made["updates"] = history[-1]["num_updates"]
    body = Body(config, {name: tensor.clone() for name, tensor in tensors.items() if name not in VOCABULARY_INDEXED},
                made=made)
    body.build(vocabulary_size=5)  # every tensor is there, in its shape
    report: dict[str, Any] = {"architecture": config.to_dict(), "fingerprint": body.fingerprint}

    embedding = None
    if not body_only:
        assert dict_txt is not None and sentencepiece_model is not None and language is not None
        parts, foreign, left_out = _embedding(
            tensors[EMBEDDING_WEIGHT], tensors[OUTPUT_BIAS], Path(dict_txt), sentencepiece_model, missing)
        drawn, table = int((foreign < 0).sum()), len(tensors[EMBEDDING_WEIGHT])
        embedding = Embedding(*parts, _code(language), body.lineage, {
            **made, "rows_drawn": drawn, "rows_left_out": table - (len(foreign) - drawn), "foreign_rows": table}, foreign=foreign)
        report |= {"rows": len(embedding.weight), "rows_drawn": drawn, "rows_left_out": left_out}
    with atomic_folder(output, overwrite) as folder:
        body.save(folder / "body")
        if embedding is not None:
            embedding.save(folder / "embedding")
    return report


def _code(language: str) -> str:
    from pretrain.base.language import check_language

    return check_language(language)


def _embedding(weight: Tensor, bias: Tensor, dict_txt: Path, model: str | Path,
               missing: str) -> tuple[tuple[Tensor, Tensor, Tokenizer], Tensor, int]:
    """(weight, bias, tokenizer), the row that each of its rows had (-1: drawn), symbols of the dictionary that the tokenizer does
    not have."""
    import torch

    from adapt.text.tokenizer import JSON_NAME, Tokenizer

    rows = read_dictionary(dict_txt)
    written = len(rows)
    ordinary = [symbol for symbol, row in rows.items() if row > 3 and symbol != "<mask>"]
    numbers = ordinary and sum(s.isascii() and s.isdigit() for s in ordinary) > 0.9 * len(ordinary)
    tokenizer = Tokenizer.load(model)
    if numbers and tokenizer.file_name != JSON_NAME:
        raise UserError(f"{dict_txt}: its symbols are numbers ({', '.join(ordinary[:3])}, …), those of GPT-2's "
                        f"byte-level BPE; {_NO_TOKENIZER}")
    if numbers:  # GPT-2's ids, written out, are fairseq's symbols; its own special tokens stand beside them
        symbols = tokenizer.vocabulary.symbols
        named = {symbol: str(index) for symbol, index in zip(symbols[4:-1], tokenizer.file_ids[4:-1], strict=True)}
        named |= {symbol: symbol for symbol in (*symbols[:4], symbols[-1])}
        rows = {symbol: rows[name] for symbol, name in named.items() if name in rows}
        tokenizer = _with_rows(tokenizer, rows, len(weight))
    new_weight, new_bias, drawn = align_rows(weight, bias, rows, tokenizer, str(dict_txt), missing)
    foreign = torch.tensor([rows.get(symbol, -1) for symbol in tokenizer.vocabulary.symbols])
    return (new_weight, new_bias, tokenizer), foreign, written - (len(tokenizer.vocabulary) - drawn)


def _with_rows(tokenizer: Tokenizer, rows: Mapping[str, int], table: int) -> Tokenizer:
    """GPT-2's tokenizer with the special tokens and the ids of the checkpoint, as transformers' RoBERTa has it; a piece that has
    no row there is numbered behind the table."""
    import json

    from adapt.formats.huggingface.json_tokenizer import names_of, numbered, special
    from adapt.text.tokenizer import Tokenizer as Made
    from adapt.text.tokenizer.roles import OWN_KEY

    content, names = json.loads(tokenizer.model), names_of(tokenizer)
    absent = [symbol for symbol in tokenizer.vocabulary.symbols if symbol not in rows]
    places = {**rows, **{symbol: table + place for place, symbol in enumerate(absent)}}
    ids = {names.get(symbol, symbol): places[symbol] for symbol in tokenizer.vocabulary.symbols}
    listed = {str(token["content"]): token for token in content.get("added_tokens") or []}
    listed |= {token: special(token, ids[token]) for token in names.values() if token not in listed}
    made = {**numbered({**content, "added_tokens": list(listed.values())}, ids), OWN_KEY: names}
    return Made(json.dumps(made, ensure_ascii=False, separators=(",", ":")).encode(), tokenizer.name)
