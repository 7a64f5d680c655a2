"""`python -m recipes.workflow.engine …`: Snakemake on a leash.

Its standard input is a pipe that `relexify run` holds open. When that process is gone, killed or not, the pipe closes, and
Snakemake and everything it started on this machine end as by kill -9, which all stages resume from.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from typing import Any


def follow() -> None:
    """Ends the process group when standard input closes."""
    while os.read(0, 4096):
        pass
    os.killpg(os.getpgrp(), signal.SIGKILL)


def count_every_job() -> None:
    """Makes Snakemake take what a job uses off the free resources also where it was the only one ready.

    Snakemake 9.10 to 9.15 at least forgets that and gives it back when the job ends, so that more and more runs at a time than
    --cores allows (github.com/snakemake/snakemake/issues/3913). Where a version counts itself, nothing is counted twice.
    """
    from snakemake.scheduling.job_scheduler import JobScheduler

    select, update = JobScheduler.job_selector, JobScheduler.update_available_resources

    def counted(self: Any, jobs: Any) -> None:
        self.relexify_counted = True
        update(self, jobs)

    def selected(self: Any, jobs: Any) -> Any:
        self.relexify_counted = False
        found = select(self, jobs)
        if found and not self.relexify_counted:
            with self._lock:
                update(self, found)
        return found

    JobScheduler.job_selector, JobScheduler.update_available_resources = selected, counted


def main(argv: list[str]) -> None:
    from recipes.workflow.job import LEADER

    if os.getpgrp() != os.getpid():
        os.setpgrp()
    if os.environ.pop("RELEXIFY_RUN_LOCAL", ""):
        os.environ[LEADER] = str(os.getpgrp())
    threading.Thread(target=follow, daemon=True).start()
    count_every_job()
    from snakemake.cli import main as snakemake

    snakemake(argv)


if __name__ == "__main__":
    main(sys.argv[1:])
