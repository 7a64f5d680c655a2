"""What a plan looks like before it runs: the dry run and the graph."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from recipes.workflow.jobs import Plan
from recipes.workflow.settings import STAGES


def summary(plan: Plan, only: Sequence[str] = ()) -> str:
    """Jobs by stage: planned, there already, to run."""
    pending = Counter(plan.jobs[name].stage for name in plan.pending(only))
    there = Counter(job.stage for job in plan.jobs.values() if job.done)
    lines = [f"{'stage':10} {'jobs':>7} {'there':>7} {'to run':>7}"]
    counts = plan.counts()
    lines += [f"{stage:10} {counts[stage]:7,} {there[stage]:7,} {pending[stage]:7,}" for stage in STAGES if stage in counts]
    lines.append(f"{'all':10} {len(plan.jobs):7,} {sum(there.values()):7,} {sum(pending.values()):7,}")
    return "\n".join(lines)


def dry_run(plan: Plan, only: Sequence[str] = ()) -> str:
    """Everything that would be done: warnings, missing inputs, every command with its state, the counts."""
    r = plan.recipe
    pending = set(plan.pending(only))
    lines = [f"relexify: warning: {text}" for text in r.warnings]
    lines += [f"# missing: {path}: expected {what}" for path, what in plan.missing.items()]
    for job in plan.jobs.values():
        state = "to run" if job.id in pending else "there" if job.done else "not needed"
        lines.append(f"{job.line}  # {state}")
    lines += ["", f"{r.name}: {len(r.arms)} arms x {len(r.seeds)} seeds x {len(r.targets)} new languages x {len(r.initialisers)} "
                  f"initialisers x {len(r.budgets)} budgets x {len(r.tasks)} tasks; store {plan.store}", summary(plan, only)]
    if plan.missing:
        lines.append("while inputs are missing, the folders named after them are not final")
    return "\n".join(lines)


def write_dag(plan: Plan, path: str | Path) -> None:
    """All jobs as a graph in Graphviz's language; what is done is filled."""
    from pretrain.base.files import atomic_file

    lines = ["digraph run {", "  rankdir=LR; node [shape=box, fontname=Helvetica];"]
    for job in plan.jobs.values():
        lines.append(f'  "{job.id}"' + (' [style=filled, fillcolor="#d9d9d9"];' if job.done else ";"))
        lines += [f'  "{need}" -> "{job.id}";' for need in job.needs]
    with atomic_file(path) as temporary:
        temporary.write_text("\n".join([*lines, "}"]) + "\n", encoding="utf-8")
