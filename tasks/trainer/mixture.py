"""fairseq task `modular_mixture` and criterion `modular_mixture`: one body learns many tasks, a batch of one task at a time.

Liu et al. 2019, MT-DNN, algorithm 1. Data sets and losses are those of the families.
"""

# fairseq reads the types of config fields at run time: no `from __future__ import annotations` here

import math
from collections.abc import Mapping, Sequence
from dataclasses import field
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np
import torch
from fairseq.criterions import CRITERION_REGISTRY, FairseqCriterion, register_criterion
from fairseq.dataclass import FairseqDataclass
from fairseq.logging import metrics
from fairseq.tasks import register_task
from omegaconf import II, MISSING

from pretrain.base.errors import UserError
from pretrain.trainer.config import check_config, of_settings
from pretrain.trainer.task import unwrap
from tasks.heads.model import NewHead
from tasks.multitask.batches import epoch_batches
from tasks.multitask.member import members_of
from tasks.multitask.policy import Policy
from tasks.multitask.recipe import MEAN_SCORE, read_mixture
from tasks.multitask.settings import MultitaskSettings
from tasks.trainer.body_task import BodyTask, require_body
from tasks.trainer.data import EncodedDataset, ItemDataset

TRAINED, HELD_OUT = "trained/", "held-out/"
"""Before a task's name: its sums in the logging output of a batch."""


class MixtureDataset(EncodedDataset):
    """The items of several tasks one after the other; batches are of one task, in the policy's order, held out task by task."""

    def __init__(self, parts: dict[str, ItemDataset], policy: Policy | None, seed: int, epochs: int):
        super().__init__()
        self.parts, self.policy, self.seed, self.epochs = parts, policy, seed, epochs
        self.starts = np.concatenate([[0], np.cumsum([len(part) for part in parts.values()])])
        self.sizes = np.concatenate([part.sizes for part in parts.values()])

    def ordered_indices(self) -> Any:
        return np.arange(len(self))

    @property
    def can_reuse_epoch_itr_across_epochs(self) -> bool:
        return self.policy is None

    def batch_by_size(self, indices: Any, max_tokens: Any = None, max_sentences: Any = None,
                      required_batch_size_multiple: int = 1) -> Any:
        """All batches of the epoch in their order; `--curriculum` keeps fairseq from shuffling them once more."""
        if not max_sentences:
            raise UserError("a mixture needs --batch-size: its batches are counted in examples")
        starts = dict(zip(self.parts, self.starts[:-1], strict=True))
        if self.policy is not None:
            sizes = {name: part.sizes for name, part in self.parts.items()}
            found = epoch_batches(sizes, max_sentences, self.policy, self.seed, self.epoch, self.epochs)
            return [(batch.items + starts[batch.task]).tolist() for batch in found]
        batches = []
        for name, part in self.parts.items():
            order = part.ordered_indices() + starts[name]
            batches += [order[at:at + max_sentences].tolist() for at in range(0, len(order), max_sentences)]
        return batches

    def collater(self, samples: list[int]) -> dict[str, Any]:
        if not samples:
            return {}
        place = int(np.searchsorted(self.starts, samples[0], "right")) - 1
        name = list(self.parts)[place]
        start = int(self.starts[place])
        return {**self.parts[name].collater([number - start for number in samples]), "member": name,
                "id": np.array(samples, dtype=np.int64)}


@of_settings(MultitaskSettings, "task")
class ModularMixtureConfig(FairseqDataclass):
    data: str = field(default=MISSING, metadata={"help": "the mixture, a YAML file"})
    seed: int = II("common.seed")
    planned_epochs: int = field(default=1, metadata={"help": "epochs that the run will have, for policy annealed"})


@register_task("modular_mixture", dataclass=ModularMixtureConfig)
class ModularMixtureTask(BodyTask):
    """Training on a mixture: every task's examples are read and encoded once; the model is built from a Body."""

    def __init__(self, cfg: Any):
        super().__init__(cfg)
        check_config(ModularMixtureConfig, cfg)
        require_body(cfg)
        self.mixture = read_mixture(cfg.data)
        self.load_body(cfg)
        self.members = members_of(self.mixture, self.body, self.embedding, cfg.seed, cfg.source_language)

    @property
    def new_heads(self) -> list[NewHead]:
        """The head of each task."""
        return [NewHead(one.name, one.head, one.definition.outputs, one.labels, one.dropout) for one in self.members.values()]

    def load_dataset(self, split: str, combine: bool = False, **kwargs: Any) -> None:
        training = split == "train"
        for one in self.members.values():
            files = one.entry.train_files if training else one.entry.dev_files
            name = "train" if training else one.entry.dev_split
            one.datasets[split] = import_module(one.definition.trainer).load(one, name, list(files), training)
        parts = {name: one.datasets[split] for name, one in self.members.items()}
        self.datasets[split] = MixtureDataset(parts, self.mixture.policy if training else None, self.cfg.seed,
                                              self.cfg.planned_epochs)

    def optimizer_step(self, optimizer: Any, model: Any, update_num: int) -> None:
        """A head that no batch of this update belongs to stays as it is, also where an exchange between
        processes gives it gradients of zero: without this, Adam's moments would move it on and weight decay shrink it."""
        for head in unwrap(model).heads.values():
            gradients = [parameter.grad for parameter in head.parameters() if parameter.grad is not None]
            if not any(bool(gradient.any()) for gradient in gradients):
                for parameter in head.parameters():
                    parameter.grad = None
        super().optimizer_step(optimizer, model, update_num)

    def reduce_metrics(self, logging_outputs: list[dict[str, Any]], criterion: Any) -> None:
        """Logs what fairseq always does, the loss, and the figures of every task that had a batch."""
        super().reduce_metrics(logging_outputs, criterion)
        measures = [f"{one.name}_{one.definition.metric}" for one in self.members.values()]
        log_members(logging_outputs, criterion.own, measures, MEAN_SCORE)

    def max_positions(self) -> int:
        return self.body.config.max_positions


@register_criterion("modular_mixture", dataclass=FairseqDataclass)
class ModularMixture(FairseqCriterion):
    """The loss of the batch's task, the mean over its examples times the task's weight; every batch of an update counts alike.

    Logged: the mean of these losses; beside it each task's own figures under `TASK_NAME` and, in validation, the mean over tasks
    of each one's metric as `mean_score` (`ModularMixtureTask.reduce_metrics`). A logging output has the sums of every task, those
    of the others 0: so processes that hold batches of different tasks can add theirs up.
    """

    def __init__(self, task: Any):
        super().__init__(task)
        self.own = {name: CRITERION_REGISTRY[one.definition.criterion](one) for name, one in task.members.items()}

    def forward(self, model: Any, sample: dict[str, Any], reduce: bool = True) -> tuple[Any, int, dict[str, Any]]:
        name = sample["member"]
        loss, count, own = self.own[name](model, sample)
        mean = self.task.members[name].entry.weight * loss / count
        logging_output = {"loss": mean.detach(), "batches": 1, "sample_size": 1, "ntokens": sample["ntokens"],
                          "nsentences": sample["nsentences"]}
        logging_output.update(member_sums(self.own, name, own, model.training, loss.device))
        return mean, 1, logging_output

    @classmethod
    def reduce_metrics(cls, logging_outputs: list[dict[str, Any]]) -> None:
        batches = float(sum(log["batches"] for log in logging_outputs))
        if batches:
            loss = float(sum(log["loss"] for log in logging_outputs))
            metrics.log_scalar("loss", loss / batches / math.log(2), batches, round=4)

    @staticmethod
    def logging_outputs_can_be_summed() -> bool:
        return True


def member_sums(criteria: Mapping[str, Any], name: str, own: Mapping[str, Any], training: bool,
                device: torch.device) -> dict[str, torch.Tensor]:
    """The sums of every member of a mixture for a logging output: those of the batch's own member, of the others 0.

    Args:
        criteria: of each member.
        name: of the member that the batch is of.
        own: what its criterion logged.
    """
    found = {}
    for member, criterion in criteria.items():
        sums = criterion.sums(training)
        values = [torch.as_tensor(own[key], dtype=torch.float64, device=device) for key in sums] if member == name else []
        found[f"{TRAINED if training else HELD_OUT}{member}"] = torch.stack(values) if values else torch.zeros(
            len(sums), dtype=torch.float64, device=device)
    return found


def log_members(logging_outputs: Sequence[Mapping[str, Any]], criteria: Mapping[str, Any], measures: Sequence[str],
                mean: str) -> None:
    """Logs the figures of every member that had a batch, under its name, and in validation the mean of `measures`.

    Args:
        mean: the name of that mean.
    """
    for name, own in criteria.items():
        for place, training in ((TRAINED, True), (HELD_OUT, False)):
            sums = [log[f"{place}{name}"].tolist() for log in logging_outputs if f"{place}{name}" in log]
            if any(map(any, sums)):
                type(own).reduce_metrics([dict(zip(own.sums(training), values, strict=True)) for values in sums],
                                         prefix=f"{name}_")
    if any(key.startswith(HELD_OUT) for log in logging_outputs for key in log):
        metrics.log_derived(mean, partial(mean_of, measures))


def mean_of(names: Sequence[str], meters: Any) -> float:
    """Of those figures that there are yet."""
    values = [float(meters.get_smoothed_value(name)) for name in names if name in meters]
    return round(sum(values) / len(values), 3) if values else 0.0
