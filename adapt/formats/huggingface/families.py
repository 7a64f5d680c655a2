"""The families of models that have our encoder's shape, by `model_type` of config.json: what differs between them.

All have LayerNorm after each block, exact gelu, learned positions and one table for input and output: BERT (Devlin et al.
2019) and what has its shape, RoBERTa (Liu et al. 2019), CamemBERT, XLM-R, and MPNet (Song et al. 2020), which adds T5's
bucketed relative bias. Names of the tensors: transformers `models/*/modeling_*.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adapt.formats import bert_names, mpnet_names
from adapt.formats.names import POSITIONS, SEGMENTS, aligned, count_layers, to_ours
from pretrain.base.errors import UserError
from pretrain.base.vocabulary import PAD
from pretrain.masked_lm import EMBEDDING_WEIGHT, OUTPUT_BIAS

if TYPE_CHECKING:
    from torch import Tensor

    from pretrain.encoder import EncoderConfig

UNUSED = PAD + 1
"""Rows of our position table before that of the first token."""
_TYPES = "embeddings.token_type_embeddings.weight"
_FORMER = ((re.compile(r"\.gamma$"), ".weight"), (re.compile(r"\.beta$"), ".bias"))
"""LayerNorm's names in BERT checkpoints of 2018 and 2019."""


@dataclass(frozen=True)
class Family:
    """What is particular to a family.

    Attributes:
        title: what messages call it.
        prefixes: of the encoder's tensors in a model with a head; a bare encoder has none.
        head: tensors of the LM head, ours -> theirs (with `weight` and `bias`).
        bias: theirs of the output bias.
        copies: names under which they save tied tensors again, with ours.
        ignored: tensors that are neither encoder nor LM head.
        positions_from: rows of their position table before that of the first token.
        attention: their names of the parts of a layer that differ from RoBERTa's.
        relative: they have a bucketed relative bias.
        defaults: what config.json means where it is silent.
    """

    title: str
    prefixes: tuple[str, ...]
    head: Mapping[str, str]
    bias: str
    copies: Mapping[str, str]
    ignored: str
    positions_from: int = 0
    attention: tuple[tuple[str, str], ...] = ()
    relative: bool = False
    defaults: tuple[tuple[str, Any], ...] = ()


_BERT = Family(
    "BERT", ("bert.",), bert_names.HEAD, bert_names.BIAS,
    {"cls.predictions.decoder.weight": EMBEDDING_WEIGHT, "cls.predictions.decoder.bias": OUTPUT_BIAS},
    r"embeddings\.(position_ids|token_type_ids)|pooler\..*|cls\.seq_relationship\..*|(classifier|qa_outputs)\..*",
    defaults=(("vocab_size", 30522), ("max_position_embeddings", 512), ("type_vocab_size", 2), ("layer_norm_eps", 1e-12)))
_ROBERTA_HEAD = {"lm_head.dense.": "lm_head.dense.", "lm_head.norm.": "lm_head.layer_norm."}
_ROBERTA_COPIES = {"lm_head.decoder.weight": EMBEDDING_WEIGHT, "lm_head.decoder.bias": OUTPUT_BIAS}
_IGNORED = r"embeddings\.(position_ids|token_type_ids)|pooler\..*|(classifier|qa_outputs)\..*"


def _roberta(title: str) -> Family:
    return Family(title, ("roberta.",), _ROBERTA_HEAD, "lm_head.bias", _ROBERTA_COPIES, _IGNORED, positions_from=UNUSED,
                  defaults=(("type_vocab_size", 2), ("layer_norm_eps", 1e-12), ("max_position_embeddings", 512)))


FAMILIES = {
    "bert": _BERT, "roberta": _roberta("RoBERTa"), "camembert": _roberta("CamemBERT"), "xlm-roberta": _roberta("XLM-R"),
    "mpnet": Family("MPNet", ("mpnet.",), _ROBERTA_HEAD, "lm_head.bias", _ROBERTA_COPIES, _IGNORED, positions_from=UNUSED,
                    attention=mpnet_names.ATTENTION, relative=True,
                    defaults=(("type_vocab_size", 0), ("layer_norm_eps", 1e-12),
                              ("relative_attention_num_buckets", mpnet_names.BUCKETS))),
}

OTHERS = {
    "albert": "its layers share one set of weights", "deberta": "its attention is disentangled from positions",
    "deberta-v2": "its attention is disentangled from positions", "distilbert": "its layers have other names and no segments",
    "modernbert": "it has rotary positions, gated feed-forward layers and LayerNorm before each block",
    "roberta-prelayernorm": "it has LayerNorm before each block", "xlm": "its positions and gelu are others",
    "longformer": "its attention is local", "big_bird": "its attention is sparse", "xlnet": "it predicts permuted texts",
    "gpt2": "it reads from left to right", "t5": "it has an encoder and a decoder", "nomic_bert": "it has rotary positions",
}
"""What is different in models that are asked for often."""
_SHARED: tuple[tuple[str, Any], ...] = (
    ("hidden_act", "gelu"), ("is_decoder", False), ("add_cross_attention", False), ("position_embedding_type", "absolute"),
    ("tie_word_embeddings", True))


def check_config(config: Any, path: Path) -> tuple[Family, dict[str, Any]]:
    """The family of a config.json, and its settings with the defaults filled in.

    Raises:
        UserError: another architecture, or one that computes something else than this project's encoder; what differs is said.
    """
    kind = config.get("model_type") if isinstance(config, dict) else None
    if kind not in FAMILIES:
        differs = OTHERS.get(str(kind), "it is none of the shapes that this project's encoder has")
        raise UserError(f"{path}: model_type is {kind!r}, expected {', '.join(FAMILIES)} or electra; {differs}, so it cannot be "
                        "taken over")
    family = FAMILIES[kind]
    full = {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072,
            **dict(_SHARED), **dict(family.defaults), **config}
    for name, expected in _SHARED:
        if full[name] != expected:
            raise UserError(f"{path}: {name} is {full[name]!r}, this project's encoder has {expected!r}; such a model cannot be "
                            "taken over")
    return family, full


def shape_of(family: Family, config: Mapping[str, Any], segments: int, path: Path) -> EncoderConfig:
    """The encoder's shape as config.json gives it.

    Raises:
        UserError: settings that are no shape.
    """
    from pretrain.encoder import EncoderConfig

    try:
        return EncoderConfig(
            layers=int(config["num_hidden_layers"]), width=int(config["hidden_size"]), heads=int(config["num_attention_heads"]),
            ffn=int(config["intermediate_size"]), embedding_width=int(config["hidden_size"]),
            max_positions=int(config["max_position_embeddings"]) - family.positions_from,
            relative_buckets=int(config["relative_attention_num_buckets"]) if family.relative else 0,
            relative_distance=mpnet_names.DISTANCE, norm_eps=float(config["layer_norm_eps"]), segments=segments)
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: a setting is missing or no number ({error}); take it from the model's own folder") from None


def _rows(family: Family, layers: int, head: bool) -> Iterator[tuple[str, tuple[str, ...]]]:
    """(our name, their bare names) of each tensor; several of theirs are concatenated."""
    for ours, theirs in aligned(layers, "huggingface"):
        if ours.startswith("encoder."):
            bare = [name.removeprefix("roberta.") for name in theirs]
            for old, new in family.attention:
                bare = [name.replace(old, new) for name in bare]
            yield ours, tuple(bare)
    if family.relative:
        own, other = mpnet_names.RELATIVE
        yield own, (other.removeprefix(family.prefixes[0]),)
    if head:
        for left, right in family.head.items():
            for part in ("weight", "bias"):
                yield left + part, (right + part,)
        yield OUTPUT_BIAS, (family.bias,)


def rename(family: Family, state: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], bool]:
    """Their tensors under our names, and whether there is an LM head among them.

    A second segment's vector that differs from the first's makes a body of two segments; else the one vector is added to the
    positions, which is exact up to rounding.

    Raises:
        UserError: tensors are missing or unknown, or the output matrix is not the token table.
    """
    import torch

    given: dict[str, Tensor] = {}
    for name, tensor in state.items():
        for former, new in _FORMER:
            name = former.sub(new, name)
        name = next((name.removeprefix(prefix) for prefix in family.prefixes if name.startswith(prefix)), name)
        if not re.fullmatch(family.ignored, name):
            given[name] = tensor
    types = given.pop(_TYPES, None)
    copies = {ours: given.pop(name) for name, ours in family.copies.items() if name in given}
    if OUTPUT_BIAS in copies:
        given.setdefault(family.bias, copies[OUTPUT_BIAS])
    wanted = [theirs[0] for ours, theirs in _rows(family, 0, True) if ours.startswith("lm_head.")]
    head = any(name in given for name in wanted)
    found = to_ours(_rows(family, count_layers(given), head), given)
    tensors = found.check(f"the tensors are not those of {family.title}")
    for ours, copy in copies.items():
        if ours in tensors and not torch.equal(copy, tensors[ours]):
            raise UserError("the output matrix differs from the token table: an untied one; only models with tied input and "
                            "output embeddings can be taken over")
    positions = tensors[POSITIONS]
    if types is not None and len(types) > 1 and not torch.equal(types[:1].expand_as(types), types):
        if len(types) > 2:
            raise UserError(f"it tells {len(types)} segments apart, this project's encoder two; it cannot be taken "
                            "over")
        tensors[SEGMENTS] = types
    elif types is not None and bool(types[0].any()):
        positions = positions + types[0]
    first = positions.new_zeros(UNUSED - family.positions_from, positions.size(1))
    tensors[POSITIONS] = torch.cat([first, positions]) if len(first) else positions
    return tensors, head
