"""An output is claimed from before the first look at the inputs until it is whole: name and kind are checked before and after."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import ParamSpec, TypeVar

from pretrain.base.errors import UserError
from pretrain.base.files import refuse_existing
from pretrain.base.locks import claimed

P = ParamSpec("P")
R = TypeVar("R")


def refuse_input(output: str | Path | None, *inputs: str | Path | None) -> None:
    """An output may not take the place of what it is made of, not even where the user lets it replace a file.

    Raises:
        UserError: `output` is one of `inputs`, under whatever name.
    """
    for path in inputs:
        if output and path and Path(output).exists() and Path(path).exists() and Path(output).samefile(path):
            raise UserError(f"{output}: is what is read, and would be lost; name another --output")


@contextmanager
def making(output: str | Path, overwrite: bool = False, kind: str = "") -> Iterator[None]:
    """Keeps others from `output` while it is made. What is written then with `atomic_folder` is checked again at its commit.

    Args:
        overwrite: what is there may be replaced, where it is of that kind.
        kind: name of what is made (`pretrain.base.kinds`).

    Raises:
        UserError: it exists and may not be replaced, another process is making it, or nothing can be written there.
    """
    refuse_existing(output, overwrite, kind)
    with claimed(output):
        refuse_existing(output, overwrite, kind)  # again: another may have made it meanwhile
        yield


def makes(kind: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """A function with the parameters `output` and `overwrite` claims its output before it does anything."""
    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        signature = inspect.signature(function)

        @wraps(function)
        def claiming(*args: P.args, **kwargs: P.kwargs) -> R:
            given = signature.bind(*args, **kwargs)
            given.apply_defaults()
            with making(given.arguments["output"], given.arguments["overwrite"], kind):
                return function(*args, **kwargs)
        return claiming
    return decorate
