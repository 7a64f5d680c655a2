"""Sizes of the demo: what it plans with and what its findings speak of."""

from __future__ import annotations

from dataclasses import dataclass

STANDARD, SCALED, CONTROL, TEMPORARY, FORGETTING = "standard", "standard-x5", "control", "temporary", "forgetting"
ARMS = (CONTROL, TEMPORARY, SCALED, STANDARD, FORGETTING)
"""Recipes `recipes/pretrain/demo-ARM.yaml`, in the order in which a seed's bodies are made: the comparison that counts first."""
MEANING = {
    STANDARD: "pre-trained as usual, one learning rate",
    SCALED: "the embedding's learning rate is five times the body's",
    CONTROL: "the rates of `temporary`, no reset: its matched control",
    TEMPORARY: "×5, and the embedding reset five times in the first 60 % of the run",
    FORGETTING: "×5, and the embedding reset to the end",
}
BACKBONES = ("roberta", "electra")


@dataclass(frozen=True)
class DemoSettings:
    """Sizes of the demo; see docs/forgetting.md for how they were chosen."""

    seeds: tuple[int, ...] = (1, 2, 3)
    """Of world, texts, bodies and embeddings: every seed is another world."""
    backbone: str = "roberta"
    arms: tuple[str, ...] = (CONTROL, TEMPORARY, STANDARD)
    """The comparison that counts, and what everybody does; all five take twice as long."""
    languages: tuple[str, ...] = ("qab",)
    budgets: tuple[int, ...] = (30, 60, 120, 300)
    """Adaptation updates of one finished embedding each."""
    scored: tuple[int, ...] = (300,)
    """Budgets whose embeddings are scored on a task too; none: no task body is made."""
    base_words: int = 1_000_000
    new_words: int = 100_000
    vocabulary: int = 600
    train_pairs: int = 8_000
    test_pairs: int = 1_000
    layers: int = 2
    width: int = 64
    updates: int = 1600
    block: int = 64
    batch: int = 16
    finetune_updates: int = 400
    finetune_lr: float = 1e-3

    def resets(self, arm: str) -> dict[str, int]:
        """When episodes begin and end: K is a tenth of the run (of an ELECTRA pair's a fifth), the first begins after two."""
        if arm in (STANDARD, SCALED):
            return {}
        every = max(2, self.updates // (5 if self.backbone == "electra" else 10))
        end = {} if arm == FORGETTING else {"forget_until": 7 * every}
        return {"forget_every": every, "forget_start": 2 * every, **end}


ELECTRA = {"updates": 1300, "arms": (STANDARD, FORGETTING), "layers": 4, "width": 128}
"""What an ELECTRA demo does otherwise: fewer, larger bodies."""


def defaults(backbone: str) -> DemoSettings:
    """The demo's own settings for a backbone."""
    return DemoSettings(backbone=backbone, **(ELECTRA if backbone == "electra" else {}))  # type: ignore[arg-type]
