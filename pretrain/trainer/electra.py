"""fairseq model `modular_electra` and its sizes: generator and discriminator, pre-trained together."""

# fairseq reads the types of config fields at run time: no `from __future__ import annotations` here

from dataclasses import dataclass, field
from typing import Any

import torch
from fairseq.models import BaseFairseqModel, register_model, register_model_architecture

from pretrain.base.errors import unknown
from pretrain.electra.networks import NORM_EPS, SIZES, SOURCES, Electra, ElectraConfig, generator_config
from pretrain.electra.replacement import unigram
from pretrain.encoder import Dropout
from pretrain.trainer.optimizer import mark, mark_network
from pretrain.trainer.roberta import ModularRobertaConfig, check_precision, encoder_config


@dataclass
class ModularElectraConfig(ModularRobertaConfig):
    generator: str = field(
        default="network", metadata={"help": "source of replacements: network, or without one uniform or unigram"}
    )
    generator_width: float = field(
        default=0.25, metadata={"help": "width, feed-forward width and heads of the generator, as a multiple"}
    )
    generator_depth: float = field(default=1.0, metadata={"help": "layers of the generator, as a multiple"})
    tying: str = field(
        default="embedding",
        metadata={"help": "shared by the networks: none, token (the table), embedding (table, positions, LayerNorm), all, or "
                  "gdes (tables without the discriminator's gradient)"},
    )
    hardness_head: str = field(
        default="none", metadata={"help": "none, loss (HP-Loss) or dist (HP-Dist): a second head that chooses replacements"}
    )
    norm_eps: float = field(default=NORM_EPS, metadata={"help": "epsilon of every LayerNorm"})


def pair_config(cfg: Any) -> ElectraConfig:
    """The pair's shapes from fairseq's flat model settings."""
    if cfg.generator not in SOURCES:
        raise unknown("generator", cfg.generator, SOURCES)
    shape = encoder_config(cfg)
    smaller = generator_config(shape, cfg.generator_width, cfg.generator_depth) if cfg.generator == "network" else None
    return ElectraConfig(shape, smaller, cfg.tying, cfg.hardness_head)


@register_model("modular_electra", dataclass=ModularElectraConfig)
class FairseqElectra(Electra, BaseFairseqModel):
    """`Electra` with fairseq's model interface; what a vocabulary indexes is marked for the optimizer."""

    def __init__(self, config: ElectraConfig, vocabulary_size: int, cfg: Any, prior_V: Any = None):
        check_precision(cfg.precision)
        dropout = Dropout(cfg.dropout, cfg.attention_dropout, cfg.activation_dropout)
        super().__init__(config, vocabulary_size, dropout, cfg.precision, prior_V)
        self.mark_parameters()
        if cfg.compile:
            self.encoder.compile()
            if self.generator is not None:
                self.generator.encoder.compile()

    def mark_parameters(self) -> None:
        """Tells the optimizer what a vocabulary indexes and which network a parameter belongs to."""
        lexicon = self.lexicon()
        for parameter in [*lexicon.tables, *lexicon.offsets]:
            mark(parameter, "embedding")
        for parameter in lexicon.biases:
            mark(parameter, "output_bias")
        for network, parameters in self.networks().items():
            for parameter in parameters:
                mark_network(parameter, network)

    def max_positions(self) -> int:
        return self.encoder.config.max_positions

    def set_num_updates(self, num_updates: int) -> None:
        # the base class walks every module at every step to pass this on; nothing here uses it
        self.num_updates = num_updates

    @classmethod
    def build_model(cls, cfg: Any, task: Any) -> "FairseqElectra":
        prior_V = unigram(task.vocabulary.counts) if cfg.generator == "unigram" else torch.zeros(len(task.vocabulary))
        return cls(pair_config(cfg), len(task.vocabulary), cfg, prior_V)


def _register(size: str, values: dict[str, Any]) -> None:
    names = {"layers": "encoder_layers", "width": "encoder_embed_dim", "heads": "encoder_attention_heads",
             "ffn": "encoder_ffn_embed_dim", "embedding_width": "token_embed_dim"}

    def architecture(args: Any) -> None:
        for key, value in values.items():
            name = names.get(key, key)
            if getattr(args, name, None) is None:
                setattr(args, name, value)

    register_model_architecture("modular_electra", f"modular_electra_{size}")(architecture)


for _size, _values in SIZES.items():
    _register(_size, _values)
