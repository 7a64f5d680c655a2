"""`relexify assemble --body DIR --embedding DIR --output DIR`"""

from __future__ import annotations

import argparse

EXAMPLE = """example:
  relexify assemble --body runs/xnli --embedding runs/sw --output models/xnli-sw
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EXAMPLE
    parser.add_argument("--body", required=True, metavar="DIR", help="body or task body")
    parser.add_argument("--embedding", required=True, metavar="DIR", help="embedding of a language")
    parser.add_argument("--output", required=True, metavar="DIR", help="where the model folder will stand")
    parser.add_argument("--overwrite", action="store_true", help="replace an existing output")


def run(args: argparse.Namespace) -> int:
    from adapt.artefacts.assemble import assemble
    from adapt.artefacts.embedding import Embedding
    from adapt.artefacts.resources import locate
    from pretrain.artefacts.body import Body
    from pretrain.base.files import atomic_folder
    from pretrain.base.outputs import making

    with making(args.output, args.overwrite, "a body with an embedding"):
        body = Body.load(locate(args.body, "body"))
        embedding = Embedding.load(locate(args.embedding, "embedding"))
        assemble(body, embedding)
        with atomic_folder(args.output, args.overwrite) as folder:
            body.save(folder / "body")
            embedding.save(folder / "embedding")
    what = f"task {body.task['name']}" if body.task else "no task head"
    print(f"{args.output}: body {body.fingerprint[:12]} ({what}) with {embedding.language}")
    return 0
