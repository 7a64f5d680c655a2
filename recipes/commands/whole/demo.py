"""`relexify demo --output DIR`"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

from recipes.demo.settings import ARMS, BACKBONES, ELECTRA, DemoSettings, defaults

EXAMPLE = """example:
  relexify demo --output demo-run
  relexify demo --output demo-run --seeds 1 2 3 4 5 6 7 8 --arms control temporary
  relexify demo --output demo-run --arms control temporary permuted partial rotating
  relexify demo --output demo-lexicon --arms control temporary --initialiser lexicon
  relexify demo --backbone electra --output demo-electra
"""

SIZES = {"layers": "layers of the bodies", "width": "width of the bodies", "updates": "pre-training updates",
         "finetune_updates": "task adaptation updates", "base_words": "words of text of the base language",
         "new_words": "words of text per new language", "train_pairs": "labelled pairs to train on",
         "test_pairs": "labelled pairs to test on, per language"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EXAMPLE
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    default = DemoSettings()
    parser.add_argument("--output", default="demo-run", metavar="DIR", help="folder of the demo (default demo-run)")
    parser.add_argument("--backbone", choices=BACKBONES, default=default.backbone,
                        help="roberta, or electra: a generator and a discriminator (default roberta)")
    parser.add_argument("--seeds", type=int, nargs="+", metavar="SEED", default=list(default.seeds),
                        help="of worlds, bodies and embeddings; may grow when the demo is run again (default "
                             f"{' '.join(map(str, default.seeds))})")
    parser.add_argument("--arms", nargs="+", choices=ARMS, metavar="ARM",
                        help=f"ways of pre-training a body; may grow too: {' '.join(ARMS)} (default "
                             f"{' '.join(default.arms)}; electra {' '.join(defaults('electra').arms)})")
    parser.add_argument("--languages", nargs="+", default=list(default.languages), metavar="CODE",
                        help=f"new languages, qab (nearest) to qaf (farthest) (default {' '.join(default.languages)})")
    for name, many, text in (("budgets", "+", "adaptation updates, an embedding for each"),
                             ("scored", "*", "budgets that are scored on a task; without a number: none")):
        shown = " ".join(map(str, getattr(default, name)))
        parser.add_argument("--" + name, type=int, nargs=many, metavar="UPDATES", default=list(getattr(default, name)),
                            help=f"{text} (default {shown})")
    for name, text in SIZES.items():
        other = f"; electra {ELECTRA[name]}" if name in ELECTRA else ""
        parser.add_argument("--" + name.replace("_", "-"), type=int, metavar="N",
                            help=f"{text} (default {getattr(default, name)}{other})")
    parser.add_argument("--initialiser", default=default.initialiser, metavar="NAME",
                        help="how the rows of new embeddings begin (docs/initialisers.md); lexicon reads the world's own "
                             f"dictionary (default {default.initialiser})")
    parser.add_argument("--workers", type=int, default=2, help="steps at a time, one thread each (default 2)")


def run(args: argparse.Namespace) -> int:
    """Runs the demo and prints its findings."""
    from recipes.demo.journey import demo

    given: dict[str, Any] = {name: getattr(args, name) for name in SIZES if getattr(args, name) is not None}
    given |= {name: tuple(sorted(set(getattr(args, name)))) for name in ("seeds", "budgets", "scored")}
    if args.arms:
        given["arms"] = tuple(arm for arm in ARMS if arm in args.arms)
    settings = replace(defaults(args.backbone), languages=tuple(args.languages), initialiser=args.initialiser, **given)
    return demo(Path(args.output), settings, args.workers)
