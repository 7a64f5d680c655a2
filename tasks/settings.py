"""Settings of one task adaptation; a light module, so that `--help` stays fast."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class FinetuneSettings:
    """One task adaptation. The paper's own for NLI: 10 epochs of 32 pairs, lr 1e-5, best English dev accuracy.

    For question answering its windows are 384 tokens with a step of 128, questions cut to 64.
    """

    body: str
    data: str
    output: str
    embedding: str = ""
    """Embedding of the language of the examples; empty: the one beside `body`."""
    task: str = "xnli"
    train_files: tuple[str, ...] = ()
    """Training files; empty: searched for in `data`."""
    dev_files: tuple[str, ...] = ()
    """Files of the dev split; empty: searched for in `data`."""
    source_language: str = ""
    """Language of the examples; empty: the embedding's."""
    dev_split: str = "dev"
    """Split that chooses the best checkpoint."""
    epochs: float = 10.0
    updates: int = 0
    """Updates of the run; 0: as `epochs` says."""
    lr: float = 0.0
    """Peak learning rate; 0: by the width of the body, see `default_lr`."""
    warmup: float = 0.06
    """Share of the run (below 1), or number of updates, over which the learning rate rises."""
    batch_size: int = 32
    """Examples per micro-batch."""
    update_freq: int = 1
    """Micro-batches per update."""
    max_length: int = 0
    """Longest input in tokens; 0: all positions of the body, but at most 384 for question answering."""
    head: str = ""
    """Kind of head; empty: the task's first."""
    labels: str = ""
    """Tagging with labels of one's own (task `conll`): a file with one label a line."""
    stride: int = 0
    """Question answering: context tokens between the starts of two windows; 0: 128, or less in short windows."""
    max_question: int = 0
    """Question answering: tokens kept of a question; 0: 64, or less in short windows."""
    train_embedding: bool = False
    dropout: float = 0.1
    attention_dropout: float = 0.1
    weight_decay: float = 0.01
    clip_norm: float = 0.0
    layer_decay: float = 1.0
    """Learning rate of each layer as a share of that of the layer above; 1: the same for all."""
    layer_decay_variant: str = "paper"
    """What the last layer has: `paper` (decay) or `official` (decay squared), see `tasks.layer_decay`."""
    adam_betas: str = "(0.9, 0.98)"
    adam_eps: float = 1e-6
    validate_every: int = 0
    """Updates between validations, each of which writes a checkpoint; 0: twice an epoch, at least ten times a run."""
    precision: str = "fp32"
    compile: bool = False
    seed: int = 1
    threads: int = 0
    cpu: bool = False
    """Train on the CPU although there is a GPU."""
    tensorboard: str = ""


def default_lr(width: int) -> float:
    """1e-5 as in the paper from width 768 on; small bodies need more."""
    return 1e-5 if width >= 768 else 5e-5 if width >= 384 else 5e-4
