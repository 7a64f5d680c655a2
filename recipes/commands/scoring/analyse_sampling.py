"""`relexify analyse-sampling --body [NAME=]DIR [--body …] --data DIR --output DIR`"""

from __future__ import annotations

import argparse
import sys
import time
from importlib.util import find_spec
from pathlib import Path

EXAMPLE = """example:
  relexify analyse-sampling --body runs/en-electra --data data/en --output runs/sampling
  relexify analyse-sampling --body plain=runs/a1 --body plain=runs/a2 --body dist=runs/b1 --body dist=runs/b2 \\
      --data data/en --output runs/sampling --draws 4

Runs under one name are one arm (seeds); arms are compared with the first. docs/electra.md says what each figure is.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of the analyses in `recipes.sampling`."""
    parser.epilog = EXAMPLE
    add = parser.add_argument
    add("--body", action="append", required=True, metavar="[NAME=]DIR", help="a pre-trained ELECTRA pair; runs of one NAME are "
        "one arm (default: the folder's name); repeatable")
    add("--embedding", action="append", default=[], metavar="DIR", help="its embedding (default: the one beside it); with "
        "several bodies one for each, in their order")
    add("--data", required=True, metavar="DIR", help="prepared text in the embedding's vocabulary")
    add("--output", required=True, metavar="DIR", help="folder for tables, record and picture")
    add("--split", default="valid", help="split of the prepared text (default 'valid')")
    add("--blocks", type=int, default=0, metavar="N", help="only the first N blocks; 0: all (default 0)")
    add("--tokens-per-sample", type=int, default=0, metavar="N", help="length of a block; 0: as trained, the least of all runs")
    add("--mask-prob", type=float, default=0.15, help="share of hidden tokens (default 0.15)")
    add("--mask-policy", default="electra", help="electra, bert or mask (default 'electra')")
    add("--mixture", type=float, default=0.1, help="share of p_G mixed into p_S where replacements are drawn from it "
        "(default 0.1, as in training by default)")
    add("--draws", type=int, default=2, metavar="K", help="samples at each hidden position from each distribution; correlations "
        "within positions need 2 (default 2)")
    add("--test", default="welch", help="between arms: welch, or paired by the order of runs (default 'welch')")
    add("--seed", type=int, default=1, help="of masks and draws (default 1)")
    add("--device", default="auto", help="auto, cpu or cuda (default 'auto')")
    add("--batch-size", type=int, default=8, metavar="N", help="blocks of a batch: memory and speed (default 8)")
    add("--threads", type=int, default=0, help="CPU threads; 0: torch's choice")
    add("--no-picture", action="store_true", help="do without matplotlib")
    add("--overwrite", action="store_true", help="replace an existing output")
    add("--quiet", action="store_true", help="no progress bar")


def run(args: argparse.Namespace) -> int:
    """Measures every run, writes the folder and prints the tests."""
    from pretrain.base.outputs import making

    with making(args.output, args.overwrite, "an analysis of sampling"):
        return _analyse(args)


def _analyse(args: argparse.Namespace) -> int:
    import torch
    from tqdm import tqdm

    from adapt.artefacts.assemble import assemble_pair
    from adapt.artefacts.embedding import Embedding
    from pretrain.artefacts.body import Body
    from pretrain.base.environment import environment
    from pretrain.base.errors import UserError, unknown
    from pretrain.base.files import atomic_folder, write_json
    from recipes.sampling.arms import TESTS, Result, by_arm, check_pairing, compare
    from recipes.sampling.figures import figures, histogram
    from recipes.sampling.observe import Settings, observe
    from recipes.sampling.page import page, record, verdict, write_csv
    from recipes.sampling.runs import load_blocks, load_runs
    from tasks.predict import choose_device

    if not args.no_picture and find_spec("matplotlib") is None:
        raise UserError("the picture needs matplotlib, which is not installed: pip install 'relexify[demo]', or pass "
                        "--no-picture")
    if args.test not in TESTS:
        raise unknown("test", args.test, TESTS)
    if args.blocks < 0:
        raise UserError(f"--blocks {args.blocks}: expected at least 1, or 0 for all")
    if args.threads > 0:
        torch.set_num_threads(args.threads)
    settings = Settings(args.mask_prob, args.mask_policy, args.mixture, args.draws, args.seed, args.batch_size)
    device = choose_device(args.device)
    runs = load_runs(args.body, args.embedding)
    blocks = load_blocks(args.data, args.split, runs, args.tokens_per_sample)
    count = min(args.blocks or len(blocks), len(blocks))
    results = []
    if args.test == "paired":
        check_pairing(by_arm([Result(one, {}, []) for one in runs]))
    started = time.monotonic()
    with tqdm(total=count * len(runs), unit="block", disable=args.quiet, leave=False, dynamic_ncols=True) as bar:
        for trained in runs:
            bar.set_description(f"{trained.arm}: {Path(trained.name).name}")
            pair = assemble_pair(Body.load(trained.body_path), Embedding.load(trained.embedding_path), device)
            try:
                observed = observe(pair, blocks, settings, count, bar.update)
            except UserError as error:
                raise UserError(f"{trained.name}: {error}") from None
            results.append(Result(trained, {(f.name, f.subset): f for f in figures(observed)},
                                  histogram(observed.positions.confidence).tolist()))
    said = {"data": str(args.data), "split": args.split, "blocks": count, "tokens_per_sample": blocks.block_size,
            "mask_prob": settings.mask_prob, "mask_policy": settings.mask_policy, "mixture": settings.mixture,
            "draws": settings.draws, "seed": settings.seed, "batch_size": settings.batch_size, "test": args.test,
            "device": str(device), "software": environment()}
    comparisons = compare(results, args.test)
    with atomic_folder(args.output, args.overwrite) as folder:
        write_csv(results, folder)
        write_json(folder / "summary.json", record(results, comparisons, said))
        (folder / "summary.md").write_text(page(results, comparisons, said), encoding="utf-8")
        if not args.no_picture:
            from recipes.sampling.picture import picture

            picture(results, folder / "analysis.png")
    for one in comparisons:
        print(f"claim {one.claim}, {one.arm}, {one.figure}: {one.first} -> {one.second}: {verdict(one)}")
    print(f"{len(runs)} runs of {count:,} blocks in {time.monotonic() - started:.0f} s; {Path(args.output) / 'summary.md'}",
          file=sys.stderr)
    return 0
