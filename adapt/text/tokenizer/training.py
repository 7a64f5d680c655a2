"""Learning a SentencePiece model from text: the same bytes for the same texts and settings."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator
from itertools import islice

import numpy as np

from adapt.text.sampling import hash_keys
from pretrain.base.errors import UserError

MODEL_TYPES = ("unigram", "bpe")

# Unigram training sums floats per thread, so the model depends on how many threads share the sum, but not on when
# they run. The count is therefore a constant of the format, never the number of cores.
TRAINING_THREADS = 16
# Longer lines are cut for training only: SentencePiece drops lines above its limit, which would lose whole documents.
LONGEST_TRAINING_LINE = 50_000


def _sample(lines: Iterable[str], characters: int, seed: int) -> list[str]:
    """At most about `characters` characters of lines, drawn by `seed` over all of them, in their order.

    The lines with the smallest keys are kept, and a line's key depends on the seed and its number alone.
    """
    kept: list[tuple[int, int, str]] = []
    total, start, threshold = 0, 0, None

    def prune() -> None:
        nonlocal total, threshold
        kept.sort()
        total = 0
        for place, (key, _, line) in enumerate(kept):
            total += len(line)
            if total >= characters:
                del kept[place + 1:]
                threshold = key
                return

    stream = iter(lines)
    while batch := list(islice(stream, 1 << 15)):
        keys = hash_keys(seed, "tokenizer", np.arange(start, start + len(batch)))
        chosen = np.arange(len(batch)) if threshold is None else np.flatnonzero(keys <= np.uint64(threshold))
        for place in chosen.tolist():
            kept.append((int(keys[place]), start + place, batch[place]))
            total += len(batch[place])
        start += len(batch)
        if total > characters * 3 // 2:
            prune()
    if total > characters:
        prune()
    return [line for _, line in sorted((number, line) for _, number, line in kept)]


def _pieces_of_lines(lines: Iterable[str]) -> Iterator[str]:
    for line in lines:
        if len(line) <= LONGEST_TRAINING_LINE:
            yield line
        else:
            yield from (line[i:i + LONGEST_TRAINING_LINE] for i in range(0, len(line), LONGEST_TRAINING_LINE))


def train_tokenizer(texts: Iterable[str], vocab_size: int, *, model_type: str = "unigram", byte_fallback: bool = False,
                    character_coverage: float = 0.9998, seed: int = 1, characters: int = 50_000_000,
                    normalisation: str = "nmt_nfkc") -> bytes:
    """Trains a SentencePiece model and returns the bytes of its file: the same for the same texts and settings.

    Args:
        texts: lines of text.
        vocab_size: pieces of the model, its three control pieces included (as the paper counts its 50,000). A text
            that does not hold so many gives a smaller model: compare `get_piece_size`.
        model_type: `unigram` or `bpe`.
        byte_fallback: write characters that are not in the vocabulary as UTF-8 bytes rather than `<unk>`.
        normalisation: SentencePiece's rule, `nmt_nfkc`, `nfkc` or `identity`.
        character_coverage: the share of the text's characters that get pieces of their own.
        seed: draws the sample of lines.
        characters: how much text is learned from, at most; a larger text is sampled.

    Raises:
        UserError: no text, or a vocabulary smaller than the text's alphabet.
    """
    import sentencepiece

    if model_type not in MODEL_TYPES:
        raise UserError(f"unknown tokenizer type {model_type!r} (known: {', '.join(MODEL_TYPES)})")
    if not 0.98 <= character_coverage <= 1:
        raise UserError(f"character coverage {character_coverage}: expected a share from 0.98, SentencePiece's own bound, to 1")
    if vocab_size < 5:
        raise UserError(f"vocabulary size {vocab_size}: expected at least 5 pieces; 50000 is the paper's size")
    sample = _sample(_pieces_of_lines(texts), characters, seed)
    if not sample:
        raise UserError("the tokenizer has no text to learn from; pass files that hold text")
    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(sample), model_writer=model, vocab_size=vocab_size, model_type=model_type,
            byte_fallback=byte_fallback, character_coverage=character_coverage, hard_vocab_limit=False,
            normalization_rule_name=normalisation,
            max_sentence_length=4 * LONGEST_TRAINING_LINE + 4, num_threads=TRAINING_THREADS, minloglevel=2)
    except RuntimeError as error:
        smallest = re.search(r"smaller than required_chars\. \d+ vs (\d+)", str(error))
        if smallest:
            raise UserError(f"vocabulary size {vocab_size} is smaller than the text's alphabet; "
                            f"pass at least --vocab-size {smallest[1]}, or a lower --character-coverage") from None
        raise UserError(f"SentencePiece could not learn a vocabulary of {vocab_size} from {len(sample)} lines: "
                        f"{str(error).strip() or 'no reason given'}; give it more text") from error
    return model.getvalue()
