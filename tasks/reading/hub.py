"""Data sets of the Hugging Face hub for tasks, through `datasets`: what that cannot load is one line."""

from __future__ import annotations

from typing import Any

from pretrain.base.errors import UserError


def load_split(name: str, configuration: str | None, split: str, revision: str, failing: str) -> Any:
    """The table of a split: all of its shards, or none.

    Args:
        revision: a commit, a branch or a tag; empty: the newest.
        failing: the error's text up to its reason.

    Raises:
        UserError: no network, no such data set, or a shard, also a later one, that is damaged or has other columns.
    """
    import datasets

    logs = getattr(datasets, "logging", None)
    before = logs.get_verbosity() if logs else 0
    if logs:
        logs.set_verbosity(logs.CRITICAL)  # what it logs beside its exception is said below, in one line
    try:
        return datasets.load_dataset(name, configuration, split=split, revision=revision or None)
    except Exception as error:  # its own errors, pyarrow's, fsspec's and requests' alike
        raise UserError(f"{failing}: {reason(error)}") from error
    finally:
        if logs:
            logs.set_verbosity(before)


def reason(error: BaseException) -> str:
    """Why another library failed, on one line: its message, and those of what led to it."""
    found: list[str] = []
    cause: BaseException | None = error
    while cause is not None and len(found) < 3:
        text = " ".join(str(cause).split())[:300] or type(cause).__name__
        if not any(text in other for other in found):
            found.append(text)
        cause = cause.__cause__
    return "; ".join(found)
