"""fairseq optimizer `modular_adamw` and scheduler `modular_polynomial`: fused AdamW with real parameter groups.

The groups exist so that the embedding can have its own learning rate and lose its own moments, found by identity.
"""

# fairseq reads the types of config fields at run time: no `from __future__ import annotations` here

import ast
from collections.abc import Iterable
from dataclasses import field
from typing import Any, List, Optional

import torch
from fairseq.dataclass import FairseqDataclass
from fairseq.optim import FairseqOptimizer, register_optimizer
from fairseq.optim.dynamic_loss_scaler import DynamicLossScaler
from fairseq.optim.lr_scheduler import FairseqLRScheduler, register_lr_scheduler
from fairseq.utils import clip_grad_norm_
from omegaconf import II
from torch import nn

from pretrain.base.errors import UserError
from pretrain.schedule import Polynomial
from pretrain.settings import PretrainRecipe
from pretrain.trainer.config import check_config, of_settings

ROLE = "relexify_role"
NETWORK = "relexify_network"
SCALE = "relexify_lr_scale"


def mark(parameter: torch.Tensor, role: str) -> None:
    """Notes what a parameter is (`embedding`, `output_bias`, `head`); unmarked ones are `body`."""
    setattr(parameter, ROLE, role)


def mark_network(parameter: torch.Tensor, network: str) -> None:
    """Notes which network of a pair a parameter belongs to, for clipping by network."""
    setattr(parameter, NETWORK, network)


def mark_scale(parameter: torch.Tensor, scale: float) -> None:
    """Notes by what a parameter's learning rate is multiplied, whatever rate it is given; unmarked ones have 1."""
    setattr(parameter, SCALE, scale)


@of_settings(PretrainRecipe, "adam", "scope", "scale")
class ModularAdamWConfig(FairseqDataclass):
    precision: str = II("model.precision")
    lr: List[float] = II("optimization.lr")


@register_optimizer("modular_adamw", dataclass=ModularAdamWConfig)
class ModularAdamW(FairseqOptimizer):
    """AdamW (Loshchilov & Hutter 2019) with bias correction and groups `embedding`, `matrix`, `vector`.

    Each of these is split further where parameters were marked with a scale of their learning rate; `embedding_lr_scale` is one
    more factor of the first's. The scales are kept here, parallel to the groups, and never come from a checkpoint.
    """

    def __init__(self, cfg: Any, params: Iterable[nn.Parameter]):
        super().__init__(cfg)
        check_config(ModularAdamWConfig, cfg)
        params = list(params)
        if not any(hasattr(p, ROLE) for p in params):
            raise UserError(
                "modular_adamw got copies instead of the model's own parameters: --fp16, --bf16 and "
                "--memory-efficient-fp16 train flattened or copied tensors, in which the embedding cannot be found; "
                "use --precision fp16 or --precision bf16 (autocast, fp32 master weights)"
            )
        in_episode = {"embedding", "output_bias"} if cfg.forget_scope == "embedding+bias" else {"embedding"}
        of_embedding = float(getattr(cfg, "embedding_lr_scale", 1.0))
        named: dict[tuple[str, float], list[nn.Parameter]] = {}
        for parameter in params:
            shape = "matrix" if parameter.ndim > 1 else "vector"
            name = "embedding" if getattr(parameter, ROLE, "body") in in_episode else shape
            scale = getattr(parameter, SCALE, 1.0) * (of_embedding if name == "embedding" else 1.0)
            named.setdefault((name, scale), []).append(parameter)
        decay = float(cfg.weight_decay)
        keys = sorted(named, key=lambda key: (key[0], -key[1]))  # embedding, matrix, vector; of each the largest scale first
        groups = [
            {"params": named[key], "name": key[0], "weight_decay": 0.0 if key[0] == "vector" and not cfg.decay_all else decay}
            for key in keys
        ]
        self.scales = [scale for _, scale in keys]
        self._optimizer = torch.optim.AdamW(
            groups, lr=cfg.lr[0], betas=ast.literal_eval(cfg.adam_betas), eps=cfg.adam_eps, fused=True
        )
        self.schedule: Any = None
        """The curve of the rate, with `at(updates)`: the scheduler's own, unless the task has put another in its place."""
        self.away: dict[int, list[dict[str, Any]]] = {}
        """Tables that are put away: number -> value and moments of each of their parameters; they stand in the checkpoint."""
        self.scaler = DynamicLossScaler() if cfg.precision == "fp16" else None

    @property
    def optimizer_config(self) -> dict[str, Any]:
        # nothing is overridden at resume: rates are set before each step, the rest is fixed at construction
        return {}

    def get_lr(self) -> float:
        """The body's rate before any scale (the embedding's where only that is trained)."""
        rates = [(g["lr"] / scale, g["name"]) for g, scale in zip(self.param_groups, self.scales, strict=True)]
        return next((rate for rate, name in rates if name != "embedding"), rates[0][0])

    def set_lr(self, lr: float) -> None:
        """Gives every group this rate times its scale."""
        for group, scale in zip(self.param_groups, self.scales, strict=True):
            group["lr"] = lr * scale

    @property
    def embedding_lr(self) -> float | None:
        """The embedding's rate as it is applied."""
        return next((g["lr"] for g in self.param_groups if g["name"] == "embedding"), None)

    def set_embedding_lr(self, lr: float) -> None:
        """Gives the embedding this rate times its scale."""
        for group, scale in zip(self.param_groups, self.scales, strict=True):
            if group["name"] == "embedding":
                group["lr"] = lr * scale

    def forget_state(self, parameters: Iterable[nn.Parameter], rows: torch.Tensor | None = None) -> None:
        """Drops moments and step counts of exactly these parameters, and any gradient they still hold.

        Args:
            rows: only the moments of these rows go, to zero. Adam counts the steps of a tensor, not of a row, so the count stays
                as it is: a row that was reset gets no new bias correction, and its first step is (1 - beta1) / sqrt(1 - beta2) of
                the rate (0.71 for betas of 0.9 and 0.98) where that of a new tensor is 1.
        """
        for parameter in parameters:
            if rows is None:
                self._optimizer.state.pop(parameter, None)
            else:
                for name, value in self._optimizer.state.get(parameter, {}).items():
                    if name != "step":
                        value.index_fill_(0, rows.to(value.device), 0)
            parameter.grad = None

    @torch.no_grad()
    def put_away(self, number: int, parameters: list[nn.Parameter]) -> None:
        """Keeps these parameters' values and moments under a number; their moments here are gone."""
        self.away[number] = [{"value": one.detach().clone(), "state": self._optimizer.state.pop(one, {})} for one in parameters]

    @torch.no_grad()
    def take_up(self, number: int, parameters: list[nn.Parameter]) -> bool:
        """Gives these parameters the values and moments that were put away under a number; False: there are none."""
        kept = self.away.pop(number, None)
        if kept is None:
            return False
        for parameter, one in zip(parameters, kept, strict=True):
            parameter.copy_(one["value"])
            parameter.grad = None
            if one["state"]:
                self._optimizer.state[parameter] = {name: value.to(parameter.device) for name, value in one["state"].items()}
        return True

    # fp16 autocast: dynamic loss scaling as fairseq's FP16Optimizer does it, on unflattened fp32 gradients

    def backward(self, loss: torch.Tensor) -> None:
        (loss if self.scaler is None else self.scaler.scale(loss)).backward()

    def clip_grad_norm(self, max_norm: float, aggregate_norm_fn: Any = None) -> torch.Tensor:
        if self.scaler is not None:
            self.multiply_grads(1.0 / self.scaler.loss_scale)
        if getattr(self.cfg, "clip_per_network", False):
            norm = self._clip_each(max_norm, aggregate_norm_fn)
        else:
            norm = super().clip_grad_norm(max_norm, aggregate_norm_fn)
        if self.scaler is not None:
            self.scaler.check_overflow(float(norm))  # raises OverflowError: fairseq's trainer skips the update
        return norm

    def _clip_each(self, max_norm: float, aggregate_norm_fn: Any) -> torch.Tensor:
        """Clips each network's gradients to `max_norm` by themselves; returns the norm of all before clipping."""
        networks: dict[str, list[nn.Parameter]] = {}
        for parameter in self.params:
            networks.setdefault(getattr(parameter, NETWORK, ""), []).append(parameter)
        norms = [clip_grad_norm_(members, max_norm, aggregate_norm_fn) for members in networks.values()]
        return torch.stack([norm.float() for norm in norms]).norm()

    def step(self, closure: Any = None, scale: float = 1.0, groups: Any = None) -> None:
        super().step(closure, scale, groups)
        if self.scaler is not None:
            self.scaler.update()

    def state_dict(self) -> dict[str, Any]:
        state = self._optimizer.state_dict()
        if self.scaler is not None:
            state["loss_scale"] = self.scaler.loss_scale
        if self.away:
            state["away"] = self.away
        return state

    def load_state_dict(self, state_dict: dict[str, Any], optimizer_overrides: Any = None) -> None:
        if self.scaler is not None and "loss_scale" in state_dict:
            self.scaler.loss_scale = state_dict["loss_scale"]
        self.away = dict(state_dict.get("away", {}))
        super().load_state_dict({k: v for k, v in state_dict.items() if k not in ("loss_scale", "away")}, optimizer_overrides)


@of_settings(PretrainRecipe, "schedule")
class ModularPolynomialConfig(FairseqDataclass):
    end_learning_rate: float = field(default=0.0, metadata={"help": "learning rate at the end of the decay"})
    power: float = field(default=1.0, metadata={"help": "decay exponent (1: linear)"})
    total_num_update: Optional[int] = field(
        default=None, metadata={"help": "updates over which to decay (default: --max-update)"}
    )
    max_update: int = II("optimization.max_update")
    lr: List[float] = II("optimization.lr")


@register_lr_scheduler("modular_polynomial", dataclass=ModularPolynomialConfig)
class ModularPolynomial(FairseqLRScheduler):
    """Polynomial decay that hands its curve to the optimizer, so that the embedding can be given another phase of it."""

    def __init__(self, cfg: Any, optimizer: FairseqOptimizer):
        super().__init__(cfg, optimizer)
        check_config(ModularPolynomialConfig, cfg)
        optimizer.schedule = Polynomial(
            cfg.lr[0], cfg.warmup_updates, int(cfg.total_num_update or cfg.max_update), cfg.power, cfg.end_learning_rate
        )
        self.step_update(0)

    def step_update(self, num_updates: int) -> float:
        self.optimizer.set_lr(self.optimizer.schedule.at(num_updates))
        return self.optimizer.get_lr()
