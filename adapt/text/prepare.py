"""`relexify prepare`: text to a tokenizer and binarised token ids.

The text is read twice where a tokenizer is trained (sample, then encode) and once where one is given. Documents are
encoded in worker processes and come back in order; which documents are kept, and in which part, follows from the seed
and the document's number alone. So the same seed gives the same bytes, whatever the number of workers.

This module imports nothing heavy by itself: the command line reads it for `--help`.
"""

from __future__ import annotations

import os
import re
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adapt.text.settings import DEFAULT_VALID_FRACTION, DEFAULT_VOCAB_SIZE
from pretrain.base.environment import available_cores
from pretrain.base.errors import UserError
from pretrain.base.files import atomic_folder, refuse_existing, sha256_file, write_json
from pretrain.base.language import check_language

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from adapt.text.corpus import Corpus
    from adapt.text.sampling import Selection
    from adapt.text.tokenizer import Tokenizer

FORMAT_VERSION = 1
CHUNK_CHARACTERS = 1 << 20  # text sent to a worker at a time
INLINE_BYTES = 4 << 20  # inputs smaller than this are encoded faster than worker processes start
COPY_TOKENS = 1 << 23  # tokens copied at a time when the parts are written


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

    from adapt.text.tokenizer import Tokenizer

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

    from pretrain.base.vocabulary import EOS
    from pretrain.data import token_dtype

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
            text_field: str = "text", normalisation: str = "nmt_nfkc", skip_empty: bool = False, overwrite: bool = False,
            progress: bool = True) -> dict[str, Any]:
    """Writes the folder `output`: the tokenizer, dict.txt, train and valid (.bin, .idx), prepare.json.

    Where `workers` is above 1 and the text is large, worker processes are spawned: a script that calls this needs the
    usual `if __name__ == "__main__":`.

    Args:
        texts: input files, or `hf:NAME[:config[:split]]` (see `adapt.text.corpus.Corpus`).
        language: BCP-47 code of the text.
        vocab_size: pieces of the tokenizer that is trained (50,000 by default); fewer where the text has no more.
        tokenizer: a prepared folder, an embedding module or a tokenizer's file to encode with (see
            `Tokenizer.load`), instead of training one.
        tokens: the training part's size in tokens, `</s>` included; met to within one document. All of it if None.
        valid_fraction: the share of documents held out (0.01 by default), or `valid_documents`: their number.
        seed: draws the split, the budget's sample and the tokenizer's sample.
        documents: how plain text splits into documents: `auto`, `line` or `blank`.
        normalisation: what the tokenizer that is trained does to text first, see `train_tokenizer`.
        skip_empty: leave out records whose text is null or empty.

    Returns:
        The content of prepare.json.

    Raises:
        UserError: wrong arguments or a wrong input; nothing is left under `output` then.
    """
    from adapt.text.checks import check_cut, check_dictionary, check_held_out, check_unknown
    from adapt.text.corpus import Corpus
    from adapt.text.sampling import Selection
    from adapt.text.tokenizer import Tokenizer, train_tokenizer

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
    refuse_existing(output, overwrite, "prepared text")
    corpus = Corpus(texts, documents, text_field, skip_empty)
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
                    character_coverage=character_coverage, seed=seed, characters=tokenizer_characters,
                    normalisation=normalisation))
        check_dictionary(encoder, folder / "dict.txt")
        model = encoder.save_in(folder)
        selection = Selection(seed, valid_fraction or 0.0, valid_documents or 1, tokens)
        encoded = _encode_corpus(corpus, encoder, model, selection, folder / "shard", workers, progress)
        parts = dict(zip(("train", "valid"), selection.parts(encoded.indices, encoded.sizes, corpus.joined > 0), strict=True))
        counts = {name: _write_part(encoded, chosen, folder / name, len(encoder)) for name, chosen in parts.items()}
        encoded.path.unlink()
        train, valid = (int(counts[name].sum()) for name in ("train", "valid"))
        asked = (valid_documents or 1) / encoded.documents if valid_fraction is None else valid_fraction
        written = tuple(int(parts[name].sum()) for name in ("train", "valid"))
        if tokens is None or not check_cut(written, (train, valid), asked, valid_documents is None):
            check_held_out(train, valid, asked, corpus.joined > 0, refuse=tokens is None)
        check_unknown(int(counts["train"][3]), train)
        check_dictionary(encoder, folder / "dict.txt", counts["train"][4:-1].tolist())
        files = [encoder.file_name, "dict.txt", "train.bin", "train.idx", "valid.bin", "valid.idx"]
        record: dict[str, Any] = {
            "format_version": FORMAT_VERSION,
            "language": language,
            "seed": seed,
            "vocabulary": {"size": len(encoder), encoder.size_name: encoder.file_size,
                           "special_tokens": encoder.vocabulary.special_ids(), "tokenizer_sha256": encoder.sha256},
            "documents_in_text": encoded.documents,
            "splits": {name: {"documents": int(chosen.sum()), "tokens": int(counts[name].sum()),
                              "unknown": int(counts[name][3])} for name, chosen in parts.items()},
            "settings": {"tokens": tokens, "valid_fraction": valid_fraction, "valid_documents": valid_documents,
                         "documents": documents, "text_field": text_field,
                         "tokenizer": {"reused": True} if tokenizer is not None else {
                             "reused": False, "vocab_size": vocab_size, "model_type": model_type,
                             "byte_fallback": byte_fallback, "character_coverage": character_coverage,
                             "characters": tokenizer_characters,
                             **({"normalisation": normalisation} if normalisation != "nmt_nfkc" else {})},
                         **({"skipped_empty": corpus.skipped} if skip_empty else {})},
            "inputs": corpus.sources,
            "files": {name: sha256_file(folder / name) for name in files},
        }
        write_json(folder / "prepare.json", record)
    return record
