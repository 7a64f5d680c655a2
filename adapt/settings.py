"""Settings of one language adaptation; a light module, so that `--help` stays fast."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class AdaptSettings:
    """One language adaptation. The paper's own setting: 125,000 updates of 2048 x 512 tokens, lr 7e-4."""

    body: str
    data: str
    output: str
    source_embedding: str = ""
    initialiser: str = "random"
    special_rows: str = "copy"
    resources: str = ""
    train_also: str = ""
    objective: str = ""
    """mlm, rtd or joint; empty: mlm for a RoBERTa body, for an ELECTRA body `adapt.objective.DEFAULT`."""
    disentangle: bool = False
    """joint: the discriminator's table is the generator's plus an offset, each trained by its own loss."""
    rtd_weight: float = -1.0
    """lambda, weight of the discriminator's loss; -1: as in pre-training."""
    rtd_start: int = 0
    """joint: the discriminator is left out of so many updates."""
    rtd_warmup: int = -1
    """Then lambda rises linearly over so many updates; -1: a tenth of the run."""
    updates: int = 2000
    lr: float = 1e-3
    warmup: int = -1
    """Updates of warm-up; -1: a tenth of the run."""
    batch_size: int = 16
    update_freq: int = 1
    tokens_per_sample: int = 128
    mask_prob: float = 0.15
    mask_policy: str = ""
    """bert, electra or mask; empty: as in pre-training."""
    dropout: float = 0.1
    attention_dropout: float = 0.1
    clip_norm: float = 0.5
    weight_decay: float = 0.01
    patience: int = 0
    """Stop after so many validations without a better held-out loss; 0: run to the end."""
    validate_every: int = 100
    save_embeddings_at: str = ""
    precision: str = "fp32"
    compile: bool = False
    seed: int = 1
    processes: int = 1
    """GPUs of a machine (torchrun)."""
    nodes: int = 1
    """Machines of a Slurm allocation (srun starts torchrun on each)."""
    threads: int = 0
    tensorboard: str = ""

    @property
    def tokens_per_update(self) -> int:
        return self.batch_size * self.update_freq * self.tokens_per_sample * self.processes * self.nodes
