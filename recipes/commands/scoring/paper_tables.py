"""`relexify paper-tables RUN [RUN …] --baseline standard --arm forgetting`"""

from __future__ import annotations

import argparse

EXAMPLE = """example:
  relexify paper-tables replication --baseline standard --arm forgetting

Prints XNLI accuracy, MLQA F1 and XQuAD F1 as Chen et al. (2023) lay them out, from the results.json files below the RUNs.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `recipes.report.paper_tables.paper_tables`."""
    parser.epilog = EXAMPLE
    add = parser.add_argument
    add("runs", nargs="+", metavar="RUN", help="folder with results")
    add("--baseline", default="standard", metavar="ARM", help="the upper row (default 'standard')")
    add("--arm", default="forgetting", help="the lower row (default 'forgetting')")
    add("--split", default="", help="split of the results (default: test, else dev)")
    add("--markdown", action="store_true", help="Markdown instead of plain text")


def run(args: argparse.Namespace) -> int:
    """Prints the tables."""
    from recipes.report.paper_tables import paper_tables

    print(paper_tables(args.runs, args.baseline, args.arm, args.split, args.markdown))
    return 0
