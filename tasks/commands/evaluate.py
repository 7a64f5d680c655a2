"""`relexify evaluate --body DIR --embedding DIR [--embedding DIR …] --task xnli --split test --data DIR --output …`"""

from __future__ import annotations

import argparse

EXAMPLE = """example:
  relexify evaluate --body runs/xnli --embedding runs/en --embedding runs/sw --task xnli --split test --data XNLI-1.0 \\
      --output runs/scores

Each embedding's own language decides what is read: SPLIT-CODE.tsv, or its rows of xnli.SPLIT.tsv; also .jsonl, .gz.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `tasks.evaluate.evaluate`."""
    parser.epilog = EXAMPLE
    add = parser.add_argument
    add("--body", required=True, metavar="DIR", help="task body, as finetune writes it")
    add("--embedding", action="append", required=True, metavar="DIR",
        help="an embedding of the body's lineage, or an output of adapt or pretrain; repeatable")
    add("--task", default="xnli", help="the task (default 'xnli')")
    add("--split", default="test", help="split to score: dev or test (default 'test')")
    add("--data", required=True, metavar="DIR", help="folder with the task's files, or hf:facebook/xnli")
    add("--output", required=True, metavar="DIR", help="folder for results and predictions")
    add("--device", default="auto", help="auto, cpu or cuda (default 'auto')")
    add("--max-tokens", type=int, default=8192, metavar="N",
        help="padded tokens of a batch: changes memory and speed, not scores (default 8192)")
    add("--max-length", type=int, default=0, metavar="N", help="longest input in tokens; 0: all positions of the body")
    add("--precision", default="fp32", help="fp32, bf16 or fp16 (default 'fp32')")
    add("--threads", type=int, default=0, help="CPU threads; 0: torch's choice")
    add("--overwrite", action="store_true", help="replace an existing output")
    add("--quiet", action="store_true", help="no progress bar")


def run(args: argparse.Namespace) -> int:
    """Scores and prints the table."""
    import torch

    from tasks.evaluate import evaluate, table

    if args.threads > 0:
        torch.set_num_threads(args.threads)
    records = evaluate(args.body, args.embedding, args.task, args.data, args.split, args.output, device=args.device,
                       max_tokens=args.max_tokens, max_length=args.max_length, precision=args.precision,
                       overwrite=args.overwrite, quiet=args.quiet)
    print(table(records))
    return 0
