"""`relexify export-huggingface`: a body and an embedding as folders that transformers opens.

An ELECTRA body gives `discriminator/` (ElectraForPreTraining) and `generator/` (ElectraForMaskedLM), a RoBERTa body
`masked-lm/` (RobertaForMaskedLM). Ids are ours: `<s> <pad> </s> <unk>` are 0-3, `<mask>` is last.

This module imports nothing heavy by itself: the command line reads it for `--help`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pretrain.base.errors import UserError
from pretrain.base.files import atomic_folder, refuse_existing, require_file

if TYPE_CHECKING:
    from torch import Tensor

    from adapt.artefacts.embedding import Embedding
    from pretrain.artefacts.body import Body
    from pretrain.encoder import EncoderConfig


def model_config(kind: str, shape: EncoderConfig, rows: int) -> dict[str, Any]:
    """`config.json` of a model; `kind`: discriminator, generator or masked-lm."""
    from adapt.formats.electra_names import CLASSES, UNUSED
    from pretrain.base.vocabulary import BOS, EOS, PAD

    roberta = kind == "masked-lm"
    return {
        "architectures": ["RobertaForMaskedLM" if roberta else CLASSES[kind]],
        "model_type": "roberta" if roberta else "electra", "vocab_size": rows,
        **({} if roberta else {"embedding_size": shape.embedding_width}),
        "hidden_size": shape.width, "num_hidden_layers": shape.layers, "num_attention_heads": shape.heads,
        "intermediate_size": shape.ffn, "hidden_act": "gelu", "hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1,
        "max_position_embeddings": shape.max_positions + (UNUSED if roberta else 0),
        "type_vocab_size": 1 if roberta else 2, "layer_norm_eps": shape.norm_eps, "initializer_range": 0.02,
        "bos_token_id": BOS, "pad_token_id": PAD, "eos_token_id": EOS, "tie_word_embeddings": True, "torch_dtype": "float32"}


def networks(body: Body, embedding: Embedding) -> dict[str, tuple[EncoderConfig, dict[str, Tensor]]]:
    """Folder name -> (shape, tensors with our names) of everything that can be exported.

    Raises:
        UserError: body and embedding do not fit, a task body, or a body with relative positions.
    """
    from torch.nn import Module

    from adapt.artefacts.assemble import assemble, assemble_pair
    from pretrain.artefacts.body import ELECTRA

    if body.task is not None:
        raise UserError(f"this is a task body ({body.task.get('name')}), and its head has no counterpart there; export the "
                        "pre-trained body")
    if body.config.relative_buckets:
        raise UserError(f"this body has relative positions ({body.config.relative_buckets} buckets), which neither ELECTRA nor "
                        "RoBERTa of transformers has; pre-train with relative_buckets=0 to export")
    model = assemble(body, embedding)
    if body.backbone != ELECTRA:
        return {"masked-lm": (body.config, Module.state_dict(model))}
    found = {"discriminator": (body.config, Module.state_dict(model))}
    if body.generator is not None:
        generator = assemble_pair(body, embedding).generator
        assert generator is not None
        found["generator"] = (body.generator.config, {name: tensor for name, tensor in Module.state_dict(generator).items()
                                                      if not name.startswith("hardness_head.")})
    return found


def export(body: Body, embedding: Embedding, output: str | Path, *, tokenizer: bool = True, check_text: str | None = None,
           overwrite: bool = False) -> list[str]:
    """Writes the model folders under `output`, all or none.

    Args:
        tokenizer: also write `tokenizer.json`; its ids have been compared with SentencePiece's.
        check_text: a text file, on each line of which they are compared too.

    Returns:
        The names of the folders.

    Raises:
        UserError: something that Hugging Face's models or tokenizers cannot compute as ours do.
    """
    from adapt.formats.electra_names import CLASSES, OUR_POSITIONS, UNUSED, to_electra
    from adapt.formats.huggingface.folder import OWN_MODEL, OWN_ROWS, write_model
    from adapt.formats.huggingface.tokenizer import write_settings, write_tokenizer
    from adapt.formats.names import to_huggingface
    from pretrain.artefacts.tensors import save_tensors

    refuse_existing(output, overwrite)
    texts: list[str] = []
    if check_text is not None:
        texts = require_file(check_text, "a text file").read_text(encoding="utf-8", errors="replace").split("\n")
    found = networks(body, embedding)
    rows = len(embedding.weight)
    with atomic_folder(output, overwrite) as folder:
        for place, (name, (shape, tensors)) in enumerate(found.items()):
            if name in CLASSES:
                write_model(folder / name, model_config(name, shape, rows), to_electra(name, tensors))
                save_tensors(folder / name / OWN_ROWS, {"unused_positions": tensors[OUR_POSITIONS][:UNUSED].clone()})
            else:
                theirs = {key: tensor for key, tensor in to_huggingface(tensors).items() if ".decoder." not in key}
                write_model(folder / name, model_config(name, shape, rows), theirs)
            embedding.tokenizer.save(folder / name / OWN_MODEL)
            if tokenizer:
                write_tokenizer(embedding.tokenizer, folder / name, shape.max_positions, texts if not place else ())
            else:
                write_settings(folder / name, shape.max_positions)
    return list(found)
