"""`relexify export --to fairseq`: a folder that stock `fairseq.models.roberta.RobertaModel.from_pretrained` opens.

`model.pt` holds tensors and plain settings only; `dict.txt` numbers the rows as ours (fairseq adds `<mask>` itself);
`sentencepiece.bpe.model` is the tokenizer, for `bpe="sentencepiece"`. With a task head the folder is that of fairseq's
`sentence_prediction`: dictionaries in `input0/` and `label/`, the head called `sentence_classification_head`.

Works without fairseq. This module imports nothing heavy by itself: the command line reads it for `--help`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pretrain.base.errors import UserError
from pretrain.base.files import atomic_folder
from pretrain.base.outputs import makes

if TYPE_CHECKING:
    from torch import Tensor

    from adapt.artefacts.embedding import Embedding
    from pretrain.artefacts.body import Body
    from pretrain.encoder import EncoderConfig

HEAD = "sentence_classification_head"
"""fairseq's own name of the head that its `sentence_prediction` trains."""
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


def settings(shape: EncoderConfig, labels: Sequence[str]) -> dict[str, Any]:
    """`cfg` of the checkpoint: the model and the task, in plain values."""
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
    return {"_name": None, "model": model, "task": task, "bpe": {"_name": "sentencepiece", "sentencepiece_model": ""},
            "common": {"seed": 1, "fp16": False}}


@makes("a fairseq model")
def export(body: Body, embedding: Embedding, output: str | Path, *, head: Mapping[str, Tensor] | None = None,
           labels: Sequence[str] = (), overwrite: bool = False) -> None:
    """Writes the folder, whole or not at all.

    Args:
        head: of a task body, with the names of fairseq's `RobertaClassificationHead` (`dense.*`, `out_proj.*`).
        labels: in the order of its outputs.

    Raises:
        UserError: something that fairseq's RoBERTa does not compute, or a vocabulary that its dictionary cannot hold.
    """
    import torch

    from adapt.artefacts.assemble import check_compatible
    from adapt.formats.names import to_fairseq
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
    tensors = to_fairseq({**state, EMBEDDING_WEIGHT: embedding.weight, OUTPUT_BIAS: embedding.bias})
    if head is not None:
        tensors.update({f"classification_heads.{HEAD}.{name}": tensor for name, tensor in head.items()})
    with atomic_folder(output, overwrite) as folder:
        _write_dictionary(embedding, folder / "dict.txt")
        embedding.tokenizer.save(folder / "sentencepiece.bpe.model")
        if head is not None:
            (folder / "input0").mkdir()
            _write_dictionary(embedding, folder / "input0" / "dict.txt")
            (folder / "label").mkdir()
            (folder / "label" / "dict.txt").write_text("".join(f"{label} 1\n" for label in labels), encoding="utf-8")
        torch.save({"model": {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()},
                    "cfg": settings(body.config, labels), "args": None,
                    # what fairseq would else look for in the places of its older checkpoints
                    "optimizer_history": [{"criterion_name": "", "optimizer_name": "", "lr_scheduler_state": {},
                                           "num_updates": 0}],
                    "extra_state": {"train_iterator": {"epoch": 1, "iterations_in_epoch": 0}}}, folder / "model.pt")


def _write_dictionary(embedding: Embedding, path: Path) -> None:
    """`dict.txt`, read again as fairseq reads it.

    Raises:
        UserError: a tokenizer that fairseq has not, or a piece that a line of the file cannot hold.
    """
    from adapt.formats.fairseq import read_dictionary

    tokenizer = embedding.tokenizer
    tokenizer.sentencepiece()
    tokenizer.vocabulary.save(path)
    rows = read_dictionary(path)
    odd = next((symbol for symbol, row in tokenizer.vocabulary.ids.items() if rows.get(symbol) != row), None)
    if odd is not None:
        raise UserError(f"{tokenizer.name}: the piece {odd!r} holds white space that a line of fairseq's dict.txt cannot; "
                        "nothing was written; prepare the text with another vocabulary")
