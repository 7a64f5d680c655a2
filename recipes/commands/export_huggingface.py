"""`relexify export-huggingface --body DIR --output DIR`"""

from __future__ import annotations

import argparse

EXAMPLE = """example:
  relexify export-huggingface --body runs/electra-small --embedding runs/electra-small --output exported
  python -c 'from transformers import ElectraForPreTraining as E; E.from_pretrained("exported/discriminator")'
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `relexify export-huggingface`."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EXAMPLE
    add = parser.add_argument
    add("--body", required=True, metavar="DIR", help="pre-trained body")
    add("--embedding", metavar="DIR", help="embedding of a language; default: the one beside --body")
    add("--output", required=True, metavar="DIR", help="folder to write: DIR/discriminator and DIR/generator, or DIR/masked-lm")
    add("--check-text", metavar="FILE", help="compare the exported tokenizer's ids with SentencePiece's on these lines too")
    add("--no-tokenizer", action="store_true", help="write the SentencePiece model alone, as relexify.model")
    add("--overwrite", action="store_true", help="replace an existing output")


def run(args: argparse.Namespace) -> int:
    """Runs the command; returns the exit code."""
    from adapt.artefacts.embedding import Embedding
    from adapt.artefacts.resources import embedding_of, locate
    from adapt.formats.huggingface_export import export
    from pretrain.artefacts.body import Body
    from pretrain.base.checkpoints import guard_torchaudio

    body = Body.load(locate(args.body, "body"))
    embedding = Embedding.load(embedding_of(args.body, args.embedding or ""))
    names = export(body, embedding, args.output, tokenizer=not args.no_tokenizer, check_text=args.check_text,
                   overwrite=args.overwrite)
    print(f"{args.output}: {' and '.join(names)}, {len(embedding.weight):,} rows ({embedding.language})")
    if body.generator is not None and body.generator.hardness != "none":
        print("note: the generator's hardness head has no counterpart there and was left out")
    if guard_torchaudio():
        print("note: the installed torchaudio does not import beside this torch, and transformers imports it with every model; "
              "nothing here needs it: pip uninstall torchaudio")
    return 0
