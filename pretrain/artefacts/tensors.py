"""Reading, writing and fingerprinting named tensors (safetensors; never pickles)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from pretrain.base.errors import UserError
from pretrain.base.files import require_file

FLOATS = (torch.float32, torch.float16, torch.bfloat16, torch.float64)


def fingerprint(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 over the tensors in the order of their names: name, dtype, shape, bytes."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name}\0{tensor.dtype}\0{tuple(tensor.shape)}\0".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def save_tensors(path: str | Path, tensors: Mapping[str, Tensor]) -> None:
    """Writes a safetensors file (the caller makes the folder atomic)."""
    from safetensors.torch import save_file

    save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, str(path))


def load_tensors(path: str | Path, what: str, floats: bool = False) -> dict[str, Tensor]:
    """Reads a safetensors file.

    Args:
        floats: every tensor must hold floating-point values, as those of artefacts do.

    Raises:
        UserError: missing, truncated or foreign file; a tensor with NaN or infinity, or of another type than asked for.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = require_file(path, what)
    try:
        tensors = load_file(str(path))
    except (SafetensorError, ValueError, OSError) as error:
        raise UserError(f"{path}: expected {what} in safetensors format ({path.stat().st_size:,} bytes found), but it is "
                        f"truncated or damaged ({error}); copy or write it again") from None
    if floats:
        check_floats(tensors, path, what)
    check_finite(tensors, path)
    return tensors


def check_floats(tensors: Mapping[str, Tensor], path: str | Path, what: str) -> None:
    """Raises UserError for a tensor of other values than floating-point ones."""
    for name, tensor in tensors.items():
        if tensor.dtype not in FLOATS:
            raise UserError(f"{path}: tensor {name!r} holds {str(tensor.dtype).removeprefix('torch.')} values; expected {what} "
                            "with floating-point values (float32)")


def check_finite(tensors: Mapping[str, Tensor], path: str | Path) -> None:
    """Raises UserError for a tensor that holds NaN or infinity."""
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            bad = int((~torch.isfinite(tensor)).sum())
            raise UserError(f"{path}: tensor {name!r} holds {bad:,} NaN or infinite values; the training that wrote it "
                            "diverged: lower its learning rate and run it again")
