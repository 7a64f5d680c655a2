"""Embedding modules with other rows: what is kept keeps its numbers bit for bit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from adapt.artefacts.embedding import Embedding
from adapt.text.tokenizer import Tokenizer
from pretrain.artefacts.tensors import fingerprint
from pretrain.base.errors import UserError

Source = tuple[int, int]
"""Which embedding and which of its rows."""


def with_rows(parts: Sequence[Embedding], tokenizer: Tokenizer, composed: Mapping[str, list[int]], done: str,
              language: str = "") -> Embedding:
    """An embedding for `tokenizer`: each piece takes the row that the first of `parts` with that piece has for it.

    Args:
        parts: of one lineage and with the same further tensors; special tokens are the first one's.
        composed: a piece that none of them has -> the ids of the first's whose mean its row becomes.
        done: what the record and the card say.
        language: code of the result; the first's where empty.
    """
    first = parts[0]
    places: list[Source | list[int]] = []
    for symbol in tokenizer.vocabulary.symbols:
        found = next(((number, part.tokenizer.vocabulary.ids[symbol]) for number, part in enumerate(parts)
                      if symbol in part.tokenizer.vocabulary.ids), None)
        places.append(composed[symbol] if found is None else found)

    def taken(tensors: Sequence[Tensor]) -> Tensor:
        rows = [tensors[place[0]][place[1]] if isinstance(place, tuple) else tensors[0][place].mean(0) for place in places]
        return torch.stack(rows)

    foreign = None
    if first.foreign is not None:
        foreign = torch.tensor([int(first.foreign[place[1]]) if isinstance(place, tuple) and not place[0] else -1
                                for place in places])
    said = "; then ".join(filter(None, (str(first.made.get("surgery") or ""), done)))
    made = {**first.made, "surgery": said, "surgery_of": ", ".join(fingerprint(part.tensors)[:12] for part in parts)}
    return replace(first, weight=taken([part.weight for part in parts]), bias=taken([part.bias for part in parts]),
                   generator={name: taken([part.generator[name] for part in parts]) for name in first.generator},
                   foreign=foreign, tokenizer=tokenizer, language=language or first.language, made=made)


def check_alike(one: Embedding, two: Embedding) -> None:
    """Refuses two modules that cannot become one.

    Raises:
        UserError: other bodies, or tensors beyond the rows that differ.
    """
    if (one.lineage, one.width) != (two.lineage, two.width):
        raise UserError(f"the embeddings ({one.language}, {two.language}) belong to bodies of lineage {one.lineage[:12]} and "
                        f"{two.lineage[:12]}, width {one.width} and {two.width}; only modules of one body can be merged")
    if sorted(one.generator) != sorted(two.generator):
        raise UserError(f"one of the embeddings ({one.language}, {two.language}) has rows of the generator's own and the other "
                        "has not; adapt both with the same objective")
    extras = {name for name in {*one.extras, *two.extras}
              if name not in one.extras or name not in two.extras or not torch.equal(one.extras[name], two.extras[name])}
    if extras:
        raise UserError(f"the embeddings ({one.language}, {two.language}) were adapted with further tensors that differ "
                        f"({sorted(extras)[0]}), and one module can bring only one; adapt both without --train-also")
