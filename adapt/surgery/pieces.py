"""The pieces of a SentencePiece model: reading them, and writing a model with others.

Only unigram models are edited: there a piece can be taken out or put in by itself. A byte-pair model builds its pieces from one
another, and what is left out breaks others.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from adapt.text.tokenizer import Tokenizer
from pretrain.base.errors import UserError

UNIGRAM = 1
NORMAL, BYTE = 1, 6


def read_model(tokenizer: Tokenizer) -> Any:
    """The model as sentencepiece's own message class.

    Raises:
        UserError: no unigram SentencePiece model, or the class cannot be had.
    """
    tokenizer.sentencepiece()
    try:
        messages: Any = import_module("sentencepiece.sentencepiece_model_pb2")
    except (ImportError, TypeError) as error:  # TypeError: made by a newer protobuf than the installed one
        raise UserError("editing a SentencePiece model needs the package `protobuf`, as new as sentencepiece wants it "
                        f"({str(error).splitlines()[0]}); pip install -U protobuf") from None
    model = messages.ModelProto()
    model.ParseFromString(tokenizer.model)
    if model.trainer_spec.model_type != UNIGRAM:
        raise UserError(f"{tokenizer.name}: only unigram models can be edited; a byte-pair model builds its pieces from one "
                        "another")
    return model


def with_pieces(model: Any, kept: Any, added: Any = ()) -> Tokenizer:
    """A tokenizer with some pieces of a model, in their order, and others behind them.

    Args:
        kept: which of the model's piece messages stay.
        added: (piece, score) of the new ones.
    """
    made = type(model)()
    made.CopyFrom(model)
    del made.pieces[:]
    made.pieces.extend(kept)
    for piece, score in added:
        made.pieces.add(piece=piece, score=score, type=NORMAL)
    made.trainer_spec.vocab_size = len(made.pieces)
    return Tokenizer(made.SerializeToString(), "the edited tokenizer")


def scores(model: Any) -> dict[str, float]:
    """Score of each ordinary piece."""
    return {piece.piece: piece.score for piece in model.pieces if piece.type == NORMAL}


def lowest(model: Any) -> float:
    """The lowest score (log probability) of an ordinary piece."""
    return min(scores(model).values(), default=0.0)
