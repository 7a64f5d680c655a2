"""`relexify surgery extend|prune|merge … --output DIR`"""

from __future__ import annotations

import argparse

EXAMPLE = """example:
  relexify surgery extend runs/sw --text medicine.txt --count 500 --output runs/sw-medicine
  relexify surgery prune runs/xx --text sw.txt --output runs/sw-small
  relexify surgery merge runs/sw runs/en/embedding --language mul --output runs/sw-en

Nothing is trained: rows that stay are the same, bit for bit. A new row starts as the mean of the rows that wrote its piece.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `relexify surgery`."""
    parser.epilog = EXAMPLE
    verbs = parser.add_subparsers(dest="operation", required=True, metavar="extend|prune|merge")
    extend = verbs.add_parser("extend", help="add pieces")
    extend.add_argument("embedding", help="embedding module")
    extend.add_argument("--pieces", metavar="FILE", help="new pieces, one a line, ▁ in front where a word begins")
    extend.add_argument("--text", action="append", default=[], metavar="FILE", help="or text to learn them from; repeatable")
    extend.add_argument("--count", type=int, default=0, metavar="N", help="with --text: how many, at most")
    prune = verbs.add_parser("prune", help="leave out pieces that a text does not use")
    prune.add_argument("embedding", help="embedding module")
    prune.add_argument("--text", action="append", required=True, metavar="FILE", help="text that must stay as it is; repeatable")
    merge = verbs.add_parser("merge", help="one module of two languages")
    merge.add_argument("embedding", help="embedding module whose rows win")
    merge.add_argument("other", help="embedding module of the same body")
    merge.add_argument("--language", required=True, metavar="CODE", help="of the result; mul for several languages")
    for one in (extend, prune, merge):
        one.add_argument("--output", required=True, metavar="DIR", help="embedding module to write")
        one.add_argument("--overwrite", action="store_true", help="replace an existing output")


def run(args: argparse.Namespace) -> int:
    """Runs the command; returns the exit code."""
    from pretrain.base.outputs import making

    with making(args.output, args.overwrite, "an embedding"):
        return _operate(args)


def _operate(args: argparse.Namespace) -> int:
    from adapt.artefacts.embedding import Embedding
    from adapt.artefacts.resources import locate
    from adapt.surgery import operations
    from pretrain.base.errors import UserError

    embedding = Embedding.load(locate(args.embedding, "embedding"))
    if args.operation == "merge":
        made = operations.merge(embedding, Embedding.load(locate(args.other, "embedding")), args.language)
    elif args.operation == "prune":
        made = operations.prune(embedding, _lines(args.text))
    else:
        if bool(args.pieces) == bool(args.text) or bool(args.text) != bool(args.count):
            raise UserError("expected --pieces FILE, or --text FILE with --count N: one of them says what to add")
        pieces = _lines([args.pieces]) if args.pieces else operations.new_pieces(embedding, _lines(args.text), args.count)
        made = operations.extend(embedding, [piece for piece in pieces if piece])
    made.save(args.output, args.overwrite)
    print(f"{args.output}: {made.made['surgery']}; {len(made.weight):,} rows ({made.language})")
    return 0


def _lines(paths: list[str]) -> list[str]:
    from pretrain.base.errors import UserError
    from pretrain.base.files import require_file

    found: list[str] = []
    for path in paths:
        try:
            found += require_file(path, "a text file").read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError as error:
            raise UserError(f"{path}: expected text in UTF-8, found byte {error.object[error.start]:#x} at offset "
                            f"{error.start}") from None
    return found
