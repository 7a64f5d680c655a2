"""`relexify demo --output DIR`"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from recipes.demo.settings import BACKBONES, ELECTRA, DemoSettings, defaults

EXAMPLE = """example:
  relexify demo --output demo-run
  relexify demo --backbone electra --output demo-electra
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EXAMPLE
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    default = DemoSettings()
    parser.add_argument("--output", default="demo-run", metavar="DIR", help="folder of the demo (default demo-run)")
    parser.add_argument("--backbone", choices=BACKBONES, default=default.backbone,
                        help="roberta, or electra: a generator and a discriminator (default roberta)")
    parser.add_argument("--seed", type=int, default=default.seed, help="of world, bodies and embeddings (default 1)")
    parser.add_argument("--languages", nargs="+", default=list(default.languages), metavar="CODE",
                        help=f"new languages, qab (nearest) to qaf (farthest) (default {' '.join(default.languages)})")
    for name, text in (("updates", "pre-training updates"), ("adapt_updates", "adaptation updates"),
                       ("finetune_updates", "task adaptation updates, NLI"),
                       ("qa_updates", "task adaptation updates, questions"), ("new_words", "words of text per new language"),
                       ("forget_every", "K, updates of an episode")):
        other = f"; electra {ELECTRA[name]}" if name in ELECTRA else ""
        parser.add_argument("--" + name.replace("_", "-"), type=int,
                            help=f"{text} (default {getattr(default, name)}{other})")
    parser.add_argument("--workers", type=int, default=2, help="steps at a time, one thread each (default 2)")


def run(args: argparse.Namespace) -> int:
    """Runs the demo and prints its findings."""
    from recipes.demo.journey import demo

    names = ("seed", "updates", "adapt_updates", "finetune_updates", "qa_updates", "new_words", "forget_every")
    given = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
    settings = replace(defaults(args.backbone), languages=tuple(args.languages), **given)
    return demo(Path(args.output), settings, args.workers)
