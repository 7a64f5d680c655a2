"""Body + embedding -> model, and swapping the embedding of a model in place (docs/artefacts.md)."""

from __future__ import annotations

import torch

from adapt.artefacts.embedding import Embedding
from pretrain.artefacts.body import Body
from pretrain.artefacts.pair import build_pair
from pretrain.base.errors import UserError
from pretrain.base.vocabulary import SPECIALS
from pretrain.electra.networks import Discriminator, Electra, OffsetEmbedding
from pretrain.masked_lm import MaskedLM


def check_compatible(body: Body, embedding: Embedding) -> None:
    """The assembly rule.

    Raises:
        UserError: another lineage, width or set of special tokens; both values are named.
    """
    if embedding.width != body.config.embedding_width:
        raise UserError(f"the embedding ({embedding.language}) is {embedding.width} wide, the body takes "
                        f"{body.config.embedding_width}; use an embedding that was adapted to this body")
    symbols = embedding.tokenizer.vocabulary.symbols
    if tuple(symbols[: len(SPECIALS)]) != SPECIALS:
        raise UserError(f"the embedding's special tokens are {symbols[:len(SPECIALS)]}, the body's {list(SPECIALS)}")
    if embedding.lineage != body.lineage:
        raise UserError(f"the embedding ({embedding.language}) was learned against the body of lineage "
                        f"{embedding.lineage[:12]}, this body's lineage is {body.lineage[:12]}; adapt the language to this "
                        "body (relexify adapt --body …), or use a task body that descends from the other one")


def swap(model: MaskedLM | Discriminator, embedding: Embedding) -> None:
    """Puts another embedding into a model: new tables of its size; the body's tensors are not touched.

    The caller has checked compatibility. Swapping en -> xx -> en restores the logits bit for bit. In a pair, what was tied
    stays tied.
    """
    if isinstance(model, Electra):
        _swap_pair(model, embedding)
    else:
        model.encoder.embed_tokens = _table(embedding.weight, model.encoder.embed_tokens)
        if isinstance(model, MaskedLM):
            model.lm_head.bias = _bias(embedding.bias, model.lm_head.bias)
    _swap_extras(model, embedding)


def swap_side_by_side(model: MaskedLM, contexts: Embedding, questions: Embedding) -> None:
    """Puts two embeddings into one model: ids below V read contexts with the first, ids from V on questions with the second.

    V is the number of rows of `contexts`. Each side brings its own special tokens: `<s> question </s>` are the second's,
    `</s> context </s>` the first's. Both tables are used as they are, so a question is read as in a model of its own
    language alone. The output bias is stacked alike, though answers do not need it.

    Raises:
        UserError: one of them brings more than an embedding (positions, layers), of which a body can hold one set only.
    """
    extras = sorted({*contexts.extras, *questions.extras})
    if extras:
        raise UserError(f"the embeddings ({contexts.language}, {questions.language}) bring tensors of the body of their own "
                        f"({', '.join(extras[:3])}); two languages at once need embeddings that were adapted without "
                        "--train-also")
    swap(model, contexts)
    old = model.encoder.embed_tokens
    both = torch.cat([old.weight.detach(), questions.weight.to(old.weight.device)])
    table = torch.nn.Embedding(both.size(0), both.size(1), padding_idx=old.padding_idx, device="meta")
    table.weight = torch.nn.Parameter(both, requires_grad=old.weight.requires_grad)
    model.encoder.embed_tokens = table
    bias = model.lm_head.bias
    stacked = torch.cat([bias.detach(), questions.bias.to(bias.device)])
    model.lm_head.bias = torch.nn.Parameter(stacked, requires_grad=bias.requires_grad)


def _table(weight: torch.Tensor, old: torch.nn.Embedding) -> torch.nn.Embedding:
    table = torch.nn.Embedding(weight.size(0), weight.size(1), padding_idx=old.padding_idx, device="meta")
    table.weight = torch.nn.Parameter(weight.to(old.weight.device), requires_grad=old.weight.requires_grad)
    return table


def _bias(bias: torch.Tensor, old: torch.nn.Parameter) -> torch.nn.Parameter:
    return torch.nn.Parameter(bias.to(old.device), requires_grad=old.requires_grad)


def _swap_pair(model: Electra, embedding: Embedding) -> None:
    """The tables of both networks; of a disentangled one the offset is found by subtraction, exact up to rounding."""
    own, generator = model.encoder, model.generator
    model.prior_V = torch.zeros(len(embedding.weight), device=model.prior_V.device)
    if generator is None:
        own.embed_tokens = _table(embedding.weight, own.embed_tokens)
        return
    if model.config.tying in ("none", "gdes"):
        weight = embedding.generator.get("weight", embedding.weight)
    else:
        weight = embedding.weight
        if "weight" in embedding.generator:
            raise UserError(f"the embedding ({embedding.language}) has a table of its own for the generator, and the pair "
                            f"shares one (tying {model.config.tying}); assemble the pair with tying `none`")
    theirs = _table(weight, generator.encoder.embed_tokens)
    if isinstance(own.embed_tokens, OffsetEmbedding):
        offset = OffsetEmbedding(theirs)
        offset.delta.data.copy_(embedding.weight.to(theirs.weight.device) - theirs.weight.data)
        own.embed_tokens = offset  # type: ignore[assignment]
    elif model.config.tying == "none":
        own.embed_tokens = _table(embedding.weight, own.embed_tokens)
    else:
        own.embed_tokens = theirs
    generator.encoder.embed_tokens = theirs
    generator.lm_head.bias = _bias(embedding.bias, generator.lm_head.bias)
    if generator.hardness_head is not None:
        bias = embedding.generator.get("hardness_bias", torch.zeros_like(embedding.bias))
        generator.hardness_head.bias = _bias(bias, generator.hardness_head.bias)


@torch.no_grad()
def _swap_extras(model: torch.nn.Module, embedding: Embedding) -> None:
    """Gives back what the last embedding's extras replaced, then puts this embedding's extras in."""
    state = torch.nn.Module.state_dict(model)
    for name, original in getattr(model, "_replaced", {}).items():
        state[name].copy_(original)
    replaced: dict[str, torch.Tensor] = {}
    for name, tensor in embedding.extras.items():
        if name not in state or state[name].shape != tensor.shape:
            raise UserError(f"the embedding ({embedding.language}) brings a tensor {name!r} of shape {tuple(tensor.shape)} "
                            "that this body does not have; use the body it was adapted to")
        replaced[name] = state[name].clone()
        state[name].copy_(tensor)
    object.__setattr__(model, "_replaced", replaced)


def assemble(body: Body, embedding: Embedding, device: str | torch.device = "cpu") -> MaskedLM | Discriminator:
    """A model in evaluation mode from a body and a compatible embedding; of an ELECTRA body, the discriminator."""
    check_compatible(body, embedding)
    model = body.build(len(embedding.tokenizer.vocabulary))
    model.to(device)
    swap(model, embedding)
    return model.eval()


def assemble_pair(body: Body, embedding: Embedding, device: str | torch.device = "cpu", tying: str = "") -> Electra:
    """Generator and discriminator in evaluation mode.

    Args:
        tying: `none` or `gdes` to share less than the pair did; as recorded where empty.

    Raises:
        UserError: incompatible, or the body has no generator.
    """
    check_compatible(body, embedding)
    model = build_pair(body, len(embedding.tokenizer.vocabulary), tying)
    model.to(device)
    swap(model, embedding)
    return model.eval()
