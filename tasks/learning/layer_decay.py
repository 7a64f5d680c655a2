"""Layer-wise decay of the learning rate: the nearer to the input, the smaller (Clark et al. 2020, appendix A).

A parameter at depth d learns at rate * decay ** (top - d), where `top` is the depth of the task head. With n layers:

| parameters | depth d | exponent, `paper` (top = n + 1) | exponent, `official` (top = n + 2) |
|---|---|---|---|
| task head | top | 0 | 0 |
| layer i, counted from 0 | i + 1 | n - i, of the last layer 1 | n + 1 - i, of the last layer 2 |
| all that is before the first layer | 0 | n + 1 | n + 2 |

`official` is the published code (google-research/electra, model/optimization.py). Depth n + 1 is empty there: a pooler stood
there once, and when it went the head kept its depth. The authors call it a mistake and say that the last layer was meant to
have decay ** 1 (google-research/electra, issue 51), which is `paper`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from pretrain.artefacts.body import HEADS
from pretrain.base.errors import UserError, unknown
from tasks.settings import VARIANTS

_LAYER = re.compile(r"encoder\.layers\.(\d+)\.")


@dataclass(frozen=True)
class LayerDecay:
    """By what the learning rate of each parameter is multiplied.

    Attributes:
        decay: from one depth to the next below; 1: every parameter learns at the same rate.
        variant: `paper` or `official`.

    Raises:
        UserError: a decay outside (0, 1], or an unknown variant.
    """

    decay: float = 1.0
    variant: str = "paper"

    def __post_init__(self) -> None:
        if not 0 < self.decay <= 1:
            raise UserError(f"--layer-decay {self.decay}: expected a number above 0 and at most 1 (1: off)")
        if self.variant not in VARIANTS:
            raise unknown("layer-decay-variant", self.variant, VARIANTS)

    def depth(self, name: str, layers: int) -> int:
        """Depth of a parameter of a `TaskModel` with so many layers, by its name.

        Depth 0 is all that the first layer reads: tables, embedding LayerNorm and the projection E -> D, as in the
        published code. The table of relative positions, which that code has not, serves all layers at once; the first of
        them already reads it, so it is no deeper than what lies before the first.

        Raises:
            ValueError: a parameter that task adaptation does not train.
        """
        if name.startswith(HEADS):
            return layers + VARIANTS[self.variant]
        if found := _LAYER.match(name):
            return int(found[1]) + 1
        if name.startswith("encoder."):
            return 0
        raise ValueError(f"{name!r} is neither encoder nor task head")

    def factor(self, name: str, layers: int) -> float:
        """What the learning rate of a parameter is multiplied by; arguments and errors as of `depth`."""
        return self.decay ** (layers + VARIANTS[self.variant] - self.depth(name, layers))
