"""Which of transformers' families computes what a body of ours computes, and how its tensors and config.json look there.

| family | encoder | classification head |
|---|---|---|
| roberta | embedding width = width, one or two segments, `<pad>` is row 1 | tanh between two layers |
| bert | the same with any row for the padding | tanh between two layers |
| electra | any embedding width, one or two segments | gelu between two layers |
| mpnet | embedding width = width, relative positions in 32 buckets up to 128, `<pad>` is row 1 | tanh between two layers |

Outside the head they are one network, so the family follows from what head and encoder need, not from how the body was
pre-trained. RoBERTa and MPNet number positions from what is not padding, and have as many unused rows before the first position
as the padding's row says; so a vocabulary in another order, such as BERT's, goes out as BERT, and with relative positions it is
brought into our order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pretrain.base.errors import UserError
from pretrain.base.vocabulary import BOS, EOS, PAD, SPECIALS

if TYPE_CHECKING:
    from torch import Tensor

    from adapt.formats.order import Order
    from pretrain.artefacts.body import Body
    from pretrain.encoder import EncoderConfig

ROBERTA, BERT, ELECTRA, MPNET = "roberta", "bert", "electra", "mpnet"
TITLES = {ROBERTA: "Roberta", BERT: "Bert", ELECTRA: "Electra", MPNET: "MPNet"}
PADDED = (ROBERTA, MPNET)
"""These have `PAD + 1` unused rows of positions before the first token's, and a padding of row `PAD`."""


@dataclass(frozen=True)
class Head:
    """A task head as the families of transformers have it.

    Attributes:
        suffix: of the class: `ForSequenceClassification`.
        pipeline: what transformers calls the task.
        tensors: of each family that computes the same head: name -> tensor.
        labels: names in the order of the outputs; empty where outputs have none (spans).
        kind: what this project calls the head, for messages.
        config: of each family what its `config.json` says of the head.
    """

    suffix: str
    pipeline: str
    tensors: Mapping[str, Mapping[str, Tensor]]
    labels: tuple[str, ...]
    kind: str
    config: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def obstacle(family: str, shape: EncoderConfig) -> str:
    """What this family's encoder computes otherwise than one of this shape; empty where nothing."""
    from adapt.formats.mpnet_names import BUCKETS, DISTANCE

    if shape.segments > 1 and family == MPNET:
        return "one segment, this body tells two apart"
    relative = (shape.relative_buckets, shape.relative_distance)
    if family == MPNET and relative != (BUCKETS, DISTANCE):
        have = f"{relative[0]} buckets up to distance {relative[1]}" if relative[0] else "none"
        return f"relative positions in {BUCKETS} buckets up to distance {DISTANCE}, this body has {have}"
    if family != MPNET and relative[0]:
        return f"no relative positions, this body has {relative[0]} buckets"
    if family != ELECTRA and shape.embedding_width != shape.width:
        return f"embeddings as wide as its layers, this body has {shape.embedding_width} and {shape.width}"
    return ""


def choose(body: Body, head: Head | None, pad: int = PAD) -> str:
    """The family to write a body with.

    Args:
        head: None: its LM head, which all have.
        pad: row of the padding in the table that is written.

    Raises:
        UserError: none computes the same; the line says of each what differs.
    """
    from pretrain.artefacts.body import ELECTRA as PAIR

    found = []
    plain = ROBERTA if pad == PAD else BERT
    for family in (ELECTRA, plain, MPNET) if body.backbone == PAIR else (plain, ELECTRA, MPNET):
        reason = obstacle(family, body.config)
        if not reason and head is not None and family not in head.tensors:
            reason = f"another classification head than this body's ({head.kind})"
        if not reason:
            return family
        found.append(f"{TITLES[family]} has {reason}")
    raise UserError(f"no model of transformers computes what this body computes: {'; '.join(found)}; nothing was written")


def encoder_tensors(family: str, state: Mapping[str, Tensor], lm_head: bool) -> dict[str, Tensor]:
    """Our tensors under the names of a family.

    Args:
        state: with our names: those of the encoder and, with `lm_head`, of the LM head.

    Raises:
        UserError: a tensor without counterpart.
    """
    from adapt.formats.bert_names import to_bert
    from adapt.formats.electra_names import GENERATOR, to_electra
    from adapt.formats.mpnet_names import to_mpnet
    from adapt.formats.names import to_huggingface

    if family == ELECTRA:
        return to_electra(GENERATOR if lm_head else None, state)
    if family == MPNET:
        return to_mpnet(state, lm_head)
    if family == BERT:
        return to_bert(state, lm_head)
    # transformers ties these two by itself
    return {name: tensor for name, tensor in to_huggingface(state, head=lm_head).items() if ".decoder." not in name}


def model_config(family: str, suffix: str, shape: EncoderConfig, order: Order, labels: tuple[str, ...] = ()) -> dict[str, Any]:
    """`config.json` of a model.

    Args:
        suffix: of its class.
        order: of the rows of its token table.
        labels: of its head, in the order of the outputs.
    """
    own: dict[str, Any] = {
        ROBERTA: {"type_vocab_size": shape.segments}, BERT: {"type_vocab_size": 2},
        ELECTRA: {"type_vocab_size": 2, "embedding_size": shape.embedding_width},
        MPNET: {"relative_attention_num_buckets": shape.relative_buckets}}[family]
    named = {"id2label": dict(enumerate(labels)), "label2id": {label: index for index, label in enumerate(labels)}} \
        if labels else {}
    return {
        "architectures": [TITLES[family] + suffix], "model_type": family, "vocab_size": order.rows, **own,
        "hidden_size": shape.width, "num_hidden_layers": shape.layers, "num_attention_heads": shape.heads,
        "intermediate_size": shape.ffn, "hidden_act": "gelu", "hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1,
        "max_position_embeddings": shape.max_positions + (PAD + 1 if family in PADDED else 0),
        "layer_norm_eps": shape.norm_eps, "initializer_range": 0.02,
        **{f"{name}_token_id": order.of(SPECIALS[row]) for name, row in (("bos", BOS), ("pad", PAD), ("eos", EOS))},
        "tie_word_embeddings": True, "torch_dtype": "float32", **named}
