"""Static vectors of words and pieces: read from files or made from text, turned into one space, taken over to pieces.

Vectors are made without a training loop: positive pointwise mutual information of the words around each word, factorised by a
truncated singular value decomposition (Levy and Goldberg 2014; settings of Levy, Goldberg and Dagan 2015). That needs no
further library and gives the same vectors at every call.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import orthogonal_procrustes
from scipy.sparse import coo_array, csr_array
from scipy.sparse.linalg import svds

from adapt.initialise import Request
from adapt.initialise.texts import lines, numbered, prepared, words_of
from adapt.text.corpus import Corpus
from adapt.text.dictionary import read_dictionary, warn_if_cut_off
from adapt.text.tokenizer import Tokenizer
from pretrain.base.errors import UserError
from pretrain.base.opening import read_lines

logger = logging.getLogger(__name__)

WIDTH = 100
"""Dimensions of vectors that are made here, as in FOCUS and WECHSEL."""
WINDOW = 5
"""Neighbours on each side that count as the surroundings of a word."""
FEWEST, MOST = 5, 50_000
"""How often a word or piece must occur to get a vector, and how many words get one."""
LENGTH = 2_000_000
"""Words of a text from which vectors of words are made; what follows is not read."""
SMOOTHING = 0.75
"""Exponent of the surroundings' counts: rare words do not get too high an information."""


def vectors_from(sequences: Sequence[NDArray[np.int64]], size: int) -> NDArray[np.float64]:
    """Vectors [size, at most WIDTH] of the numbers 0 … size - 1 from the sequences in which they stand; -1 is anything else."""
    flat = np.concatenate([*sequences, np.empty(0, dtype=np.int64)])
    owner = np.repeat(np.arange(len(sequences)), [len(each) for each in sequences])
    counts = csr_array((size, size), dtype=np.float64)
    for distance in range(1, WINDOW + 1):
        left, right = flat[:-distance], flat[distance:]
        both = (owner[:-distance] == owner[distance:]) & (left >= 0) & (right >= 0)
        one_way = coo_array((np.ones(int(both.sum())), (left[both], right[both])), shape=(size, size)).tocsr()
        counts = counts + one_way + one_way.T
    width = min(WIDTH, size - 1)
    if width < 1 or not counts.nnz:
        return np.zeros((size, max(width, 1)))
    entries = counts.tocoo()
    own, around = np.asarray(counts.sum(1)).ravel(), np.asarray(counts.sum(0)).ravel() ** SMOOTHING
    information = np.log(entries.data * around.sum() / (own[entries.coords[0]] * around[entries.coords[1]]))
    kept = information > 0
    matrix = coo_array((information[kept], (entries.coords[0][kept], entries.coords[1][kept])), shape=(size, size)).tocsr()
    if size <= 4 * WIDTH:
        left_vectors, scale, _ = np.linalg.svd(matrix.toarray(), full_matrices=False)
        left_vectors, scale = left_vectors[:, :width], scale[:width]
    else:
        left_vectors, scale, _ = svds(matrix, k=width, v0=np.ones(size))  # a start of its own would be drawn anew at each call
    return np.asarray(left_vectors * np.sqrt(scale))


def vectors_of_pieces_in_text(request: Request) -> NDArray[np.float64]:
    """Vectors [V, at most WIDTH] of the new pieces from the prepared text; zero for those that occur too rarely."""
    text = prepared(request)
    size = request.shape[0]
    counts = np.bincount(text.tokens, minlength=size)
    place = np.where(counts >= FEWEST, np.arange(size), -1)
    vectors = vectors_from([place[text[item]] for item in range(len(text))], size)
    vectors[counts < FEWEST] = 0
    return vectors


def read_vectors(path: str | Path, most: int = 10 * MOST) -> tuple[list[str], NDArray[np.float64]]:
    """(words, vectors [n, D]) of a file in word2vec's text format: a word and its numbers a line, with or without a first line
    of their counts. Compressed files are unpacked; the first `most` words are read.

    Raises:
        UserError: with file and line: no numbers, another count of them than before, not finite; or no vector at all.
    """
    words: list[str] = []
    rows: list[NDArray[np.float64]] = []
    for number, line in read_lines(Path(path)):
        word, *values = line.rstrip().split(" ")
        if number == 1 and len(values) == 1 and word.isdigit() and values[0].isdigit():
            continue
        if len(words) >= most:
            break
        try:
            row = np.array(values, dtype=np.float64)
        except ValueError:
            raise UserError(f"{path}:{number}: expected a word and its numbers, got {line[:60]!r}") from None
        if not len(row) or (rows and len(row) != len(rows[0])) or not np.isfinite(row).all():
            expected = f"{len(rows[0])} finite numbers as before" if rows else "a word and its numbers"
            raise UserError(f"{path}:{number}: expected {expected}, got {len(row)} after {word[:30]!r}")
        words.append(word)
        rows.append(row)
    if not words:
        raise UserError(f"{path}: no vectors; expected word2vec's text format: a word and its numbers a line")
    return words, np.stack(rows)


def of_pieces(tokenizer: Tokenizer, words: Sequence[str], vectors: NDArray[np.float64],
              counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Vectors [V, D] of pieces: the mean of the vectors of the words that a piece takes part in, weighted by `counts`; zero
    for a piece of none (Minixhofer et al. 2022, section 3.1, without n-grams)."""
    rows, columns = [], []
    for number, ids in enumerate(tokenizer.encode_words(words)):
        for row in set(ids):
            rows.append(row)
            columns.append(number)
    shape = (len(tokenizer), len(words))
    part = coo_array((np.asarray(counts, dtype=np.float64)[columns], (rows, columns)), shape=shape).tocsr()
    sums = np.asarray(part.sum(1)).ravel()
    return np.asarray((part @ vectors) / np.where(sums == 0, 1, sums)[:, None])


def aligned_piece_vectors(request: Request) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Vectors of the target's pieces [V, D] and the source's [V_source, D] in one space.

    Resources: `source_vectors` and `target_vectors` (word2vec's text format; frequent words first), or instead of the source's
    `source_text`, from which they are made (any form that `relexify prepare` reads); the target's are made from the prepared
    text where no file is given. `dictionary` aligns the spaces (`adapt.text.dictionary`); without one, words that both languages
    write alike do, but two files of vectors are then taken as they stand, as aligned vectors are published.

    Raises:
        UserError: spaces of different width, or no pair to align by.
    """
    given = request.resources
    ours = _words(given.get("target_vectors"), None, request)
    theirs = _words(given.get("source_vectors"), given.get("source_text"), request)
    if ours[1].shape[1] != theirs[1].shape[1]:
        width = min(ours[1].shape[1], theirs[1].shape[1])
        if "source_vectors" in given and "target_vectors" in given:
            raise UserError(f"--resources: the source's vectors have {theirs[1].shape[1]} dimensions, the target's "
                            f"{ours[1].shape[1]}; take two files of the same width")
        ours, theirs = ((words, _narrowed(vectors, width), counts) for words, vectors, counts in (ours, theirs))
    source = theirs[1]
    if "dictionary" in given or not ("source_vectors" in given and "target_vectors" in given):
        source = _turned(theirs[0], theirs[1], ours[0], ours[1], given.get("dictionary"), request.source.tokenizer.spellings)
    return (of_pieces(request.tokenizer, ours[0], ours[1], ours[2]),
            of_pieces(request.source.tokenizer, theirs[0], source, theirs[2]))


def _words(file: Path | None, text: Path | None, request: Request) -> tuple[list[str], NDArray[np.float64], NDArray[np.float64]]:
    """(words, vectors, how often they occur): from a file, whose order stands for frequency (Zipf), or made from text."""
    if file is not None:
        words, vectors = read_vectors(file)
        return words, vectors, 1 / np.arange(1, len(words) + 1)
    texts = lines(request) if text is None else (
        line for document in Corpus([text], "line", settable=False) for line in document)
    words, counts, sequences = numbered(words_of(texts), MOST, FEWEST, LENGTH)
    if not words:
        raise UserError(f"{text or request.data}: no word occurs {FEWEST} times; static vectors need more text")
    return words, vectors_from(sequences, len(words)), counts.astype(np.float64)


def _narrowed(vectors: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    """The vectors in their first principal dimensions."""
    if vectors.shape[1] == width:
        return vectors
    _, _, directions = np.linalg.svd(vectors, full_matrices=False)
    return np.asarray(vectors @ directions[:width].T)


def _turned(source_words: Sequence[str], source: NDArray[np.float64], target_words: Sequence[str], target: NDArray[np.float64],
            dictionary: Path | None, spellings: Sequence[str]) -> NDArray[np.float64]:
    """The source's vectors turned into the target's space by the orthogonal matrix that fits the pairs best.

    Args:
        spellings: of the source's pieces, by which a dictionary that was cut off is told.
    """
    left, right = ({word: number for number, word in reversed(list(enumerate(words)))} for words in (source_words, target_words))
    if dictionary is not None:
        written = read_dictionary(dictionary)
        warn_if_cut_off(dictionary, {word for word, _ in written}, spellings)
        pairs = dict.fromkeys((left[one], right[other]) for source_word, target_word in written
                              for one in dict.fromkeys((source_word, source_word.lower(), source_word.title()))
                              for other in dict.fromkeys((target_word, target_word.lower(), target_word.title()))
                              if one in left and other in right)
    else:
        pairs = dict.fromkeys((number, right[word]) for word, number in left.items() if word in right)
    if not pairs:
        raise UserError(f"{dictionary}: none of its pairs has vectors on both sides" if dictionary is not None else
                        "the two languages write no word alike; align their vectors with --resources dictionary=FILE")
    if len(pairs) < target.shape[1]:
        logger.warning("%d pairs align static vectors of %d dimensions; more align them better", len(pairs), target.shape[1])
    one, other = np.array(list(pairs), dtype=np.int64).T
    turn, _ = orthogonal_procrustes(source[one], target[other])
    return np.asarray(source @ turn)
