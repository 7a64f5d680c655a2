"""`relexify arct build|validate|cues|runs …`"""

from __future__ import annotations

import argparse

EXAMPLE = """example:
  relexify arct build train.tsv --claims claim_map.csv --output train_adversarial-en.tsv
  relexify arct validate test-adv-negated.csv
  relexify arct cues train.tsv --top 20
  relexify finetune --body runs/en --task arct --data arct --output runs/arct --seeds 1,2,3,4,5
  relexify arct runs runs/arct --embedding runs/en --data arct --split test --split test_adversarial --output runs/arct-scores
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `relexify arct`."""
    parser.epilog = EXAMPLE
    verbs = parser.add_subparsers(dest="operation", required=True, metavar="build|validate|cues|runs")
    build = verbs.add_parser("build", help="the adversarial set of a file, from a table of negated claims")
    build.add_argument("points", metavar="FILE", help="a file of ARCT")
    build.add_argument("--claims", required=True, metavar="FILE", help="table with the columns original and negated")
    build.add_argument("--leave-out", action="store_true", help="leave out points whose claim has no negation there")
    build.add_argument("--output", required=True, metavar="FILE", help="file to write")
    build.add_argument("--overwrite", action="store_true", help="replace an existing output")
    validate = verbs.add_parser(
        "validate", help="pairs of an adversarial set that contradict themselves; exit code 1 where any does"
    )
    validate.add_argument("points", metavar="FILE", help="an adversarial set")
    cues = verbs.add_parser("cues", help="applicability, productivity and coverage of what stands in the warrants")
    cues.add_argument("points", nargs="+", metavar="FILE", help="files of ARCT, counted together")
    cues.add_argument("--bigrams", action="store_true", help="pairs of tokens instead of single ones")
    cues.add_argument("--top", type=int, default=20, metavar="N", help="print the N widest cues (default 20)")
    runs = verbs.add_parser("runs", help="scores of runs over seeds: all of them, and without the degenerate ones")
    runs.add_argument("folder", metavar="DIR", help="what finetune --seeds wrote")
    runs.add_argument("--embedding", required=True, metavar="DIR", help="embedding of the data's language")
    runs.add_argument("--data", required=True, metavar="DIR", help="folder with the task's files")
    runs.add_argument("--split", action="append", required=True, metavar="NAME", help="split to score; repeatable")
    runs.add_argument("--train-split", default="train", metavar="NAME", help="what the runs were trained on (default train)")
    runs.add_argument("--threshold", type=float, default=0.8, metavar="SHARE",
                      help="a run is degenerate where its accuracy on the training split is below this (default 0.8)")
    runs.add_argument("--output", required=True, metavar="DIR", help="folder for records and runs.json")
    runs.add_argument("--device", default="auto", help="auto, cpu or cuda (default 'auto')")
    runs.add_argument("--overwrite", action="store_true", help="replace an existing output")
    runs.add_argument("--quiet", action="store_true", help="no progress bar")


def run(args: argparse.Namespace) -> int:
    """Runs the operation; returns the exit code."""
    if args.operation == "runs":
        from tasks.choice.arct.runs import score_runs, table

        print(table(score_runs(args.folder, args.embedding, args.data, args.split, args.output, args.train_split, args.threshold,
                               args.device, args.overwrite, args.quiet)))
        return 0
    from pretrain.base.files import refuse_existing
    from pretrain.base.outputs import refuse_input
    from tasks.choice.arct import adversarial

    if args.operation == "build":
        refuse_input(args.output, args.points, args.claims)
        refuse_existing(args.output, args.overwrite)
        built = adversarial.build(adversarial.read_points(args.points), adversarial.read_claims(args.claims), args.leave_out)
        adversarial.write_points(args.output, built.points)
        left = f"; {built.left_out:,} points have no negated claim and were left out" if built.left_out else ""
        print(f"{args.output}: {len(built.points):,} points, half of them with the claim negated{left}")
        return 0
    if args.operation == "validate":
        points = adversarial.read_points(args.points)
        wrong = adversarial.validate(points)
        print("\n".join([*wrong, f"{args.points}: {len(points):,} points, {len(wrong):,} mistakes"]))
        return 1 if wrong else 0
    return _cues(args)


def _cues(args: argparse.Namespace) -> int:
    from tasks.choice.arct import cues
    from tasks.choice.arct.adversarial import read_points
    from tasks.tables import aligned

    points = [point for path in args.points for point in read_points(path)]
    found = cues.statistics(points, 2 if args.bigrams else 1)[:max(args.top, 0)]
    listed = found if args.bigrams else [cues.negations(points), *found]
    rows = [["cue", "productivity", "coverage", "applicability"]]
    rows += [[cue.name, f"{cue.productivity:.3f}", f"{cue.coverage:.3f}", f"{cue.applicability:,}"] for cue in listed]
    print(aligned(rows, left=1))
    print(
        f"{len(points):,} points; the longer warrant (characters, of equal ones the second): right in {cues.longer(points):.3f}\n"
        "tokens: lower case, runs of letters, digits and apostrophes"
    )
    return 0
