"""What prediction shares between task families: the device, and the most probable labels of a batch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from adapt.text.windows import batched
from pretrain.base.errors import UserError, unknown
from tasks.heads.model import TaskModel

DEVICES = ("auto", "cpu", "cuda")


def choose_device(name: str = "auto") -> torch.device:
    """`auto` takes a GPU where there is one.

    Raises:
        UserError: unknown name, or CUDA asked for and absent.
    """
    kind, _, index = name.partition(":")
    if kind not in DEVICES or (index and not index.isdigit()):
        raise unknown("device", name, DEVICES)
    if kind == "cuda" and not torch.cuda.is_available():
        raise UserError("--device cuda: no CUDA device is visible; use --device cpu")
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def head_outputs(model: TaskModel, tokens: Sequence[NDArray[np.int32]], task: str, max_tokens: int,
                 description: str | None = None, unit: str = "ex") -> Iterator[tuple[list[int], torch.Tensor]]:
    """Numbers of a batch's inputs with the logits of a task's head, [B, C], or of each of their tokens, [B, T, C].

    Raises:
        UserError: outputs that are not finite.
    """
    device = model.encoder.embed_tokens.weight.device
    for indices, tokens_BT, full in batched(tokens, device, max_tokens, description, unit):
        logits = model(tokens_BT, full=full, task=task)
        if not bool(torch.isfinite(logits).all()):
            raise UserError("the model's outputs are NaN or infinite; try --precision fp32, else the body or the "
                            "embedding diverged in training")
        yield indices, logits


def single_outputs(model: TaskModel, tokens: Sequence[NDArray[np.int32]], task: str, max_tokens: int,
                   description: str | None = None, unit: str = "ex") -> NDArray[np.float64]:
    """The output of a head that has one [N], in the order of the inputs.

    Raises:
        UserError: outputs that are not finite.
    """
    result = np.empty(len(tokens), dtype=np.float64)
    for indices, outputs_B1 in head_outputs(model, tokens, task, max_tokens, description, unit):
        result[indices] = outputs_B1[:, 0].double().cpu().numpy()
    return result


def most_probable(model: TaskModel, tokens: Sequence[NDArray[np.int32]], task: str, max_tokens: int,
                  description: str | None, unit: str) -> Iterator[tuple[list[int], NDArray[np.int64]]]:
    """Numbers of a batch's inputs with the most probable label of each, [B], or of each of their tokens, [B, T].

    Raises:
        UserError: outputs that are not finite.
    """
    for indices, logits in head_outputs(model, tokens, task, max_tokens, description, unit):
        yield indices, logits.argmax(-1).cpu().numpy()


def check_rows(inputs: Sequence[str | Mapping[str, Any]], columns: Sequence[Sequence[str]],
               names: Sequence[str] = ()) -> list[Mapping[str, Any]]:
    """Inputs as rows with one of the sets of keys; a text alone is the row of the one key, where a set has one.

    Args:
        names: what errors call the inputs; `input 1` and so on where empty.

    Raises:
        UserError: an input without what a set names, or empty.
    """
    rows: list[Mapping[str, Any]] = []
    for number, given in enumerate(inputs):
        where = names[number] if names else f"input {number + 1}"
        row = {columns[0][0]: given} if isinstance(given, str) and len(columns[0]) == 1 else given
        keys = next((keys for keys in columns if isinstance(row, Mapping) and set(keys) <= set(row)), None)
        wanted = ", or ".join(" and ".join(keys) for keys in columns)
        if keys is None or not isinstance(row, Mapping):
            got = ", ".join(map(str, row)) if isinstance(row, Mapping) else f"the text {str(given)[:40]!r}"
            raise UserError(f"{where}: expected {wanted}, got {got or 'nothing'}")
        for key in keys:
            value = row[key]
            texts = value if key == "words" and isinstance(value, list) else [value]
            if not texts or not all(isinstance(text, str) and text.strip() for text in texts):
                raise UserError(f"{where}: {key} is {str(value)[:40]!r}; expected {'words' if key == 'words' else 'a text'}")
        rows.append(row)
    return rows
