"""A model of which only some tensors are trained, and whose checkpoints hold only those."""

import logging
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import Any

import torch

from pretrain.base.errors import UserError

logger = logging.getLogger(__name__)


class PartlyTrained(torch.nn.Module):
    """Put it before the model's class. Call `train_only` in the constructor, before DDP and the optimizer exist, so that
    what is frozen never has a gradient. State dict and checkpoints hold what is trained; the rest comes from the artefacts
    the model was built of.
    """

    trained: frozenset[str] = frozenset()
    kept: frozenset[str] = frozenset()
    """Tensors of a state dict: what is trained, and what a checkpoint shall hold besides."""

    @staticmethod
    def matching(patterns: str, names: Sequence[str], owner: str) -> set[str]:
        """The names that `--train-also` asks for.

        Args:
            patterns: name patterns as of a shell, with commas between them.
            names: what may be trained.
            owner: what an error calls whose tensors they are.

        Raises:
            UserError: a pattern that matches none.
        """
        found: set[str] = set()
        for pattern in filter(None, patterns.split(",")):
            matched = {name for name in names if fnmatchcase(name, pattern)}
            if not matched:
                raise UserError(f"--train-also {pattern!r} matches no tensor of {owner}; names look like {names[1]!r}")
            found |= matched
        return found

    def train_only(self, names: Iterable[str], keep: Iterable[str] = ()) -> None:
        """Freezes every parameter that is not named."""
        self.trained = frozenset(names)
        self.kept = self.trained.union(keep)
        for name, parameter in self.named_parameters():
            parameter.requires_grad_(name in self.trained)
        counts = [sum(p.numel() for p in self.parameters() if p.requires_grad is flag) for flag in (True, False)]
        logger.info(f"trained: {counts[0]:,} parameters in {len(self.trained)} tensors; frozen: {counts[1]:,}")

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:  # type: ignore[override]
        full = super().state_dict(*args, **kwargs)
        return {name: tensor for name, tensor in full.items() if name in self.kept}

    def load_state_dict(self, state_dict: Any, strict: bool = True, model_cfg: Any = None, args: Any = None) -> Any:
        odd = sorted(set(state_dict) ^ self.kept)
        if odd:
            raise UserError(f"the checkpoint and this run train different tensors ({odd[0]!r} is in one of them only); "
                            "resume with the same settings")
        own = torch.nn.Module.state_dict(self)
        with torch.no_grad():
            for name, tensor in state_dict.items():
                own[name].copy_(tensor)
        return torch.nn.modules.module._IncompatibleKeys([], [])
