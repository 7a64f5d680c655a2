"""fairseq criterion `modular_replaced_token`: the joint loss of an ELECTRA pair (Clark et al. 2020, §2; Hao et al. 2021).

Loss = MLM + lambda RTD + lambda_S HARDNESS. The MLM and hardness terms are means over hidden positions, the RTD term a mean
over real tokens. fairseq divides the summed gradient by one summed count, which here is that of the hidden positions; the
RTD sum is therefore weighted by the share of positions that a block hides, a constant. So the gradient is linear in the
batch: however it is cut into micro-batches and ranks, the update is the same. Where blocks hold special tokens or
padding, which are never hidden, this constant is a few per cent off the batch's own ratio, and lambda with it.
"""

# fairseq reads the types of config fields at run time: no `from __future__ import annotations` here

import logging
import math
from dataclasses import field
from typing import Any

import torch
from fairseq.criterions import FairseqCriterion, register_criterion
from fairseq.dataclass import FairseqDataclass
from fairseq.logging import metrics
from torch import Tensor
from torch.nn import functional as F

from pretrain.base.errors import UserError
from pretrain.base.vocabulary import PAD
from pretrain.electra.hardness import dist_head_loss, importance, loss_head_loss
from pretrain.electra.networks import PairOutput
from pretrain.electra.replacement import Sampling
from pretrain.settings import PretrainRecipe
from pretrain.trainer.config import check_config, of_settings
from pretrain.trainer.masked_lm_loss import focal_score
from pretrain.trainer.task import unwrap

logger = logging.getLogger(__name__)

REPLACEMENTS = 0x_5A_3B_1E
"""Keeps the draws of replacements apart from those of masks."""
ALARM_RECALL = 0.01
"""Below this share of replaced tokens found, the discriminator is taken to answer `original` everywhere."""


@of_settings(PretrainRecipe, "game", "focal")
class ModularReplacedTokenConfig(FairseqDataclass):
    mlm_weight: float = field(default=1.0, metadata={"help": "weight of the generator's masked-language-model loss (paper: 1)"})
    recall_alarm: int = field(
        default=500, metadata={"help": "warn when so many updates in a row find no replaced token (0: never)"}
    )


def area(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Pairs (replaced, original) that the logits put in the right order, a tie being half of one, and all such pairs.

    Their ratio is the area under the ROC curve (Mann and Whitney 1947). Both float64, so that batches can be summed.
    """
    negatives = logits[~labels].sort().values
    positives = logits[labels].contiguous()
    below = torch.searchsorted(negatives, positives)
    upto = torch.searchsorted(negatives, positives, right=True)
    right = (below + upto).double().sum() / 2
    return right, right.new_tensor(float(len(positives)) * float(len(negatives)))


@register_criterion("modular_replaced_token", dataclass=ModularReplacedTokenConfig)
class ModularReplacedToken(FairseqCriterion):
    """Masks the batch, has the generator fill it and the discriminator judge it, all in one pass of the model."""

    def __init__(self, task: Any, **settings: Any):
        super().__init__(task)
        self.settings: Any = ModularReplacedTokenConfig(**settings)
        check_config(ModularReplacedTokenConfig, self.settings)
        if not self.settings.mlm_weight >= 0:
            raise UserError(f"--mlm-weight: got {self.settings.mlm_weight}, expected a number from 0 on")
        self._missed = 0

    @classmethod
    def build_criterion(cls, cfg: Any, task: Any) -> "ModularReplacedToken":
        return cls(task, **{name: getattr(cfg, name) for name in ModularReplacedTokenConfig.__dataclass_fields__
                            if hasattr(cfg, name)})

    def rtd_weight(self, updates: int) -> float:
        """lambda for the update that follows `updates` completed ones."""
        wanted, forgetting = self.settings, self.task.forgetting
        if updates < wanted.rtd_start:
            return 0.0
        ramp = min(1.0, (updates - wanted.rtd_start) / wanted.rtd_warmup) if wanted.rtd_warmup else 1.0
        length = wanted.rtd_episode_warmup if wanted.rtd_episode_warmup >= 0 else forgetting.every // 10
        if forgetting.every and length and updates >= forgetting.first:
            ramp *= min(1.0, forgetting.age(updates) / length)
        return wanted.rtd_weight * ramp

    def sampling(self, hard: bool) -> Sampling:
        """How replacements are drawn, by the hardness head where `hard`."""
        wanted = self.settings
        return Sampling(wanted.sampling_temperature, wanted.disallow_correct, hard, wanted.hardness_mixture,
                        wanted.hardness_detach)

    def forward(self, model: Any, sample: dict[str, Any], reduce: bool = True) -> tuple[Any, Any, dict[str, Any]]:
        task, wanted, training = self.task, self.settings, model.training
        masked = task.mask(sample, training)
        # held out, everything is as at the end of a schedule, so that validations can be compared
        weight = self.rtd_weight(task.update) if training else wanted.rtd_weight
        hard = not training or task.forgetting.age(task.update) >= wanted.hardness_start
        tokens_BT = sample["tokens"]
        # a discriminator that neither learns nor teaches in this update is not asked
        if training and not weight and getattr(unwrap(model), "networks_frozen", False):
            return self.generator_alone(model(tokens_BT, masked, full=sample["full"], detect=False), masked.targets, sample)
        output: PairOutput = model(tokens_BT, masked, self.sampling(hard), task.draws(sample, training, REPLACEMENTS),
                                   sample["full"], segments_BT=task.segments(sample, training))

        real_N, flat = masked.targets.ne(PAD), masked.positions
        each_BT = F.binary_cross_entropy_with_logits(output.rtd_BT, output.labels_BT.float(), reduction="none")
        token_BT = tokens_BT.ne(PAD)
        rtd = torch.where(token_BT, each_BT, 0.0).sum()
        scored = rtd
        if training and wanted.disc_weighting != "none":
            clip = wanted.hardness_clip if wanted.disc_weighting == "is-clipped" else 0.0
            weights_N = torch.where(real_N, importance(output.drawn.log_p, output.drawn.log_q, clip), 1.0)
            weights_BT = torch.ones_like(each_BT).view(-1).index_copy(0, flat, weights_N).view_as(each_BT)
            scored = torch.where(token_BT, weights_BT * each_BT, 0.0).sum()
        # before the MLM loss, which overwrites its logits
        hardness = self.hardness(output, each_BT.detach().view(-1)[flat], real_N)
        count, mlm, correct = real_N.sum(), rtd.new_zeros(()), rtd.new_zeros(())
        if output.mlm_NV is not None:
            mlm, _, correct = focal_score(output.mlm_NV, masked.targets, wanted.focal_gamma if training else 0.0)
        share = len(flat) / tokens_BT.numel()
        loss = wanted.mlm_weight * mlm + weight * share * scored + wanted.hardness_weight * hardness

        found_BT = output.rtd_BT.detach() > 0
        labels_BT = output.labels_BT
        right, pairs = area(output.rtd_BT.detach()[token_BT], labels_BT[token_BT])
        logging_output = {
            "loss": loss.detach(), "mlm": mlm.detach(), "rtd": rtd.detach(), "hardness": hardness.detach(),
            "has_generator": count * (output.mlm_NV is not None), "has_hardness": count * (output.hardness_NV is not None),
            "rtd_weight": weight * count, "mlm_weight": wanted.mlm_weight * count, "n_correct": correct,
            "n_sampled_correct": ((output.drawn.ids == masked.targets) & real_N).sum(),
            "n_tokens": token_BT.sum(), "n_replaced": labels_BT.sum(), "n_flagged": (found_BT & token_BT).sum(),
            "n_found": (found_BT & labels_BT).sum(), "n_right": ((found_BT == labels_BT) & token_BT).sum(),
            "auc_right": right, "auc_pairs": pairs,
            "sample_size": count, "ntokens": sample["ntokens"], "nsentences": sample["nsentences"],
        }
        return loss, count, logging_output

    def generator_alone(self, logits_NV: Tensor, targets_N: Tensor,
                        sample: dict[str, Any]) -> tuple[Tensor, Tensor, dict[str, Any]]:
        """A training update without the discriminator: masked language modelling."""
        mlm, count, correct = focal_score(logits_NV, targets_N, self.settings.focal_gamma)
        loss = self.settings.mlm_weight * mlm
        return loss, count, {
            "loss": loss.detach(), "mlm": mlm.detach(), "has_generator": count, "n_correct": correct,
            "mlm_weight": self.settings.mlm_weight * count, "sample_size": count, "ntokens": sample["ntokens"],
            "nsentences": sample["nsentences"],
        }

    def hardness(self, output: PairOutput, losses_N: Tensor, real_N: Tensor) -> Tensor:
        """Summed loss of the hardness head; no gradient reaches the discriminator."""
        if output.hardness_NV is None:
            return losses_N.new_zeros(())
        drawn, wanted = output.drawn, self.settings
        if output.hardness == "loss":
            original_N = torch.sigmoid(-output.rtd_BT.detach().view(-1)[output.positions])
            each_N = loss_head_loss(output.hardness_NV, drawn.ids, original_N, wanted.hardness_loss)
        else:
            weights_N = importance(drawn.log_p, drawn.log_q, wanted.hardness_clip)
            each_N = dist_head_loss(output.hardness_NV, drawn.ids, weights_N, losses_N)
        return torch.where(real_N, each_N, 0.0).sum()

    def watch(self, logging_outputs: list[dict[str, Any]]) -> None:
        """Warns when the discriminator has found none of the replaced tokens for many training updates in a row."""
        patience, total = self.settings.recall_alarm, _totals(logging_outputs)
        if not patience or not self.training or not total["n_replaced"] or not total["rtd_weight"]:
            return
        self._missed = self._missed + 1 if total["n_found"] < ALARM_RECALL * total["n_replaced"] else 0
        if self._missed and self._missed % patience == 0:
            logger.warning(
                f"the discriminator has found less than {ALARM_RECALL:.0%} of the replaced tokens for {self._missed} updates: "
                "it answers `original` everywhere. Early in a run this passes; if it stays, lower --lr, raise --mask-prob "
                "(few tokens are replaced), or check that the generator is not too strong (--generator-width)")

    @classmethod
    def reduce_metrics(cls, logging_outputs: list[dict[str, Any]]) -> None:
        total = _totals(logging_outputs)
        count, tokens, replaced = total["sample_size"], total["n_tokens"], total["n_replaced"]
        if not count:
            return
        bits, weight = math.log(2), total["rtd_weight"] / count

        def share(name: str, part: float, whole: float, scale: float = 100.0, digits: int = 2) -> None:
            if whole:
                metrics.log_scalar(name, scale * part / whole, whole, round=digits)

        mlm, rtd = total["mlm"] / count / bits, total["rtd"] / max(tokens, 1) / bits
        metrics.log_scalar("loss", total["mlm_weight"] / count * mlm + weight * rtd, count, round=3)
        share("mlm_loss", total["mlm"], total["has_generator"], 1 / bits, 3)
        share("rtd_loss", total["rtd"], tokens, 1 / bits, 4)
        share("hardness_loss", total["hardness"], total["has_hardness"], 1 / bits, 4)
        share("generator_accuracy", total["n_correct"], total["has_generator"])
        share("sampled_accuracy", total["n_sampled_correct"], count if tokens else 0)
        share("replaced", replaced, tokens)
        share("rtd_accuracy", total["n_right"], tokens)
        share("rtd_precision", total["n_found"], total["n_flagged"])
        share("rtd_recall", total["n_found"], replaced)
        share("rtd_auc", total["auc_right"], total["auc_pairs"], 1.0, 4)
        metrics.log_scalar("rtd_weight", weight, count, round=2)

    @staticmethod
    def logging_outputs_can_be_summed() -> bool:
        return True


def _totals(logging_outputs: list[dict[str, Any]]) -> dict[str, float]:
    """Sums over micro-batches and ranks; 0 for what no batch logged."""
    names = {name for log in logging_outputs for name in log} | {
        "sample_size", "n_tokens", "n_replaced", "n_flagged", "n_found", "n_right", "rtd", "rtd_weight", "mlm_weight",
        "hardness", "has_hardness", "n_sampled_correct", "auc_right", "auc_pairs"}
    return {name: float(sum(log.get(name, 0) for log in logging_outputs)) for name in names}
