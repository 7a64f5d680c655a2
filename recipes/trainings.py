"""What `finetune` and `multitask` share on the command line: seeds, printed commands, the training itself."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from recipes.options import add_run_options

if TYPE_CHECKING:
    from pretrain.artefacts.body import Body


def add_training_options(parser: argparse.ArgumentParser) -> None:
    """Several seeds, and what a run does."""
    parser.add_argument("--seeds", default="", metavar="N,N,…", help="train once for each seed, in OUTPUT/seed-N, instead "
                        "of --seed; repeated with more seeds it adds them")
    parser.add_argument("--failed-margin", type=float, default=0.02, metavar="SHARE",
                        help="with --seeds: a run has failed where its dev score is not more than this above what reading "
                             "nothing scores, such as the most frequent label (default 0.02)")
    add_run_options(parser)


def run_training(args: argparse.Namespace, settings: Any, plan: Callable[..., Any], train: Callable[..., Body],
                 summary: Callable[..., str]) -> int:
    """Trains once, or once for each seed, and prints what came of it; with `--print-command` the lines alone.

    Raises:
        UserError: `--seed` beside `--seeds`, and whatever the training refuses.
    """
    from pretrain.base.errors import UserError
    from tasks.learning.seeds import parse_seeds, settings_of, table, train_seeds

    seeds = parse_seeds(args.seeds) if args.seeds else []
    if seeds and settings.seed != type(settings).seed:
        raise UserError(f"--seed {settings.seed} and --seeds {args.seeds}: give one of them")
    if args.print_command:
        for one in [settings_of(settings, seed) for seed in seeds] or [settings]:
            print(plan(one, args.overwrite).stage.printed())
    elif seeds:
        print(table(train_seeds(settings, seeds, args.failed_margin, args.overwrite, args.quiet, args.keep_checkpoints,
                                args.restart), settings.output))
    else:
        print(summary(train(settings, args.overwrite, args.quiet, args.keep_checkpoints, args.restart), settings.output))
    return 0
