"""What a stage ran with: versions and machine. Recorded beside results and artefacts, and part of no fingerprint or setting."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
from contextlib import suppress
from importlib import metadata
from pathlib import Path

PACKAGES = ("relexify", "torch", "numpy", "sentencepiece", "safetensors")
TRAINING = ("ve-fairseq", "fairseq")
UNKNOWN = "not installed as a package"


def installed(names: Iterable[str]) -> dict[str, str]:
    """The versions of those of the packages that are installed."""
    found = {}
    for name in names:
        with suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def available_cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def processor() -> str:
    """The processor's name as the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "") \
        or platform.processor() or platform.machine()


def machine() -> dict[str, str]:
    """System, processor with the cores that this process may use, and GPUs."""
    import torch

    found = {"system": f"{platform.system()} {platform.machine()}", "processor": f"{processor()}, {available_cores()} cores"}
    if torch.cuda.is_available():
        names = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
        found["gpus"] = ", ".join(f"{names.count(name)} × {name}" for name in dict.fromkeys(names))
    return found


def environment(training: bool = False) -> dict[str, str]:
    """Versions and machine, all as text.

    Args:
        training: with fairseq's version, under the name of the package that brought it.
    """
    known = installed(PACKAGES)
    found = {"python": platform.python_version(), **{name: known.get(name, UNKNOWN) for name in PACKAGES}}
    if training:
        found.update(installed(TRAINING) or {"fairseq": UNKNOWN})
    return {**found, **machine()}
