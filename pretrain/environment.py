"""What a stage ran with: versions and machine. Recorded beside results and artefacts, and part of no fingerprint or setting."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path

PACKAGES = ("relexify", "torch", "numpy", "sentencepiece", "safetensors")
TRAINING = ("ve-fairseq", "fairseq")


def versions(names: tuple[str, ...] = PACKAGES) -> dict[str, str]:
    """Python's version and those of packages by name."""
    found = {"python": platform.python_version()}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed as a package"
    return found


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

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    found = {"system": f"{platform.system()} {platform.machine()}", "processor": f"{processor()}, {cores} cores"}
    if torch.cuda.is_available():
        names = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
        found["gpus"] = ", ".join(f"{names.count(name)} × {name}" for name in dict.fromkeys(names))
    return found


def environment(training: bool = False) -> dict[str, str]:
    """Versions and machine, all as text.

    Args:
        training: with fairseq's version, under the name of the package that brought it.
    """
    found = versions()
    if training:
        known = {name: version for name, version in versions(TRAINING).items() if name in TRAINING and version[0].isdigit()}
        found.update(known or {"fairseq": "not installed as a package"})
    return {**found, **machine()}
