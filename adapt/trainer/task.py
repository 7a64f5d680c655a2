"""fairseq task `modular_adapt` and model `modular_frozen_body`: a new language against a frozen body.

Artetxe et al. 2020; docs/design-notes.md.
"""

# fairseq reads the types of config fields at run time: no `from __future__ import annotations` here

from copy import deepcopy
from dataclasses import field, replace
from pathlib import Path
from typing import Any, List

import torch
from fairseq.logging import metrics
from fairseq.models import register_model
from fairseq.tasks import register_task
from omegaconf import II

from adapt.artefacts.embedding import Embedding
from adapt.artefacts.resources import embedding_of, locate, parse_resources
from adapt.initialise import Request, initialise, initialise_pair
from adapt.initialise.coverage import COVERAGE, coverage
from adapt.objective import resolve
from adapt.settings import AdaptSettings, check_points
from adapt.text.tokenizer import Tokenizer
from adapt.trainer.annealing import Annealing, held_out
from pretrain.artefacts.body import ELECTRA, Body, load_body
from pretrain.base.errors import UserError
from pretrain.base.files import read_object
from pretrain.base.settings import LONG, points
from pretrain.masked_lm import VOCABULARY_INDEXED
from pretrain.trainer.config import check_config, of_settings
from pretrain.trainer.partial import PartlyTrained
from pretrain.trainer.roberta import FairseqMaskedLM, TrainingModelConfig
from pretrain.trainer.task import BlockTask, BlockTaskConfig, unwrap


@of_settings(AdaptSettings, "adapt")
class ModularAdaptConfig(BlockTaskConfig):
    embeddings_dir: str = field(default="", metadata={"help": "where --save-embeddings-at and --budgets write"})
    lr_file: str = field(default="", metadata={"help": "where the rate is kept that a run with --lr 0 finds for itself"})
    run_warmup: int = field(default=-1, metadata={"help": "updates of warm-up with --budgets or --lr 0; -1: a tenth of a run"})
    lr: List[float] = II("optimization.lr")
    clip_norm: float = II("optimization.clip_norm")


@register_task("modular_adapt", dataclass=ModularAdaptConfig)
class ModularAdaptTask(BlockTask):
    """Learning a new language's embedding; the model is built from a Body, not from architecture flags."""

    def __init__(self, cfg: Any):
        super().__init__(cfg)
        check_config(ModularAdaptConfig, cfg)
        if not cfg.body:
            raise UserError("--body is missing: name the folder of a pre-trained body")
        self.body = Body.load(locate(cfg.body, "body"))
        self.objective = resolve(cfg.objective, cfg.disentangle, self.body, cfg.body)
        source = embedding_of(cfg.body, cfg.source_embedding, "--source-embedding")
        self.source = Embedding.load(source)
        if self.source.lineage != self.body.lineage:
            raise UserError(f"{source}: this source embedding was learned against lineage {self.source.lineage[:12]}, the "
                            f"body {cfg.body} has lineage {self.body.lineage[:12]}; name the embedding that was pre-trained "
                            "with the body (--source-embedding)")
        if cfg.tokens_per_sample > self.body.config.max_positions:
            raise UserError(f"--tokens-per-sample {cfg.tokens_per_sample} exceeds the body's "
                            f"{self.body.config.max_positions} positions; lower it")
        data = Path(cfg.data)
        self.tokenizer = Tokenizer.load(data)
        if self.tokenizer.vocabulary.symbols != self.vocabulary.symbols:
            raise UserError(f"{data}: dict.txt and {self.tokenizer.file_name} number their pieces differently "
                            f"({len(self.vocabulary)} and {len(self.tokenizer.vocabulary)} rows); prepare the data again")
        self.language = read_object(data / "prepare.json", "the record of prepared data").language()
        self.save_at = set(points(cfg.save_embeddings_at))
        check_points(cfg.save_embeddings_at, cfg.max_update or LONG + 1)
        lengths = tuple(sorted(points(cfg.budgets)))
        if (self.save_at or lengths) and not cfg.embeddings_dir:
            raise UserError("--save-embeddings-at and --budgets need --embeddings-dir: where to write them")
        if lengths and sum(lengths) != cfg.max_update:
            raise UserError(f"--budgets {cfg.budgets}: are {sum(lengths)} updates together, and --max-update is {cfg.max_update}")
        self.annealing: Annealing | None = None
        if lengths or not cfg.lr[0]:
            self.annealing = Annealing(lengths or (cfg.max_update,), cfg.lr[0], cfg.run_warmup, cfg.lr_file, cfg.clip_norm)

    def initial_embedding(self) -> Embedding:
        """The new language's embedding before its first update."""
        request = Request(self.source, self.tokenizer, Path(self.cfg.data), parse_resources(self.cfg.resources),
                          self.cfg.seed)
        if self.body.backbone == ELECTRA:
            pair = initialise_pair(self.cfg.initialiser, request, self.cfg.special_rows, self.objective.tying)
            start = replace(pair, language=self.language)
        else:
            weight, bias = initialise(self.cfg.initialiser, request, self.cfg.special_rows)
            start = Embedding(weight, bias, self.tokenizer, self.language, self.body.lineage)
        self.state.merge_state_dict({COVERAGE: coverage(request)})  # checkpoints keep it for whoever writes the artefact
        return start

    def build_model(self, cfg: Any, from_checkpoint: bool = False) -> Any:
        self._check_line(cfg, "arch", "modular_frozen_pair", "modular_frozen_body")
        model = super().build_model(cfg, from_checkpoint)
        if self.annealing is not None:
            self.annealing.remember(model)
        return model

    def build_criterion(self, cfg: Any, from_checkpoint: bool = False) -> Any:
        self._check_line(cfg, "criterion", "modular_replaced_token", "modular_masked_lm")
        if self.body.backbone == ELECTRA:
            cfg = deepcopy(cfg)
            for name, weight in self.objective.switched_off().items():
                setattr(cfg, name, weight)
        return super().build_criterion(cfg, from_checkpoint)

    def _check_line(self, cfg: Any, option: str, pair: str, single: str) -> None:
        """Refuses a `fairseq-train` line that is for the other kind of body."""
        expected = pair if self.body.backbone == ELECTRA else single
        if cfg._name != expected:
            raise UserError(f"--{option} {cfg._name}: the body {self.cfg.body} has backbone {self.body.backbone}; use "
                            f"--{option} {expected}")

    def train_step(self, sample: Any, model: Any, criterion: Any, optimizer: Any, update_num: int,
                   ignore_grad: bool = False) -> Any:
        if update_num in self.save_at:
            self._save(unwrap(model), update_num)
            self.save_at.discard(update_num)
        if self.annealing is not None:
            self._anneal(self.annealing, unwrap(model), criterion, optimizer, update_num, sample)
        return super().train_step(sample, model, criterion, optimizer, update_num, ignore_grad)

    def _anneal(self, annealing: Annealing, model: Any, criterion: Any, optimizer: Any, updates: int, sample: Any) -> None:
        """Sets the rate of the next update; where a run has ended before it, keeps its embedding and puts the start back."""
        ended = annealing.begin_update(self, model, criterion, optimizer, updates, sample)
        if ended is None:
            return
        with metrics.aggregate(new_root=True) as found:
            logged = held_out(self, model, criterion, len(sample["tokens"]), sample["tokens"].device)
            criterion.__class__.reduce_metrics(logged)
        figures = {f"held_out_{name}": value for name, value in found.get_smoothed_values().items()
                   if name in ("loss", "mlm_loss", "rtd_loss", "rtd_auc")}
        self._save(model, annealing.lengths[ended], **figures)
        annealing.restart(model, optimizer)

    def _save(self, model: Any, updates: int, **figures: float) -> None:
        if torch.distributed.is_initialized() and torch.distributed.get_rank() != 0:
            return
        made = {"updates": updates, "initialiser": self.cfg.initialiser, "seed": self.cfg.seed,
                **self.state.state_dict.get(COVERAGE, {}), **figures}
        if self.body.backbone == ELECTRA:
            made["objective"] = self.objective.name
        embedding = Embedding.of_state(model.state_dict(), self.body.backbone, self.tokenizer, self.language,
                                       self.body.lineage, made)
        embedding.save(Path(self.cfg.embeddings_dir) / f"{updates:06d}", overwrite=True)


@register_model("modular_frozen_body", dataclass=TrainingModelConfig)
class FrozenBody(PartlyTrained, FairseqMaskedLM):
    """A body that does not learn and an embedding that does.

    Frozen in the constructor, so that no weight gradient is ever computed for it.
    """

    def __init__(self, body: Body, embedding: Embedding, cfg: Any, train_also: str = ""):
        super().__init__(body.config, len(embedding.tokenizer.vocabulary), cfg)
        load_body(self, body)
        with torch.no_grad():
            self.encoder.embed_tokens.weight.copy_(embedding.weight)
            self.lm_head.bias.copy_(embedding.bias)
        names = [name for name, _ in self.named_parameters()]
        self.train_only({*VOCABULARY_INDEXED} | self.matching(train_also, names, "the model"))

    @classmethod
    def build_model(cls, cfg: Any, task: Any) -> "FrozenBody":
        return cls(task.body, task.initial_embedding(), cfg, task.cfg.train_also)
