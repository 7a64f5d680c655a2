"""Makes fairseq and transformers work on the torch that is installed: safe loading, whole checkpoints, no audio.

Importing this module changes nothing and imports neither fairseq nor transformers; each function says what it changes.
"""

from __future__ import annotations

import argparse
import errno
import importlib
import importlib.util
import logging
import os
import re
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pretrain.base.errors import UserError
from pretrain.base.files import require_file, sync

_NOT_INSTALLED = (
    "this command trains, and training needs fairseq, which is not installed: on Linux x86-64 with Python 3.11 or 3.12 "
    "run `pip install ve-fairseq==0.12.3`; what only reads artefacts works without it")
_NOT_IMPORTABLE = (
    "this command trains, and the installed fairseq does not import ({error}): PyPI's fairseq 0.12.2 needs "
    "Python <= 3.10; on Linux x86-64 with Python 3.11 or 3.12 run `pip uninstall fairseq` and then "
    "`pip install ve-fairseq==0.12.3`")
_TORCH_HEADS = (b"PK\x03\x04", b"\x80\x02\x8a\n")  # torch's zip format, and the format before torch 1.6


def checkpoint_globals() -> list[Any]:
    """Everything that fairseq's own checkpoints name beyond what torch allows by default; found by experiment.

    - `argparse.Namespace`: `args` of checkpoints written by old fairseq, and `cfg["model"]` of today's wherever an
      architecture still adds its flags by argparse, as RoBERTa's does.
    - numpy scalars of float64 and float32: the scores of `sentence_prediction` (F1 is float64, Pearson of float32
      logits is float32) end up in `extra_state`'s `best`, `val_loss` and `metrics`. The function is called
      `numpy.core.…` in a file written under numpy 1 and `numpy._core.…` under numpy 2; both load under either.

    None of them can run code: a Namespace takes attributes, the others build numbers.
    """
    import numpy as np

    # numpy keeps the function private: reach it the way numpy's own pickles do.
    scalar = np.float64(0).__reduce__()[0]
    return [argparse.Namespace,
            (scalar, "numpy._core.multiarray.scalar"), (scalar, "numpy.core.multiarray.scalar"),
            np.dtype, type(np.dtype(np.float64)), type(np.dtype(np.float32))]


def _unregistered() -> list[Any]:
    import torch

    registered = set(torch.serialization.get_safe_globals())
    return [entry for entry in checkpoint_globals() if entry not in registered]


def prepare_fairseq() -> None:
    """Makes the installed fairseq load its own checkpoints safely and write them whole. Calling it again does nothing.

    Registers `checkpoint_globals()` with torch for the whole process, because fairseq itself calls plain `torch.load`.

    Raises:
        UserError: fairseq is not installed, or does not import on this Python.
    """
    quiet_fairseq()
    try:
        checkpoint_utils = importlib.import_module("fairseq.checkpoint_utils")
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "fairseq":
            raise
        raise UserError(_NOT_INSTALLED) from None
    except ValueError as error:  # fairseq <= 0.12.2 on Python >= 3.11: "mutable default … for field common …"
        if "mutable default" not in str(error):
            raise
        raise UserError(_NOT_IMPORTABLE.format(error=error)) from None
    import torch

    torch.serialization.add_safe_globals(_unregistered())
    _write_checkpoints_whole(checkpoint_utils)


def _write_checkpoints_whole(checkpoint_utils: Any) -> None:
    """Makes `checkpoint_last.pt` and its like appear whole or not at all.

    `fairseq.checkpoint_utils.save_checkpoint` writes the first file of a save beside its target and renames it, but
    makes the others, `checkpoint_last.pt` among them, by `PathManager.copy`, which truncates the good file first and
    then fills it: a kill in between leaves a run that cannot resume. Neither way syncs, so after a power cut a renamed
    file may be empty. The narrowest place that mends both is the name `PathManager` inside that one module: the class
    itself, and whatever else uses it, stays as it was. The temporary name is fixed, so what a killed run left is
    overwritten by the next one, not piled up.
    """
    stock: Any = checkpoint_utils.PathManager
    if getattr(stock, "writes_whole_files", False):
        return

    class WholeFiles(stock):
        writes_whole_files = True

        @staticmethod
        def copy(src_path: str, dst_path: str, overwrite: bool = False) -> Any:
            if stock.path_requires_pathmanager(src_path) or stock.path_requires_pathmanager(dst_path):
                return stock.copy(src_path, dst_path, overwrite=overwrite)  # s3:// and its like have no rename
            temporary = f"{dst_path}.tmp"
            shutil.copyfile(src_path, temporary)
            WholeFiles.rename(temporary, dst_path)
            return dst_path  # the caller asserts that this is true

        @staticmethod
        def rename(src: str, dst: str) -> None:
            sync(src)
            os.replace(src, dst)
            sync(os.path.dirname(os.path.abspath(dst)))

    checkpoint_utils.PathManager = WholeFiles


def _not_about_tensorboard(record: logging.LogRecord) -> bool:
    return "tensorboardX" not in record.getMessage()


def quiet_fairseq() -> None:
    """Drops the line "Please install tensorboardX" that `import fairseq` logs; call it before that import."""
    logging.getLogger("fairseq.tasks.text_to_speech").addFilter(_not_about_tensorboard)  # the same filter is added once


def guard_torchaudio() -> bool:
    """Hides a torchaudio that cannot be imported, so that transformers' models import; true if it had to be hidden.

    ve-fairseq requires torchaudio, and the one that pip finds is built for CUDA: on a CPU torch it raises OSError.
    transformers asks only whether the package is *there* (`importlib.util.find_spec`) and then imports it on the way to
    every model. A None in `sys.modules` is Python's own way to say "absent": find_spec then answers None, and an import
    raises ModuleNotFoundError. A working torchaudio, or none, is left as it is.
    """
    if sys.modules.get("torchaudio") is not None or importlib.util.find_spec("torchaudio") is None:
        return False
    try:
        importlib.import_module("torchaudio")
        return False
    except Exception:  # OSError on CPU torch, RuntimeError for other mismatches: whatever it says, it is unusable
        for name in [name for name in sys.modules if name.startswith("torchaudio.")]:
            del sys.modules[name]
        sys.modules["torchaudio"] = None  # type: ignore[assignment]
    asked = sys.modules.get("transformers.utils.import_utils")
    if asked is not None:  # transformers came first and may remember that torchaudio was there
        for name in ("is_torchaudio_available", "is_speech_available"):
            forget = getattr(getattr(asked, name, None), "cache_clear", None)
            if forget is not None:
                forget()
    return True


def load_checkpoint(path: str | Path) -> dict[str, Any]:
    """A fairseq checkpoint (`model.pt`, `checkpoint_last.pt`) as the dictionary that was saved, on the CPU.

    Loads with `weights_only=True` and allows `checkpoint_globals()` for this one file only. Works without fairseq.

    Raises:
        UserError: the file is missing, truncated, no checkpoint, or asks for something that is not plain data.
    """
    path = require_file(path, "a fairseq checkpoint (.pt)")
    import torch

    try:
        # Leaving safe_globals() unregisters all that it was given: it must not get what prepare_fairseq() registered.
        with torch.serialization.safe_globals(_unregistered()):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except MemoryError:
        raise
    except OSError as error:
        if error.errno != errno.EINVAL:  # torch seeks before the start of some truncated files
            raise
        raise _bad_checkpoint(path, error) from None
    except Exception as error:  # torch raises a dozen types for a broken file; all of them come from its content
        raise _bad_checkpoint(path, error) from None
    if not isinstance(content, dict) or not isinstance(content.get("model"), dict):
        found = f"a dictionary with the keys {sorted(map(str, content))[:8]}" if isinstance(content, dict) \
            else f"an object of type {type(content).__name__}"
        raise UserError(f"{path}: expected a fairseq checkpoint (a dictionary with a state dict under 'model'), "
                        f"found {found}; pass the .pt file that fairseq-train wrote")
    other = next((name for name, value in content["model"].items() if not isinstance(value, torch.Tensor)), None)
    if other is not None:
        raise UserError(f"{path}: expected a fairseq checkpoint (tensors by name under 'model'), found "
                        f"{type(content['model'][other]).__name__} under {str(other)[:60]!r}; pass the .pt file that "
                        "fairseq-train wrote")
    return content


def updates_of(state: Mapping[str, Any], path: str | Path) -> int:
    """Updates that a checkpoint was written after.

    Raises:
        UserError: its history of optimizers does not say.
    """
    history = state.get("optimizer_history")
    last = history[-1] if isinstance(history, list) and history else None
    updates = last.get("num_updates") if isinstance(last, dict) else None
    if not isinstance(updates, int) or updates < 0:
        raise UserError(f"{path}: does not say after how many updates it was written (optimizer_history, num_updates); pass a "
                        "checkpoint that fairseq-train wrote, with its optimizer")
    return updates


def _bad_checkpoint(path: Path, error: Exception) -> UserError:
    refused = re.search(r"GLOBAL (\S+) (?:was not an allowed|whose module)", str(error))
    if refused:
        return UserError(f"{path}: refused: its pickle asks for {refused[1]!r}, which is not plain data and could run "
                         "code; take a checkpoint from a source you trust, saved with nothing but tensors, numbers and "
                         "text ('args' or 'cfg', and 'model')")
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(4)
    again = "copy or download it again, or take an earlier checkpoint"
    if size == 0:
        return UserError(f"{path}: expected a fairseq checkpoint, found an empty file; {again}")
    if head in _TORCH_HEADS:
        return UserError(f"{path}: expected a fairseq checkpoint, found a truncated or damaged one ({size:,} bytes); "
                         f"{again}")
    return UserError(f"{path}: expected a fairseq checkpoint, found {size:,} bytes that begin with {head!r}, which is "
                     "no torch file; pass the .pt file that fairseq-train wrote")
