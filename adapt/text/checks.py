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


def check_held_out(train: int, valid: int, wanted: float, joined: bool = True, refuse: bool = True) -> None:
    """Warns of a split that holds out far more than was asked for, and refuses one that leaves next to nothing to train on.

    Args:
        train, valid: tokens of the two parts.
        wanted: share of the documents to be held out.
        joined: whether lines stand together in documents, so that `--documents line` makes more of them.
        refuse: False where the training part was cut on purpose.

    Raises:
        UserError: less than `LEAST_TRAINING_SHARE` of the tokens is left, and less than half of what such a share of documents
            should leave.
    """
    left = train / max(1, train + valid)
    line = "pass --documents line to make each line one, or " if joined else ""
    if refuse and left < LEAST_TRAINING_SHARE and left < 0.5 * (1 - wanted):
        raise UserError(f"{valid:,} of {train + valid:,} tokens would be held out, and {train:,} left to train on, though "
                        f"{_percent(wanted)} of the documents were asked for: documents differ much in size; {line}cut long "
                        "documents")
    if _far_more(1 - left, wanted):
        why = "the text has few documents, or very long ones"
        if joined:
            why += " (a single blank line makes a text of lines two documents)"
        logger.warning(f"{100 * (1 - left):.0f} % of the tokens are held out, {_percent(wanted)} of the documents were asked "
                       f"for: {why}; {line}cut long documents")


def check_cut(documents: tuple[int, ...], tokens: tuple[int, ...], wanted: float, drawn_by_share: bool) -> bool:
    """Whether the held-out part is large, if it is, because `--tokens` cut the training part, and not because documents differ in
    size; warns of it.

    Args:
        documents, tokens: of the training part as it was cut, and of the held-out part.
        wanted: share of the whole text's documents to be held out.
        drawn_by_share: False where the user said how many documents to hold out, which then needs no warning.
    """
    (train, valid), held = documents, tokens[1] / max(1, sum(tokens))
    if not _far_more(held, wanted):
        return True
    if valid / (train + valid) < held / 2:
        return False
    if drawn_by_share:
        fewer = max(1, round(train * wanted / (1 - wanted)))
        logger.warning(f"{100 * held:.0f} % of the tokens written are held out: --tokens cut the training part to {train:,} "
                       f"documents, and {_percent(wanted)} of the whole text's, {valid:,}, are held out; --valid-documents "
                       f"{fewer} holds out {_percent(wanted)} of what is written")
    return True


def _far_more(held: float, wanted: float) -> bool:
    """Whether a held-out share of the tokens is so far above that of the documents that the user should know."""
    return held > max(0.05, 3 * wanted) or 1 - held < 0.5 * (1 - wanted)


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"
