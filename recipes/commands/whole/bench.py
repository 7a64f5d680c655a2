"""`relexify bench [steps|prepare|qa|compute|run|memory|language]`: the benchmarks behind docs/speed.md and docs/python.md."""

from __future__ import annotations

import argparse

EXAMPLE = """examples:
  relexify bench                        training steps against stock fairseq and Hugging Face, default sizes
  relexify bench steps --threads 1 --steps 15
  relexify bench prepare en.txt.gz --megabytes 20
  relexify bench qa xquad --questions 200 --threads 1
  relexify bench memory --languages 1 5 15
  relexify bench language texts --body runs/en --embedding runs/en runs/sw runs/tr --lines 200
  relexify bench run --cells 125 1000
  relexify bench compute recipes/pretrain/demo-standard.yaml recipes/pretrain/demo-electra-standard.yaml

`relexify bench steps --help` (and so on) lists the options of each.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EXAMPLE
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("what", nargs="?", default="steps",
                        choices=("steps", "prepare", "qa", "compute", "run", "memory", "language"),
                        help="(default steps)")
    parser.add_argument("options", nargs=argparse.REMAINDER, help="options of that benchmark")


def run(args: argparse.Namespace) -> int:
    from importlib import import_module

    return int(import_module(f"recipes.bench.{args.what}").main(args.options))
