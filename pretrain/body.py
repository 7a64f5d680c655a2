"""The Body artefact: everything of a model that no vocabulary indexes (DESIGN §2).

A task body is a Body with heads; its lineage is the fingerprint of the pre-trained body it descends from.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pretrain.encoder import EncoderConfig
from pretrain.errors import UserError
from pretrain.files import atomic_folder, read_record, require_folder, write_json
from pretrain.masked_lm import VOCABULARY_INDEXED, MaskedLM
from pretrain.tensors import fingerprint, load_tensors, save_tensors
from pretrain.vocabulary import SPECIALS

FORMAT = "relexify-body"
VERSION = 1
HEADS = "heads."
"""Prefix of the tensors of task heads; the LM head keeps its own name and stays with the body."""


@dataclass
class Body:
    """Tensors and record of a body.

    Attributes:
        config: its shape.
        tensors: name -> tensor, names as in `MaskedLM.state_dict()` without the vocabulary-indexed ones.
        lineage: fingerprint of the pre-trained body; empty where this is that body itself.
        made: how it came to be (recipe, seed, updates, forgetting settings, data hash).
        task: for a task body: name, label order, English dev score.
    """

    config: EncoderConfig
    tensors: dict[str, Tensor]
    lineage: str = ""
    backbone: str = "roberta"
    made: dict[str, Any] = field(default_factory=dict)
    task: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        self.fingerprint = fingerprint(self.tensors)
        self.lineage = self.lineage or self.fingerprint

    @classmethod
    def of_model(cls, model: MaskedLM, **record: Any) -> Body:
        """The body of a model, as copies of its tensors."""
        tensors = {
            name: tensor.detach().cpu().clone()
            for name, tensor in torch.nn.Module.state_dict(model).items()
            if name not in VOCABULARY_INDEXED
        }
        return cls(model.encoder.config, tensors, **record)

    def record(self) -> dict[str, Any]:
        """The content of `body.json`."""
        return {
            "format": FORMAT,
            "version": VERSION,
            "kind": "task body" if self.task else "body",
            "backbone": self.backbone,
            "architecture": self.config.to_dict(),
            "embedding_width": self.config.embedding_width,
            "positions": self.config.max_positions,
            "special_tokens": list(SPECIALS),
            "parameters": sum(t.numel() for t in self.tensors.values()),
            "fingerprint": self.fingerprint,
            "lineage": self.lineage,
            "task": self.task,
            "made": self.made,
        }

    def save(self, path: str | Path, overwrite: bool = False) -> None:
        """Writes `body.safetensors` and `body.json` into the folder `path`, whole or not at all."""
        with atomic_folder(path, overwrite) as folder:
            save_tensors(folder / "body.safetensors", self.tensors)
            write_json(folder / "body.json", self.record())

    @classmethod
    def load(cls, path: str | Path) -> Body:
        """Reads and verifies a body.

        Raises:
            UserError: not a body, written by a newer version, damaged, or changed since it was written.
        """
        path = require_folder(path, "a body (a folder with body.json and body.safetensors)")
        record = read_record(path / "body.json", "the record of a body (body.json)", FORMAT, VERSION)
        tensors = load_tensors(path / "body.safetensors", "the tensors of a body")
        body = cls(EncoderConfig.from_dict(record["architecture"]), tensors, record["lineage"], record["backbone"],
                   record.get("made") or {}, record.get("task"))
        if body.fingerprint != record["fingerprint"]:
            raise UserError(f"{path}: the tensors have fingerprint {body.fingerprint[:12]}, body.json says "
                            f"{record['fingerprint'][:12]}; the files were changed or mixed up: copy the folder again")
        return body

    def build(self, vocabulary_size: int, model: MaskedLM | None = None) -> MaskedLM:
        """A model with this body and an untrained embedding of `vocabulary_size` rows.

        Args:
            model: an existing model of the same shape to load into; a new one where None.

        Raises:
            UserError: tensors are missing or have other shapes than `architecture` says.
        """
        model = MaskedLM(self.config, vocabulary_size) if model is None else model
        load_body(model, self)
        return model


@torch.no_grad()
def load_body(model: torch.nn.Module, body: Body, heads: bool = False) -> None:
    """Copies a body's tensors into a model, in place.

    Args:
        heads: also load the tensors of task heads (the model must have them).
    """
    own = torch.nn.Module.state_dict(model)  # not the overridden one: stages that save less still load all
    wanted = {n for n in own if n not in VOCABULARY_INDEXED and (heads or not n.startswith(HEADS))}
    given = {n for n in body.tensors if heads or not n.startswith(HEADS)}
    if wanted != given:
        missing, extra = sorted(wanted - given)[:3], sorted(given - wanted)[:3]
        raise UserError(f"the body does not fit its architecture: missing tensors {missing}, unexpected {extra}; "
                        "was the folder written by another version?")
    for name in wanted:
        if own[name].shape != body.tensors[name].shape:
            raise UserError(f"body tensor {name!r} has shape {tuple(body.tensors[name].shape)}, its architecture needs "
                            f"{tuple(own[name].shape)}")
        own[name].copy_(body.tensors[name])
