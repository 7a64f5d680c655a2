"""`relexify evaluate --body DIR --embedding DIR [--embedding DIR …] --task xnli --split test --data DIR --output …`"""

from __future__ import annotations

import argparse

from recipes.options import add_options, settings_from

EXAMPLE = """example:
  relexify evaluate --body runs/xnli --embedding runs/en --embedding runs/sw --task xnli --split test --data XNLI-1.0 \\
      --output runs/scores
  relexify evaluate --body runs/squad --embedding runs/en --embedding runs/sw --task mlqa --split dev --pairs all \\
      --data MLQA_V1 --output runs/mlqa

Tasks: xnli; squad, squad2, xquad, mlqa, tydiqa (a body trained on any of squad, squad2, tydiqa answers them all); panx, udpos,
conll2000, conll.
Each embedding's own language decides what is read: SPLIT-CODE.tsv, or its rows of xnli.SPLIT.tsv; also .jsonl, .gz; for question
answering the official JSON files by their own names; for tagging SPLIT-CODE.tsv, raw WikiANN, a UD treebank's .conllu. With
--pairs all contexts and questions come from two embeddings.
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

    from pretrain.base.errors import UserError
    from tasks.qa.tasks import QATask
    from tasks.registry import get_task
    from tasks.tagging.tasks import TaggingTask

    if args.threads > 0:
        torch.set_num_threads(args.threads)
    task = get_task(args.task)
    common = {"device": args.device, "max_tokens": args.max_tokens, "max_length": args.max_length,
              "precision": args.precision, "overwrite": args.overwrite, "quiet": args.quiet}
    if isinstance(task, QATask):
        from tasks.qa import evaluate as qa_evaluate

        records = qa_evaluate.evaluate_qa(
            args.body, args.embedding, task, args.data, args.split, args.output, pairs=args.pairs, stride=args.stride,
            max_question=args.max_question, max_answer=args.max_answer_tokens, untrained_head=args.untrained_head, **common)
        print(qa_evaluate.table(records))
        return 0
    if args.pairs != "same" or args.stride or args.max_question:
        raise UserError(f"--pairs, --stride and --max-question belong to question answering, not to {task.name}; leave them out")
    if isinstance(task, TaggingTask):
        from tasks.tagging import evaluate as tagging_evaluate

        records = tagging_evaluate.evaluate_tagging(args.body, args.embedding, task, args.data, args.split, args.output,
                                                    untrained_head=args.untrained_head, **common)
        print(tagging_evaluate.table(records))
        return 0
    if args.untrained_head:
        raise UserError(f"--untrained-head belongs to question answering and tagging, not to {task.name}; leave it out")
    from tasks.evaluate import evaluate, table

    print(table(evaluate(args.body, args.embedding, task.name, args.data, args.split, args.output, **common)))
    return 0
