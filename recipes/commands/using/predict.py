"""`relexify predict --body DIR --embedding DIR [--embedding DIR …] [FILE|-]`"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from itertools import islice
from pathlib import Path
from typing import IO, Any

EXAMPLE = """examples:
  relexify predict --body runs/xnli --embedding runs/sw --text "Mbwa anabweka." "Mnyama anatoa sauti."
  relexify predict --body runs/xnli --embedding runs/en --embedding runs/sw --language auto pairs.tsv --output labels.jsonl
  relexify predict --body runs/squad --embedding runs/sw questions.jsonl --output answers.jsonl
  relexify predict --body runs/panx --embedding runs/de --to tsv sentences.txt

Input: one item a line. FILE.jsonl holds objects (text; premise, hypothesis; question, context; words; a `language` of its own
counts before --language); any other file, and standard input (-), holds texts with tabs between the columns of an item, as
premise TAB hypothesis or question TAB context. Output: one JSON object a line, or with --to tsv its fields.
"""
CHUNK = 256
"""Items predicted at a time: output appears while input is read."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EXAMPLE
    add = parser.add_argument
    add("file", nargs="?", metavar="FILE", help="items, one a line; - for standard input")
    add("--text", nargs="+", default=[], metavar="TEXT", help="one item on the command line: a text, or its two texts")
    add("--body", required=True, metavar="DIR", help="task body, as finetune writes it")
    add("--embedding", action="append", default=[], metavar="DIR",
        help="an embedding of the body's lineage; repeatable (default: the one beside the body)")
    add("--task", default="", metavar="NAME", help="of a body that does several tasks, the one to do; a body that does not do "
        "it is refused")
    add("--language", default="", metavar="CODE", help="language of the items, or auto: by script, and where scripts do not tell "
        "by which embedding models the text best (default: that of the only embedding, else auto)")
    add("--to", choices=("jsonl", "tsv"), default="jsonl", help="form of the output (default jsonl)")
    add("--output", metavar="FILE", help="write there, whole or not at all (default: standard output, as it comes)")
    add("--device", default="auto", help="auto, cpu or cuda (default 'auto')")
    add("--threads", type=int, default=0, help="CPU threads; 0: torch's choice")
    add("--overwrite", action="store_true", help="replace an existing output")
    add("--quiet", action="store_true", help="no progress bar")


def run(args: argparse.Namespace) -> int:
    """Predicts and writes."""
    from pretrain.base.outputs import making, refuse_input

    refuse_input(args.output, args.file)
    with making(args.output, args.overwrite) if args.output else nullcontext():
        return _predict(args)


def _predict(args: argparse.Namespace) -> int:
    import torch
    from tqdm import tqdm

    import relexify
    from pretrain.base.errors import UserError
    from pretrain.base.files import atomic_file

    if bool(args.text) == bool(args.file):
        raise UserError(f"{'FILE and --text are both' if args.file else 'nothing is'} given; name a file, - for standard input, "
                        "or --text")
    if args.threads > 0:
        torch.set_num_threads(args.threads)
    model = relexify.load(args.body, *args.embedding, task=args.task, device=args.device)
    if args.task and args.task != model.task:
        raise UserError(f"{args.body}: does {model.task or 'no task'}, asked for {args.task}; name the task body of {args.task}")
    language = args.language or (model.languages[0] if len(model.languages) == 1 else relexify.AUTO)
    items = items_of(args, model.columns)
    hidden = args.quiet or args.file in (None, "-") or None  # None: shown on terminals only

    def write(stream: IO[str]) -> None:
        with tqdm(desc="predict", unit="item", disable=hidden, file=sys.stderr) as bar:
            while chunk := list(islice(items, CHUNK)):
                rows, names = [row for row, _ in chunk], [where for _, where in chunk]
                stream.writelines(lines_of(model.predict_rows(rows, names, language), args.to))
                stream.flush()
                bar.update(len(chunk))

    if not args.output:
        write(sys.stdout)
        return 0
    with atomic_file(args.output) as temporary, open(temporary, "w", encoding="utf-8") as stream:
        write(stream)
    return 0


def items_of(args: argparse.Namespace, columns: tuple[tuple[str, ...], ...]) -> Iterator[tuple[dict[str, Any], str]]:
    """(item, what errors call it) of each line; an item is an object, or the columns of a line under their names."""
    from pretrain.base.errors import UserError
    from pretrain.base.files import require_file
    from pretrain.base.records import parse_json

    def row(cells: list[str], where: str) -> dict[str, Any]:
        keys = next((keys for keys in columns if len(keys) == len(cells)), None)
        if keys is None:
            wanted = ", or ".join(" TAB ".join(keys) for keys in columns)
            raise UserError(f"{where}: {len(cells)} columns; expected {wanted}")
        return dict(zip(keys, cells, strict=True))

    if args.text:
        yield row(args.text, "--text"), "--text"
        return
    place = "standard input" if args.file == "-" else args.file
    with (sys.stdin.buffer if args.file == "-" else open(require_file(args.file, "items, one a line"), "rb")) as stream:
        for number, raw in enumerate(stream, 1):
            where = f"{place}:{number}"
            try:
                line = raw.decode("utf-8").rstrip("\r\n")
            except UnicodeDecodeError as error:
                raise UserError(f"{where}: expected UTF-8, got byte {error.object[error.start]:#x}; convert the file") from None
            if number == 1:
                line = line.removeprefix("\ufeff")
            if not line.strip():
                raise UserError(f"{where}: expected an item, got an empty line; leave it out")
            if Path(args.file).suffix != ".jsonl":
                yield row(line.split("\t"), where), where
                continue
            content = parse_json(line, where, "one JSON object a line")
            if not isinstance(content, dict):
                raise UserError(f"{where}: expected a JSON object, got {line[:40]!r}")
            yield content, where


def lines_of(predictions: list[dict[str, Any]], form: str) -> Iterator[str]:
    """The lines of the output."""
    for one in predictions:
        if form == "jsonl":
            yield json.dumps(one, ensure_ascii=False) + "\n"
        else:
            yield "\t".join(map(cell, one.values())) + "\n"


def cell(value: Any) -> str:
    """A value as a table's cell: lists by spaces, shares with four digits, nothing as nothing."""
    if isinstance(value, Mapping):
        return " ".join(f"{key}={share:.4f}" for key, share in value.items())
    if isinstance(value, list):
        return " ".join("-".join(map(str, part)) if isinstance(part, list) else str(part) for part in value)
    if isinstance(value, float):
        return f"{value:.4f}"
    return "" if value is None else " ".join(str(value).split())
