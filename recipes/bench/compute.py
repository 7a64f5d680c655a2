"""Floating-point operations of a training update, counted, so that recipes can be compared at equal compute.

    relexify bench compute recipes/pretrain/demo-standard.yaml recipes/pretrain/demo-electra-standard.yaml [--vocab-size 602]

torch's own counter watches one forward and backward pass of the recipe's model on random tokens: matrix products alone,
as built (RoBERTa's last layer is computed for hidden positions only). Optimizer, softmax and sampling are not counted.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from pretrain.base.config import load_recipe
from pretrain.base.errors import UserError
from pretrain.settings import PretrainRecipe

SEED = 1


def operations(recipe: PretrainRecipe, vocabulary_size: int) -> int:
    """Floating-point operations of one update: forward and backward, all micro-batches."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from pretrain.electra.networks import Electra
    from pretrain.electra.replacement import Sampling
    from pretrain.masked_lm import MaskedLM
    from pretrain.masking import generator_for, mask_tokens
    from pretrain.shapes import encoder_shape, of_recipe, pair_shape

    key = generator_for(torch.device("cpu"), SEED)
    tokens_BT = torch.randint(5, vocabulary_size - 1, (recipe.batch_size, recipe.tokens_per_sample), generator=key)
    masked = mask_tokens(tokens_BT, vocabulary_size - 1, key, recipe.mask_prob, recipe.mask_policy)
    with FlopCounterMode(display=False) as counter:
        if recipe.arch.startswith("electra"):
            output = Electra(pair_shape(of_recipe(recipe)), vocabulary_size)(tokens_BT, masked, Sampling(), key, True)
            sum(logits.sum() for logits in (output.mlm_NV, output.hardness_NV, output.rtd_BT) if logits is not None).backward()
        else:
            rows = masked.positions.view(len(tokens_BT), -1)
            MaskedLM(encoder_shape(of_recipe(recipe)), vocabulary_size)(masked.tokens, rows, full=True).sum().backward()
    return int(counter.get_total_flops()) * recipe.update_freq * recipe.processes * recipe.nodes


def main(argv: Sequence[str] | None = None) -> int:
    """Prints a table, the first recipe being what the others are measured by."""
    parser = argparse.ArgumentParser(prog="relexify bench compute", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipes", nargs="+", metavar="RECIPE.yaml")
    parser.add_argument("--set", nargs="*", default=[], metavar="key=value", help="settings of all of them")
    parser.add_argument("--vocab-size", type=int, default=602, help="rows of the embedding (default 602, the demo's)")
    args = parser.parse_args(argv)
    if args.vocab_size < 8:
        raise UserError(f"--vocab-size {args.vocab_size}: expected at least 8 rows")
    print(f"{'recipe':60} {'GFLOP/update':>12} {'ratio':>6} {'updates':>8} {'total TFLOP':>11} {'equal at':>9}")
    first: tuple[int, int] | None = None
    for path in args.recipes:
        recipe = load_recipe(PretrainRecipe, path, ["data=any", "output=any", *args.set])
        count = operations(recipe, args.vocab_size)
        first = first or (count, count * recipe.updates)
        print(f"{path:60} {count / 1e9:12.2f} {count / first[0]:6.2f} {recipe.updates:8,} {count * recipe.updates / 1e12:11.2f} "
              f"{round(first[1] / count):9,}")
    print("equal at: updates that cost as many operations as all of the first recipe's")
    return 0
