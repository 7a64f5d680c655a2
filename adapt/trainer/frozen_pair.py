"""fairseq model `modular_frozen_pair`: an ELECTRA pair of which only what a vocabulary indexes learns (docs/electra.md)."""

# fairseq reads the types of config fields at run time: no `from __future__ import annotations` here

from collections.abc import Iterable
from typing import Any

import torch
from fairseq.models import register_model

from adapt.artefacts.assemble import swap
from adapt.artefacts.embedding import Embedding
from adapt.objective import Objective
from pretrain.artefacts.body import Body, load_body
from pretrain.artefacts.pair import HARDNESS_BIAS, lexicon_names, load_pair
from pretrain.electra.networks import DISENTANGLED, GENERATOR, ElectraConfig
from pretrain.electra.replacement import unigram
from pretrain.masked_lm import EMBEDDING_WEIGHT, OUTPUT_BIAS
from pretrain.trainer.electra import FairseqElectra
from pretrain.trainer.partial import PartlyTrained
from pretrain.trainer.roberta import TrainingModelConfig


@register_model("modular_frozen_pair", dataclass=TrainingModelConfig)
class FrozenPair(PartlyTrained, FairseqElectra):
    """Generator and discriminator that do not learn and an embedding that does.

    Frozen in the constructor, so that no weight gradient is ever computed for either network.
    """

    networks_frozen = True
    """Where lambda is 0, the discriminator need not run."""

    def __init__(self, body: Body, embedding: Embedding, objective: Objective, cfg: Any, train_also: str = "",
                 prior_V: torch.Tensor | None = None):
        part = body.generator
        config = ElectraConfig(body.config, part.config if part else None, objective.tying, part.hardness if part else "none")
        super().__init__(config, len(embedding.tokenizer.vocabulary), cfg, prior_V)
        if part is None:
            load_body(self, body)
        else:
            load_pair(self, body)
        prior_V = self.prior_V
        swap(self, embedding)
        self.prior_V = prior_V  # `swap` knows no frequencies of pieces
        self.mark_parameters()
        lexicon = lexicon_names(torch.nn.Module.state_dict(self))
        names = [name for name, _ in self.named_parameters()
                 if not name.startswith(GENERATOR) and not name.endswith(DISENTANGLED)]
        further = self.matching(train_also, names, "the discriminator that can be trained")
        self.train_only([*self.learning(lexicon, objective), *further], keep=lexicon)

    def learning(self, lexicon: Iterable[str], objective: Objective) -> list[str]:
        """The tensors of the lexicon that this objective has a gradient for: one without is a mistake to a distributed
        wrapper, and weight decay would shrink it."""
        silent = {
            "mlm": {"encoder.embed_tokens." + DISENTANGLED, GENERATOR + HARDNESS_BIAS},
            "rtd": {GENERATOR + EMBEDDING_WEIGHT, GENERATOR + OUTPUT_BIAS},
            "joint": set(),
        }[objective.name]
        return [name for name in lexicon if name not in silent]

    @classmethod
    def build_model(cls, cfg: Any, task: Any) -> "FrozenPair":
        recipe = task.body.recipe
        prior_V = None
        if task.body.generator is None and recipe.get("generator") != "uniform":
            prior_V = unigram(task.vocabulary.counts)
        return cls(task.body, task.initial_embedding(), task.objective, cfg, task.cfg.train_also, prior_V)
