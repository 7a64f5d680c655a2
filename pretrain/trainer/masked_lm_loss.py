"""fairseq criterion `modular_masked_lm`: cross entropy at the hidden positions, in bits as fairseq prints it."""

# fairseq reads the types of config fields at run time: no `from __future__ import annotations` here

import math
from types import SimpleNamespace
from typing import Any

import torch
from fairseq.criterions import FairseqCriterion, register_criterion
from fairseq.dataclass import FairseqDataclass
from fairseq.logging import metrics
from torch import Tensor
from torch.nn import functional as F

from pretrain.base.vocabulary import PAD
from pretrain.settings import PretrainRecipe
from pretrain.trainer.config import check_config, of_settings


class _SummedCrossEntropy(torch.autograd.Function):
    """`F.cross_entropy(reduction="sum")` that turns the logits into probabilities, then into its gradient, in place."""

    @staticmethod
    def forward(ctx: Any, logits_NV: Tensor, targets_N: Tensor, real_N: Tensor) -> tuple[Tensor, Tensor]:
        top = logits_NV.amax(-1)
        picked = logits_NV.gather(1, targets_N[:, None]).squeeze(1)
        # in place: fresh memory for [N, V] costs more than the arithmetic, and nobody else looks at these logits
        probabilities = torch.softmax(logits_NV, -1, out=logits_NV)
        # the best guess has probability exp(top) / sum exp(logits): its log gives the normaliser without underflow
        loss = top - probabilities.amax(-1).log() - picked
        correct = (picked >= top) & real_N
        ctx.save_for_backward(probabilities, targets_N, real_N)
        ctx.mark_non_differentiable(correct)
        return torch.where(real_N, loss, 0.0).sum(), correct

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        result, targets_N, real_N = ctx.saved_tensors  # changed in place: torch refuses a second backward through it
        result.scatter_add_(1, targets_N[:, None], result.new_full((len(result), 1), -1.0))
        return result.mul_((real_N * gradients[0])[:, None]), None, None


def score(logits_NV: Tensor, targets_N: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Summed cross entropy in nats, number of targets, number of right guesses; targets of PAD do not count.

    The logits are overwritten.
    """
    real_N = targets_N.ne(PAD)
    loss, correct = _SummedCrossEntropy.apply(logits_NV, targets_N, real_N)
    return loss, real_N.sum(), correct.sum()


def focal_score(logits_NV: Tensor, targets_N: Tensor, gamma: float) -> tuple[Tensor, Tensor, Tensor]:
    """As `score` with the loss -(1 - p)^gamma log p, which a token that is already likely hardly adds to.

    Source: Lin et al. 2017, "Focal Loss", eq. 4; for the generator, Hao et al. 2021. What it learns is flatter than the
    data, so the probabilities of such a model are not calibrated.
    """
    if not gamma:
        return score(logits_NV, targets_N)
    real_N = targets_N.ne(PAD)
    correct = (logits_NV.argmax(-1) == targets_N) & real_N
    surprise_N = F.cross_entropy(logits_NV, targets_N, reduction="none")
    # 1 - p from log p without cancellation; kept off 0, where the power's slope is infinite for gamma < 1
    missing_N = -torch.expm1(-surprise_N)
    loss_N = missing_N.clamp(min=1e-6) ** gamma * surprise_N
    return torch.where(real_N, loss_N, 0.0).sum(), real_N.sum(), correct.sum()


@of_settings(PretrainRecipe, "focal")
class ModularMaskedLMConfig(FairseqDataclass):
    """Settings of masked language modelling."""


@register_criterion("modular_masked_lm", dataclass=ModularMaskedLMConfig)
class ModularMaskedLM(FairseqCriterion):
    """Masks the batch on its device, then scores the hidden tokens alone. Held-out text is scored by cross entropy."""

    def __init__(self, task: Any, focal_gamma: float = 0.0):
        super().__init__(task)
        check_config(ModularMaskedLMConfig, SimpleNamespace(focal_gamma=focal_gamma))
        self.focal_gamma = focal_gamma

    def forward(self, model: Any, sample: dict[str, Any], reduce: bool = True) -> tuple[Any, Any, dict[str, Any]]:
        masked = self.task.mask(sample, model.training)
        positions = masked.positions.view(len(masked.tokens), -1)  # as many in each row
        logits = model(masked.tokens, positions, full=sample["full"], segments_BT=self.task.segments(sample, model.training))
        loss, count, correct = focal_score(logits, masked.targets, self.focal_gamma if model.training else 0.0)
        logging = {
            "loss": loss.detach(),
            "n_correct": correct,
            "sample_size": count,
            "ntokens": sample["ntokens"],
            "nsentences": sample["nsentences"],
        }
        return loss, count, logging

    @classmethod
    def reduce_metrics(cls, logging_outputs: list[dict[str, Any]]) -> None:
        total = {
            key: float(sum(log.get(key, 0) for log in logging_outputs)) for key in ("loss", "sample_size", "n_correct")
        }
        if not total["sample_size"]:
            return
        metrics.log_scalar("loss", total["loss"] / total["sample_size"] / math.log(2), total["sample_size"], round=3)
        metrics.log_scalar("accuracy", 100 * total["n_correct"] / total["sample_size"], total["sample_size"], round=2)
        metrics.log_derived("ppl", lambda meters: round(2 ** min(meters["loss"].avg, 64), 2))

    @staticmethod
    def logging_outputs_can_be_summed() -> bool:
        return True
