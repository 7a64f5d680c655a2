"""`relexify prepare TEXT … --language CODE --output DIR`"""

from __future__ import annotations

import argparse
import sys

from adapt.text.prepare import DEFAULT_VALID_FRACTION, DEFAULT_VOCAB_SIZE

_EPILOG = """\
examples:
  relexify prepare sw.txt.gz --language sw --output data/sw --vocab-size 8000
      trains a tokenizer on the text and writes data/sw
  relexify prepare sw.txt.gz --language sw --output data/sw-5M --tokenizer data/sw --tokens 5M
      the same tokenizer, 5,000,000 training tokens drawn over the whole text
  relexify prepare part1.jsonl.zst part2.jsonl.zst --language de --output data/de --text-field content
  relexify prepare hf:wikimedia/wikipedia:20231101.sw --language sw --output data/sw-wiki
      only an input named hf:... reaches the network
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `relexify prepare`, with examples under the help."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _EPILOG
    add = parser.add_argument
    add("texts", nargs="+", metavar="TEXT",
        help="plain text, .jsonl or .parquet, also as .gz, .xz or .zst; or hf:NAME[:CONFIG[:SPLIT]]")
    add("--language", required=True, metavar="CODE", help="BCP-47 code, such as sw or zh-Hant")
    add("--output", required=True, metavar="DIR", help="the folder to write")
    add("--vocab-size", type=int, metavar="N",
        help=f"pieces of the tokenizer to train (default {DEFAULT_VOCAB_SIZE}; fewer if the text has no more)")
    add("--tokenizer", metavar="DIR", help="encode with this tokenizer: a prepared folder, an embedding, a "
        "SentencePiece model, a tokenizer.json, BERT's vocab.txt, GPT-2's encoder.json (vocab.bpe beside it)")
    add("--tokens", metavar="COUNT", help="size of the training part, such as 5M, to within a document (default: all)")
    held = parser.add_mutually_exclusive_group()
    held.add_argument("--valid-fraction", type=float, metavar="F",
                      help=f"share of the documents held out (default {DEFAULT_VALID_FRACTION})")
    held.add_argument("--valid-documents", type=int, metavar="N", help="number of documents held out")
    add("--documents", choices=("auto", "line", "blank"), default="auto",
        help="a document is a line, or the lines between blank lines (auto: blank if the text's start has them)")
    add("--text-field", default="text", metavar="NAME", help="field of a record that holds the text (default text)")
    add("--seed", type=int, default=1, help="draws the split and the samples (default 1)")
    add("--workers", type=int, metavar="N", help="processes that encode (default: the cores); never changes the result")
    add("--model-type", choices=("unigram", "bpe"), default="unigram", help="kind of tokenizer (default unigram)")
    add("--byte-fallback", action="store_true", help="write unknown characters as bytes rather than <unk>")
    add("--character-coverage", type=float, default=0.9998, metavar="F",
        help="share of the characters that get pieces (default 0.9998)")
    add("--tokenizer-characters", default="50M", metavar="COUNT",
        help="how much text the tokenizer learns from, drawn over the whole text (default 50M)")
    add("--overwrite", action="store_true", help="replace an existing output")


def run(args: argparse.Namespace) -> int:
    """Runs `relexify prepare` with parsed arguments and says what was written; returns the exit code."""
    from adapt.text.prepare import parse_count, prepare

    record = prepare(
        args.texts, args.language, args.output, vocab_size=args.vocab_size, tokenizer=args.tokenizer,
        tokens=parse_count(args.tokens) if args.tokens else None, valid_fraction=args.valid_fraction,
        valid_documents=args.valid_documents, seed=args.seed, workers=args.workers, model_type=args.model_type,
        byte_fallback=args.byte_fallback, character_coverage=args.character_coverage,
        tokenizer_characters=parse_count(args.tokenizer_characters), documents=args.documents,
        text_field=args.text_field, overwrite=args.overwrite)
    vocabulary, settings = record["vocabulary"], record["settings"]["tokenizer"]
    if not settings["reused"] and vocabulary["sentencepiece_size"] < settings["vocab_size"]:
        print(f"note: the text supports {vocabulary['sentencepiece_size']} pieces, fewer than the "
              f"{settings['vocab_size']} asked for", file=sys.stderr)
    for name, part in record["splits"].items():
        unknown = 100 * part["unknown"] / max(1, part["tokens"])
        print(f"{name}: {part['documents']:,} documents, {part['tokens']:,} tokens, {unknown:.2f} % <unk>")
    print(f"{args.output}: {record['language']}, vocabulary {vocabulary['size']:,} (special tokens included)")
    return 0
