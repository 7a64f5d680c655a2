"""`relexify fill --body DIR TEXT`"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from recipes.texts import add_text_arguments, description_of, print_json, read_texts

if TYPE_CHECKING:
    from adapt.probe.fill import Filling

EXAMPLE = """example:
  relexify fill --body runs/en-electra "Paris is the <mask> of France"
  relexify fill --body runs/en --embedding runs/sw --top 10 --file sentences.txt --json > fillers.jsonl

<mask> stands for one piece. White space before it belongs to that piece: `a <mask>` asks for a word's beginning, `a<mask>`
for what goes on with the word. The generator of an ELECTRA body answers, or the LM head of a RoBERTa body.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EXAMPLE
    add_text_arguments(parser)
    parser.add_argument("--top", type=int, default=5, metavar="K", help="fillers of each mask (default 5)")


def run(args: argparse.Namespace) -> int:
    import torch

    from adapt.probe.fill import fill, load_filler
    from pretrain.base.errors import UserError
    from tasks.predict import choose_device

    if args.top < 1:
        raise UserError(f"--top {args.top}: expected at least 1")
    if args.threads > 0:
        torch.set_num_threads(args.threads)
    texts, names = read_texts(args)
    model, tokenizer = load_filler(args.body, args.embedding, choose_device(args.device))
    found = fill(model, tokenizer, texts, args.top, names=names, description=description_of(args, "fill", len(texts)))
    if args.json:
        print_json(found)
    else:
        print("\n\n".join(map(table, found)))
    return 0


def table(filling: Filling) -> str:
    """The text, the fillers of each mask, the text filled in."""
    lines = [filling.text]
    for mask in filling.masks:
        lines.append(f"  characters {mask.start}-{mask.end}")
        lines += [f"    {filler.probability:.3f}  {filler.piece}" for filler in mask.fillers]
    return "\n".join([*lines, f"  = {filling.filled}"])
