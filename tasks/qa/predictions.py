"""Files of predicted answers in the official layout: one JSON object, question id -> value."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pretrain.base.errors import UserError
from pretrain.base.files import read_json, write_json


def _read_object(path: str | Path, what: str, value: str) -> dict[str, Any]:
    content = read_json(path, what, unique=True)
    if not isinstance(content, dict):
        got = "a list" if isinstance(content, list) else repr(content)[:40]
        raise UserError(f"{path}: expected {what}: one JSON object, question id -> {value}, got {got}")
    return content


def read_predictions(path: str | Path) -> dict[str, str]:
    """Question id -> answer text ("" for no answer).

    Raises:
        UserError: missing or malformed file, or a value that is no text.
    """
    content = _read_object(path, "a file of predictions", "answer text")
    for identifier, text in content.items():
        if not isinstance(text, str):
            raise UserError(f"{path}: the prediction for question id {identifier!r} is {str(text)[:40]!r} "
                            f"({type(text).__name__}); expected a text, empty for no answer")
    return content


def read_probabilities(path: str | Path) -> dict[str, float]:
    """Question id -> probability (or any score) that there is no answer, in the file's order.

    Raises:
        UserError: missing or malformed file, or a value that is no finite number.
    """
    content = _read_object(path, "a file of no-answer probabilities", "number")
    for identifier, value in content.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e300:
            raise UserError(f"{path}: the no-answer probability of question id {identifier!r} is {str(value)[:40]!r}; "
                            "expected a number")
    return content


def write_predictions(path: str | Path, predictions: Mapping[str, str]) -> None:
    """Writes predictions as the official scorers read them."""
    write_json(path, dict(predictions))
