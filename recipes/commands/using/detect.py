"""`relexify detect --body DIR TEXT`"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from recipes.texts import add_text_arguments, description_of, print_json, read_texts

if TYPE_CHECKING:
    from adapt.probe.detect import Detection

EXAMPLE = """example:
  relexify detect --body runs/en-electra "The cat barked at the moon"
  relexify detect --body runs/en-electra --embedding runs/en-electra --file sentences.txt --json > tokens.jsonl

A row is a token: the probability that it was replaced (* from 0.5 on), its characters in the text, its writing there.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EXAMPLE
    add_text_arguments(parser)


def run(args: argparse.Namespace) -> int:
    import torch

    from adapt.probe.detect import detect, load_detector
    from tasks.predict import choose_device

    if args.threads > 0:
        torch.set_num_threads(args.threads)
    texts, names = read_texts(args)
    model, tokenizer = load_detector(args.body, args.embedding, choose_device(args.device))
    found = detect(model, tokenizer, texts, names=names, description=description_of(args, "detect", len(texts)))
    if args.json:
        print_json(found)
    else:
        print("\n\n".join(map(table, found)))
    return 0


def table(detection: Detection) -> str:
    """The text and a row for each token. What has no fixed width on a terminal stands last."""
    rows = [f"  {token.probability:.3f} {'*' if token.probability >= 0.5 else ' '} {f'{token.start}-{token.end}':>11}  "
            f"{token.text or token.piece}" for token in detection.tokens]
    return "\n".join([detection.text, *rows])
