"""Sizes of the demo: what it plans with and what its findings speak of."""

from __future__ import annotations

from dataclasses import dataclass

ARMS = ("standard", "forgetting")
BACKBONES = ("roberta", "electra")


@dataclass(frozen=True)
class DemoSettings:
    """Sizes of the demo; the defaults were chosen by experiment, see docs/miniature-world.md."""

    seed: int = 1
    backbone: str = "roberta"
    languages: tuple[str, ...] = ("qab", "qac", "qad")
    base_words: int = 1_000_000
    new_words: int = 100_000
    vocabulary: int = 600
    train_pairs: int = 15_000
    test_pairs: int = 2_000
    updates: int = 2000
    block: int = 64
    batch: int = 16
    lr: float = 2e-3
    forget_every: int = 400
    """K, a fifth of the run; forgetting starts after two episodes' worth of updates."""
    finetune_updates: int = 1500
    finetune_lr: float = 5e-4
    adapt_updates: int = 600
    adapt_lr: float = 6e-3
    qa_train: int = 14_000
    qa_test: int = 1_400
    qa_sentences: str = "3-5"
    """Sentences of a paragraph: short enough for one window of 64 tokens in all but a few cases."""
    qa_updates: int = 1200
    qa_lr: float = 1e-3
    steps: tuple[int, ...] = (150, 300)
    """Updates at which the growing embeddings are scored too; the last update always is."""

ELECTRA = {"updates": 1300, "forget_every": 260}
"""What an ELECTRA demo does otherwise: an update of the pair costs 1.54 times the floating-point operations of an update of
RoBERTa (`relexify bench compute`), so that both backbones are trained with the same number of them."""


def defaults(backbone: str) -> DemoSettings:
    """The demo's own settings for a backbone."""
    return DemoSettings(backbone=backbone, **(ELECTRA if backbone == "electra" else {}))  # type: ignore[arg-type]
