"""What a setting of pre-training can be chosen from: sizes, ways of tying, masking, resetting. Light: no torch.

The modules that act on a choice import it from here, and so does its declaration (`pretrain.settings`).
"""

from __future__ import annotations

from typing import Any

ROBERTA_SIZES: dict[str, dict[str, Any]] = {
    "tiny": {"layers": 4, "width": 128, "heads": 4, "ffn": 512},
    "mini": {"layers": 4, "width": 256, "heads": 4, "ffn": 1024},
    "small": {"layers": 6, "width": 512, "heads": 8, "ffn": 2048},
    "base": {"layers": 12, "width": 768, "heads": 12, "ffn": 3072},
    "large": {"layers": 24, "width": 1024, "heads": 16, "ffn": 4096},
}
"""Presets. base and large are RoBERTa's (Liu et al. 2019); the smaller ones are ours, for a laptop."""

ELECTRA_SIZES: dict[str, dict[str, Any]] = {
    "tiny": {"layers": 4, "width": 128, "heads": 4, "ffn": 512, "embedding_width": 64, "generator_width": 0.5},
    "small": {"layers": 12, "width": 256, "heads": 4, "ffn": 1024, "embedding_width": 128, "generator_width": 1 / 4},
    "base": {"layers": 12, "width": 768, "heads": 12, "ffn": 3072, "embedding_width": 768, "generator_width": 1 / 3},
    "large": {"layers": 24, "width": 1024, "heads": 16, "ffn": 4096, "embedding_width": 1024, "generator_width": 1 / 4},
}
"""Presets of the discriminator, and the generator's width as a multiple of it. small, base and large are those of Clark
et al. 2020, appendix A; tiny is ours, for a laptop."""

SIZES = {"roberta": ROBERTA_SIZES, "electra": ELECTRA_SIZES}
ARCHES = tuple(f"{family}_{size}" for family, sizes in SIZES.items() for size in sizes)
"""A family and one of its sizes."""

PRECISIONS = ("fp32", "bf16", "fp16")
POLICIES = {"bert": (0.8, 0.1, 0.1), "electra": (0.85, 0.15, 0.0), "mask": (1.0, 0.0, 0.0)}
"""name -> shares of hidden positions that become `<mask>`, stay as they are, become a random piece."""

RESETS = ("normal", "gaussian", "permute", "rotate", "none")
"""What the table becomes when an episode begins, see `pretrain.forgetting.Forgetting`."""
SCOPES = ("embedding", "embedding+bias")
BIAS_RESETS = ("", "reset", "keep")
"""Whether a reset covers the output bias; empty: as the scope says."""

TYINGS = ("none", "token", "embedding", "all", "gdes")
"""What the two networks share: nothing; the token table; token and position table and the embedding LayerNorm (the
official code); every encoder weight; or the tables with the discriminator's gradient kept out of them (He et al. 2021,
"DeBERTaV3")."""
SOURCES = ("network", "uniform", "unigram")
"""Where replacements come from: a generator network, or a fixed distribution (then there is no generator)."""

HARDNESS_HEADS = ("none", "loss", "dist")
HARDNESS_LOSSES = ("bce", "mse")
WEIGHTINGS = ("none", "is", "is-clipped")
"""Weights of the discriminator's loss at hidden positions: none, p_G/q, or p_G/q with a ceiling."""
