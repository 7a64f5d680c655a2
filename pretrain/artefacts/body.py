"""The Body artefact: everything of a model that no vocabulary indexes (docs/artefacts.md).

A task body is a Body with heads; its lineage is the fingerprint of the pre-trained body it descends from.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pretrain.artefacts.tensors import fingerprint, load_tensors, save_tensors
from pretrain.base.errors import UserError
from pretrain.base.files import atomic_folder, read_record, require_folder, write_json
from pretrain.base.vocabulary import SPECIALS
from pretrain.electra.networks import HEAD, Discriminator
from pretrain.encoder import EncoderConfig
from pretrain.masked_lm import VOCABULARY_INDEXED, MaskedLM

FORMAT = "relexify-body"
VERSION = 1
HEADS = "heads."
"""Prefix of the tensors of task heads; the LM head keeps its own name and stays with the body."""
DRAWN = "drawn"
"""`made.head` of a body whose LM head was drawn and not trained: the model it was imported from has none."""
ROBERTA, ELECTRA = "roberta", "electra"
"""Backbones: a masked language model, or the discriminator of a pair."""


@dataclass
class GeneratorPart:
    """What a pair's generator has beyond its discriminator: `generator.safetensors` beside a body.

    Attributes:
        config: its shape.
        tensors: name -> tensor, names as in `Generator.state_dict()`; neither what a vocabulary indexes nor what is tied to
            the discriminator, which the body holds under the same name.
        tying: what the networks shared, see `pretrain.electra.networks.TYINGS`.
        hardness: kind of the hardness head.
    """

    config: EncoderConfig
    tensors: dict[str, Tensor]
    tying: str
    hardness: str = "none"

    def record(self) -> dict[str, Any]:
        """What `body.json` says about it."""
        return {"architecture": self.config.to_dict(), "tying": self.tying, "hardness_head": self.hardness,
                "parameters": sum(t.numel() for t in self.tensors.values()), "fingerprint": fingerprint(self.tensors)}

    @classmethod
    def load(cls, path: Path, record: dict[str, Any]) -> GeneratorPart:
        """Reads and verifies it."""
        tensors = load_tensors(path / "generator.safetensors", "the tensors of a body's generator")
        part = cls(EncoderConfig.from_dict(record["architecture"]), tensors, record["tying"], record["hardness_head"])
        check_fingerprint(path, "generator.safetensors", fingerprint(tensors), record["fingerprint"])
        return part


def check_fingerprint(path: Path, what: str, got: str, expected: str) -> None:
    """Raises UserError where the tensors are not those that body.json was written with."""
    if got != expected:
        raise UserError(f"{path}: {what} have fingerprint {got[:12]}, body.json says {expected[:12]}; the files were changed "
                        "or mixed up: copy the folder again")


@dataclass
class Body:
    """Tensors and record of a body.

    Attributes:
        config: its shape.
        tensors: name -> tensor, names as in `MaskedLM.state_dict()` (backbone `roberta`) or `Discriminator.state_dict()`
            (`electra`) without the vocabulary-indexed ones.
        lineage: fingerprint of the pre-trained body; empty where this is that body itself.
        made: how it came to be (recipe, seed, updates, forgetting settings, data hash).
        task: for a task body: name, label order, English dev score.
        generator: for a pre-trained ELECTRA body, the rest of its pair. No part of the fingerprint: a task body has none,
            and an embedding fits with or without.
    """

    config: EncoderConfig
    tensors: dict[str, Tensor]
    lineage: str = ""
    backbone: str = ROBERTA
    made: dict[str, Any] = field(default_factory=dict)
    task: dict[str, Any] | None = None
    generator: GeneratorPart | None = None

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

    @property
    def recipe(self) -> dict[str, Any]:
        """The settings of its pre-training; empty where they are not known, as of an imported body."""
        found = self.made.get("recipe")
        return found if isinstance(found, dict) else {}

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
            **({"generator": self.generator.record()} if self.generator is not None else {}),
        }

    def save(self, path: str | Path, overwrite: bool = False) -> None:
        """Writes `body.safetensors`, `body.json` and the generator, if any, into the folder `path`, whole or not at all."""
        with atomic_folder(path, overwrite) as folder:
            save_tensors(folder / "body.safetensors", self.tensors)
            if self.generator is not None:
                save_tensors(folder / "generator.safetensors", self.generator.tensors)
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
        check_fingerprint(path, "the tensors", body.fingerprint, record["fingerprint"])
        if "generator" in record:
            body.generator = GeneratorPart.load(path, record["generator"])
        return body

    def build(self, vocabulary_size: int, model: MaskedLM | Discriminator | None = None) -> MaskedLM | Discriminator:
        """A model with this body and an untrained embedding of `vocabulary_size` rows: a masked language model, or for
        backbone `electra` a discriminator (`pretrain.artefacts.pair.build_pair` gives generator and discriminator).

        Args:
            model: an existing model of the same shape to load into; a new one where None.

        Raises:
            UserError: tensors are missing or have other shapes than `architecture` says.
        """
        if model is None:
            model = (Discriminator if self.backbone == ELECTRA else MaskedLM)(self.config, vocabulary_size)
        load_body(model, self)
        return model


@torch.no_grad()
def load_body(model: torch.nn.Module, body: Body, heads: bool = False) -> None:
    """Copies a body's tensors into a model, in place.

    An ELECTRA body has no LM head: that of a model which has one stays untrained. It has a replaced-token head, which a
    model may lack.

    Args:
        heads: also load the tensors of task heads (the model must have them).
    """
    own = torch.nn.Module.state_dict(model)  # not the overridden one: stages that save less still load all
    wanted = {n for n in own if n not in VOCABULARY_INDEXED and (heads or not n.startswith(HEADS))}
    given = {n for n in body.tensors if heads or not n.startswith(HEADS)}
    if body.backbone == ELECTRA:
        wanted = {n for n in wanted if not n.startswith("lm_head.")}
        given = {n for n in given if not n.startswith(HEAD) or n in own}
    if wanted != given:
        missing, extra = sorted(wanted - given)[:3], sorted(given - wanted)[:3]
        raise UserError(f"the body does not fit its architecture: missing tensors {missing}, unexpected {extra}; "
                        "was the folder written by another version?")
    for name in wanted:
        if own[name].shape != body.tensors[name].shape:
            raise UserError(f"body tensor {name!r} has shape {tuple(body.tensors[name].shape)}, its architecture needs "
                            f"{tuple(own[name].shape)}")
        own[name].copy_(body.tensors[name])
