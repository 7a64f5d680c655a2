"""`relexify export --to huggingface`: a body and an embedding as folders that transformers opens.

A pre-trained ELECTRA body gives `discriminator/` (ElectraForPreTraining) and `generator/` (ElectraForMaskedLM), any other
`masked-lm/`, or `encoder/` where its LM head was never trained; a task body gives one model in the output folder itself. Which
class, says `adapt.formats.huggingface.target`; which ids, `adapt.formats.order`.

This module imports nothing heavy by itself: the command line reads it for `--help`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pretrain.base.errors import UserError
from pretrain.base.files import atomic_folder, require_file
from pretrain.base.outputs import makes

if TYPE_CHECKING:
    from torch import Tensor

    from adapt.artefacts.embedding import Embedding
    from adapt.formats.huggingface.target import Head
    from adapt.formats.order import Order
    from pretrain.artefacts.body import Body


@dataclass(frozen=True)
class Network:
    """One model as it will be written.

    Attributes:
        folder: below the output; empty for the output itself.
        config: its `config.json`.
        tensors: with transformers' names.
        own: what only an import of ours reads again.
        pipeline: transformers' name of what it does; empty for none.
        longest: input in tokens.
        order: of the rows.
    """

    folder: str
    config: dict[str, Any]
    tensors: dict[str, Tensor]
    pipeline: str
    longest: int
    order: Order
    own: dict[str, Tensor] = field(default_factory=dict)


def placed(body: Body, embedding: Embedding, head: Head | None, tokenizer: bool) -> tuple[str, Order]:
    """The family of a model, and the order of its rows: the one that others know, where the family can have it.

    Args:
        tokenizer: it goes out with its tokenizer; without, rows keep our order.

    Raises:
        UserError: no class of transformers computes the same.
    """
    from adapt.formats.huggingface.target import PADDED, choose
    from adapt.formats.order import outside, own
    from pretrain.base.vocabulary import PAD, SPECIALS

    order = outside(embedding) if tokenizer else own(embedding)
    pad = order.of(SPECIALS[PAD])
    family = choose(body, head, pad)
    return family, own(embedding) if family in PADDED and pad != PAD else order


def task_network(body: Body, embedding: Embedding, head: Head, tokenizer: bool = True) -> Network:
    """The model of a task body.

    Args:
        tokenizer: see `placed`.

    Raises:
        UserError: body and embedding do not fit, or no class of transformers computes the same.
    """
    from adapt.artefacts.assemble import check_compatible
    from adapt.formats.huggingface.target import encoder_tensors, model_config
    from pretrain.masked_lm import EMBEDDING_WEIGHT

    check_compatible(body, embedding)
    family, order = placed(body, embedding, head, tokenizer)
    state = {name: tensor for name, tensor in body.tensors.items() if name.startswith("encoder.")}
    for name, tensor in embedding.extras.items():
        if not name.startswith("encoder."):
            continue  # a task model has no LM head
        if name not in state or state[name].shape != tensor.shape:
            raise UserError(f"the embedding ({embedding.language}) brings a tensor {name!r} of shape {tuple(tensor.shape)} that "
                            "this body does not have; use the body it was adapted to")
        state[name] = tensor
    state[EMBEDDING_WEIGHT] = embedding.weight
    tensors = {**encoder_tensors(family, order.scattered(state), lm_head=False), **head.tensors[family]}
    config = model_config(family, head.suffix, body.config, order, head.labels)
    config.update(head.config.get(family, {}))
    return Network("", config, tensors, head.pipeline, body.config.max_positions, order)


def networks(body: Body, embedding: Embedding, tokenizer: bool = True) -> list[Network]:
    """The models of a pre-trained body.

    Args:
        tokenizer: see `placed`.

    Raises:
        UserError: body and embedding do not fit, a task body, or no class of transformers computes the same.
    """
    from torch.nn import Module

    from adapt.artefacts.assemble import assemble, assemble_pair
    from adapt.formats.electra_names import DISCRIMINATOR, GENERATOR, OUR_POSITIONS, UNUSED, to_electra
    from adapt.formats.huggingface.target import ELECTRA, encoder_tensors, model_config, obstacle
    from adapt.formats.order import outside, own
    from pretrain.artefacts.body import DRAWN
    from pretrain.artefacts.body import ELECTRA as PAIR

    if body.task is not None:
        raise UserError(f"this is a task body ({body.task.get('name')}); its head is exported with `relexify export`")
    fill = "fill-mask"
    if body.backbone != PAIR:
        family, order = placed(body, embedding, None, tokenizer)
        state = order.scattered(Module.state_dict(assemble(body, embedding)))
        trained = body.made.get("head") != DRAWN
        if not trained:
            state = {name: tensor for name, tensor in state.items() if name.startswith("encoder.")}
        folder, suffix, pipeline = ("masked-lm", "ForMaskedLM", fill) if trained else ("encoder", "Model", "feature-extraction")
        return [Network(folder, model_config(family, suffix, body.config, order),
                        encoder_tensors(family, state, lm_head=trained), pipeline, body.config.max_positions, order)]
    order = outside(embedding) if tokenizer else own(embedding)
    if reason := obstacle(ELECTRA, body.config):
        raise UserError(f"the replaced-token head has a counterpart in ELECTRA alone, and transformers' ELECTRA has {reason}; "
                        "nothing was written; pre-train with relative_buckets=0 to export the pair")
    found = []
    for folder, suffix, pipeline in ((DISCRIMINATOR, "ForPreTraining", ""), (GENERATOR, "ForMaskedLM", fill)):
        if folder == DISCRIMINATOR:
            shape, state = body.config, Module.state_dict(assemble(body, embedding))
        elif body.generator is None:
            continue
        else:
            generator = assemble_pair(body, embedding).generator
            assert generator is not None
            shape = body.generator.config
            state = {name: tensor for name, tensor in Module.state_dict(generator).items()
                     if not name.startswith("hardness_head.")}
        found.append(Network(folder, model_config(ELECTRA, suffix, shape, order), to_electra(folder, order.scattered(state)),
                             pipeline, shape.max_positions, order, {"unused_positions": state[OUR_POSITIONS][:UNUSED].clone()}))
    return found


@makes("Hugging Face models")
def export(body: Body, embedding: Embedding, output: str | Path, *, head: Head | None = None, tokenizer: bool = True,
           check_text: str | None = None, license_name: str = "", overwrite: bool = False) -> list[str]:
    """Writes the model folders under `output`, all or none.

    Args:
        head: of a task body.
        tokenizer: also write `tokenizer.json`; its ids have been compared with those here.
        check_text: a text file, on each line of which they are compared too.
        license_name: for the card, as the hub spells it.

    Returns:
        The names of the classes, or of the folders where there are several.

    Raises:
        UserError: something that Hugging Face's models or tokenizers cannot compute as ours do.
    """
    texts: list[str] = []
    if check_text is not None:
        texts = require_file(check_text, "a text file").read_text(encoding="utf-8", errors="replace").split("\n")
    found = networks(body, embedding, tokenizer) if head is None else [task_network(body, embedding, head, tokenizer)]
    with atomic_folder(output, overwrite) as folder:
        for place, network in enumerate(found):
            _write(network, folder / network.folder, body, embedding, tokenizer, () if place else texts, license_name)
    return [network.folder or network.config["architectures"][0] for network in found]


def _write(network: Network, folder: Path, body: Body, embedding: Embedding, tokenizer: bool, texts: Sequence[str],
           license_name: str) -> None:
    from adapt.formats.huggingface.folder import OWN_MODEL, OWN_ROWS, write_model
    from adapt.formats.huggingface.json_tokenizer import write_json_tokenizer
    from adapt.formats.huggingface.model_card import card
    from adapt.formats.huggingface.tokenizer import write_settings, write_tokenizer
    from adapt.text.tokenizer import JSON_NAME
    from pretrain.artefacts.tensors import save_tensors

    write_model(folder, network.config, network.tensors)
    if network.own:
        save_tensors(folder / OWN_ROWS, network.own)
    if embedding.tokenizer.file_name != JSON_NAME or not tokenizer:
        embedding.tokenizer.save(folder / OWN_MODEL)
    if not tokenizer:
        write_settings(folder, network.longest, body.config.segments)
    elif embedding.tokenizer.file_name == JSON_NAME:
        write_json_tokenizer(embedding.tokenizer, network.order, folder, network.longest, texts, body.config.segments,
                             words=network.pipeline == "token-classification")
    else:
        write_tokenizer(embedding.tokenizer, folder, network.longest, texts, body.config.segments, network.order)
    text = card(body, embedding, network.config["architectures"][0], network.pipeline, license_name)
    (folder / "README.md").write_text(text, encoding="utf-8")
