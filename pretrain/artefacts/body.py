"""The Body artefact: everything of a model that no vocabulary indexes (docs/artefacts.md).

A task body is a Body with heads; its lineage is the fingerprint of the pre-trained body it descends from.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pretrain.artefacts.tensors import fingerprint, load_tensors, save_tensors
from pretrain.base.errors import UserError
from pretrain.base.files import atomic_folder, read_record, require_folder, write_json
from pretrain.base.records import Record
from pretrain.base.vocabulary import PAD, SPECIALS
from pretrain.choices import HARDNESS_HEADS, TYINGS
from pretrain.electra.networks import HEAD, Discriminator
from pretrain.encoder import EncoderConfig
from pretrain.masked_lm import VOCABULARY_INDEXED, MaskedLM

FORMAT = "relexify-body"
VERSION = 1
HEADS = "heads."
"""Prefix of the tensors of task heads; the LM head keeps its own name and stays with the body."""
SEVERAL = "multitask"
"""Name in the record of a task body that does several tasks: `tasks` then has a record for each (`tasks.heads.several`)."""
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
    def load(cls, path: Path, record: Record) -> GeneratorPart:
        """Reads and verifies it."""
        tying, hardness, expected = (record.text(key) for key in ("tying", "hardness_head", "fingerprint"))
        if tying not in TYINGS:
            raise record.wrong("tying", f"one of {', '.join(TYINGS)}")
        if hardness not in HARDNESS_HEADS:
            raise record.wrong("hardness_head", f"one of {', '.join(HARDNESS_HEADS)}")
        config = EncoderConfig.from_record(record.table("architecture"))
        tensors = load_tensors(path / "generator.safetensors", "the tensors of a body's generator", floats=True)
        check_fingerprint(path, "generator.safetensors", fingerprint(tensors), expected)
        part = cls(config, tensors, tying, hardness)
        return part


def check_fingerprint(path: Path, what: str, got: str, expected: str) -> None:
    """Raises UserError where the tensors are not those that body.json was written with."""
    if got != expected:
        raise UserError(f"{path}: {what} have fingerprint {got[:12]}, body.json says {expected[:12]}; the files were changed "
                        "or mixed up: copy the folder again")


def check_task(task: Record) -> Record:
    """The record of a task body's task, with what every task records.

    Raises:
        UserError: its name, head or labels are missing or of another type.
    """
    if not re.fullmatch(r"[\w-]+", task.text("name")):
        raise task.wrong("name", "the name of a task")
    task.text("head")
    task.texts("labels")
    if task["name"] == SEVERAL:
        for name in (several := task.table("tasks")):
            if check_task(several.table(name))["name"] != name:
                raise several.wrong(name, "the record of a task under its name")
    return task


def check_shape(path: Path, config: EncoderConfig, tensors: Mapping[str, Tensor]) -> None:
    """Raises UserError where the recorded architecture is not that of the tensors: a model is built by the record, so that one
    that names a billion layers would ask for all memory before its tensors are looked at."""
    layers = {name.split(".")[2] for name in tensors if name.startswith("encoder.layers.")}
    expected = {"encoder.embed_positions.weight": (config.max_positions + PAD + 1, config.embedding_width),
                "encoder.embed_norm.weight": (config.embedding_width,),
                "encoder.layers.0.ffn_in.weight": (config.ffn, config.width)}
    if config.relative_buckets:
        expected["encoder.relative_bias.weight"] = (config.relative_buckets, config.heads)
    for name, shape in expected.items():
        got = tuple(tensors[name].shape) if name in tensors else None
        if got != shape:
            raise UserError(f"{path}: by its recorded architecture, tensor {name!r} has shape {shape}, in the files it "
                            f"{f'has {got}' if got else 'is missing'}; the files were changed or mixed up: copy the folder again")
    if len(layers) != config.layers:
        raise UserError(f"{path}: its recorded architecture has {config.layers} layers, the files hold {len(layers)}; the "
                        "files were changed or mixed up: copy the folder again")


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
        lineage, backbone, expected = (record.text(key) for key in ("lineage", "backbone", "fingerprint"))
        if backbone not in (ROBERTA, ELECTRA):
            raise record.wrong("backbone", f"{ROBERTA} or {ELECTRA}")
        config, made = EncoderConfig.from_record(record.table("architecture")), record.optional_table("made")
        task = check_task(record.table("task")) if record.get("task") else None
        tensors = load_tensors(path / "body.safetensors", "the tensors of a body", floats=True)
        body = cls(config, tensors, lineage, backbone, made, task)
        check_fingerprint(path, "the tensors", body.fingerprint, expected)
        check_shape(path, config, tensors)
        if "generator" in record:
            body.generator = GeneratorPart.load(path, record.table("generator"))
            own = body.generator.tensors
            shared = "encoder." if body.generator.tying == "all" else "encoder.embed_"
            check_shape(path, body.generator.config, {**{n: t for n, t in tensors.items() if n.startswith(shared)}, **own})
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
