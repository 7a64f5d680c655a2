"""fairseq criterion `modular_masked_lm`: cross entropy at the hidden positions, in bits as fairseq prints it."""

from __future__ import annotations

import math
from typing import Any

import torch
from fairseq.criterions import FairseqCriterion, register_criterion
from fairseq.dataclass import FairseqDataclass
from fairseq.logging import metrics
from torch.nn import functional as F

from pretrain.vocabulary import PAD


@register_criterion("modular_masked_lm", dataclass=FairseqDataclass)
class ModularMaskedLM(FairseqCriterion):
    """Masks the batch on its device, then scores the hidden tokens alone."""

    def forward(self, model: Any, sample: dict[str, Any], reduce: bool = True) -> tuple[Any, Any, dict[str, Any]]:
        masked = self.task.mask(sample, model.training)
        logits = model(masked.tokens, masked.positions, full=sample["full"])
        loss = F.cross_entropy(logits, masked.targets, reduction="sum", ignore_index=PAD)
        with torch.no_grad():
            real = masked.targets.ne(PAD)
            count = real.sum()
            correct = (logits.argmax(-1).eq(masked.targets) & real).sum()
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
