"""fairseq model `modular_electra` and its sizes: generator and discriminator, pre-trained together."""

# fairseq reads the types of config fields at run time: no `from __future__ import annotations` here

from dataclasses import field
from typing import Any

import torch
from fairseq.models import BaseFairseqModel, register_model

from pretrain.electra.networks import NORM_EPS, Electra, ElectraConfig
from pretrain.electra.replacement import unigram
from pretrain.encoder import Dropout
from pretrain.settings import PretrainRecipe
from pretrain.shapes import of_trainer, pair_shape
from pretrain.trainer.config import check_config, of_settings
from pretrain.trainer.optimizer import mark, mark_network
from pretrain.trainer.roberta import ModularRobertaConfig, TrainingModelConfig, check_precision, register_sizes, started


@of_settings(PretrainRecipe, "pair")
class ModularElectraConfig(ModularRobertaConfig):
    norm_eps: float = field(default=NORM_EPS, metadata={"help": "epsilon of every LayerNorm"})


@register_model("modular_electra", dataclass=ModularElectraConfig)
class FairseqElectra(Electra, BaseFairseqModel):
    """`Electra` with fairseq's model interface; what a vocabulary indexes is marked for the optimizer."""

    def __init__(self, config: ElectraConfig, vocabulary_size: int, cfg: Any, prior_V: Any = None):
        check_config(TrainingModelConfig, cfg)
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
        check_config(ModularElectraConfig, cfg)
        prior_V = unigram(task.vocabulary.counts) if cfg.generator == "unigram" else torch.zeros(len(task.vocabulary))
        return started(cls(pair_shape(of_trainer(cfg)), len(task.vocabulary), cfg, prior_V), cfg, task.cfg.data)


register_sizes("modular_electra")
