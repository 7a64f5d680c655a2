"""`relexify adapt --body DIR --data DIR --output DIR`"""

from __future__ import annotations

import argparse
from dataclasses import MISSING, fields

EXAMPLE = """example:
  relexify adapt --body runs/en --data data/sw --output runs/sw --updates 2000 --patience 5
"""
HELP = {
    "body": "body to adapt to: an output of pretrain, or a body folder",
    "data": "prepared text of the new language (see `relexify prepare`)",
    "output": "where the embedding will stand",
    "source_embedding": "embedding of the source language (default: the one beside the body)",
    "initialiser": "random, mean, gaussian or overlap",
    "special_rows": "copy the rows of <s> </s> <unk> <mask> from the source, or draw them",
    "resources": "local files for the initialiser: name=path,name=path",
    "train_also": "further tensors to train: encoder.embed_positions.weight,encoder.embed_norm.*",
    "objective": "of an ELECTRA body: mlm (through the generator; its default), rtd (through the discriminator) or joint",
    "disentangle": "joint: the discriminator's table is the generator's plus an offset, each trained by its own loss",
    "rtd_weight": "lambda, weight of the discriminator's loss; -1: as in pre-training",
    "rtd_start": "joint: updates before the discriminator takes part",
    "rtd_warmup": "then updates over which lambda rises; -1: a tenth of the run",
    "updates": "most updates to run",
    "lr": "peak learning rate",
    "warmup": "updates of warm-up; -1: a tenth of the run",
    "batch_size": "blocks of a micro-batch",
    "update_freq": "micro-batches of an update",
    "tokens_per_sample": "tokens of a block",
    "mask_prob": "share of hidden tokens",
    "mask_policy": "bert, electra or mask; empty: as in pre-training",
    "dropout": "dropout, as in pre-training",
    "attention_dropout": "dropout of attention weights",
    "clip_norm": "global gradient norm; 0: off",
    "weight_decay": "decoupled weight decay",
    "patience": "stop after so many validations without a better held-out loss; 0: never",
    "validate_every": "updates between validations (and checkpoints to resume from)",
    "save_embeddings_at": "also save the embedding at these updates: 100,300,1000",
    "precision": "fp32, bf16 or fp16",
    "seed": "seed of draws, masks and order",
    "processes": "GPUs of a machine, started by torchrun",
    "nodes": "machines of a Slurm allocation, each with so many processes",
    "threads": "CPU threads; 0: torch's choice",
    "tensorboard": "folder for TensorBoard logs",
    "compile": "torch.compile the encoder",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from adapt.settings import AdaptSettings

    parser.epilog = EXAMPLE
    for field in fields(AdaptSettings):
        flag = "--" + field.name.replace("_", "-")
        if field.default is MISSING:
            parser.add_argument(flag, required=True, metavar="DIR", help=HELP[field.name])
        elif isinstance(field.default, bool):
            parser.add_argument(flag, action="store_true", help=HELP[field.name])
        else:
            parser.add_argument(flag, type=type(field.default), default=field.default,
                                help=f"{HELP[field.name]} (default {field.default!r})")
    parser.add_argument("--print-command", action="store_true", help="print the fairseq-train line and stop")
    parser.add_argument("--overwrite", action="store_true", help="replace an existing output")
    parser.add_argument("--keep-checkpoints", action="store_true", help="leave checkpoints and log in OUTPUT.training")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def run(args: argparse.Namespace) -> int:
    from adapt.language import adapt, stage
    from adapt.settings import AdaptSettings

    settings = AdaptSettings(**{field.name: getattr(args, field.name) for field in fields(AdaptSettings)})
    if args.print_command:
        print(stage(settings, args.overwrite).printed())
        return 0
    embedding = adapt(settings, args.overwrite, args.quiet, args.keep_checkpoints)
    made = embedding.made
    print(f"{args.output}: {embedding.language}, {embedding.weight.size(0):,} rows, held-out loss "
          f"{made['held_out_loss_bits']} bits after {made['updates']:,} updates ({made['tokens_seen']:,} tokens)")
    if "objective" in made:
        print(f"objective {made['objective']}: held-out masked-language-model loss {made['held_out_mlm_loss']} bits, "
              f"replaced-token AUC {made['held_out_rtd_auc']}")
    return 0
