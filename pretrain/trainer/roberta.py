"""fairseq model `modular_roberta` and its sizes: a body with its embedding, pre-trained as a masked language model."""

# fairseq reads the types of config fields at run time: no `from __future__ import annotations` here

from dataclasses import dataclass, field
from typing import Any

import torch
from fairseq.dataclass import FairseqDataclass
from fairseq.models import BaseFairseqModel, register_model, register_model_architecture

from pretrain.base.errors import UserError, unknown
from pretrain.encoder import PRECISIONS, Dropout, EncoderConfig
from pretrain.masked_lm import MaskedLM
from pretrain.trainer.optimizer import mark

SIZES: dict[str, dict[str, int]] = {
    "tiny": {"layers": 4, "width": 128, "heads": 4, "ffn": 512},
    "mini": {"layers": 4, "width": 256, "heads": 4, "ffn": 1024},
    "small": {"layers": 6, "width": 512, "heads": 8, "ffn": 2048},
    "base": {"layers": 12, "width": 768, "heads": 12, "ffn": 3072},
    "large": {"layers": 24, "width": 1024, "heads": 16, "ffn": 4096},
}
"""Presets. base and large are RoBERTa's (Liu et al. 2019); the smaller ones are ours, for a laptop."""


@dataclass
class TrainingModelConfig(FairseqDataclass):
    """Settings of any model while it trains: nothing here changes the shape of a body."""

    dropout: float = field(default=0.1, metadata={"help": "dropout of embeddings and layer outputs"})
    attention_dropout: float = field(default=0.1, metadata={"help": "dropout of attention weights"})
    activation_dropout: float = field(default=0.0, metadata={"help": "dropout inside the feed-forward layers"})
    precision: str = field(default="fp32", metadata={"help": "fp32, bf16 or fp16: autocast with fp32 master weights"})
    compile: bool = field(default=False, metadata={"help": "torch.compile the encoder"})

    def dropouts(self) -> Dropout:
        return Dropout(self.dropout, self.attention_dropout, self.activation_dropout)


@dataclass
class ModularRobertaConfig(TrainingModelConfig):
    encoder_layers: int = field(default=12, metadata={"help": "number of layers"})
    encoder_embed_dim: int = field(default=768, metadata={"help": "width of the layers"})
    encoder_ffn_embed_dim: int = field(default=3072, metadata={"help": "inner width of the feed-forward layers"})
    encoder_attention_heads: int = field(default=12, metadata={"help": "attention heads"})
    token_embed_dim: int = field(default=0, metadata={"help": "width of the token embedding; 0: as the layers"})
    max_positions: int = field(default=512, metadata={"help": "longest input in tokens"})
    relative_buckets: int = field(default=0, metadata={"help": "buckets of the relative-position bias; 0: off"})
    relative_distance: int = field(default=128, metadata={"help": "distance at which the last bucket begins"})


def check_precision(precision: str) -> None:
    """Refuses a precision that this machine cannot train in."""
    if precision not in PRECISIONS:
        raise unknown("precision", precision, PRECISIONS)
    if precision == "fp16" and not torch.cuda.is_available():
        raise UserError("--precision fp16 needs a CUDA device, none is visible; use --precision fp32 (or bf16)")


def encoder_config(cfg: Any) -> EncoderConfig:
    """The body's shape from fairseq's flat model settings."""
    return EncoderConfig(
        layers=cfg.encoder_layers,
        width=cfg.encoder_embed_dim,
        heads=cfg.encoder_attention_heads,
        ffn=cfg.encoder_ffn_embed_dim,
        embedding_width=cfg.token_embed_dim or cfg.encoder_embed_dim,
        max_positions=cfg.max_positions,
        relative_buckets=cfg.relative_buckets,
        relative_distance=cfg.relative_distance,
        **({"norm_eps": cfg.norm_eps} if hasattr(cfg, "norm_eps") else {}),
    )


class FairseqMaskedLM(MaskedLM, BaseFairseqModel):
    """`MaskedLM` with fairseq's model interface; embedding and output bias are marked for the optimizer."""

    def __init__(self, config: EncoderConfig, vocabulary_size: int, cfg: Any):
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
    """RoBERTa on the project's encoder, trained from scratch."""

    @classmethod
    def build_model(cls, cfg: Any, task: Any) -> "ModularRoberta":
        return cls(encoder_config(cfg), len(task.vocabulary), cfg)


def _register(size: str, values: dict[str, int]) -> None:
    names = {"layers": "encoder_layers", "width": "encoder_embed_dim", "heads": "encoder_attention_heads",
             "ffn": "encoder_ffn_embed_dim"}

    def architecture(args: Any) -> None:
        for key, value in values.items():
            if getattr(args, names[key], None) is None:
                setattr(args, names[key], value)

    # fairseq itself owns `roberta_base` and `roberta_large`, hence the prefix
    register_model_architecture("modular_roberta", f"modular_roberta_{size}")(architecture)


for _size, _values in SIZES.items():
    _register(_size, _values)
