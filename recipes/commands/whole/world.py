"""`relexify world --output DIR`: writes the miniature world."""

from __future__ import annotations

import argparse

EXAMPLE = """example:
  relexify world --output world --seed 1 --languages qaa qab qac --words qaa=1000000,qab=100000,qac=100000
  relexify world --output world --words 100000 --qa-train 15000 --qa-dev 1000 --qa-test 2000
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from recipes.world.__main__ import add_arguments as add

    parser.epilog = EXAMPLE
    add(parser)


def run(args: argparse.Namespace) -> int:
    from recipes.world.__main__ import run as write

    return write(args)
