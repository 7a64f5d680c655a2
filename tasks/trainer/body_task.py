"""What the fairseq tasks share that train a pre-trained body under its embedding, on one task or on many."""

from typing import Any

from adapt.artefacts.assemble import check_compatible
from adapt.artefacts.embedding import Embedding
from adapt.artefacts.resources import embedding_of, locate
from pretrain.artefacts.body import Body
from pretrain.base.errors import UserError
from pretrain.trainer.plain import PlainTask


def require_body(cfg: Any) -> None:
    """Refuses a configuration without a body."""
    if not cfg.body:
        raise UserError("--body is missing: name the folder of a pre-trained body")


class BodyTask(PlainTask):
    """A fairseq task without dictionaries, whose model is built from a Body."""

    body: Body
    embedding: Embedding

    def load_body(self, cfg: Any) -> None:
        """Reads the body and the embedding that it is trained under.

        Raises:
            UserError: one that is missing or damaged, or two that do not fit.
        """
        self.body = Body.load(locate(cfg.body, "body"))
        self.embedding = Embedding.load(embedding_of(cfg.body, cfg.embedding))
        check_compatible(self.body, self.embedding)
