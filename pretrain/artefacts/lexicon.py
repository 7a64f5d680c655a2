"""What an embedding module holds, as far as pre-training reads it: its tensors by name, and what they fit.

The artefact itself, with its tokenizer, is `adapt.artefacts.embedding.Embedding`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from pretrain.artefacts.tensors import fingerprint, load_tensors
from pretrain.base.errors import UserError
from pretrain.base.files import read_record, require_folder
from pretrain.electra.networks import Electra, OffsetEmbedding
from pretrain.masked_lm import EMBEDDING_WEIGHT, OUTPUT_BIAS, MaskedLM

FORMAT = "relexify-embedding"
VERSION = 1
EXTRA = "extra."
"""Prefix of the extras' names in `embedding.safetensors`."""
FOREIGN = "foreign_rows"
"""Name there of the map to the rows of the model that an embedding was imported from."""
GENERATOR = "generator."
"""Prefix there of what only the generator of an ELECTRA pair uses."""


@dataclass(frozen=True)
class StoredLexicon:
    """An embedding module's tensors and record.

    Attributes:
        weight, bias: token embedding [V, E] and output bias [V].
        extras, generator: as of `adapt.artefacts.embedding.Embedding`.
    """

    weight: Tensor
    bias: Tensor
    language: str
    lineage: str
    tokenizer_sha256: str
    fingerprint: str
    extras: dict[str, Tensor] = field(default_factory=dict)
    generator: dict[str, Tensor] = field(default_factory=dict)

    @classmethod
    def load(cls, path: str | Path) -> StoredLexicon:
        """Reads an embedding module without its tokenizer, and verifies the tensors.

        Raises:
            UserError: not an embedding, or damaged.
        """
        path = require_folder(path, "an embedding (a folder with embedding.json and embedding.safetensors)")
        record = read_record(path / "embedding.json", "the record of an embedding (embedding.json)", FORMAT, VERSION)
        tensors = load_tensors(path / "embedding.safetensors", "the tensors of an embedding")
        if (got := fingerprint(tensors)) != record.text("fingerprint") or not {"weight", "bias"} <= set(tensors):
            raise UserError(f"{path}: embedding.safetensors has fingerprint {got[:12]}, embedding.json says "
                            f"{record.text('fingerprint')[:12]}; the files were changed or mixed up: copy the folder again")
        return cls(tensors["weight"], tensors["bias"], record.language(), record.text("lineage"),
                   record.text("tokenizer_sha256"), got, under(tensors, EXTRA), under(tensors, GENERATOR))

    @torch.no_grad()
    def copy_into(self, model: torch.nn.Module) -> None:
        """Gives a model of as many rows these values, in place: tables stay tied and marked as they are.

        Of a disentangled table, the offset is found by subtraction, exact up to rounding.

        Raises:
            UserError: the model has other shapes.
        """
        if not isinstance(model, Electra):
            assert isinstance(model, MaskedLM)
            state = torch.nn.Module.state_dict(model)
            self._copy({state[EMBEDDING_WEIGHT]: self.weight, state[OUTPUT_BIAS]: self.bias})
        else:
            self._copy_pair(model)
        state = torch.nn.Module.state_dict(model)
        for name, tensor in self.extras.items():
            if name not in state:
                raise UserError(f"the embedding ({self.language}) brings a tensor {name!r} that this body does not have; use "
                                "the body it was adapted to")
            self._copy({state[name]: tensor})

    def _copy_pair(self, model: Electra) -> None:
        own, generator = model.encoder.embed_tokens, model.generator
        if generator is None:
            self._copy({own.weight: self.weight})
            return
        theirs = generator.encoder.embed_tokens.weight
        if "weight" in self.generator and theirs is own.weight:
            raise UserError(f"the embedding ({self.language}) has a table of its own for the generator, and the pair shares one "
                            f"(tying {model.config.tying}); use an embedding that was pre-trained with it")
        self._copy({theirs: self.generator.get("weight", self.weight), generator.lm_head.bias: self.bias})
        if isinstance(own, OffsetEmbedding):
            self._copy({own.delta: self.weight - theirs})
        elif theirs is not own.weight:
            self._copy({own.weight: self.weight})
        if generator.hardness_head is not None and "hardness_bias" in self.generator:
            self._copy({generator.hardness_head.bias: self.generator["hardness_bias"]})

    def _copy(self, pairs: dict[Tensor, Tensor]) -> None:
        for target, given in pairs.items():
            if target.shape != given.shape:
                raise UserError(f"the embedding ({self.language}) has a tensor of shape {tuple(given.shape)}, the model one of "
                                f"{tuple(target.shape)}; use an embedding of this body, and text prepared with its tokenizer")
            target.copy_(given)


def under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose names begin so, without the prefix."""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
