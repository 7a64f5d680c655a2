"""`relexify finetune --body DIR --embedding DIR --task xnli --data DIR --output DIR`"""

from __future__ import annotations

import argparse
from dataclasses import MISSING, fields

EXAMPLE = """examples:
  relexify finetune --body runs/en --task xnli --data XNLI-1.0 --train-file multinli_1.0_train.jsonl --output runs/xnli
  relexify finetune --body runs/en --task squad --data SQuAD --output runs/squad --epochs 2
  relexify finetune --body runs/en --task panx --data panx --output runs/panx --epochs 3
  relexify finetune --body runs/qaa --task xnli --data world/nli --output runs/nli --epochs 5 --seed 2
  relexify finetune --body runs/electra --task xnli --data XNLI-1.0 --output runs/xnli --head linear --layer-decay 0.8 \\
      --lr 1e-4 --epochs 3 --warmup 0.1 --adam-betas "(0.9, 0.999)" --clip-norm 1 --max-length 128 --seeds 1,2,3,4,5

Files in --data: for xnli train-CODE.tsv (for en also MultiNLI's and GLUE's own names), dev-CODE.tsv or xnli.dev.tsv; also .jsonl
and .gz. For squad and squad2 the official JSON files, or train-CODE.json and dev-CODE.json. For panx and udpos train-CODE.tsv,
dev-CODE.tsv, raw WikiANN or a UD treebank's .conllu files; for conll2000 and conll (own labels) train.txt, dev.txt.
A run that was cut off resumes when it is repeated; OUTPUT appears when it is done. With --seeds, OUTPUT/seed-N is the task
body of seed N, OUTPUT/seeds.json has all scores, and OUTPUT itself, named as a --body, is the run with the median dev score.
"""
HELP = {
    "body": "pre-trained body: an output of pretrain, or a body folder",
    "data": "folder with the task's files, or hf:facebook/xnli, hf:rajpurkar/squad",
    "output": "where the task body will stand",
    "embedding": "embedding of the examples' language (default: the one beside the body); stays as it is",
    "task": "the task to learn: xnli; squad, squad2, tydiqa; panx, udpos, conll2000, conll",
    "source_language": "language of the examples (default: the embedding's)",
    "dev_split": "split that chooses the best checkpoint",
    "epochs": "passes over the training examples",
    "updates": "length of the run in updates, instead of --epochs",
    "lr": "peak learning rate; 0: 1e-5 for bodies of width >= 768, 5e-5 >= 384, else 5e-4",
    "warmup": "share of the run (below 1), or number of updates, of warm-up",
    "batch_size": "examples of a micro-batch",
    "update_freq": "micro-batches of an update",
    "max_length": "longest input in tokens; 0: all positions of the body, at most 384 for question answering",
    "head": "classification (RoBERTa's, two layers) or linear (ELECTRA's, one layer); for questions span (start and end) or "
            "joint_span (end given start, and answerability); tagging has one of its own; default: the task's own",
    "labels": "for --task conll: file with one label a line, in the order that the head shall have",
    "stride": "question answering: context tokens from window to window; 0: 128, less in short windows",
    "max_question": "question answering: tokens kept of a question; 0: 64, less in short windows",
    "train_embedding": "train the embedding too; it is then written to OUTPUT/embedding",
    "dropout": "dropout, also of the head",
    "attention_dropout": "dropout of attention weights",
    "weight_decay": "decoupled weight decay",
    "clip_norm": "global gradient norm; 0: off",
    "layer_decay": "learning rate of each layer as a share of that of the layer above, the head's being --lr (ELECTRA: 0.8; 0.9 "
                   "for its large model); 1: off",
    "layer_decay_variant": "what the last layer has: paper (decay) or official (decay squared, as ELECTRA's code)",
    "adam_betas": "betas of Adam; ELECTRA: '(0.9, 0.999)'",
    "adam_eps": "epsilon of Adam",
    "validate_every": "updates between validations (and checkpoints to resume from); 0: twice an epoch",
    "precision": "fp32, bf16 or fp16",
    "compile": "torch.compile the encoder",
    "seed": "seed of head, dropout and order",
    "threads": "CPU threads; 0: torch's choice",
    "cpu": "train on the CPU although there is a GPU",
    "tensorboard": "folder for TensorBoard logs",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """One flag for each setting, `--train-file` and `--dev-file` for the files, and what a run does with them."""
    from tasks.settings import FinetuneSettings

    parser.epilog = EXAMPLE
    for field in fields(FinetuneSettings):
        flag = "--" + field.name.replace("_", "-")
        if field.name in ("train_files", "dev_files"):
            part = field.name.removesuffix("_files")
            parser.add_argument(f"--{part}-file", action="append", default=[], dest=field.name, metavar="FILE",
                                help=f"file of the {part} split, instead of a search in --data; repeatable")
        elif field.default is MISSING:
            parser.add_argument(flag, required=True, metavar="DIR", help=HELP[field.name])
        elif isinstance(field.default, bool):
            parser.add_argument(flag, action="store_true", help=HELP[field.name])
        else:
            shown = "" if field.default == "" else f" (default {field.default!r})"
            parser.add_argument(flag, type=type(field.default), default=field.default, help=HELP[field.name] + shown)
    parser.add_argument("--seeds", default="", metavar="N,N,…", help="train once for each seed, in OUTPUT/seed-N, instead "
                        "of --seed; repeated with more seeds it adds them")
    parser.add_argument("--failed-margin", type=float, default=0.02, metavar="SHARE",
                        help="with --seeds: a run has failed where its dev score is not more than this above what reading "
                             "nothing scores, such as the most frequent label (default 0.02)")
    parser.add_argument("--print-command", action="store_true", help="print the fairseq-train line and stop")
    parser.add_argument("--restart", action="store_true", help="throw away an unfinished run rather than resume it")
    parser.add_argument("--overwrite", action="store_true", help="replace an existing output")
    parser.add_argument("--keep-checkpoints", action="store_true", help="leave checkpoints and log in OUTPUT.training")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def run(args: argparse.Namespace) -> int:
    """Trains, writes the task body or bodies and prints the dev scores."""
    from pretrain.base.errors import UserError
    from tasks.finetune import finetune, plan, summary
    from tasks.seeds import finetune_seeds, parse_seeds, settings_of, table
    from tasks.settings import FinetuneSettings

    args.train_files, args.dev_files = tuple(args.train_files), tuple(args.dev_files)
    settings = FinetuneSettings(**{field.name: getattr(args, field.name) for field in fields(FinetuneSettings)})
    if args.seeds:
        seeds = parse_seeds(args.seeds)
        if settings.seed != FinetuneSettings.seed:
            raise UserError(f"--seed {settings.seed} and --seeds {args.seeds}: give one of them")
        if args.print_command:
            for seed in seeds:
                print(plan(settings_of(settings, seed), args.overwrite).stage.printed())
            return 0
        print(table(finetune_seeds(settings, seeds, args.failed_margin, args.overwrite, args.quiet, args.keep_checkpoints,
                                   args.restart), args.output))
        return 0
    if args.print_command:
        print(plan(settings, args.overwrite).stage.printed())
        return 0
    print(summary(finetune(settings, args.overwrite, args.quiet, args.keep_checkpoints, args.restart), args.output))
    return 0
