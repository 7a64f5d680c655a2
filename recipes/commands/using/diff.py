"""`relexify diff A B`: what differs between two artefacts."""

from __future__ import annotations

import argparse

EXAMPLE = """examples:
  relexify diff runs/sw runs/sw-small
  relexify diff runs/en models/xnli-en --json

Like the shell's diff it answers with exit code 0 where nothing differs, and 1 where something does.
"""
WIDE = 60


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Two artefacts of a kind."""
    parser.epilog = EXAMPLE
    parser.add_argument("one", metavar="A", help="a body, an embedding, a folder with both, or prepared text; hf:OWNER/NAME too")
    parser.add_argument("two", metavar="B", help="another of its kind")
    parser.add_argument("--json", action="store_true", help="one JSON object a difference and line")


def run(args: argparse.Namespace) -> int:
    """Prints the differences; the exit code is that of the shell's diff."""
    import json
    from dataclasses import asdict

    from adapt.artefacts.difference import differences

    found = differences(args.one, args.two)
    for each in found:
        if args.json:
            print(json.dumps(asdict(each), ensure_ascii=False))
        elif each.largest is not None:
            print(f"{each.part}, {each.what} {each.name}: {each.one}, largest difference {each.largest:.3g}")
        else:
            print(f"{each.part}, {each.what} {each.name}: {_short(each.one)} | {_short(each.two)}")
    if not found and not args.json:
        print(f"{args.one} and {args.two}: the same")
    return 1 if found else 0


def _short(text: str) -> str:
    return text if len(text) <= WIDE else text[:WIDE - 1] + "…"
