"""`relexify evaluate --body DIR --embedding DIR [--embedding DIR …] --task xnli --split test --data DIR --output …`"""

from __future__ import annotations

import argparse

from recipes.options import GIVEN, add_options, settings_from

EXAMPLE = """example:
  relexify evaluate --body runs/xnli --embedding runs/en --embedding runs/sw --task xnli --split test --data XNLI-1.0 \\
      --output runs/scores
  relexify evaluate --body runs/squad --embedding runs/en --embedding runs/sw --task mlqa --split dev --pairs all \\
      --data MLQA_V1 --output runs/mlqa
  relexify evaluate --body runs/glue --embedding runs/en --split dev --data glue --output runs/glue-dev     # all of its tasks

Tasks: xnli; squad, squad2, xquad, mlqa, tydiqa (a body trained on any of squad, squad2, tydiqa answers them all); panx, udpos,
conll2000, conll.
Each embedding's own language decides what is read: SPLIT-CODE.tsv, or its rows of xnli.SPLIT.tsv; also .jsonl, .gz; for question
answering the official JSON files by their own names; for tagging SPLIT-CODE.tsv, raw WikiANN, a UD treebank's .conllu. With
--pairs all contexts and questions come from two embeddings. A body of several tasks (relexify multitask) is scored on all of
them unless --task names one; --data is then one folder for all, or the mixture's file, which names the data of each.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `tasks.evaluate.evaluate`."""
    from tasks.settings import EvaluateSettings

    parser.epilog = EXAMPLE
    add_options(parser, EvaluateSettings)
    add = parser.add_argument
    add("--overwrite", action="store_true", help="replace an existing output")
    add("--quiet", action="store_true", help="no progress bar")


def run(args: argparse.Namespace) -> int:
    """Scores and prints the table."""
    from tasks.settings import EvaluateSettings

    vars(args).update(vars(settings_from(EvaluateSettings, args)))
    import torch

    from tasks.evaluate import evaluate, evaluate_all, row_table
    from tasks.heads.several import recorded_tasks
    from tasks.multitask.recipe import data_of
    from tasks.registry import get_task

    if args.threads > 0:
        torch.set_num_threads(args.threads)
    options = {"device": args.device, "max_tokens": args.max_tokens, "precision": args.precision, "overwrite": args.overwrite,
               "quiet": args.quiet, "max_length": args.max_length, "stride": args.stride, "max_question": args.max_question,
               "max_answer": args.max_answer_tokens, "pairs": args.pairs, "untrained_head": args.untrained_head,
               "layer": args.layer, "neighbours": args.neighbours}
    names = [] if "task" in getattr(args, GIVEN, ()) or args.task != EvaluateSettings.task else recorded_tasks(args.body)
    if len(names) > 1:
        print(row_table(evaluate_all(args.body, args.embedding, data_of(args.data, names), args.split, args.output, **options)))
        return 0
    task = get_task(args.task)
    data = data_of(args.data, [task.name])[task.name]
    print(task.table(evaluate(args.body, args.embedding, task, data, args.split, args.output, **options)))
    return 0
