"""What prepared text is checked for before it is written: faults of the text or the tokenizer that no reader would tell of."""

from __future__ import annotations

import logging
from pathlib import Path

from adapt.text.tokenizer import Tokenizer
from pretrain.base.errors import UserError
from pretrain.base.vocabulary import Vocabulary

logger = logging.getLogger(__name__)

UNKNOWN_SHARE = 0.03
"""Above this share of unknown tokens the text is likely another one than the tokenizer's."""
LEAST_TRAINING_SHARE = 0.1
"""With less of the text's tokens left, training was not what the split was meant for."""


def check_dictionary(tokenizer: Tokenizer, path: Path, counts: list[int] | None = None) -> None:
    """Writes `dict.txt` and reads it back.

    Args:
        counts: how often each piece stands in the training part; ones where unknown.

    Raises:
        UserError: a piece that a line of a dictionary cannot hold, such as a line break.
    """
    pieces = tokenizer.vocabulary.pieces
    Vocabulary(pieces, counts).save(path)
    broken = next((piece for piece in pieces if "\n" in piece or "\r" in piece or not piece), None)
    if broken is None:
        try:
            found = Vocabulary.load(path).pieces
        except UserError:
            found = []
        broken = next((piece for place, piece in enumerate(pieces) if place >= len(found) or found[place] != piece), None)
    if broken is not None:
        raise UserError(f"{tokenizer.name}: its piece {broken!r} holds a line break or nothing, which dict.txt, one piece a "
                        "line, cannot hold; train a tokenizer without it")


def check_unknown(unknown: int, tokens: int) -> None:
    """Warns where many tokens of the training part are unknown."""
    if unknown > UNKNOWN_SHARE * tokens:
        logger.warning(f"{100 * unknown / tokens:.1f} % of the training tokens are <unk>: is the text in the tokenizer's "
                       "language, and is it plain text?")


def check_held_out(train: int, valid: int, wanted: float) -> None:
    """Refuses a split of a whole text that leaves next to nothing to train on; `relexify prepare` warns of lesser differences.

    Args:
        train, valid: tokens of the two parts.
        wanted: share of the documents to be held out.

    Raises:
        UserError: less than `LEAST_TRAINING_SHARE` of the tokens is left, though a smaller share of documents was asked for.
    """
    if train < LEAST_TRAINING_SHARE * (train + valid) and wanted < 0.5:
        raise UserError(f"{valid:,} of {train + valid:,} tokens would be held out, and {train:,} left to train on, though "
                        f"{100 * wanted:g} % of the documents were asked for: documents differ much in size; pass --documents "
                        "line to count each line as one, or cut long documents")
