"""The command line: `relexify VERB …`. Verbs import what they need only when they run, so that `--help` is fast."""

from __future__ import annotations

import argparse
import io
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from types import FrameType

from pretrain.base.disk import one_line
from pretrain.base.errors import UserError
from pretrain.base.notices import shown

VERBS: dict[str, tuple[str, str]] = {
    "prepare": ("training.prepare", "text -> tokenizer and binarised blocks"),
    "pretrain": ("training.pretrain", "prepared English text -> body and embedding, with or without forgetting"),
    "split": ("training.split", "a training checkpoint -> body and embedding, an embedding, or a task body"),
    "adapt": ("training.adapt", "a new language's embedding against the frozen body"),
    "finetune": ("training.finetune", "the body, on English task data -> task body"),
    "teach": ("training.teach", "what task bodies say of each example -> a file that finetune and multitask learn from"),
    "multitask": ("training.multitask", "the body, on a mixture of tasks -> a body with a head for each"),
    "few-shot": ("training.few_shot", "shares of a task's examples, several subsamples each, from several bodies"),
    "assemble": ("training.assemble", "task body + embedding -> one portable model folder"),
    "evaluate": ("scoring.evaluate", "zero-shot scores of a task body in many languages"),
    "score-predictions": ("scoring.score_predictions",
                          "scores any system's predictions in the official JSON layout"),
    "arct": ("scoring.arct", "the argument reasoning data: adversarial set, validation, cues, runs over seeds"),
    "submit-glue": ("scoring.submit_glue", "predictions of GLUE's test sets in the layout that its site takes"),
    "analyse-sampling": ("scoring.analyse_sampling", "what an ELECTRA pair samples and how well it detects it, by arm"),
    "run": ("whole.run", "a recipe of arms, languages, budgets, tasks and seeds -> all cells, through Snakemake"),
    "config": ("whole.config", "every setting of a stage with its value, where that comes from, and what it does"),
    "report": ("scoring.report", "results of one or more runs -> one HTML page and one Markdown page"),
    "paper-tables": ("scoring.paper_tables", "the three tables of the active-forgetting paper, from a run's results"),
    "predict": ("using.predict", "labels, answers or tags for texts in any language whose embedding fits"),
    "detect": ("using.detect", "which tokens of a text were replaced, by an ELECTRA discriminator"),
    "fill": ("using.fill", "the best pieces for each <mask> of a text"),
    "inspect": ("using.inspect", "prints and verifies any artefact"),
    "diff": ("using.diff", "what differs between two artefacts: record, tensors, tokenizer, rows"),
    "import": ("exchange.import_model", "a BERT, RoBERTa, XLM-R, MPNet, ELECTRA … that you have -> body and embedding"),
    "import-fairseq": ("exchange.import_fairseq", "a fairseq RoBERTa or XLM-R checkpoint -> body and embedding"),
    "import-huggingface": ("exchange.import_huggingface", "a Hugging Face ELECTRA, both networks -> body and embedding"),
    "export": ("exchange.export", "body or task body, with an embedding -> a model that transformers or fairseq opens"),
    "surgery": ("training.surgery", "an embedding with more pieces, fewer, or those of two languages"),
    "push": ("exchange.push", "an artefact or an exported model -> the Hugging Face hub"),
    "export-huggingface": ("exchange.export_huggingface", "the older name of export --to huggingface"),
    "world": ("whole.world", "writes the miniature world: invented languages, text, NLI and questions"),
    "demo": ("whole.demo", "the whole journey in the miniature world, in minutes"),
    "bench": ("whole.bench", "measures steps, preparation and evaluation against the usual ways"),
}
"""verb -> module of recipes.commands with `add_arguments(parser)` and `run(args) -> int`, one line of help."""

OWN_TASKS = ("finetune", "teach", "multitask", "few-shot", "evaluate", "score-predictions", "predict", "run", "report")
"""Verbs that ask for a task by name, and so may be told of tasks of the user's own."""

EXAMPLE = """the journey:
  relexify prepare en.txt.gz --language en --output data/en --vocab-size 8000
  relexify pretrain recipes/pretrain/laptop-standard.yaml data=data/en output=runs/en
  relexify prepare sw.txt.gz --language sw --output data/sw --vocab-size 8000
  relexify adapt --body runs/en --data data/sw --output runs/sw
  relexify finetune --body runs/en --embedding runs/en --task xnli --data xnli --output runs/xnli
  relexify evaluate --body runs/xnli --embedding runs/en --embedding runs/sw --task xnli --split test --data xnli \\
      --output runs/scores

relexify VERB --help explains a verb and shows an example.
"""


def build_parser(verb: str | None) -> argparse.ArgumentParser:
    """The parser; only the arguments of `verb` are imported."""
    parser = argparse.ArgumentParser(
        prog="relexify", description="Modular embeddings: pre-train a body once, give it any language.",
        epilog=EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--version", action="store_true", help="print the version and exit")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB")
    for name, (module, text) in VERBS.items():
        one = verbs.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".",
                               formatter_class=argparse.RawDescriptionHelpFormatter)
        if name == verb:
            loaded = import_module(f"recipes.commands.{module}")
            loaded.add_arguments(one)
            if name in OWN_TASKS:
                one.add_argument("--tasks-from", action="append", metavar="FILE.py", help="Python file that registers tasks of "
                                 "your own; repeatable (docs/tasks.md)")
            run: Callable[[argparse.Namespace], int | None] = loaded.run
            one.set_defaults(run=run)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one verb; a user's mistake is one line on stderr and exit code 2."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal of another encoding costs some characters, never the work
            stream.reconfigure(errors="backslashreplace")
    words = list(sys.argv[1:] if argv is None else argv)
    verb = next((word for word in words if not word.startswith("-")), None)
    parser = build_parser(verb if verb in VERBS else None)
    args = parser.parse_args(words)
    if args.version:
        from importlib.metadata import version

        print(f"relexify {version('relexify')}")
        return 0
    if args.verb is None:
        parser.print_help()
        return 0
    try:
        if getattr(args, "tasks_from", None):
            from tasks.registry import tasks_from

            tasks_from(args.tasks_from)
        with shown(), ends_cleanly():
            return int(args.run(args) or 0)
    except UserError as error:
        print(f"relexify: error: {error}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:
        return 1
    except Terminated:
        print("relexify: stopped; the same command goes on where it was", file=sys.stderr)
        return Terminated.exit_code
    except KeyboardInterrupt:
        print("relexify: interrupted; the same command resumes where a stage was cut off", file=sys.stderr)
        return 130
    except Exception as error:
        line = one_line(error)
        if line is None or os.environ.get("RELEXIFY_TRACEBACK"):
            raise
        print(f"relexify: error: {line}", file=sys.stderr)
        return UserError.exit_code


class Terminated(BaseException):
    """The process was asked to end (SIGTERM), as a scheduler does."""

    exit_code = 128 + signal.SIGTERM


@contextmanager
def ends_cleanly() -> Iterator[None]:
    """SIGTERM ends what runs inside as an exception does: children are ended, temporary files removed, locks given back."""
    def stop(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the first one is being obeyed
        raise Terminated

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before or signal.SIG_DFL)


if __name__ == "__main__":
    sys.exit(main())
