"""fairseq task `modular_languages` and criterion `modular_languages`: one task learned from examples in several languages.

A batch is of one language and is read through that language's embedding, which is not trained; body and head learn from all.
"""

# fairseq reads the types of config fields at run time: no `from __future__ import annotations` here

import math
from dataclasses import dataclass, field
from importlib import import_module
from types import SimpleNamespace
from typing import Any

from fairseq.criterions import CRITERION_REGISTRY, FairseqCriterion, register_criterion
from fairseq.dataclass import FairseqDataclass
from fairseq.logging import metrics
from fairseq.tasks import register_task
from omegaconf import II, MISSING

from adapt.artefacts.embedding import Embedding
from adapt.artefacts.resources import locate
from pretrain.artefacts.body import Body
from pretrain.trainer.config import check_config, of_settings
from pretrain.trainer.task import unwrap
from tasks.definition import Definition
from tasks.family import Inputs
from tasks.heads.model import NewHead
from tasks.learning.languages import SAMPLING, load_embeddings
from tasks.reading.files import files_of
from tasks.reading.subset import Subset
from tasks.registry import get_task
from tasks.settings import FinetuneSettings
from tasks.trainer.body_task import BodyTask, require_body
from tasks.trainer.mixture import MixtureDataset, log_members, member_sums


@dataclass
class Speaker:
    """One language of a training; it has what a fairseq task of this language alone has, so that the families' data sets and
    losses serve.

    Attributes:
        cfg: `data` and `seed`.
        datasets: fairseq's data sets, by their names there.
    """

    definition: Definition
    inputs: Inputs
    embedding: Embedding
    language: str
    subset: Subset
    cfg: SimpleNamespace
    head: str
    datasets: dict[str, Any] = field(default_factory=dict)
    distillation: None = None


@of_settings(FinetuneSettings, "task", "languages")
class ModularLanguagesConfig(FairseqDataclass):
    data: str = field(default=MISSING, metadata={"help": "folder with the task's files, or hf:NAME"})
    seed: int = II("common.seed")


@register_task("modular_languages", dataclass=ModularLanguagesConfig)
class ModularLanguagesTask(BodyTask):
    """Task adaptation in several languages: each one's examples are read and encoded once; the model is built from a Body."""

    def __init__(self, cfg: Any):
        super().__init__(cfg)
        check_config(ModularLanguagesConfig, cfg)
        self.definition = get_task(cfg.task_name).with_labels(cfg.labels)
        require_body(cfg)
        self.body = Body.load(locate(cfg.body, "body"))
        found = load_embeddings(cfg.body, cfg.embedding.split(","), self.body)
        self.embeddings = {code: embedding for code, (_, embedding) in found.items()}
        self.embedding = next(iter(self.embeddings.values()))
        self.head = cfg.head or self.definition.heads[0]
        inputs = self.definition.inputs(self.body.config, cfg.max_length, cfg.stride, cfg.max_question)
        self.members = {code: Speaker(self.definition, inputs, embedding, code, Subset(cfg.share, seed=cfg.share_seed),
                                      SimpleNamespace(data=cfg.data, seed=cfg.seed), self.head)
                        for code, embedding in self.embeddings.items()}

    @property
    def new_heads(self) -> list[NewHead]:
        """The one head."""
        one = next(iter(self.members.values()))
        labels = list(self.definition.training(self.head, one.inputs).record()["labels"])
        return [NewHead(self.definition.name, self.head, self.definition.outputs, labels)]

    def load_dataset(self, split: str, combine: bool = False, **kwargs: Any) -> None:
        training = split == "train"
        given = self.cfg.train_files if training else self.cfg.dev_files
        files = files_of([path for path in given.split(",") if path], list(self.members), "--train-files")
        load = import_module(self.definition.trainer).load
        for code, one in self.members.items():
            one.datasets[split] = load(one, "train" if training else self.cfg.dev_split, files[code], training)
        self.datasets[split] = MixtureDataset({code: one.datasets[split] for code, one in self.members.items()},
                                              SAMPLING[self.cfg.language_sampling] if training else None, self.cfg.seed, 1)

    def reduce_metrics(self, logging_outputs: list[dict[str, Any]], criterion: Any) -> None:
        """Logs what fairseq always does, the loss, each language's own figures, and in validation their mean."""
        super().reduce_metrics(logging_outputs, criterion)
        metric = self.definition.metric
        log_members(logging_outputs, criterion.own, [f"{code}_{metric}" for code in self.members], metric)

    def max_positions(self) -> int:
        return next(iter(self.members.values())).inputs.max_length


@register_criterion("modular_languages", dataclass=FairseqDataclass)
class ModularLanguages(FairseqCriterion):
    """The task's own loss on the batch, whose examples are read through their language's embedding; summed, so that every example
    of an update counts alike.

    Logged: the loss in bits an item (of a regression the squared error); beside it each language's own figures under `CODE_NAME`,
    with the mean over the languages under the metric's name (`ModularLanguagesTask.reduce_metrics`).
    """

    def __init__(self, task: Any):
        super().__init__(task)
        self.own = {code: CRITERION_REGISTRY[one.definition.criterion](one) for code, one in task.members.items()}
        self.unit = 1.0 if task.definition.criterion == "modular_regression" else math.log(2)

    def forward(self, model: Any, sample: dict[str, Any], reduce: bool = True) -> tuple[Any, int, dict[str, Any]]:
        code = sample["member"]
        unwrap(model).read_as(code)
        loss, count, own = self.own[code](model, sample)
        return loss, count, {
            "loss": loss.detach() / self.unit, "sample_size": count, "ntokens": sample["ntokens"],
            "nsentences": sample["nsentences"], **member_sums(self.own, code, own, model.training, loss.device)}

    @classmethod
    def reduce_metrics(cls, logging_outputs: list[dict[str, Any]]) -> None:
        count = float(sum(log["sample_size"] for log in logging_outputs))
        if count:
            metrics.log_scalar("loss", float(sum(log["loss"] for log in logging_outputs)) / count, count, round=4)

    @staticmethod
    def logging_outputs_can_be_summed() -> bool:
        return True
