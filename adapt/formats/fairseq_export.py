"""`relexify export --to fairseq`: a folder that stock `fairseq.models.roberta.RobertaModel.from_pretrained` opens.

`model.pt` holds tensors and plain settings only; `dict.txt` numbers the rows as the model had them that they come from, else as
ours (fairseq adds `<mask>` itself). The tokenizer is `sentencepiece.bpe.model`, for `bpe="sentencepiece"`, or, of a byte-level
BPE as GPT-2's, `encoder.json` and `vocab.bpe`, for `bpe="gpt2"`: fairseq's symbols are then GPT-2's ids. With a task head the
folder is that of fairseq's `sentence_prediction`: dictionaries in `input0/` and `label/`, the head called
`sentence_classification_head`.

Works without fairseq. This module imports nothing heavy by itself: the command line reads it for `--help`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pretrain.base.errors import UserError
from pretrain.base.files import atomic_folder
from pretrain.base.outputs import makes

if TYPE_CHECKING:
    from torch import Tensor

    from adapt.artefacts.embedding import Embedding
    from adapt.formats.order import Order
    from pretrain.artefacts.body import Body
    from pretrain.encoder import EncoderConfig

HEAD = "sentence_classification_head"
"""fairseq's own name of the head that its `sentence_prediction` trains."""
ENCODER, MERGES = "encoder.json", "vocab.bpe"
NORM_EPS = 1e-5
"""Of every LayerNorm in fairseq."""


def obstacle(shape: EncoderConfig) -> str:
    """What fairseq's RoBERTa computes otherwise than an encoder of this shape; empty where nothing."""
    if shape.relative_buckets:
        return f"no relative positions, this body has {shape.relative_buckets} buckets"
    if shape.embedding_width != shape.width:
        return f"embeddings as wide as its layers, this body has {shape.embedding_width} and {shape.width}"
    if shape.norm_eps != NORM_EPS:
        return f"LayerNorms with epsilon {NORM_EPS:g}, this body has {shape.norm_eps:g}"
    if shape.segments > 1:
        return "no segments, this body tells two apart"
    return ""


def settings(shape: EncoderConfig, labels: Sequence[str], bpe: str = "sentencepiece") -> dict[str, Any]:
    """`cfg` of the checkpoint: the model and the task, in plain values.

    Args:
        bpe: sentencepiece or gpt2.
    """
    files = {"sentencepiece_model": ""} if bpe == "sentencepiece" else {"gpt2_encoder_json": "", "gpt2_vocab_bpe": ""}
    model = {
        "_name": "roberta_base", "arch": "roberta_base", "encoder_layers": shape.layers, "encoder_embed_dim": shape.width,
        "encoder_ffn_embed_dim": shape.ffn, "encoder_attention_heads": shape.heads, "max_positions": shape.max_positions,
        "tokens_per_sample": shape.max_positions, "activation_fn": "gelu", "pooler_activation_fn": "tanh", "dropout": 0.1,
        "attention_dropout": 0.1, "activation_dropout": 0.0, "pooler_dropout": 0.0, "encoder_normalize_before": False,
        "encoder_learned_pos": True, "no_token_positional_embeddings": False, "untie_weights_roberta": False,
        "load_checkpoint_heads": True}
    if labels:
        task: dict[str, Any] = {"_name": "sentence_prediction", "data": ".", "num_classes": len(labels),
                                "max_positions": shape.max_positions, "regression_target": False,
                                "classification_head_name": HEAD}
    else:
        task = {"_name": "masked_lm", "data": ".", "sample_break_mode": "none", "tokens_per_sample": shape.max_positions}
    return {"_name": None, "model": model, "task": task, "bpe": {"_name": bpe, **files},
            "common": {"seed": 1, "fp16": False}}


@makes("a fairseq model")
def export(body: Body, embedding: Embedding, output: str | Path, *, head: Mapping[str, Tensor] | None = None,
           labels: Sequence[str] = (), overwrite: bool = False) -> str:
    """Writes the folder, whole or not at all.

    Args:
        head: of a task body, with the names of fairseq's `RobertaClassificationHead` (`dense.*`, `out_proj.*`).
        labels: in the order of its outputs.

    Returns:
        What `from_pretrained` is called with besides the folder and `model.pt`, as Python.

    Raises:
        UserError: something that fairseq's RoBERTa does not compute, or a vocabulary that its dictionary cannot hold.
    """
    import torch

    from adapt.artefacts.assemble import check_compatible
    from adapt.formats.names import to_fairseq
    from adapt.text.tokenizer import JSON_NAME
    from pretrain.artefacts.body import ELECTRA
    from pretrain.encoder import EncoderConfig as Shape
    from pretrain.masked_lm import EMBEDDING_WEIGHT, OUTPUT_BIAS, MaskedLM

    check_compatible(body, embedding)
    assert isinstance(body.config, Shape)
    if reason := obstacle(body.config):
        raise UserError(f"fairseq's RoBERTa has {reason}; nothing was written")
    if body.backbone == ELECTRA and head is None:
        raise UserError("fairseq has no replaced-token head: of an ELECTRA body only task bodies are exported there; use "
                        "--to huggingface")
    state = {name: tensor for name, tensor in body.tensors.items() if name.startswith(("encoder.", "lm_head."))}
    if body.backbone == ELECTRA:  # fairseq's model always has an LM head; a task does not use it
        fresh = torch.nn.Module.state_dict(MaskedLM(body.config, 5))
        state.update({name: tensor for name, tensor in fresh.items() if name.startswith("lm_head.") and name != OUTPUT_BIAS})
    for name, tensor in embedding.extras.items():
        if name not in state or state[name].shape != tensor.shape:
            raise UserError(f"the embedding ({embedding.language}) brings a tensor {name!r} of shape {tuple(tensor.shape)} that "
                            "this body does not have; use the body it was adapted to")
        state[name] = tensor
    order = _order(embedding)
    gpt2 = _byte_pairs(embedding) if embedding.tokenizer.file_name == JSON_NAME else None
    symbols = embedding.tokenizer.vocabulary.symbols if gpt2 is None else gpt2.symbols
    tensors = to_fairseq(order.scattered({**state, EMBEDDING_WEIGHT: embedding.weight, OUTPUT_BIAS: embedding.bias}))
    if head is not None:
        tensors.update({f"classification_heads.{HEAD}.{name}": tensor for name, tensor in head.items()})
    with atomic_folder(output, overwrite) as folder:
        _write_dictionary(symbols, order, folder / "dict.txt", embedding.tokenizer.name)
        if gpt2 is None:
            embedding.tokenizer.save(folder / "sentencepiece.bpe.model")
        else:
            gpt2.write(folder)
        if head is not None:
            (folder / "input0").mkdir()
            _write_dictionary(symbols, order, folder / "input0" / "dict.txt", embedding.tokenizer.name)
            (folder / "label").mkdir()
            (folder / "label" / "dict.txt").write_text("".join(f"{label} 1\n" for label in labels), encoding="utf-8")
        torch.save({"model": {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()},
                    "cfg": settings(body.config, labels, "sentencepiece" if gpt2 is None else "gpt2"), "args": None,
                    # what fairseq would else look for in the places of its older checkpoints
                    "optimizer_history": [{"criterion_name": "", "optimizer_name": "", "lr_scheduler_state": {},
                                           "num_updates": 0}],
                    "extra_state": {"train_iterator": {"epoch": 1, "iterations_in_epoch": 0}}}, folder / "model.pt")
    if gpt2 is None:
        return 'bpe="sentencepiece"'
    return f'bpe="gpt2", gpt2_encoder_json="{Path(output) / ENCODER}", gpt2_vocab_bpe="{Path(output) / MERGES}"'


def _order(embedding: Embedding) -> Order:
    """The order of the rows: where they come from, if special tokens stand there as fairseq has them, else ours."""
    from adapt.formats.order import outside, own

    order = outside(embedding)
    places = order.ids.tolist()
    return order if places[:4] == [0, 1, 2, 3] and places[-1] == max(places) == order.rows - 1 else own(embedding)


def _write_dictionary(symbols: Sequence[str], order: Order, path: Path, name: str) -> None:
    """`dict.txt`, read again as fairseq reads it; rows of no piece have the names that fairseq gives such.

    Args:
        symbols: of the rows, in our order.

    Raises:
        UserError: a piece that a line of the file cannot hold.
    """
    from adapt.formats.fairseq import read_dictionary

    placed = dict(zip(order.ids.tolist(), symbols, strict=True))
    named = [placed.get(row, f"madeupword{row:04d}") for row in range(4, order.rows - 1)]
    path.write_text("".join(f"{symbol} 1\n" for symbol in named), encoding="utf-8")
    rows = read_dictionary(path)
    odd = next((symbol for row, symbol in placed.items() if rows.get(symbol) != row), None)
    if odd is not None:
        raise UserError(f"{name}: the piece {odd!r} holds white space that a line of fairseq's dict.txt cannot; "
                        "nothing was written; prepare the text with another vocabulary")


@dataclass(frozen=True)
class BytePairs:
    """GPT-2's files.

    Attributes:
        numbers: piece -> its id in `encoder.json`.
        merges: of `vocab.bpe`.
        symbols: what `dict.txt` calls each of our rows.
    """

    numbers: dict[str, int]
    merges: list[tuple[str, str]]
    symbols: list[str]

    def write(self, folder: Path) -> None:
        """`encoder.json` and `vocab.bpe`."""
        (folder / ENCODER).write_text(json.dumps(self.numbers), encoding="utf-8")
        lines = "".join(f"{left} {right}\n" for left, right in self.merges)
        (folder / MERGES).write_text(f"#version: 0.2\n{lines}", encoding="utf-8")


def _byte_pairs(embedding: Embedding) -> BytePairs:
    """The files of a `tokenizer.json` that reads text as GPT-2 does.

    Ids are GPT-2's own where its vocabulary is: the letters of the bytes, then what the merges make, in their order.

    Raises:
        UserError: it reads text otherwise.
    """
    from adapt.text.tokenizer.json_model import byte_letters

    tokenizer = embedding.tokenizer
    content = json.loads(tokenizer.model)
    model, step = content["model"], content.get("pre_tokenizer") or {}
    differs = {
        f"{model.get('type')} pieces": model.get("type") != "BPE",
        "another pre-tokenizer than GPT-2's": step.get("type") != "ByteLevel" or step.get("use_regex") is False,
        "a space before every text": bool(step.get("add_prefix_space")),
        "a normaliser": content.get("normalizer") is not None,
        "marks of continued words": bool(model.get("continuing_subword_prefix") or model.get("end_of_word_suffix")),
        "whole words taken before merges": bool(model.get("ignore_merges"))}
    if reason := next((what for what, found in differs.items() if found), ""):
        raise UserError(f"{tokenizer.name}: fairseq reads text with a SentencePiece model or with GPT-2's byte-level BPE, this "
                        f"tokenizer has {reason}; nothing was written; use --to huggingface")
    merges = [tuple(pair) if isinstance(pair, list) else tuple(pair.split(" ")) for pair in model["merges"]]
    pieces = tokenizer.vocabulary.pieces
    order = dict.fromkeys([*byte_letters(), *("".join(pair) for pair in merges), *pieces])
    numbers = {piece: number for number, piece in enumerate(order)}
    symbols = tokenizer.vocabulary.symbols
    return BytePairs(numbers, merges, [*symbols[:4], *(str(numbers[piece]) for piece in pieces), symbols[-1]])
