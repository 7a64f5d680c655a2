"""`relexify multitask --body DIR --mixture FILE.yaml --output DIR`"""

from __future__ import annotations

import argparse

from recipes.options import add_options, settings_from
from recipes.trainings import add_training_options, run_training

EXAMPLE = """example:
  relexify multitask --body runs/en --mixture glue.yaml --output runs/glue
  relexify evaluate --body runs/glue --embedding runs/sw --task rte --split dev --data glue --output runs/rte-sw
  relexify finetune --body runs/glue --embedding runs/en --task rte --data glue --output runs/rte      # goes on with that head

A mixture names its tasks and what each brings; docs/multitask.md has every key:
  policy: proportional
  tasks:
    rte: {data: glue, head: san}
    stsb: {data: glue, weight: 0.5}
A run that was cut off resumes when it is repeated; OUTPUT appears when it is done. OUTPUT has a head for each task and fits every
embedding of the body's lineage. With --seeds, OUTPUT/seed-N is the body of seed N and OUTPUT/seeds.json has all scores; OUTPUT
itself, named as a --body, is the run with the median mean score.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """One flag for each setting, and what a run does."""
    from tasks.multitask.settings import MultitaskSettings

    parser.epilog = EXAMPLE
    add_options(parser, MultitaskSettings)
    add_training_options(parser)


def run(args: argparse.Namespace) -> int:
    """Trains, writes the body or bodies and prints the dev scores of their tasks."""
    from tasks.multitask.settings import MultitaskSettings
    from tasks.multitask.train import multitask, plan, summary

    return run_training(args, settings_from(MultitaskSettings, args), plan, multitask, summary)
