"""`relexify export-huggingface --body DIR --output DIR`: the older name of `relexify export --to huggingface`."""

from __future__ import annotations

import argparse

from recipes.commands.exchange.export import add_options, to_huggingface

EXAMPLE = """example:
  relexify export-huggingface --body runs/electra-small --embedding runs/electra-small --output exported
  python -c 'from transformers import ElectraForPreTraining as E; E.from_pretrained("exported/discriminator")'
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `relexify export-huggingface`."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EXAMPLE
    add_options(parser)


def run(args: argparse.Namespace) -> int:
    """Runs the command; returns the exit code."""
    return to_huggingface(args)
