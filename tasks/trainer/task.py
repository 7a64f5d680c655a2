"""fairseq task `modular_finetune`, model `modular_task_body`, criterion `modular_classification`: task adaptation.

The body and a new head learn from examples in the source language; its embedding does not, so that every other
embedding of the same lineage fits the result (Artetxe et al. 2020; Chen et al. 2023).
"""

# fairseq reads the types of config fields at run time: no `from __future__ import annotations` here

import logging
import math
from dataclasses import field
from typing import Any

import numpy as np
import torch
from fairseq.criterions import FairseqCriterion, register_criterion
from fairseq.dataclass import FairseqDataclass
from fairseq.logging import metrics
from fairseq.models import register_model
from fairseq.tasks import FairseqTask, register_task
from omegaconf import II, MISSING
from torch.nn import functional as F

from adapt.artefacts.assemble import check_compatible
from adapt.artefacts.embedding import Embedding
from adapt.artefacts.resources import embedding_of, locate
from pretrain.artefacts.body import HEADS, Body, load_body
from pretrain.base.errors import UserError
from pretrain.masked_lm import EMBEDDING_WEIGHT, OUTPUT_BIAS
from pretrain.trainer.config import check_config, of_settings
from pretrain.trainer.optimizer import mark, mark_scale
from pretrain.trainer.partial import PartlyTrained
from pretrain.trainer.roberta import FairseqMaskedLM, TrainingModelConfig
from tasks.definition import Task
from tasks.encoding import Encoded, encode_examples, pad, resolve_max_length, separators_of
from tasks.heads.model import TaskModel
from tasks.layer_decay import LayerDecay
from tasks.qa.features import WindowSettings
from tasks.qa.tasks import QATask
from tasks.registry import get_task
from tasks.settings import FinetuneSettings
from tasks.tagging.tasks import TaggingTask, with_labels
from tasks.trainer.data import ItemDataset
from tasks.trainer.qa import load_questions
from tasks.trainer.tagging import load_sentences

logger = logging.getLogger(__name__)


@of_settings(FinetuneSettings, "task")
class ModularFinetuneConfig(FairseqDataclass):
    data: str = field(default=MISSING, metadata={"help": "folder with the task's files, or hf:NAME"})
    seed: int = II("common.seed")


class ExampleDataset(ItemDataset):
    """Encoded examples of one split with their labels [N]."""

    def __init__(self, encoded: Encoded, labels: list[int], seed: int, shuffle: bool):
        super().__init__(encoded.sizes, seed, shuffle)
        self.encoded = encoded
        self.labels = np.array(labels, dtype=np.int64)

    def collater(self, samples: list[int]) -> dict[str, Any]:
        if not samples:
            return {}
        indices = np.array(samples, dtype=np.int64)
        lengths = self.sizes[indices]
        return {
            "id": torch.from_numpy(indices),
            "tokens": pad([self.encoded.tokens[index] for index in samples]),
            "labels": torch.from_numpy(self.labels[indices]),
            "full": bool((lengths == lengths[0]).all()),
            "ntokens": int(lengths.sum()),
            "nsentences": len(samples),
        }


@register_task("modular_finetune", dataclass=ModularFinetuneConfig)
class ModularFinetuneTask(FairseqTask):
    """Task adaptation: reads and encodes the examples once; the model is built from a Body."""

    def __init__(self, cfg: Any):
        super().__init__(cfg)
        check_config(ModularFinetuneConfig, cfg)
        self.definition = with_labels(get_task(cfg.task_name), cfg.labels)
        if not cfg.body:
            raise UserError("--body is missing: name the folder of a pre-trained body")
        self.body = Body.load(locate(cfg.body, "body"))
        self.embedding = Embedding.load(embedding_of(cfg.body, cfg.embedding))
        check_compatible(self.body, self.embedding)
        self.language = cfg.source_language or self.embedding.language
        self.head = cfg.head or self.definition.heads[0]
        self.windows: WindowSettings | None = None
        if isinstance(self.definition, QATask):
            self.windows = WindowSettings.fit(self.body.config.max_positions, cfg.max_length, cfg.stride, cfg.max_question,
                                              separators_of(self.body.config))
        self.max_length = self.windows.max_length if self.windows else resolve_max_length(
            cfg.max_length, self.body.config.max_positions)

    @classmethod
    def setup_task(cls, cfg: Any, **kwargs: Any) -> Any:
        return cls(cfg)

    def load_dataset(self, split: str, combine: bool = False, **kwargs: Any) -> None:
        training = split == "train"
        name = "train" if training else self.cfg.dev_split
        given = self.cfg.train_files if training else self.cfg.dev_files
        files = [path for path in given.split(",") if path]
        if self.windows is not None:
            self.datasets[split] = load_questions(self, name, files, training, self.windows)
            return
        if isinstance(self.definition, TaggingTask):
            self.datasets[split] = load_sentences(self, name, files, training)
            return
        assert isinstance(self.definition, Task)
        loaded = self.definition.read(self.cfg.data, name, self.language, files)
        encoded = encode_examples(self.embedding.tokenizer, loaded.examples, self.max_length, separators_of(self.body.config))
        labels = [item.label for item in loaded.examples if item.label is not None]
        self.datasets[split] = ExampleDataset(encoded, labels, self.cfg.seed, shuffle=training)
        logger.info(f"{', '.join(loaded.files)}: {len(encoded):,} examples of {self.definition.name} {name} in "
                    f"{self.language}; {encoded.truncated:,} cut to {self.max_length} tokens")

    def max_positions(self) -> int:
        return self.max_length

    @property
    def source_dictionary(self) -> None:
        return None

    @property
    def target_dictionary(self) -> None:
        return None


@of_settings(FinetuneSettings, "decay")
class TaskBodyConfig(TrainingModelConfig):
    """Settings of a body that learns a task."""


@register_model("modular_task_body", dataclass=TaskBodyConfig)
class TaskBody(PartlyTrained, FairseqMaskedLM, TaskModel):
    """A body that learns a task with a new head, under an embedding that does not.

    What the embedding module brings and the unused LM head are frozen in the constructor.
    """

    def __init__(self, body: Body, embedding: Embedding, cfg: Any, task: str, head: str, classes: int,
                 train_embedding: bool = False, decay: LayerDecay | None = None):
        super().__init__(body.config, len(embedding.tokenizer.vocabulary), cfg)
        load_body(self, body)
        own = torch.nn.Module.state_dict(self)
        given = {EMBEDDING_WEIGHT: embedding.weight, OUTPUT_BIAS: embedding.bias, **embedding.extras}
        with torch.no_grad():
            for name, tensor in given.items():
                own[name].copy_(tensor)
        self.add_head(task, head, classes)
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

    @classmethod
    def build_model(cls, cfg: Any, task: Any) -> "TaskBody":
        check_config(TaskBodyConfig, cfg)
        definition = task.definition
        classes = len(definition.labels) if isinstance(definition, Task | TaggingTask) else 0
        return cls(task.body, task.embedding, cfg, definition.name, task.head, classes, task.cfg.train_embedding,
                   LayerDecay(cfg.layer_decay, cfg.layer_decay_variant))


@register_criterion("modular_classification", dataclass=FairseqDataclass)
class ModularClassification(FairseqCriterion):
    """Cross entropy over the labels, summed over the examples; logged in bits, with accuracy in percent."""

    def forward(self, model: Any, sample: dict[str, Any], reduce: bool = True) -> tuple[Any, int, dict[str, Any]]:
        logits = model(sample["tokens"], full=sample["full"], task=self.task.definition.name)
        labels = sample["labels"]
        loss = F.cross_entropy(logits, labels, reduction="sum")
        logging_output = {
            "loss": loss.detach(),
            "n_correct": logits.detach().argmax(-1).eq(labels).sum(),
            "sample_size": sample["nsentences"],
            "ntokens": sample["ntokens"],
            "nsentences": sample["nsentences"],
        }
        return loss, sample["nsentences"], logging_output

    @classmethod
    def reduce_metrics(cls, logging_outputs: list[dict[str, Any]]) -> None:
        total = {
            key: float(sum(log.get(key, 0) for log in logging_outputs)) for key in ("loss", "sample_size", "n_correct")
        }
        if not total["sample_size"]:
            return
        count = total["sample_size"]
        metrics.log_scalar("loss", total["loss"] / count / math.log(2), count, round=4)
        metrics.log_scalar("accuracy", 100 * total["n_correct"] / count, count, round=3)

    @staticmethod
    def logging_outputs_can_be_summed() -> bool:
        return True
