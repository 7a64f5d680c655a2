"""fairseq task `modular_finetune`, model `modular_task_body`: task adaptation.

The body and a new head learn from examples in the source language; its embedding does not, so that every other
embedding of the same lineage fits the result (Artetxe et al. 2020; Chen et al. 2023).
"""

# fairseq reads the types of config fields at run time: no `from __future__ import annotations` here

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field
from importlib import import_module
from typing import Any

import torch
from fairseq.dataclass import FairseqDataclass
from fairseq.models import register_model
from fairseq.tasks import register_task
from omegaconf import II, MISSING

from adapt.artefacts.embedding import Embedding
from pretrain.artefacts.body import HEADS, Body, load_body
from pretrain.masked_lm import EMBEDDING_WEIGHT, OUTPUT_BIAS
from pretrain.trainer.config import check_config, of_settings
from pretrain.trainer.optimizer import mark, mark_scale
from pretrain.trainer.partial import PartlyTrained
from pretrain.trainer.roberta import FairseqMaskedLM, TrainingModelConfig
from tasks.distillation.student import Distillation, Lesson
from tasks.heads.model import NewHead, TaskModel
from tasks.heads.several import trained_head
from tasks.learning.layer_decay import LayerDecay
from tasks.reading.subset import Subset
from tasks.registry import get_task
from tasks.settings import FinetuneSettings
from tasks.trainer.body_task import BodyTask, require_body


@of_settings(FinetuneSettings, "task")
class ModularFinetuneConfig(FairseqDataclass):
    data: str = field(default=MISSING, metadata={"help": "folder with the task's files, or hf:NAME"})
    seed: int = II("common.seed")


@register_task("modular_finetune", dataclass=ModularFinetuneConfig)
class ModularFinetuneTask(BodyTask):
    """Task adaptation: reads and encodes the examples once; the model is built from a Body."""

    def __init__(self, cfg: Any):
        super().__init__(cfg)
        check_config(ModularFinetuneConfig, cfg)
        self.definition = get_task(cfg.task_name).with_labels(cfg.labels)
        require_body(cfg)
        self.load_body(cfg)
        self.language = cfg.source_language or self.embedding.language
        self.head = cfg.head or self.definition.heads[0]
        self.inputs = self.definition.inputs(self.body.config, cfg.max_length, cfg.stride, cfg.max_question)
        self.distillation = Distillation.of(cfg)
        self.lesson: Lesson | None = None
        self.subset = Subset(cfg.share, seed=cfg.share_seed)

    @property
    def new_heads(self) -> list[NewHead]:
        """The one head."""
        labels = list(self.definition.training(self.head, self.inputs).record()["labels"])
        return [NewHead(self.definition.name, self.head, self.definition.outputs, labels)]

    def load_dataset(self, split: str, combine: bool = False, **kwargs: Any) -> None:
        training = split == "train"
        name = "train" if training else self.cfg.dev_split
        given = self.cfg.train_files if training else self.cfg.dev_files
        files = [path for path in given.split(",") if path]
        self.datasets[split] = import_module(self.definition.trainer).load(self, name, files, training)

    def max_positions(self) -> int:
        return self.inputs.max_length


@of_settings(FinetuneSettings, "decay")
class TaskBodyConfig(TrainingModelConfig):
    """Settings of a body that learns a task."""


@register_model("modular_task_body", dataclass=TaskBodyConfig)
class TaskBody(PartlyTrained, FairseqMaskedLM, TaskModel):
    """A body that learns a task with a new head, or several, under an embedding that does not.

    What the embedding module brings and the unused LM head are frozen in the constructor. A head that a body of several tasks
    has trained already goes on from where it is.
    """

    def __init__(self, body: Body, embedding: Embedding, cfg: Any, heads: Sequence[NewHead], train_embedding: bool = False,
                 decay: LayerDecay | None = None, languages: Mapping[str, Embedding] | None = None):
        super().__init__(body.config, len(embedding.tokenizer.vocabulary), cfg)
        load_body(self, body)
        own = torch.nn.Module.state_dict(self)
        brought = {name for one in (embedding, *(languages or {}).values()) for name in one.extras}
        given = lexicon_of(embedding, body, brought)
        self._lexicons = {code: lexicon_of(one, body, brought) for code, one in (languages or {}).items()}
        with torch.no_grad():
            for name, tensor in given.items():
                own[name].copy_(tensor)
        for head in heads:
            self.add_head(head.task, head.kind, head.outputs, head.dropout)
        own = torch.nn.Module.state_dict(self)
        with torch.no_grad():
            for head in heads:
                for name, tensor in trained_head(body, head.task, head.kind, head.labels).items():
                    own[name].copy_(tensor)
        frozen = set(given) - {EMBEDDING_WEIGHT} if train_embedding else set(given)
        for name, parameter in self.named_parameters():
            if name.startswith(HEADS):
                mark(parameter, "head")
        self.train_only(name for name, _ in self.named_parameters()
                        if name not in frozen and not name.startswith("lm_head."))
        if decay is not None:
            for name, parameter in self.named_parameters():
                if parameter.requires_grad:
                    mark_scale(parameter, decay.factor(name, body.config.layers))

    def read_as(self, language: str) -> None:
        """Puts one of `languages` in the place of the embedding; tensors are referred to, not copied, and none of them is
        trained."""
        lexicon = self._lexicons[language]
        parameters = dict(self.named_parameters())
        for name, tensor in lexicon.items():
            lexicon[name] = tensor.to(parameters[name].device)
            parameters[name].data = lexicon[name]

    @classmethod
    def build_model(cls, cfg: Any, task: Any) -> "TaskBody":
        check_config(TaskBodyConfig, cfg)
        return cls(task.body, task.embedding, cfg, task.new_heads, task.cfg.train_embedding,
                   LayerDecay(cfg.layer_decay, cfg.layer_decay_variant), getattr(task, "embeddings", None))


def lexicon_of(embedding: Embedding, body: Body, brought: Iterable[str]) -> dict[str, torch.Tensor]:
    """What an embedding puts into a body, by tensor name.

    Args:
        brought: names of tensors of the body that some of the embeddings of a training bring; those that this one does not bring
            are the body's.
    """
    own = {name: embedding.extras.get(name, body.tensors.get(name)) for name in brought}
    return {EMBEDDING_WEIGHT: embedding.weight, OUTPUT_BIAS: embedding.bias,
            **{name: tensor for name, tensor in own.items() if tensor is not None}}
