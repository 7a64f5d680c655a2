"""Tensor names of the encoder and its LM head, beside those of fairseq's RoBERTa/XLM-R and Hugging Face's, both ways.

One table of aligned rows; plain renaming and concatenation, so that values pass bit for bit. Works without fairseq and
without transformers. Names of the other two: fairseq 0.12 `models/roberta/model.py`, transformers
`models/roberta/modeling_roberta.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from pretrain.base.errors import UserError
from pretrain.masked_lm import EMBEDDING_WEIGHT, OUTPUT_BIAS

POSITIONS, SEGMENTS = "encoder.embed_positions.weight", "encoder.embed_segments.weight"
_TOKEN_TYPES = "roberta.embeddings.token_type_embeddings.weight"


@dataclass(frozen=True)
class Row:
    """One tensor of ours; `{n}` is a layer, `{p}` is `weight` or `bias`. Several names: their rows, concatenated."""

    ours: str
    fairseq: tuple[str, ...]
    huggingface: tuple[str, ...]
    parts: tuple[str, ...] = ("weight", "bias")


_FAIRSEQ_LAYER = "encoder.sentence_encoder.layers.{n}."
_HUGGINGFACE_LAYER = "roberta.encoder.layer.{n}."


def _row(ours: str, fairseq: str, huggingface: str, *parts: str) -> Row:
    return Row(ours, (fairseq,), (huggingface,), parts or ("weight", "bias"))


def _layer(ours: str, fairseq: str, huggingface: str) -> Row:
    return _row("encoder.layers.{n}." + ours, _FAIRSEQ_LAYER + fairseq, _HUGGINGFACE_LAYER + huggingface)


ROWS: tuple[Row, ...] = (
    _row("encoder.embed_tokens.{p}", "encoder.sentence_encoder.embed_tokens.{p}",
         "roberta.embeddings.word_embeddings.{p}", "weight"),
    _row("encoder.embed_positions.{p}", "encoder.sentence_encoder.embed_positions.{p}",
         "roberta.embeddings.position_embeddings.{p}", "weight"),
    _row("encoder.embed_norm.{p}", "encoder.sentence_encoder.layernorm_embedding.{p}",
         "roberta.embeddings.LayerNorm.{p}"),
    Row("encoder.layers.{n}.attention.qkv.{p}",
        tuple(_FAIRSEQ_LAYER + f"self_attn.{x}_proj.{{p}}" for x in "qkv"),
        tuple(_HUGGINGFACE_LAYER + f"attention.self.{x}.{{p}}" for x in ("query", "key", "value"))),
    _layer("attention.out.{p}", "self_attn.out_proj.{p}", "attention.output.dense.{p}"),
    _layer("attention_norm.{p}", "self_attn_layer_norm.{p}", "attention.output.LayerNorm.{p}"),
    _layer("ffn_in.{p}", "fc1.{p}", "intermediate.dense.{p}"),
    _layer("ffn_out.{p}", "fc2.{p}", "output.dense.{p}"),
    _layer("ffn_norm.{p}", "final_layer_norm.{p}", "output.LayerNorm.{p}"),
    _row("lm_head.dense.{p}", "encoder.lm_head.dense.{p}", "lm_head.dense.{p}"),
    _row("lm_head.norm.{p}", "encoder.lm_head.layer_norm.{p}", "lm_head.layer_norm.{p}"),
    _row("lm_head.{p}", "encoder.lm_head.{p}", "lm_head.{p}", "bias"),
)

_COPIES = {
    "fairseq": {"encoder.lm_head.weight": EMBEDDING_WEIGHT},
    "huggingface": {"lm_head.decoder.weight": EMBEDDING_WEIGHT, "lm_head.decoder.bias": OUTPUT_BIAS},
}
"""Names under which the others save a tied tensor a second time."""

_IGNORED = {
    "fairseq": re.compile(r"encoder\.sentence_encoder\.version|classification_heads\..*"),
    "huggingface": re.compile(r"roberta\.embeddings\.position_ids|roberta\.pooler\..*"),
}
"""Tensors that are no part of the encoder or its LM head: format marks, fixed numbers, heads of other tasks."""

_TITLES = {"fairseq": "fairseq's RoBERTa", "huggingface": "Hugging Face's RobertaForMaskedLM"}

_FORMER = (
    (re.compile(r"^decoder\."), "encoder."),
    (re.compile(r"\.emb_layer_norm\."), ".layernorm_embedding."),
)
"""fairseq's names of before 0.10, as in the released roberta.base and xlmr.base."""


def aligned(layers: int, other: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """(our name, names in `other`) for each tensor of a model with `layers` layers; `other`: fairseq, huggingface."""
    for row in ROWS:
        theirs: tuple[str, ...] = getattr(row, other)
        for n in range(layers) if "{n}" in row.ours else (0,):
            for p in row.parts:
                yield row.ours.format(n=n, p=p), tuple(name.format(n=n, p=p) for name in theirs)


def count_layers(state: Mapping[str, Tensor]) -> int:
    """The number of layers that the names of a state dict speak of, whoever wrote it."""
    found = (re.search(r"\.layers?\.(\d+)\.", name) for name in state)
    return max((int(match[1]) + 1 for match in found if match), default=0)


@dataclass
class Renamed:
    """Tensors under the names of the other side, the names that were wanted and not there, and the tensors left over."""

    tensors: dict[str, Tensor]
    missing: list[str]
    left: dict[str, Tensor]

    def check(self, refusal: str, unwanted: str = "unknown") -> dict[str, Tensor]:
        """The tensors.

        Raises:
            UserError: `refusal` and, in brackets, the first names that are missing or left over.
        """
        if self.missing or self.left:
            said = [f"{what}: {', '.join(sorted(names)[:4])}" + (f" and {len(names) - 4} more" if len(names) > 4 else "")
                    for what, names in (("missing", self.missing), (unwanted, list(self.left))) if names]
            raise UserError(f"{refusal} ({'; '.join(said)})")
        return self.tensors


Aligned = Iterable[tuple[str, tuple[str, ...]]]


def to_ours(rows: Aligned, state: Mapping[str, Tensor]) -> Renamed:
    """Their state under our names; several of their tensors in one row are concatenated."""
    result = Renamed({}, [], dict(state))
    for ours, theirs in rows:
        absent = [name for name in theirs if name not in result.left]
        result.missing += absent
        if not absent:
            parts = [result.left.pop(name) for name in theirs]
            result.tensors[ours] = torch.cat(parts) if len(parts) > 1 else parts[0]
    return result


def to_theirs(rows: Aligned, state: Mapping[str, Tensor]) -> Renamed:
    """Our state under their names, the inverse."""
    result = Renamed({}, [], dict(state))
    for ours, theirs in rows:
        if ours in result.left:
            result.tensors.update(zip(theirs, result.left.pop(ours).chunk(len(theirs)), strict=True))
        else:
            result.missing.append(ours)
    return result


def _from(other: str, state: Mapping[str, Tensor], layers: int | None) -> dict[str, Tensor]:
    layers = count_layers(state) if layers is None else layers
    found = to_ours(aligned(layers, other), {name: tensor for name, tensor in state.items()
                                             if not _IGNORED[other].fullmatch(name)})
    given, result = found.left, found.tensors
    for copy, ours in _COPIES[other].items():
        second = given.pop(copy, None)
        if second is not None and ours in result and not torch.equal(second, result[ours]):
            raise UserError(f"{copy} differs from the tensor it should be tied to ({ours}): an untied output matrix; "
                            "only models with tied input and output embeddings can be taken over")
    return found.check(f"the tensors are not those of {_TITLES[other]} with LayerNorm after each block and {layers} layers")


def _to(other: str, state: Mapping[str, Tensor], layers: int | None, head: bool = True) -> dict[str, Tensor]:
    rows = aligned(count_layers(state) if layers is None else layers, other)
    found = to_theirs((row for row in rows if head or row[0].startswith("encoder.")), state)
    result = found.check(f"the model cannot be written with the names of {_TITLES[other]}",
                         f"without counterpart in {_TITLES[other]}")
    if head:
        result.update({copy: state[ours] for copy, ours in _COPIES[other].items()})
    return result


def from_fairseq(state: Mapping[str, Tensor], layers: int | None = None) -> dict[str, Tensor]:
    """`MaskedLM.state_dict()` from the state dict of fairseq's `RobertaModel`, of any age.

    Args:
        state: as under `model` in a checkpoint. The names of before fairseq 0.10 and fused `in_proj_weight` [3D, D] are
            understood; classification heads are left out.
        layers: number of layers; counted in the names where None.

    Raises:
        UserError: tensors are missing or unknown (pre-norm models, adapters), or the output matrix is untied.
    """
    renamed: dict[str, Tensor] = {}
    for name, tensor in state.items():
        for old, new in _FORMER:
            name = old.sub(new, name)
        fused = re.fullmatch(r"(.*\.self_attn\.)in_proj_(weight|bias)", name)
        if fused and tensor.size(0) % 3 == 0:
            renamed.update({f"{fused[1]}{x}_proj.{fused[2]}": part
                            for x, part in zip("qkv", tensor.chunk(3), strict=True)})
        else:
            renamed[name] = tensor
    return _from("fairseq", renamed, layers)


def to_fairseq(state: Mapping[str, Tensor], layers: int | None = None) -> dict[str, Tensor]:
    """The state dict of fairseq's `RobertaModel` from `MaskedLM.state_dict()`; the inverse of `from_fairseq`.

    Raises:
        UserError: tensors are missing, or have no counterpart there (embedding projection, relative positions).
    """
    result = _to("fairseq", state, layers)
    result["encoder.sentence_encoder.version"] = torch.tensor([3.0])
    return result


def from_huggingface(state: Mapping[str, Tensor], layers: int | None = None) -> dict[str, Tensor]:
    """`MaskedLM.state_dict()` from the state dict of `RobertaForMaskedLM`.

    The token-type row 0, which that model adds to every token, is added to the position table where it is not zero.

    Raises:
        UserError: tensors are missing or unknown, or the output matrix is untied.
    """
    given = dict(state)
    types = given.pop(_TOKEN_TYPES, None)
    result = _from("huggingface", given, layers)
    if types is not None and bool(types[0].any()):
        result[POSITIONS] = result[POSITIONS] + types[0]
    return result


def to_huggingface(state: Mapping[str, Tensor], layers: int | None = None, head: bool = True) -> dict[str, Tensor]:
    """The state dict of `RobertaForMaskedLM` from `MaskedLM.state_dict()`; a body of one segment has one token type, of zeros.

    Args:
        head: `state` has an LM head.

    Raises:
        UserError: tensors are missing, or have no counterpart there (embedding projection, relative positions).
    """
    state = dict(state)
    types = state.pop(SEGMENTS, None)
    result = _to("huggingface", state, layers, head)
    result[_TOKEN_TYPES] = torch.zeros_like(state[POSITIONS][:1]) if types is None else types
    return result
