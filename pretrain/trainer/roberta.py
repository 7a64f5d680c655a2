"""fairseq model `modular_roberta` and its sizes: a body with its embedding, pre-trained as a masked language model."""

# fairseq reads the types of config fields at run time: no `from __future__ import annotations` here

from dataclasses import field
from typing import Any

import torch
from fairseq.dataclass import FairseqDataclass
from fairseq.models import BaseFairseqModel, register_model, register_model_architecture

from pretrain.base.errors import UserError, unknown
from pretrain.base.settings import declared
from pretrain.choices import PRECISIONS, SIZES
from pretrain.encoder import Dropout, EncoderConfig
from pretrain.masked_lm import MaskedLM
from pretrain.settings import NEW, PretrainRecipe
from pretrain.shapes import encoder_shape, of_trainer
from pretrain.start import read_start
from pretrain.trainer.config import check_config, of_settings
from pretrain.trainer.optimizer import mark


@of_settings(PretrainRecipe, "training")
class TrainingModelConfig(FairseqDataclass):
    """Settings of any model while it trains: nothing here changes the shape of a body."""

    activation_dropout: float = field(default=0.0, metadata={"help": "dropout inside the feed-forward layers"})


@of_settings(PretrainRecipe, "shape", "start")
class ModularRobertaConfig(TrainingModelConfig):
    norm_eps: float = field(default=1e-5, metadata={"help": "epsilon of every LayerNorm"})
    relative_distance: int = field(default=128, metadata={"help": "distance at which the last bucket begins"})


def started(model: Any, cfg: Any, data: str) -> Any:
    """The model with the weights that the training goes on from, where it does."""
    if cfg.from_body:
        if not cfg.from_embedding:
            raise UserError(f"--from-embedding is missing: the embedding to train on with the body {cfg.from_body}, or {NEW}")
        read_start(cfg.from_body, cfg.from_embedding, data).load(model)
    return model


def check_precision(precision: str) -> None:
    """Refuses a precision that this machine cannot train in."""
    if precision not in PRECISIONS:
        raise unknown("precision", precision, PRECISIONS)
    if precision == "fp16" and not torch.cuda.is_available():
        raise UserError("--precision fp16 needs a CUDA device, none is visible; use --precision fp32 (or bf16)")


class FairseqMaskedLM(MaskedLM, BaseFairseqModel):
    """`MaskedLM` with fairseq's model interface; embedding and output bias are marked for the optimizer."""

    def __init__(self, config: EncoderConfig, vocabulary_size: int, cfg: Any):
        check_config(TrainingModelConfig, cfg)
        check_precision(cfg.precision)
        dropout = Dropout(cfg.dropout, cfg.attention_dropout, cfg.activation_dropout)
        super().__init__(config, vocabulary_size, dropout, cfg.precision)
        mark(self.encoder.embed_tokens.weight, "embedding")
        mark(self.lm_head.bias, "output_bias")
        if cfg.compile:
            self.encoder.compile()

    def max_positions(self) -> int:
        return self.encoder.config.max_positions

    def set_num_updates(self, num_updates: int) -> None:
        # the base class walks every module at every step to pass this on; nothing here uses it
        self.num_updates = num_updates


@register_model("modular_roberta", dataclass=ModularRobertaConfig)
class ModularRoberta(FairseqMaskedLM):
    """RoBERTa on the project's encoder, trained from scratch or from a body."""

    @classmethod
    def build_model(cls, cfg: Any, task: Any) -> "ModularRoberta":
        check_config(ModularRobertaConfig, cfg)
        return started(cls(encoder_shape(of_trainer(cfg)), len(task.vocabulary), cfg), cfg, task.cfg.data)


def register_sizes(model: str) -> None:
    """Makes the sizes of a family known to fairseq, as `modular_FAMILY_SIZE`: what an option does not say, the size does.

    fairseq itself owns `roberta_base` and `roberta_large`, hence the prefix.
    """
    family = model.removeprefix("modular_")
    for size, values in SIZES[family].items():
        def architecture(args: Any, values: dict[str, Any] = values) -> None:
            for key, value in values.items():
                name = declared(PretrainRecipe)[key].trainer_name
                if getattr(args, name, None) is None:
                    setattr(args, name, value)

        register_model_architecture(model, f"{model}_{size}")(architecture)


register_sizes("modular_roberta")
