"""`relexify few-shot --body DIR [--body DIR …] --task scitail --data DIR --output DIR`"""

from __future__ import annotations

import argparse
import sys

from recipes.options import add_options, settings_from

EXAMPLE = """example:
  relexify few-shot --body runs/glue --body runs/en --embedding runs/en --task scitail --data scitail --updates 200 \\
      --output runs/scitail-few
  relexify few-shot --body runs/glue --body runs/en --embedding runs/en --task snli --data snli --train-file snli/train.tsv \\
      --dev-file snli_1.0_dev.jsonl --shares 0.001,0.01 --subsamples 5 --updates 200 --output runs/snli-few

Every body is fine-tuned on every share of the training examples, as often as there are subsamples: number k is drawn and trained
with seed k. The table has mean ± sd of the dev scores, and each body's difference from the last one named, paired by subsample.
With --epochs a small share has few updates; --updates gives all shares the same. A run that was cut off resumes when it is
repeated; more bodies, shares and subsamples can be added. OUTPUT/BODY/SHARE/K is the task body of a run, OUTPUT/few-shot.json has
all scores.
"""
OWN = ("body", "share", "share_seed", "seed")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The settings of `finetune`, for several bodies, shares and subsamples."""
    from tasks.settings import FinetuneSettings

    parser.epilog = EXAMPLE
    parser.add_argument("--body", action="append", default=[], metavar="DIR",
                        help="a body to start from, such as one of several tasks; repeatable, the last is what others are "
                             "compared with")
    parser.add_argument("--shares", default="0.001,0.01,0.1,1", metavar="S,S,…",
                        help="shares of the training examples (default 0.001,0.01,0.1,1: Liu et al. 2019, MT-DNN, table 7)")
    parser.add_argument("--subsamples", type=int, default=5, metavar="N", help="subsamples of each share (default 5)")
    add_options(parser, FinetuneSettings, {"train_files": "--train-file", "dev_files": "--dev-file"}, but=OWN)
    parser.add_argument("--print-command", action="store_true", help="print the fairseq-train lines and stop")
    parser.add_argument("--quiet", action="store_true", help="no progress bars")


def run(args: argparse.Namespace) -> int:
    """Trains what is missing and prints the table."""
    from recipes.options import GIVEN
    from tasks.learning.few_shot import few_shot, parse_shares, runs_of, table
    from tasks.learning.finetune import plan
    from tasks.settings import FinetuneSettings

    bodies, shares = list(args.body), parse_shares(args.shares)
    args.body = bodies[0] if bodies else ""
    setattr(args, GIVEN, getattr(args, GIVEN, frozenset()) | {"body"})
    settings = settings_from(FinetuneSettings, args)
    if args.print_command:
        for one in runs_of(settings, bodies, shares, args.subsamples):
            print(plan(one.settings).stage.printed())
        return 0
    print(table(few_shot(settings, bodies, shares, args.subsamples, args.quiet,
                         lambda text: None if args.quiet else print(text, file=sys.stderr))))
    return 0
