"""`python -m recipes.world --output DIR`: writes a miniature world."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from pretrain.base.errors import UserError
from recipes.world import CODES, write_world
from recipes.world.qa import SENTENCES, sentence_range
from recipes.world.tasks import TASKS


def _sizes(text: str) -> int | dict[str, int]:
    """`200000` for all languages, or `qaa=1000000,qab=50000`."""
    try:
        if "=" not in text:
            return int(text)
        return {code: int(size) for code, size in (part.split("=", 1) for part in text.split(","))}
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a number or CODE=NUMBER,…, got {text!r}") from None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `relexify world`."""
    parser.add_argument("--output", required=True, help="folder to make")
    parser.add_argument("--seed", type=int, default=1, help="of the world, its words and its texts (default: 1)")
    parser.add_argument(
        "--languages", nargs="+", default=list(CODES), metavar="CODE", help=f"default: {' '.join(CODES)}"
    )
    parser.add_argument(
        "--words", type=_sizes, default=1_000_000, help="text per language: NUMBER or CODE=NUMBER,… (default: 1000000)"
    )
    parser.add_argument("--train", type=int, default=15_000, help="training pairs, base language only (default: 15000)")
    parser.add_argument("--dev", type=int, default=1_500, help="development pairs per language (default: 1500)")
    parser.add_argument("--test", type=int, default=3_000, help="test pairs per language (default: 3000)")
    for split, where in (("train", "base language only"), ("dev", "per language"), ("test", "per language")):
        parser.add_argument(
            f"--qa-{split}", type=int, default=0, metavar="N", help=f"{split} questions with answers, {where} (default: 0)"
        )
    parser.add_argument(
        "--qa-sentences", type=sentence_range, default=SENTENCES, metavar="FROM-TO",
        help="sentences of a paragraph that is asked about (default: {}-{})".format(*SENTENCES),
    )
    parser.add_argument(
        "--tasks", nargs="+", default=[], metavar="TASK",
        help=f"further tasks, with as many examples as there are pairs: {', '.join(TASKS)}",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an existing output")


def run(args: argparse.Namespace) -> int:
    """Writes the world and says where."""
    folder = write_world(
        args.output, args.languages, args.seed, words=args.words, train=args.train, dev=args.dev, test=args.test,
        qa_train=args.qa_train, qa_dev=args.qa_dev, qa_test=args.qa_test, qa_sentences=args.qa_sentences,
        tasks=args.tasks, overwrite=args.overwrite,
    )
    print(folder)
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m recipes.world", description="Write texts and inference pairs of invented languages."
    )
    add_arguments(parser)
    try:
        return run(parser.parse_args(arguments))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
