"""`relexify run RECIPE.yaml [key=value …]`"""

from __future__ import annotations

import argparse
from pathlib import Path

EXAMPLE = """examples:
  relexify run recipes/run/tiny.yaml --dry-run
  relexify run recipes/run/tiny.yaml --cores 2
  relexify run recipes/run/tiny.yaml seeds=[1,2,3] adapt.lr=4e-3 --output runs/tiny-3 --keep-going
  relexify run recipes/run/paper-xnli.yaml --profile slurm --jobs 50

RUN gets the resolved recipe, the table of cells, commands.sh, logs, links to the outputs in the store, and the report. The same
command again goes on where it was cut off. Two runs with one store share what they have in common. See docs/workflow.md.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from recipes.workflow.settings import STAGES

    parser.epilog = EXAMPLE
    add = parser.add_argument
    add("recipe", metavar="RECIPE.yaml", help="arms, languages, budgets, initialisers, tasks, seeds; see recipes/run")
    add("overrides", nargs="*", metavar="key=value", help="settings that take the place of the recipe's, such as adapt.lr=1e-3")
    add("--output", metavar="RUN", help="folder of the run (default runs/NAME)")
    add("--store", metavar="DIR", help="where the stages' outputs stand, shared by runs (default: `store` beside RUN)")
    add("--dry-run", action="store_true", help="print every command and what is missing, run nothing, write nothing")
    add("--dag", metavar="FILE.dot", help="write the graph of all jobs for Graphviz, run nothing")
    add("--cores", type=int, metavar="N", help="threads at a time on this machine (default: all cores)")
    add("--keep-going", action="store_true", help="after a failure run all cells that do not need the failed one")
    add("--only", nargs="+", choices=STAGES, default=[], metavar="STAGE", help="only these stages and what they need: "
        + ", ".join(STAGES))
    add("--profile", default="local", metavar="NAME", help="local, slurm, kubernetes, or a folder with a Snakemake profile "
        "(default local)")
    add("--jobs", type=int, metavar="N", help="jobs at a time on a cluster")
    add("--report", action="store_true", help="at the end write the report also where cells failed or stages were left out")
    add("--quiet", action="store_true", help="no progress bar")


def run(args: argparse.Namespace) -> int:
    from recipes.workflow import show
    from recipes.workflow.execute import execute
    from recipes.workflow.plan import make_plan
    from recipes.workflow.settings import load

    recipe = load(args.recipe, args.overrides)
    root = Path(args.output or Path("runs") / recipe.name)
    store = Path(args.store or recipe.store or root.parent / "store")
    plan = make_plan(recipe, store, root / "tensorboard" if recipe.tensorboard else None)
    if args.dag:
        show.write_dag(plan, args.dag)
        print(f"{args.dag}: {len(plan.jobs):,} jobs")
        return 0
    if args.dry_run:
        print(show.dry_run(plan, args.only))
        return 0
    return execute(plan, root, only=args.only, cores=args.cores, keep_going=args.keep_going, profile=args.profile, jobs=args.jobs,
                   report=args.report, quiet=args.quiet)
