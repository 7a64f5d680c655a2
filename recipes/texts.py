"""What `detect` and `fill` share on the command line: the model, the texts, where results go."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

PROGRESS_FROM = 300
"""Texts from which a progress bar is shown."""


def add_text_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments that both verbs have."""
    add = parser.add_argument
    add("text", nargs="*", metavar="TEXT", help="a text; repeatable; a single - reads standard input, one text per line")
    add("--file", metavar="FILE", help="read the texts from a file, one per line")
    add("--body", required=True, metavar="DIR", help="pre-trained body, or an output of pretrain")
    add("--embedding", default="", metavar="DIR", help="embedding of the texts' language (default: the one beside the body)")
    add("--json", action="store_true", help="one JSON object per text and line")
    add("--device", default="auto", help="auto, cpu or cuda (default 'auto')")
    add("--threads", type=int, default=0, help="CPU threads; 0: torch's choice")
    add("--quiet", action="store_true", help="no progress bar")


def read_texts(args: argparse.Namespace) -> tuple[list[str], list[str]]:
    """The texts, and what error messages call them: `FILE:LINE` or `text 1`.

    Raises:
        UserError: no text, two sources, a file that is missing or not UTF-8, an empty text.
    """
    from pretrain.base.errors import UserError
    from pretrain.base.files import require_file
    from pretrain.base.opening import decode_utf8

    if bool(args.text) == bool(args.file):
        raise UserError(f"{'texts and --file are both' if args.file else 'no text is'} given; pass texts, or --file FILE, or - "
                        "for standard input")
    place = str(args.file) if args.file else "standard input"
    if args.file or args.text == ["-"]:
        data = require_file(args.file, "texts, one per line").read_bytes() if args.file else sys.stdin.buffer.read()
        texts = decode_utf8(data, place).removeprefix("\ufeff").split("\n")
        if not texts[-1]:
            texts.pop()  # what follows the last line break
        texts = [text.removesuffix("\r") for text in texts]
        names = [f"{place}:{number}" for number in range(1, len(texts) + 1)]
        if not texts:
            raise UserError(f"{place}: expected texts, one per line, found nothing")
    else:
        texts, names = args.text, [f"text {number}" for number in range(1, len(args.text) + 1)]
    for text, name in zip(texts, names, strict=True):
        if not text.strip():
            raise UserError(f"{name}: expected a text, got an empty one; leave it out")
        try:
            text.encode()
        except UnicodeEncodeError:
            raise UserError(f"{name}: expected UTF-8, got other bytes; check the terminal's encoding") from None
    return texts, names


def description_of(args: argparse.Namespace, verb: str, count: int) -> str | None:
    """Text of the progress bar; None where there is to be none."""
    return verb if count > PROGRESS_FROM and not args.quiet else None


def print_json(results: Iterable[Any]) -> None:
    """One line for each result, a dataclass."""
    for result in results:
        print(json.dumps(asdict(result), ensure_ascii=False))
