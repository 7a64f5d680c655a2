"""`relexify teach --body DIR [--body DIR …] --embedding DIR --task xnli --data DIR --output FILE.parquet`"""

from __future__ import annotations

import argparse

from recipes.options import add_options, settings_from

EXAMPLE = """examples:
  relexify teach --body runs/xnli-large --embedding runs/en-large/embedding --task xnli --data XNLI-1.0 --output xnli.parquet
  relexify finetune --body runs/en-small --task xnli --data XNLI-1.0 --teacher xnli.parquet --output runs/xnli-small
  relexify teach --body runs/rte-1 --body runs/rte-2 --body runs/rte-3 --embedding runs/en --task rte --data glue \\
      --temperature 2 --output rte.parquet
  relexify teach --body runs/xnli --embedding runs/en --task xnli --data XNLI-1.0 --train-file multinli.train.en.tsv \\
      --student-language de --student-file multinli.train.de.tsv --output xnli-de.parquet

Examples need no labels. FILE.parquet has a row for each example, found by its texts, and a header: task, label order,
temperature, teachers, data (docs/distillation.md). Bodies of any size and tokenizer teach bodies of any other.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """One flag for each setting."""
    from tasks.distillation.settings import TeachSettings

    parser.epilog = EXAMPLE
    add_options(parser, TeachSettings, {"train_files": "--train-file", "student_files": "--student-file"})
    parser.add_argument("--overwrite", action="store_true", help="replace an existing file of teachers' outputs")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def run(args: argparse.Namespace) -> int:
    """Asks the teachers, writes the file and says what it holds."""
    from tasks.distillation.settings import TeachSettings

    settings = settings_from(TeachSettings, args)
    import torch

    from tasks.distillation.teach import summary, teach

    if settings.threads > 0:
        torch.set_num_threads(settings.threads)
    print(summary(teach(settings, args.overwrite, args.quiet), settings.output))
    return 0
