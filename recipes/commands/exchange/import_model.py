"""`relexify import MODEL --language CODE --output DIR`"""

from __future__ import annotations

import argparse

EXAMPLES = """examples:
  relexify import bert-base-uncased --language en --output models/bert
      a folder with config.json, weights and tokenizer; hf:OWNER/NAME takes it from the hub
  relexify import xlmr.base/model.pt --language mul --output models/xlmr
      fairseq's, with dict.txt and sentencepiece.bpe.model beside it
  relexify import xlm-roberta-base --language sw --text sw.txt --output models/xlmr-sw
      of a multilingual model, the rows that Swahili uses
  relexify import all-MiniLM-L6-v2 --keep-layers 4 --language en --output models/minilm
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `relexify import`."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EXAMPLES
    add = parser.add_argument
    add("model", metavar="MODEL", help="a model's folder, hf:OWNER/NAME on the hub, or a fairseq checkpoint (.pt): BERT and its "
        "like, RoBERTa, CamemBERT, XLM-R, MPNet, ELECTRA")
    add("--output", required=True, metavar="DIR", help="folder to write: DIR/body and DIR/embedding")
    add("--language", metavar="CODE", help="BCP-47 code of the embedding, such as en; mul for a multilingual one")
    add("--tokenizer", metavar="FILE", help="its tokenizer, where it is not beside the model")
    add("--generator", metavar="DIR", help="of an ELECTRA: the folder of its generator")
    add("--dict", metavar="FILE", help="of a fairseq checkpoint: dict.txt, where it is not beside it")
    add("--heads", type=int, metavar="N", help="of a fairseq checkpoint: attention heads, where it does not say")
    add("--keep-layers", type=int, metavar="N", help="only the first N layers (the last ones of sentence encoders have forgotten "
        "tokens)")
    add("--text", metavar="FILE", help="a text of the language: the embedding of a multilingual model gets the rows of pieces "
        "that it uses, and no others")
    add("--body-only", action="store_true", help="write the body alone")
    add("--overwrite", action="store_true", help="replace an existing output")


def run(args: argparse.Namespace) -> int:
    """Runs the command; returns the exit code."""
    from adapt.formats.import_model import import_model

    for line in import_model(args.model, args.output, language=args.language, tokenizer=args.tokenizer, dictionary=args.dict,
                             generator=args.generator, heads=args.heads, keep_layers=args.keep_layers, text=args.text,
                             body_only=args.body_only, overwrite=args.overwrite):
        print(line)
    return 0
