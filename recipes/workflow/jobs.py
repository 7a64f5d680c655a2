"""Commands and what they wait for: a run as jobs, each of which stands in the store when it is done."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pretrain.base.files import cleaning
from recipes.workflow.settings import STAGES, RunRecipe

RECORDS = {"prepare": "prepare.json", "pretrain": "body/body.json", "adapt": "embedding.json", "multitask": "body.json",
           "finetune": "body.json", "evaluate": "results.json"}
"""The file that a stage's output holds when it is whole: outputs appear with one rename."""


@dataclass
class Job:
    """One command.

    Attributes:
        id: `STAGE/LABEL-HASH`, also its folder below the store.
        words: the command without `relexify`.
        needs: ids of the jobs whose outputs it reads.
        key: what decides its result.
    """

    id: str
    stage: str
    words: list[str]
    output: Path
    needs: list[str]
    key: dict[str, Any]

    @property
    def record(self) -> Path:
        """Exists if and only if the output is there, whole."""
        return self.output / RECORDS[self.stage]

    @property
    def done(self) -> bool:
        """Whether nothing is left to do, cleaning up included."""
        return self.record.exists() and not cleaning(self.output)

    @property
    def line(self) -> str:
        """The command as a shell takes it."""
        return shlex.join(["relexify", *self.words])


@dataclass
class Plan:
    """All jobs of a run, each after those it needs.

    Attributes:
        cells: one entry for each cell of the recipe; several cells may be one job.
        missing: inputs that are not there.
        files: what commands read that the run itself writes before they start: path -> text.
    """

    recipe: RunRecipe
    store: Path
    jobs: dict[str, Job] = field(default_factory=dict)
    cells: list[dict[str, Any]] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)
    files: dict[Path, str] = field(default_factory=dict)

    def wanted(self, only: Iterable[str] = ()) -> list[str]:
        """The jobs that somebody wants for themselves: those of the stages `only`, else all that no other job reads."""
        stages = set(only)
        if stages:
            return [job.id for job in self.jobs.values() if job.stage in stages]
        read = {need for job in self.jobs.values() for need in job.needs}
        return [name for name in self.jobs if name not in read]

    def pending(self, only: Iterable[str] = ()) -> list[str]:
        """The jobs that have to run, in the plan's order: what is wanted and not done, and what that needs and is not done."""
        found: set[str] = set()
        queue = list(self.wanted(only))
        while queue:
            job = self.jobs[queue.pop()]
            if job.id not in found and not job.done:
                found.add(job.id)
                queue += job.needs
        return [name for name in self.jobs if name in found]

    def counts(self) -> dict[str, int]:
        """Jobs by stage."""
        found = Counter(job.stage for job in self.jobs.values())
        return {stage: found[stage] for stage in STAGES if found[stage]}
