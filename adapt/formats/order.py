"""In which order the rows of an embedding module stand in a model that is written for others.

Here special tokens are rows 0-3 and `<mask>` is last. Outside, an imported module has the ids that it had; any other with a
`tokenizer.json` has those of that file, so that whoever reads the file finds them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pretrain.base.vocabulary import MASK_SYMBOL, SPECIALS

if TYPE_CHECKING:
    from torch import Tensor

    from adapt.artefacts.embedding import Embedding

LARGEST_GAP = 8
"""A table of which more than one part in so many belongs to no piece (pruned, cut to a language) is numbered without gaps."""
NEVER = -1e4
"""Output bias of a row that no piece has: it is never predicted, in half precision neither."""


@dataclass(frozen=True)
class Order:
    """Where rows stand outside.

    Attributes:
        ids: row outside of each of ours [V], each once.
        rows: of the table there; those that are none of ours belong to no piece.
    """

    ids: Tensor
    rows: int

    def of(self, symbol: str) -> int:
        """The id of one of our special tokens."""
        return int(self.ids[len(self.ids) - 1 if symbol == MASK_SYMBOL else SPECIALS.index(symbol)])

    @property
    def is_own(self) -> bool:
        """Whether it is ours."""
        return self.rows == len(self.ids) and self.ids.tolist() == list(range(self.rows))

    def scattered(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Tensors with our names, those with a row for each piece in this order; rows of no piece are zeros and never
        predicted."""
        import torch

        from pretrain.masked_lm import EMBEDDING_WEIGHT, OUTPUT_BIAS

        if self.is_own:
            return dict(state)
        moved = {}
        for name, empty in ((EMBEDDING_WEIGHT, 0.0), (OUTPUT_BIAS, NEVER)):
            if name in state:
                given = state[name].detach()
                moved[name] = torch.full((self.rows, *given.shape[1:]), empty, dtype=given.dtype)
                moved[name][self.ids] = given
        return {**state, **moved}


def own(embedding: Embedding) -> Order:
    """Our own order."""
    import torch

    return Order(torch.arange(len(embedding.weight)), len(embedding.weight))


def outside(embedding: Embedding) -> Order:
    """The order that others know the rows in: of the `tokenizer.json`, or of the model that they come from, else ours.

    Rows without a number there follow behind the others.
    """
    import torch

    from adapt.text.tokenizer import JSON_NAME

    foreign = embedding.foreign
    if embedding.tokenizer.file_name == JSON_NAME:
        ids = torch.from_numpy(embedding.tokenizer.file_ids.copy())
    elif foreign is not None:
        ids = foreign.clone()
    else:
        return own(embedding)
    known = ids >= 0
    count, end = int(known.sum()), int(ids.max()) + 1
    if embedding.tokenizer.file_name != JSON_NAME and LARGEST_GAP * (end - count) > end:
        ids[known], end = ids[known].argsort().argsort(), count
    if foreign is not None and torch.equal(ids[known], foreign[known]):
        end = max(end, int(embedding.made.get("foreign_rows") or 0))
    fresh = len(ids) - count
    ids[~known] = torch.arange(end, end + fresh)
    return Order(ids, end + fresh)
