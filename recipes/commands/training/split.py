"""`relexify split CHECKPOINT --output DIR`: what `pretrain`, `adapt` and `finetune` do at their ends, for any checkpoint."""

from __future__ import annotations

import argparse

EXAMPLE = """example:
  relexify split runs/en.training/checkpoint_last.pt --data data/en --output runs/en

After `fairseq-train … --user-dir pretrain` --output holds body/ and embedding/, after `--user-dir adapt` it is the embedding,
after `--user-dir tasks` the task body, scored on its development split.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `relexify split`."""
    parser.epilog = EXAMPLE
    parser.add_argument("checkpoint", help="checkpoint of `fairseq-train … --user-dir pretrain`, `adapt` or `tasks`")
    parser.add_argument("--output", required=True, metavar="DIR", help="what to write")
    parser.add_argument("--data", metavar="DIR", help="data of the run (default: the path in the checkpoint)")
    parser.add_argument("--body", metavar="DIR", help="adapt, tasks: body of the run (default: the path in the checkpoint)")
    parser.add_argument("--embedding", metavar="DIR", help="tasks: embedding of the run (default: the path in the checkpoint)")
    parser.add_argument("--force", action="store_true", help="pretrain: export although the embedding was reset a moment ago")
    parser.add_argument("--overwrite", action="store_true", help="replace an existing output")


def run(args: argparse.Namespace) -> int:
    """Runs the command; returns the exit code."""
    from adapt.artefacts.split_adapted import TASK as ADAPT
    from adapt.artefacts.split_adapted import split_adapted, task_of
    from pretrain.base.checkpoints import load_checkpoint
    from pretrain.base.errors import UserError
    from tasks.learning.split import TASKS

    name = task_of(load_checkpoint(args.checkpoint))
    options = {"body": args.body, "embedding": args.embedding, "force": args.force}
    known = {ADAPT: ("body",), **dict.fromkeys(TASKS, ("body", "embedding"))}.get(name, ("force",))
    for option, value in options.items():
        if value and option not in known:
            raise UserError(f"--{option} is not for a checkpoint of the fairseq task {name or 'of pre-training'}; leave it out")
    if name == ADAPT:
        found = split_adapted(args.checkpoint, args.output, args.data, args.body, args.overwrite)
        print(f"{args.output}: embedding of {found.language}, {len(found.weight):,} rows, {found.made['updates']:,} updates")
        return 0
    if name in TASKS:
        from tasks.learning.finetune import summary
        from tasks.learning.split import split_finetuned

        print(summary(split_finetuned(args.checkpoint, args.output, args.data, args.body, args.embedding, args.overwrite),
                      args.output))
        return 0
    from adapt.artefacts.split import split

    body = split(args.checkpoint, args.output, args.data, force=args.force, overwrite=args.overwrite)
    print(f"{args.output}/body: {body.fingerprint[:12]}; {args.output}/embedding")
    return 0
