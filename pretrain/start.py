"""Where a pre-training starts, if not from drawn weights: a body that is there already, with its embedding or another.

The body gives the shape of the run; the artefact at the end is a body of its own, with a lineage of its own, whose record says
where it comes from.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pretrain.artefacts.body import ELECTRA, Body, load_body
from pretrain.artefacts.lexicon import StoredLexicon
from pretrain.artefacts.pair import load_pair
from pretrain.base.errors import UserError
from pretrain.base.files import read_object
from pretrain.base.settings import declared
from pretrain.electra.networks import Electra, generator_config
from pretrain.encoder import Encoder
from pretrain.settings import NEW, PretrainRecipe

if TYPE_CHECKING:
    from torch.nn import Module


@dataclass(frozen=True)
class Start:
    """What a training goes on from.

    Attributes:
        place: the body as the user named it.
        lexicon: None where the rows are drawn.
    """

    place: str
    body: Body
    lexicon: StoredLexicon | None

    def record(self) -> dict[str, Any]:
        """What `made.from` of the new body says."""
        body, lexicon, made = self.body, self.lexicon, self.body.made
        return {"body": body.fingerprint, "lineage": body.lineage, "embedding": lexicon.fingerprint if lexicon else NEW,
                **({"language": lexicon.language} if lexicon else {}),
                **{name: made[name] for name in ("source", "family", "layers_kept", "head", "seed", "from") if name in made}}

    def load(self, model: Module) -> None:
        """Gives a model of this shape the weights, in place.

        Raises:
            UserError: the model has another shape.
        """
        encoder = model.encoder
        assert isinstance(encoder, Encoder)
        config = encoder.config
        if config != self.body.config:
            names = [name for name, value in vars(config).items() if getattr(self.body.config, name) != value]
            raise UserError(f"{self.place}: this body has {self._shape(self.body.config, names)}, the training line says "
                            f"{self._shape(config, names)}; `relexify pretrain … from={self.place} --print-command` writes the "
                            "line for it")
        if isinstance(model, Electra) and self.body.generator is not None:
            if model.config.generator != self.body.generator.config or model.config.tying != self.body.generator.tying:
                raise UserError(f"{self.place}: this pair's generator has another shape or tying than the training line says; "
                                f"`relexify pretrain … from={self.place} --print-command` writes the line for it")
            load_pair(model, self.body)
        else:
            load_body(model, self.body)
        if self.lexicon is not None:
            self.lexicon.copy_into(model)

    @staticmethod
    def _shape(config: Any, names: list[str]) -> str:
        return ", ".join(f"{name}={getattr(config, name)}" for name in names)


def read_start(body: str, embedding: str, data: str | Path) -> Start:
    """Reads and verifies what a training goes on from.

    Args:
        body, embedding: their folders; `new` for rows that are drawn.
        data: the prepared text to go on with; it must be written in the embedding's pieces.

    Raises:
        UserError: a task body, an embedding of another lineage, or text prepared with another tokenizer.
    """
    found = Body.load(body)
    if found.task:
        raise UserError(f"from={body}: a task body ({found.task['name']}); expected the pre-trained body that it descends from")
    if embedding == NEW:
        return Start(body, found, None)
    lexicon = StoredLexicon.load(embedding)
    if lexicon.lineage != found.lineage:
        raise UserError(f"from_embedding={embedding}: learned against lineage {lexicon.lineage[:12]}, the body {body} has "
                        f"lineage {found.lineage[:12]}; name an embedding of this body, or from_embedding=new to draw one")
    prepared = read_object(Path(data) / "prepare.json", "the record of prepared data")
    if (got := prepared.table("vocabulary").text("tokenizer_sha256")) != lexicon.tokenizer_sha256:
        raise UserError(f"{data}: prepared with another tokenizer ({got[:12]}) than the embedding {embedding} has "
                        f"({lexicon.tokenizer_sha256[:12]}); prepare the text with --tokenizer {embedding}, or say "
                        "from_embedding=new to draw rows for this one")
    return Start(body, found, lexicon)


def shaped(recipe: PretrainRecipe, start: Start) -> PretrainRecipe:
    """The recipe with the body's shape.

    Raises:
        UserError: the recipe is of the other family, or asks for another shape.
    """
    body, place = start.body, f"from={start.place}"
    family = "electra" if body.backbone == ELECTRA else "roberta"
    if not recipe.arch.startswith(family):
        raise UserError(f"{place}: a body of backbone {body.backbone}, the recipe has arch={recipe.arch}; take a recipe with an "
                        f"arch {family}_…")
    shape = body.config
    wanted: dict[str, Any] = {name: getattr(shape, name) for name in ("layers", "width", "heads", "ffn", "embedding_width",
                                                                      "relative_buckets", "max_positions", "segments")}
    if family == "electra":
        wanted.update(_generator(recipe, body, place))
    for name, value in wanted.items():
        given, default = getattr(recipe, name), declared(PretrainRecipe)[name].default
        if given not in (default, value):
            raise UserError(f"{place}: this body has {name}={value}, the recipe says {given}; a body keeps its shape: leave "
                            f"{name} out")
    if recipe.tokens_per_sample > shape.max_positions:
        raise UserError(f"{place}: tokens_per_sample={recipe.tokens_per_sample}, but this body has {shape.max_positions} "
                        "positions; lower it")
    return replace(recipe, **wanted)


def _generator(recipe: PretrainRecipe, body: Body, place: str) -> dict[str, Any]:
    """The settings of a pair's generator."""
    part, shape = body.generator, body.config
    if part is None:
        if recipe.generator == "network":
            raise UserError(f"{place}: this body has no generator (generator.safetensors); import it with --generator, or set "
                            "generator=unigram: replacements are then drawn by the pieces' frequency")
        return {}
    if recipe.generator != "network":
        raise UserError(f"{place}: this pair has a generator, the recipe says generator={recipe.generator}; leave it out")
    width, depth = part.config.width / shape.width, part.config.layers / shape.layers
    if generator_config(shape, width, depth) != part.config:
        raise UserError(f"{place}: the shape of this pair's generator is no multiple of its discriminator's (heads, feed-forward "
                        "width or positions differ in another way), which is all that can be trained on")
    return {"generator_width": width, "generator_depth": depth, "tying": part.tying, "hardness_head": part.hardness}
