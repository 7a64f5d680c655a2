"""`relexify world --output DIR`: writes the miniature world."""

from __future__ import annotations

import argparse

EXAMPLE = """example:
  relexify world --output world --seed 1 --languages qaa qab qac --words qaa=1000000,qab=100000,qac=100000
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from recipes.world.__main__ import add_arguments as add

    parser.epilog = EXAMPLE
    add(parser)


def run(args: argparse.Namespace) -> int:
    from recipes.world.__main__ import run as write

    return write(args)
