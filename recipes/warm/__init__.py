"""Warm processes: commands that are forked from a process that has imported torch already, instead of importing it each.

Importing torch takes three seconds of a core, torch and fairseq eight; many commands take no longer themselves. `warm()` starts
a server for each and gives the environment in which `python -m recipes.cli …`, and the trainings that it starts, are served. A
command that a server cannot serve as Python would is started as ever. Linux only; elsewhere the environment is empty.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FIRST = Path(__file__).resolve().parent / "first"
COMPOSED = ROOT / "pretrain" / "trainer" / "composed.py"
SERVERS = {
    "plain": ("torch", "safetensors.torch", "sentencepiece", "yaml", "tqdm", "numpy"),
    "train": ("torch", "safetensors.torch", "sentencepiece", "torch._dynamo", "torch.distributed.fsdp", "fairseq_cli.train",
              str(COMPOSED)),
}
"""Server -> modules that it imports when it is first asked, nothing of ours; a path is run."""


@contextmanager
def warm(environment: Mapping[str, str], scripts: Mapping[str, str] | None = None) -> Iterator[dict[str, str]]:
    """Starts the servers; they end with this process, however it ends.

    Args:
        environment: of the commands. Those with another locale, number of threads or path are not served.
        scripts: absolute path of a script that is to be served as well -> its server.

    Yields:
        What the commands' environment needs besides; nothing where there are servers already, or cannot be any.
    """
    if sys.platform != "linux" or environment.get("RELEXIFY_WARM"):
        yield {}
        return
    from recipes.warm.first.sitecustomize import settings

    place = Path(tempfile.mkdtemp(prefix="warm-"))
    path = environment.get("PYTHONPATH", "")
    program = [sys.executable, str(Path(__file__).with_name("server.py"))]
    # in groups of their own: Ctrl-C is for the commands, which are told by those that asked for them
    servers = [subprocess.Popen([*program, str(place / f"{name}.sock"), str(os.getpid()), *modules], cwd="/",
                                env=dict(environment), process_group=0, stdin=subprocess.DEVNULL,
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
               for name, modules in SERVERS.items() if name != "train" or find_spec("fairseq")]
    try:
        yield {"RELEXIFY_WARM": str(place), "RELEXIFY_WARM_MOUNTS": os.readlink("/proc/self/ns/mnt"),
               "RELEXIFY_WARM_SETTINGS": settings(environment),
               "RELEXIFY_WARM_SCRIPTS": "\n".join(f"{script}={name}" for script, name in (scripts or {}).items()),
               "RELEXIFY_WARM_PATH": os.pathsep.join([str(ROOT), str(FIRST), path]),
               "PYTHONPATH": os.pathsep.join(filter(None, [str(FIRST), path]))}
    finally:
        for server in servers:
            server.kill()
            server.wait()
        shutil.rmtree(place, ignore_errors=True)
