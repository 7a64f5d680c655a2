"""`python -m recipes.workflow.engine …`: Snakemake on a leash.

Its standard input is a pipe that `relexify run` holds open. When that process is gone, killed or not, the pipe closes, and
Snakemake and everything it started on this machine end as by kill -9, which all stages resume from.
"""

from __future__ import annotations

import os
import signal
import sys
import threading


def follow() -> None:
    """Ends the process group when standard input closes."""
    while os.read(0, 4096):
        pass
    os.killpg(os.getpgrp(), signal.SIGKILL)


def main(argv: list[str]) -> None:
    from recipes.workflow.job import LEADER

    if os.getpgrp() != os.getpid():
        os.setpgrp()
    if os.environ.pop("RELEXIFY_RUN_LOCAL", ""):
        os.environ[LEADER] = str(os.getpgrp())
    threading.Thread(target=follow, daemon=True).start()
    from snakemake.cli import main as snakemake

    snakemake(argv)


if __name__ == "__main__":
    main(sys.argv[1:])
