"""What differs between two artefacts: records, tensors, tokenizers, rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from adapt.artefacts.embedding import Embedding
from adapt.artefacts.resources import locate
from pretrain.artefacts.body import Body
from pretrain.base.errors import UserError
from pretrain.base.files import read_object

ABSENT = "absent"
GENERATOR = "generator: "


@dataclass(frozen=True)
class Difference:
    """One thing that differs.

    Attributes:
        part: `body`, `embedding` or `prepared text`.
        what: `record`, `tensor`, `tokenizer` or `rows`.
        name: of the setting or tensor.
        one, two: what each of them has, in words.
        largest: of tensors of one shape, the largest absolute difference of two values; None for what is no number.
    """

    part: str
    what: str
    name: str
    one: str
    two: str
    largest: float | None = None


def differences(one: str | Path, two: str | Path) -> list[Difference]:
    """All that differs between two artefacts of a kind: bodies, embeddings, folders that hold both, prepared text.

    Raises:
        UserError: one is no artefact, is damaged, or they have no kind in common.
    """
    first, second = _parts(one), _parts(two)
    both = [part for part in first if part in second]
    if not both:
        raise UserError(f"{one} holds {' and '.join(first)}, {two} {' and '.join(second)}; name two artefacts of one kind")
    found = []
    for part in both:
        found += _records(part, first[part], second[part])
        if isinstance(first[part], Embedding):
            found += _tokenizers(first[part], second[part])
        if isinstance(first[part], Body | Embedding):
            found += _tensors(part, _tensors_of(first[part]), _tensors_of(second[part]))
    return found


def _parts(path: str | Path) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for kind, load in (("body", Body.load), ("embedding", Embedding.load)):
        place = locate(path, kind)
        if (place / f"{kind}.json").exists():
            found[kind] = load(place)
    if (Path(path) / "prepare.json").exists():
        found["prepared text"] = read_object(Path(path) / "prepare.json", "the record of prepared text")
    if not found:
        raise UserError(f"{path}: expected a body, an embedding, a folder with both, or prepared text; check the path")
    return found


def _tensors_of(artefact: Body | Embedding) -> dict[str, Tensor]:
    generator = artefact.generator
    if isinstance(artefact, Body) and not isinstance(generator, dict) and generator is not None:
        return {**artefact.tensors, **{GENERATOR + name: tensor for name, tensor in generator.tensors.items()}}
    return dict(artefact.tensors)


def _records(part: str, one: Any, two: Any) -> list[Difference]:
    first, second = (_flat(each if isinstance(each, dict) else each.record()) for each in (one, two))
    return [Difference(part, "record", name, _text(first, name), _text(second, name))
            for name in [*first, *(name for name in second if name not in first)]
            if _text(first, name) != _text(second, name)]


def _flat(record: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in record.items():
        name = f"{above}{key}"
        found.update(_flat(value, name + ".") if isinstance(value, dict) and value else {name: value})
    return found


def _text(record: Mapping[str, Any], name: str) -> str:
    return str(record[name]) if name in record else ABSENT


def _tensors(part: str, one: Mapping[str, Tensor], two: Mapping[str, Tensor]) -> list[Difference]:
    found = []
    for name in sorted({*one, *two}):
        first, second = one.get(name), two.get(name)
        if first is None or second is None or first.shape != second.shape or first.dtype != second.dtype:
            found.append(Difference(part, "tensor", name, _shape(first), _shape(second)))
        elif not torch.equal(first, second):
            largest = (first.double() - second.double()).abs().max().item()
            found.append(Difference(part, "tensor", name, _shape(first), _shape(second), largest))
    return found


def _shape(tensor: Tensor | None) -> str:
    return ABSENT if tensor is None else f"{list(tensor.shape)} {str(tensor.dtype).removeprefix('torch.')}"


def _tokenizers(one: Embedding, two: Embedding) -> list[Difference]:
    """Which pieces each has for itself, and how many rows of the common ones are not the same."""
    found = []
    first, second = one.tokenizer.vocabulary.ids, two.tokenizer.vocabulary.ids
    if one.tokenizer.sha256 != two.tokenizer.sha256:
        found.append(Difference("embedding", "tokenizer", "file", f"{one.tokenizer.file_name} {one.tokenizer.sha256[:12]}",
                                f"{two.tokenizer.file_name} {two.tokenizer.sha256[:12]}"))
    own, theirs = ([piece for piece in ids if piece not in others] for ids, others in ((first, second), (second, first)))
    if own or theirs:
        found.append(Difference("embedding", "tokenizer", "pieces of its own", _some(own), _some(theirs)))
    common = [piece for piece in first if piece in second]
    if one.width == two.width and common and (own or theirs or list(first) != list(second)):
        rows = [[ids[piece] for piece in common] for ids in (first, second)]
        pairs = [(one.weight[rows[0]].double(), two.weight[rows[1]].double())]
        same = int((pairs[0][0] == pairs[0][1]).all(1).sum())
        largest = (pairs[0][0] - pairs[0][1]).abs().max().item()
        if same < len(common):
            words = f"{len(common):,} pieces in common, {same:,} rows the same"
            found.append(Difference("embedding", "rows", "weight", words, words, largest))
    return found


def _some(pieces: list[str], most: int = 5) -> str:
    return f"{len(pieces):,}" + (f" ({' '.join(pieces[:most])}{' …' if len(pieces) > most else ''})" if pieces else "")
