"""`relexify import-fairseq model.pt --output DIR`"""

from __future__ import annotations

import argparse

from adapt.formats.fairseq import MISSING_ROWS

EXAMPLES = """examples:
  relexify import-fairseq xlmr.base/model.pt --dict xlmr.base/dict.txt \\
      --sentencepiece xlmr.base/sentencepiece.bpe.model --language mul --output models/xlmr
  relexify import-fairseq roberta.base/model.pt --body-only --output models/roberta
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `relexify import-fairseq`."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EXAMPLES
    add = parser.add_argument
    add("checkpoint", metavar="model.pt", help="fairseq checkpoint of a RoBERTa or XLM-R model")
    add("--output", required=True, metavar="DIR", help="folder to write: DIR/body and DIR/embedding")
    add("--dict", metavar="FILE", help="the checkpoint's dict.txt")
    add("--sentencepiece", metavar="FILE", help="the checkpoint's SentencePiece model, or GPT-2's "
        "encoder.json with vocab.bpe beside it")
    add("--language", metavar="CODE", help="BCP-47 code of the embedding, such as en; mul for a multilingual one")
    add("--body-only", action="store_true", help="write the body alone (models without SentencePiece: roberta.base)")
    add("--heads", type=int, metavar="N", help="attention heads, where the checkpoint does not say")
    add("--missing", choices=MISSING_ROWS, default="error",
        help="pieces that dict.txt lacks: refuse (default), or draw their rows from the table's mean and sd")
    add("--overwrite", action="store_true", help="replace an existing output")


def run(args: argparse.Namespace) -> int:
    """Runs the command; returns the exit code."""
    from adapt.formats.fairseq import import_checkpoint

    report = import_checkpoint(args.checkpoint, args.dict, args.sentencepiece, args.language, args.output,
                               heads=args.heads, body_only=args.body_only, missing=args.missing,
                               overwrite=args.overwrite)
    shape = report["architecture"]
    print(f"{args.output}/body: {shape['layers']} layers, width {shape['width']}, {shape['heads']} heads, "
          f"fingerprint {report['fingerprint'][:12]}")
    if "rows" in report:
        print(f"{args.output}/embedding: {report['rows']:,} rows ({report['rows_drawn']:,} drawn; "
              f"{report['rows_left_out']:,} symbols of dict.txt that the tokenizer does not have were left out)")
    return 0
