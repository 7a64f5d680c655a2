"""`relexify adapt --body DIR --data DIR --output DIR`"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from pretrain.base.notices import warn
from recipes.options import add_options, add_run_options, settings_from

if TYPE_CHECKING:
    from adapt.artefacts.embedding import Embedding
    from adapt.settings import AdaptSettings

EXAMPLE = """example:
  relexify adapt --body runs/en --data data/sw --output runs/sw --updates 2000 --patience 5
"""
def add_arguments(parser: argparse.ArgumentParser) -> None:
    from adapt.settings import AdaptSettings

    parser.epilog = EXAMPLE
    add_options(parser, AdaptSettings)
    add_run_options(parser, "--restart")


def run(args: argparse.Namespace) -> int:
    from adapt.artefacts.embedding import Embedding
    from adapt.initialise.coverage import described
    from adapt.language import adapt, stage
    from adapt.settings import AdaptSettings
    from pretrain.base.settings import points

    settings = settings_from(AdaptSettings, args)
    if args.print_command:
        print(stage(settings, args.overwrite).printed())
        return 0
    embedding = adapt(settings, args.overwrite, args.quiet, args.keep_checkpoints)
    made = embedding.made
    print(f"{settings.output}: {embedding.language}, {embedding.weight.size(0):,} rows, held-out loss "
          f"{made['held_out_loss_bits']} bits after {made['updates']:,} updates ({made['tokens_seen']:,} tokens)")
    if start := described(made):
        print(start)
    if search := made.get("lr_search"):
        print(f"learning rate {made['lr']:.3g}: {search['why']}")
    for point in sorted(points(settings.budgets)):
        one = Embedding.load(Path(settings.output) / "at" / f"{point:06d}").made
        print(f"  budget {point:>6,} updates: held-out loss {one['held_out_loss_bits']} bits at a rate of {one['lr']:.3g}")
    for point in points(settings.save_embeddings_at):
        if not (Path(settings.output) / "at" / f"{point:06d}").is_dir():
            warn(f"no embedding was saved at {point:,} updates: the run had ended")
    _warn_of_relabelling(settings, embedding)
    if "objective" in made:
        print(f"objective {made['objective']}: held-out masked-language-model loss {made['held_out_mlm_loss']} bits, "
              f"replaced-token AUC {made['held_out_rtd_auc']}")
    return 0


def _warn_of_relabelling(settings: AdaptSettings, embedding: Embedding) -> None:
    """Says so where the loss fell and yet the pieces that both languages share mean something else."""
    import math

    from adapt.artefacts.embedding import Embedding
    from adapt.artefacts.resources import embedding_of
    from adapt.probe.alignment import looks_relabelled

    loss = embedding.made.get("held_out_mlm_loss", embedding.made["held_out_loss_bits"])
    if loss is None:
        return
    base = Embedding.load(embedding_of(settings.body, settings.source_embedding, "--source-embedding"))
    lexicon = settings.initialiser == "lexicon"
    other = "try another dictionary" if lexicon else "try another --initialiser (lexicon, with a dictionary)"
    if found := looks_relabelled(base, embedding, math.log2(len(embedding.tokenizer.vocabulary)) - loss):
        warn(f"this embedding looks relabelled: its loss fell, but of {found.words} words that are spelled alike in both "
             f"languages only {found.share:.0%} are nearest to themselves (median rank {found.median_rank:.0f}). It may model "
             f"the text well and transfer nothing; {other}, --seed or a lower --lr, and see `relexify inspect --dictionary`")
