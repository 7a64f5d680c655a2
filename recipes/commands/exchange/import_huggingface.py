"""`relexify import-huggingface --discriminator DIR --output DIR`"""

from __future__ import annotations

import argparse

EXAMPLES = """examples:
  relexify import-huggingface --discriminator my-electra/discriminator --generator my-electra/generator --language en \\
      --output models/electra
  relexify import-huggingface --discriminator hf:google/electra-small-discriminator \\
      --generator hf:google/electra-small-generator --body-only --output models/electra-small
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `relexify import-huggingface`."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EXAMPLES
    add = parser.add_argument
    add("--discriminator", required=True, metavar="DIR", help="folder of an ElectraForPreTraining; hf:OWNER/NAME for the hub")
    add("--generator", metavar="DIR", help="folder of its ElectraForMaskedLM; without it the body has no generator")
    add("--output", required=True, metavar="DIR", help="folder to write: DIR/body and DIR/embedding")
    add("--language", metavar="CODE", help="BCP-47 code of the embedding, such as en")
    add("--tokenizer", metavar="FILE", help="for models with WordPiece: a SentencePiece model of the language; "
        "special tokens and pieces spelled alike keep their rows, the others are drawn: a start for adapt")
    add("--body-only", action="store_true", help="write the body alone")
    add("--overwrite", action="store_true", help="replace an existing output")


def run(args: argparse.Namespace) -> int:
    """Runs the command; returns the exit code."""
    from adapt.formats.huggingface_import import import_electra

    report = import_electra(args.discriminator, args.generator, args.output, language=args.language,
                            tokenizer=args.tokenizer, body_only=args.body_only, overwrite=args.overwrite)
    body, embedding = report["body"], report["embedding"]
    shape, part = body.config, body.generator
    print(f"{args.output}/body: {shape.layers} layers, width {shape.width}, {shape.heads} heads, fingerprint "
          f"{body.fingerprint[:12]}; " + ("no generator" if part is None else
          f"generator {part.config.layers} layers, width {part.config.width}, {part.config.heads} heads, tying {part.tying}"))
    if embedding is not None:
        drawn = embedding.made["rows_drawn"]
        print(f"{args.output}/embedding: {len(embedding.weight):,} rows" + (
            f", {drawn:,} of them drawn: a start for adapt, not the embedding this model was trained with" if drawn else ""))
    return 0
