"""Body + embedding -> model, and swapping the embedding of a model in place (DESIGN §2, assembly rule)."""

from __future__ import annotations

import torch

from adapt.embedding import Embedding
from pretrain.body import Body
from pretrain.errors import UserError
from pretrain.masked_lm import MaskedLM
from pretrain.vocabulary import SPECIALS


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


def swap(model: MaskedLM, embedding: Embedding) -> None:
    """Puts another embedding into a model: new tables of its size; the body's tensors are not touched.

    The caller has checked compatibility. Swapping en -> xx -> en restores the logits bit for bit.
    """
    device = model.encoder.embed_tokens.weight.device
    old = model.encoder.embed_tokens
    table = torch.nn.Embedding(embedding.weight.size(0), embedding.weight.size(1), padding_idx=old.padding_idx, device="meta")
    table.weight = torch.nn.Parameter(embedding.weight.to(device), requires_grad=old.weight.requires_grad)
    model.encoder.embed_tokens = table
    model.lm_head.bias = torch.nn.Parameter(embedding.bias.to(device), requires_grad=model.lm_head.bias.requires_grad)
    _swap_extras(model, embedding)


@torch.no_grad()
def _swap_extras(model: MaskedLM, embedding: Embedding) -> None:
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


def assemble(body: Body, embedding: Embedding, device: str | torch.device = "cpu") -> MaskedLM:
    """A model in evaluation mode from a body and a compatible embedding."""
    check_compatible(body, embedding)
    model = body.build(len(embedding.tokenizer.vocabulary))
    model.to(device)
    swap(model, embedding)
    return model.eval()
