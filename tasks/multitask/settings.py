"""Settings of one training on a mixture; a light module, so that `--help` stays fast."""

from __future__ import annotations

from dataclasses import MISSING, dataclass

from pretrain.base.settings import like, setting
from tasks.settings import FinetuneSettings

MTDNN = "Liu et al. 2019, MT-DNN"


@dataclass
class MultitaskSettings:
    """One training on many tasks. The paper's own: 5 epochs of 32 examples a batch, lr 5e-5 (Adamax), gradient norm 1."""

    body: str = like(FinetuneSettings, "body", MISSING)
    mixture: str = setting(MISSING, "the mixture: a YAML file that names the tasks, what each brings, and how they are mixed "
                           "(docs/multitask.md)", MTDNN, "file")
    output: str = like(FinetuneSettings, "output", MISSING, help="where the body with the heads of all tasks will stand")
    embedding: str = like(FinetuneSettings, "embedding", "", help="embedding of the examples' language (default: the one beside "
                          "the body); stays as it is")
    source_language: str = like(FinetuneSettings, "source_language")
    epochs: float = like(FinetuneSettings, "epochs", 5.0, help="epochs of the mixture, see its policy", source=MTDNN)
    updates: int = like(FinetuneSettings, "updates")
    lr: float = like(FinetuneSettings, "lr")
    warmup: float = like(FinetuneSettings, "warmup", 0.1, source=MTDNN)
    batch_size: int = like(FinetuneSettings, "batch_size", source=MTDNN)
    update_freq: int = like(FinetuneSettings, "update_freq", help="batches of an update, of one task or of several")
    train_embedding: bool = like(FinetuneSettings, "train_embedding")
    dropout: float = like(FinetuneSettings, "dropout", help="dropout, also of the heads that name none of their own")
    attention_dropout: float = like(FinetuneSettings, "attention_dropout")
    weight_decay: float = like(FinetuneSettings, "weight_decay")
    clip_norm: float = like(FinetuneSettings, "clip_norm", 1.0, source=MTDNN)
    layer_decay: float = like(FinetuneSettings, "layer_decay")
    layer_decay_variant: str = like(FinetuneSettings, "layer_decay_variant")
    adam_betas: str = like(FinetuneSettings, "adam_betas")
    adam_eps: float = like(FinetuneSettings, "adam_eps")
    validate_every: int = like(FinetuneSettings, "validate_every")
    precision: str = like(FinetuneSettings, "precision")
    compile: bool = like(FinetuneSettings, "compile")
    seed: int = like(FinetuneSettings, "seed", help="seed of heads, dropout, order and limits")
    threads: int = like(FinetuneSettings, "threads")
    cpu: bool = like(FinetuneSettings, "cpu")
    tensorboard: str = like(FinetuneSettings, "tensorboard")
