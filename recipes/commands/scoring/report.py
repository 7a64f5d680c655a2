"""`relexify report RUN [RUN …] --output DIR`"""

from __future__ import annotations

import argparse

EXAMPLE = """examples:
  relexify report demo-run --output demo-run-report
  relexify report seed-1 seed-2 seed-3 --output three-seeds --title "Three seeds"
  relexify report replication --output replication-report --baseline "matched control" --curve replication.svg

Every results.json below the RUNs is read (evaluate writes them), and whatever lies beside them: curves, bodies, embeddings,
prepared text, commands.sh. DIR gets report.html (one file, no network) and report.md. Runs with different seeds are pooled.
Arms are named after how the bodies were made: standard, forgetting, temporary forgetting, matched control.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `recipes.report.build.report`."""
    parser.epilog = EXAMPLE
    add = parser.add_argument
    add("runs", nargs="+", metavar="RUN", help="folder with results, and best with the artefacts they are of")
    add("--output", required=True, metavar="DIR", help="folder for report.html and report.md")
    add("--baseline", default="", metavar="ARM", help="arm that the others are compared with (default standard, else "
        "the matched control, else the first)")
    add("--title", default="", help="heading of the page (default: the names of the runs)")
    add("--curve", default="", metavar="FILE.svg", help="also write the main curve, score by adaptation budget, as a picture")
    add("--overwrite", action="store_true", help="replace an existing output")


def run(args: argparse.Namespace) -> int:
    """Writes the report and says what is in it."""
    from pathlib import Path

    from recipes.report.build import report
    from recipes.report.page.blocks import number_of

    made = report(args.runs, args.output, args.baseline, args.title, args.overwrite, args.curve)
    print("\n".join(made.summary))
    if made.problems:
        print(f"{number_of(len(made.problems), 'problem')}, listed in the report")
    print(f"{Path(args.output) / 'report.html'}, {Path(args.output) / 'report.md'}" + (f", {args.curve}" if args.curve else ""))
    return 0
