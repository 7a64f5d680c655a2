"""`relexify finetune --body DIR --embedding DIR --task xnli --data DIR --output DIR`"""

from __future__ import annotations

import argparse

from recipes.options import add_options, settings_from
from recipes.trainings import add_training_options, run_training

EXAMPLE = """examples:
  relexify finetune --body runs/en --task xnli --data XNLI-1.0 --train-file multinli_1.0_train.jsonl --output runs/xnli
  relexify finetune --body runs/en --task squad --data SQuAD --output runs/squad --epochs 2
  relexify finetune --body runs/en --task panx --data panx --output runs/panx --epochs 3
  relexify finetune --body runs/qaa --task xnli --data world/nli --output runs/nli --epochs 5 --seed 2
  relexify finetune --body runs/en --embedding runs/en --embedding runs/de --task pawsx --data pawsx \\
      --train-file en=train.tsv --train-file de=translated_train.tsv --output runs/pawsx
  relexify finetune --body runs/electra --task xnli --data XNLI-1.0 --output runs/xnli --head linear --layer-decay 0.8 \\
      --lr 1e-4 --epochs 3 --warmup 0.1 --adam-betas "(0.9, 0.999)" --clip-norm 1 --max-length 128 --seeds 1,2,3,4,5

Files in --data: for xnli train-CODE.tsv (for en also MultiNLI's and GLUE's own names), dev-CODE.tsv or xnli.dev.tsv; also .jsonl
and .gz. For squad and squad2 the official JSON files, or train-CODE.json and dev-CODE.json. For panx and udpos train-CODE.tsv,
dev-CODE.tsv, raw WikiANN or a UD treebank's .conllu files; for conll2000 and conll (own labels) train.txt, dev.txt.
A run that was cut off resumes when it is repeated; OUTPUT appears when it is done. With --seeds, OUTPUT/seed-N is the task
body of seed N, OUTPUT/seeds.json has all scores, and OUTPUT itself, named as a --body, is the run with the median dev score.
"""
def add_arguments(parser: argparse.ArgumentParser) -> None:
    """One flag for each setting, `--train-file` and `--dev-file` for the files, and what a run does with them."""
    from tasks.settings import FinetuneSettings

    parser.epilog = EXAMPLE
    add_options(parser, FinetuneSettings, {"train_files": "--train-file", "dev_files": "--dev-file"})
    add_training_options(parser)


def run(args: argparse.Namespace) -> int:
    """Trains, writes the task body or bodies and prints the dev scores."""
    from tasks.learning.finetune import finetune, plan, summary
    from tasks.settings import FinetuneSettings

    return run_training(args, settings_from(FinetuneSettings, args), plan, finetune, summary)
