"""`relexify push FOLDER hf:OWNER/NAME`"""

from __future__ import annotations

import argparse

EXAMPLE = """example:
  relexify push runs/en hf:someone/english-body
  relexify push runs/sw hf:someone/swahili-embedding@main --private
  relexify adapt --body hf:someone/english-body@0a1b2c3d --data data/sw --output runs/sw

The token is read from HF_TOKEN or `hf auth login`. What was pushed is named by its commit, which pins it.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `relexify push`."""
    parser.epilog = EXAMPLE
    add = parser.add_argument
    add("folder", help="body, task body, embedding, output of a run, or exported model")
    add("name", metavar="hf:OWNER/NAME[@BRANCH]", help="where to put it")
    add("--private", action="store_true", help="make a new repository private")
    add("--message", default="", help="of the commit")


def run(args: argparse.Namespace) -> int:
    """Runs the command; returns the exit code."""
    from pathlib import Path

    from adapt.artefacts.hub import push
    from pretrain.base.files import require_folder

    require_folder(args.folder, "an artefact to push (a folder)")
    kind, name = push(Path(args.folder), args.name, args.private, args.message)
    print(f"{name}: {kind}")
    return 0
