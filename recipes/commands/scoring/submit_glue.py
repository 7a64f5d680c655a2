"""`relexify submit-glue --body cola=DIR [--body mnli=DIR …] --embedding DIR --data glue --output DIR`"""

from __future__ import annotations

import argparse

EXAMPLE = """example:
  relexify submit-glue --body cola=runs/cola --body mnli=runs/mnli --embedding runs/en --data glue --output submission

Reads the test sets, which have no labels, and writes CoLA.tsv, MNLI-m.tsv, AX.tsv … and submission.zip.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EXAMPLE
    add = parser.add_argument
    add(
        "--body",
        action="append",
        required=True,
        metavar="TASK=DIR",
        help="task body of one of GLUE's tasks; repeatable; that of mnli does MNLI-m, MNLI-mm and AX",
    )
    add("--embedding", required=True, metavar="DIR", help="the English embedding of the bodies' lineage")
    add("--data", required=True, metavar="DIR", help="folder with GLUE's folders, or hf:nyu-mll/glue")
    add("--output", required=True, metavar="DIR", help="folder for the files")
    add("--device", default="auto", help="auto, cpu or cuda (default 'auto')")
    add("--overwrite", action="store_true", help="replace an existing output")
    add("--quiet", action="store_true", help="no progress bar")


def run(args: argparse.Namespace) -> int:
    """Writes the files and says what a whole submission lacks."""
    from pretrain.base.errors import UserError
    from tasks.classification.glue.submission import write

    bodies: dict[str, str] = {}
    for given in args.body:
        name, equals, place = given.partition("=")
        if not equals or not place or name in bodies:
            raise UserError(f"--body {given!r}: expected TASK=DIR, each task once, such as cola=runs/cola")
        bodies[name] = place
    missing = write(bodies, args.embedding, args.data, args.output, args.device, args.overwrite, args.quiet)
    print(f"{args.output}: written; " + (f"a whole submission also has {', '.join(missing)}" if missing else "all eleven files"))
    return 0
