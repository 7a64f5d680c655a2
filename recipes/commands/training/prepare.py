"""`relexify prepare TEXT … --language CODE --output DIR`"""

from __future__ import annotations

import argparse
import sys

from adapt.text.settings import PrepareSettings
from pretrain.base.settings import declared
from recipes.options import GIVEN, add_option, add_options, settings_from

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
    known = declared(PrepareSettings)
    parser.add_argument("texts", nargs="*", metavar="TEXT", help=known["texts"].about.help)
    add_options(parser, PrepareSettings, but=("texts", "valid_fraction", "valid_documents"))
    held = parser.add_mutually_exclusive_group()
    for name in ("valid_fraction", "valid_documents"):
        add_option(held.add_argument, known[name])
    add = parser.add_argument
    add("--overwrite", action="store_true", help="replace an existing output")


def run(args: argparse.Namespace) -> int:
    """Runs `relexify prepare` with parsed arguments and says what was written; returns the exit code."""
    from adapt.text.prepare import parse_count, prepare

    setattr(args, GIVEN, getattr(args, GIVEN, frozenset()) | ({"texts"} if args.texts else set()))
    given = settings_from(PrepareSettings, args)
    record = prepare(
        given.texts, given.language, given.output, vocab_size=given.vocab_size, tokenizer=given.tokenizer,
        tokens=parse_count(given.tokens) if given.tokens else None, valid_fraction=given.valid_fraction,
        valid_documents=given.valid_documents, seed=given.seed, workers=given.workers, model_type=given.model_type,
        byte_fallback=given.byte_fallback, character_coverage=given.character_coverage,
        tokenizer_characters=parse_count(given.tokenizer_characters), documents=given.documents,
        text_field=given.text_field, normalisation=given.normalisation, skip_empty=given.skip_empty, overwrite=args.overwrite)
    vocabulary, settings = record["vocabulary"], record["settings"]["tokenizer"]
    if given.skip_empty:
        skipped = record["settings"]["skipped_empty"]
        what = "record had no text and was" if skipped == 1 else "records had no text and were"
        print(f"note: {skipped:,} {what} left out", file=sys.stderr)
    if not settings["reused"] and vocabulary["sentencepiece_size"] < settings["vocab_size"]:
        print(f"note: the text supports {vocabulary['sentencepiece_size']} pieces, fewer than the "
              f"{settings['vocab_size']} asked for", file=sys.stderr)
    for name, part in record["splits"].items():
        unknown = 100 * part["unknown"] / max(1, part["tokens"])
        what = "document" if part["documents"] == 1 else "documents"
        print(f"{name}: {part['documents']:,} {what}, {part['tokens']:,} tokens, {unknown:.2f} % <unk>")
    print(f"{given.output}: {record['language']}, vocabulary {vocabulary['size']:,} (special tokens included)")
    return 0
