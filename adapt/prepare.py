"""`relexify prepare`: text to a tokenizer and binarised token ids.

The text is read twice where a tokenizer is trained (sample, then encode) and once where one is given. Documents are
encoded in worker processes and come back in order; which documents are kept, and in which part, follows from the seed
and the document's number alone. So the same seed gives the same bytes, whatever the number of workers.

This module imports nothing heavy by itself: the command line reads it for `--help`.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pretrain.environment import available_cores
from pretrain.errors import UserError
from pretrain.files import atomic_folder, refuse_existing, sha256_file, write_json

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from adapt.corpus import Corpus
    from adapt.sampling import Selection
    from adapt.tokenizer import Tokenizer

FORMAT_VERSION = 1
DEFAULT_VOCAB_SIZE = 50_000
DEFAULT_VALID_FRACTION = 0.01
CHUNK_CHARACTERS = 1 << 20  # text sent to a worker at a time
INLINE_BYTES = 4 << 20  # inputs smaller than this are encoded faster than worker processes start
COPY_TOKENS = 1 << 23  # tokens copied at a time when the parts are written

_LANGUAGE = re.compile(
    r"(?:[a-z]{2,3}(?:-[a-z]{4})?(?:-(?:[a-z]{2}|[0-9]{3}))?(?:-(?:[a-z0-9]{5,8}|[0-9][a-z0-9]{3}))*"
    r"(?:-x(?:-[a-z0-9]{1,8})+)?|x(?:-[a-z0-9]{1,8})+)", re.IGNORECASE)


def check_language(code: str) -> str:
    """A BCP-47 language code in its usual case (`zh-Hant`, `pt-BR`, `x-mini`).

    Raises:
        UserError: not the shape of a language code.
    """
    if not _LANGUAGE.fullmatch(code):
        hint = f", did you mean {code.replace('_', '-')!r}?" if _LANGUAGE.fullmatch(code.replace("_", "-")) else ""
        raise UserError(f"language {code!r}: expected a BCP-47 code such as sw, zh-Hant or pt-BR{hint}")
    parts = code.lower().split("-")
    for place, part in enumerate(parts[1:], 1):
        if "x" in parts[:place]:
            break
        if len(part) == 2:
            parts[place] = part.upper()
        elif len(part) == 4 and part.isalpha():
            parts[place] = part.title()
    return "-".join(parts)


def parse_count(text: str) -> int:
    """A count such as `5000000`, `5_000_000`, `5M`, `1.5M`, `200k` or `1B`.

    Raises:
        UserError: anything else, or a count that is not a whole positive number.
    """
    match = re.fullmatch(r"([0-9][0-9_]*(?:\.[0-9]+)?)([kKmMbB]?)", text.strip())
    count = float(match[1]) * {"": 1, "k": 10**3, "m": 10**6, "b": 10**9}[match[2].lower()] if match else 0.0
    if count < 1 or abs(count - round(count)) > 1e-6:
        raise UserError(f"count {text!r}: expected a whole number above 0 such as 5000000, 200k, 5M or 1B")
    return round(count)


def default_workers() -> int:
    """The cores that this process may use, at most 16: beyond that, reading the text is what takes the time."""
    return min(available_cores(), 16)


# --- encoding, in this process or in workers -------------------------------------------------------------------------

_worker_tokenizer: Tokenizer | None = None


def _start_worker(model: str) -> None:
    """Loads the tokenizer once in a worker, and sees to it that the worker ends with its parent (kill -9 included)."""
    import multiprocessing
    import signal
    import threading

    from adapt.tokenizer import Tokenizer

    global _worker_tokenizer
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    _worker_tokenizer = Tokenizer.load(model)
    parent = multiprocessing.parent_process()
    if parent is not None:
        def follow() -> None:
            parent.join()
            os._exit(1)
        threading.Thread(target=follow, daemon=True).start()


def _encode_in_worker(documents: list[list[str]]) -> tuple[bytes, bytes]:
    assert _worker_tokenizer is not None
    return encode_documents(_worker_tokenizer, documents)


def encode_documents(tokenizer: Tokenizer, documents: list[list[str]]) -> tuple[bytes, bytes]:
    """Encodes documents: every line, then `</s>`.

    A line that has no token (only characters that normalisation drops) is left out with its `</s>`.

    Returns:
        The ids of all documents end to end, in the type that the vocabulary is stored in, and the size of each
        document as int32; as bytes, which cross process borders fastest.
    """
    import numpy as np

    from pretrain.data import token_dtype
    from pretrain.vocabulary import EOS

    tokens, lengths = tokenizer.encode_flat([line for document in documents for line in document])
    sizes = lengths + (lengths > 0)
    ends = np.cumsum(sizes)
    ids = np.empty(int(ends[-1]) if len(ends) else 0, dtype=token_dtype(len(tokenizer)))
    is_end = np.zeros(len(ids), dtype=bool)
    is_end[ends[lengths > 0] - 1] = True
    ids[is_end] = EOS
    ids[~is_end] = tokens
    line_counts = np.fromiter(map(len, documents), dtype=np.int64, count=len(documents))
    totals = np.concatenate([[0], ends])[np.concatenate([[0], np.cumsum(line_counts)])]
    return ids.tobytes(), np.diff(totals).astype(np.int32).tobytes()


def _encode_all(chunks: Iterable[tuple[Any, list[list[str]]]], tokenizer: Tokenizer, model: Path,
                workers: int) -> Iterator[tuple[Any, tuple[bytes, bytes]]]:
    """Yields each chunk's label with what `encode_documents` makes of it, in order, a bounded number under way."""
    if workers <= 1:
        for label, documents in chunks:
            yield label, encode_documents(tokenizer, documents)
        return
    import multiprocessing

    # spawn: a fork of a process that has threads (torch, tqdm, SentencePiece) may hang
    pool = ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"), initializer=_start_worker,
                               initargs=(str(model),))
    waiting: deque[tuple[Any, Future[tuple[bytes, bytes]]]] = deque()
    try:
        for label, documents in chunks:
            waiting.append((label, pool.submit(_encode_in_worker, documents)))
            if len(waiting) > 2 * workers:
                first, future = waiting.popleft()
                yield first, future.result()
        while waiting:
            first, future = waiting.popleft()
            yield first, future.result()
    finally:
        pool.shutdown(cancel_futures=True)


# --- prepare ---------------------------------------------------------------------------------------------------------

@dataclass
class _Encoded:
    """All encoded documents: numbers and sizes here, ids end to end in a file."""

    path: Path
    indices: NDArray[Any]
    sizes: NDArray[Any]
    documents: int  # in the text, encoded or not


def _bar(corpus: Corpus, what: str, progress: bool) -> Any:
    from tqdm import tqdm

    return tqdm(total=corpus.total_bytes, desc=what, unit="B", unit_scale=True, file=sys.stderr,
                disable=None if progress else True)  # None: shown on terminals only


def _watched(corpus: Corpus, bar: Any) -> Iterator[list[str]]:
    """The documents, with the bar moved along now and then."""
    for number, document in enumerate(corpus):
        if number % 256 == 0:
            bar.update(corpus.position - bar.n)
        yield document
    bar.update(corpus.position - bar.n)


def _encode_corpus(corpus: Corpus, tokenizer: Tokenizer, model: Path, selection: Selection, shard: Path,
                   workers: int, progress: bool) -> _Encoded:
    """Encodes the wanted documents into `shard`, in one pass over the text."""
    import numpy as np

    seen = 0

    def chunks(bar: Any) -> Iterator[tuple[Any, list[list[str]]]]:
        nonlocal seen
        held: list[list[str]] = []
        size = 0

        def chosen() -> tuple[Any, list[list[str]]]:
            indices = np.arange(seen - len(held), seen)
            wanted = np.flatnonzero(selection.wanted(indices))
            return indices[wanted], held if len(wanted) == len(held) else [held[i] for i in wanted.tolist()]

        for document in _watched(corpus, bar):
            held.append(document)
            seen += 1
            size += sum(map(len, document))
            if size >= CHUNK_CHARACTERS:
                yield chosen()
                held, size = [], 0
        if held:
            yield chosen()

    indices, sizes, tokens = [], [], 0
    with _bar(corpus, "encode", progress) as bar, open(shard, "wb") as file:
        for numbers, (ids, counts) in _encode_all(chunks(bar), tokenizer, model, workers):
            file.write(ids)
            indices.append(numbers)
            sizes.append(np.frombuffer(counts, dtype=np.int32))
            selection.add(numbers, sizes[-1])
            tokens += int(sizes[-1].sum())
            bar.set_postfix(tokens=f"{tokens / 1e6:.1f}M", documents=seen, refresh=False)
    return _Encoded(shard, np.concatenate(indices), np.concatenate(sizes), seen)


def _write_part(encoded: _Encoded, chosen: NDArray[np.bool_], prefix: Path, vocab_size: int) -> NDArray[np.int64]:
    """Writes the chosen documents as `PREFIX.bin` and `PREFIX.idx`; returns how often each id occurs."""
    import numpy as np

    from pretrain.data import token_dtype, write_index

    dtype = token_dtype(vocab_size)
    tokens = np.memmap(encoded.path, mode="r", dtype=dtype)
    ends = np.cumsum(encoded.sizes, dtype=np.int64)
    counts = np.zeros(vocab_size, dtype=np.int64)
    first = 0
    with open(f"{prefix}.bin", "wb") as file:
        while first < len(ends):
            start = int(ends[first - 1]) if first else 0
            last = max(first + 1, int(np.searchsorted(ends, start + COPY_TOKENS, side="right")))
            mask = np.repeat(chosen[first:last], encoded.sizes[first:last])
            part = tokens[start:int(ends[last - 1])][mask]
            file.write(part.tobytes())
            counts += np.bincount(part, minlength=vocab_size)
            first = last
    write_index(f"{prefix}.idx", encoded.sizes[chosen], dtype)
    return counts


def prepare(texts: Sequence[str | Path], language: str, output: str | Path, *, vocab_size: int | None = None,
            tokenizer: str | Path | None = None, tokens: int | None = None,
            valid_fraction: float | None = None, valid_documents: int | None = None, seed: int = 1,
            workers: int | None = None, model_type: str = "unigram", byte_fallback: bool = False,
            character_coverage: float = 0.9998, tokenizer_characters: int = 50_000_000, documents: str = "auto",
            text_field: str = "text", overwrite: bool = False, progress: bool = True) -> dict[str, Any]:
    """Writes the folder `output`: tokenizer.model, dict.txt, train and valid (.bin, .idx), prepare.json.

    Where `workers` is above 1 and the text is large, worker processes are spawned: a script that calls this needs the
    usual `if __name__ == "__main__":`.

    Args:
        texts: input files, or `hf:NAME[:config[:split]]` (see `adapt.corpus.Corpus`).
        language: BCP-47 code of the text.
        vocab_size: pieces of the tokenizer that is trained (50,000 by default); fewer where the text has no more.
        tokenizer: a prepared folder, an embedding module or a model file to encode with, instead of training one.
        tokens: the training part's size in tokens, `</s>` included; met to within one document. All of it if None.
        valid_fraction: the share of documents held out (0.01 by default), or `valid_documents`: their number.
        seed: draws the split, the budget's sample and the tokenizer's sample.
        documents: how plain text splits into documents: `auto`, `line` or `blank`.

    Returns:
        The content of prepare.json.

    Raises:
        UserError: wrong arguments or a wrong input; nothing is left under `output` then.
    """
    from adapt.corpus import Corpus
    from adapt.sampling import Selection
    from adapt.tokenizer import MODEL_NAME, Tokenizer, train_tokenizer
    from pretrain.vocabulary import Vocabulary

    language = check_language(language)
    if tokenizer is not None and vocab_size is not None:
        raise UserError("--tokenizer and --vocab-size were both given; a finished tokenizer has its own size: drop one")
    if valid_fraction is not None and valid_documents is not None:
        raise UserError("--valid-fraction and --valid-documents were both given; drop one")
    if valid_documents is None and valid_fraction is None:
        valid_fraction = DEFAULT_VALID_FRACTION
    if valid_fraction is not None and not 0 <= valid_fraction < 1:
        raise UserError(f"--valid-fraction {valid_fraction}: expected a share of at least 0 and below 1")
    if valid_documents is not None and valid_documents < 1:
        raise UserError(f"--valid-documents {valid_documents}: expected at least 1")
    if tokens is not None and tokens < 1:
        raise UserError(f"--tokens {tokens}: expected at least 1")
    workers = default_workers() if workers is None else workers
    if workers < 1:
        raise UserError(f"--workers {workers}: expected at least 1")
    refuse_existing(output, overwrite)
    corpus = Corpus(texts, documents, text_field)
    if corpus.total_bytes is not None and corpus.total_bytes < INLINE_BYTES:
        workers = 1
    vocab_size = vocab_size or DEFAULT_VOCAB_SIZE
    with atomic_folder(output, overwrite) as folder:
        if tokenizer is not None:
            encoder = Tokenizer.load(tokenizer)
        else:
            with _bar(corpus, "read for the tokenizer", progress) as bar:
                lines = (line for document in _watched(corpus, bar) for line in document)
                encoder = Tokenizer(train_tokenizer(
                    lines, vocab_size, model_type=model_type, byte_fallback=byte_fallback,
                    character_coverage=character_coverage, seed=seed, characters=tokenizer_characters))
        model = folder / MODEL_NAME
        model.write_bytes(encoder.model)
        selection = Selection(seed, valid_fraction or 0.0, valid_documents or 1, tokens)
        encoded = _encode_corpus(corpus, encoder, model, selection, folder / "shard", workers, progress)
        parts = dict(zip(("train", "valid"), selection.parts(encoded.indices, encoded.sizes), strict=True))
        counts = {name: _write_part(encoded, chosen, folder / name, len(encoder)) for name, chosen in parts.items()}
        encoded.path.unlink()
        pieces = encoder.vocabulary.pieces
        Vocabulary(pieces, counts["train"][4:-1].tolist()).save(folder / "dict.txt")
        files = [MODEL_NAME, "dict.txt", "train.bin", "train.idx", "valid.bin", "valid.idx"]
        record: dict[str, Any] = {
            "format_version": FORMAT_VERSION,
            "language": language,
            "seed": seed,
            "vocabulary": {"size": len(encoder), "sentencepiece_size": encoder.sp_size,
                           "special_tokens": encoder.vocabulary.special_ids(), "tokenizer_sha256": encoder.sha256},
            "documents_in_text": encoded.documents,
            "splits": {name: {"documents": int(chosen.sum()), "tokens": int(counts[name].sum()),
                              "unknown": int(counts[name][3])} for name, chosen in parts.items()},
            "settings": {"tokens": tokens, "valid_fraction": valid_fraction, "valid_documents": valid_documents,
                         "documents": documents, "text_field": text_field,
                         "tokenizer": {"reused": True} if tokenizer is not None else {
                             "reused": False, "vocab_size": vocab_size, "model_type": model_type,
                             "byte_fallback": byte_fallback, "character_coverage": character_coverage,
                             "characters": tokenizer_characters}},
            "inputs": corpus.sources,
            "files": {name: sha256_file(folder / name) for name in files},
        }
        write_json(folder / "prepare.json", record)
    return record


# --- command line ----------------------------------------------------------------------------------------------------

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
    add("--tokenizer", metavar="DIR", help="encode with this tokenizer (a prepared folder, an embedding, a model file)")
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
