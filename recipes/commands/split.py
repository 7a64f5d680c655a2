"""`relexify split CHECKPOINT --output DIR`: what `pretrain` does at its end, for any checkpoint of a run."""

from __future__ import annotations

import argparse

EXAMPLE = """example:
  relexify split runs/en.training/checkpoint_last.pt --data data/en --output runs/en
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EXAMPLE
    parser.add_argument("checkpoint", help="checkpoint of `fairseq-train … --user-dir pretrain`")
    parser.add_argument("--output", required=True, metavar="DIR", help="where body/ and embedding/ will stand")
    parser.add_argument("--data", metavar="DIR", help="prepared text of the run (default: the path in the checkpoint)")
    parser.add_argument("--force", action="store_true", help="export although the embedding was reset a moment ago")
    parser.add_argument("--overwrite", action="store_true", help="replace an existing output")


def run(args: argparse.Namespace) -> int:
    from adapt.artefacts.split import split

    body = split(args.checkpoint, args.output, args.data, force=args.force, overwrite=args.overwrite)
    print(f"{args.output}/body: {body.fingerprint[:12]}; {args.output}/embedding")
    return 0
