"""Extend, prune, merge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice

from adapt.artefacts.embedding import Embedding
from adapt.surgery.json_pieces import Editor, extended, united
from adapt.surgery.pieces import NORMAL, lowest, read_model, scores, with_pieces
from adapt.surgery.prune import pruned
from adapt.surgery.rows import check_alike, with_rows
from adapt.text.tokenizer import JSON_NAME, train_tokenizer
from adapt.text.tokenizer.kind import WORD_BOUNDARY
from pretrain.base.errors import UserError
from pretrain.base.language import check_language
from pretrain.base.vocabulary import MASK_SYMBOL, SPECIALS, UNK

MARGIN = 0.1
"""By how much (log probability) a new piece is preferred to those that spelled it."""


def extend(embedding: Embedding, pieces: Sequence[str]) -> Embedding:
    """Adds pieces; the row of each starts as the mean of the rows of the pieces that wrote it so far.

    A new piece scores just above the pieces that spelled it, or as the rarest piece of the model where that is more: it takes
    their place wherever it fits, and what was one piece stays one.

    Args:
        pieces: as SentencePiece writes them, `▁` in front where a word begins.

    Raises:
        UserError: a byte-pair SentencePiece model, no piece that is new, or one that is no piece.
    """
    tokenizer = embedding.tokenizer
    if tokenizer.file_name == JSON_NAME:
        made, composed = extended(tokenizer, pieces)
        return with_rows([embedding], made, composed, _done(composed, embedding))
    model = read_model(tokenizer)
    known = {piece.piece for piece in model.pieces} | {*SPECIALS, MASK_SYMBOL}
    new = [piece for piece in dict.fromkeys(pieces) if piece not in known]
    odd = next((piece for piece in new if not piece or any(letter.isspace() for letter in piece)), None)
    if odd is not None:
        raise UserError(f"{odd!r} is no piece: a piece is not empty and holds no white space ({WORD_BOUNDARY} marks a word's "
                        "beginning)")
    if not new:
        raise UserError(f"none of the {len(pieces):,} pieces is new to the tokenizer; there is nothing to add")
    processor = tokenizer.sentencepiece()
    changed = next((piece for piece in new if processor.normalize(piece.replace(WORD_BOUNDARY, " ").strip()).replace(
        WORD_BOUNDARY, "") != piece.replace(WORD_BOUNDARY, "")), None)
    if changed is not None:
        raise UserError(f"the piece {changed!r} is changed by the tokenizer's normalisation and would never be used; give it as "
                        "the normalised text has it")
    composed = {piece: _spelled(embedding, piece) for piece in new}
    known_scores, least, symbols = scores(model), lowest(model), tokenizer.vocabulary.symbols
    added = [(piece, max(least, sum(known_scores.get(symbols[index], least - 10) for index in composed[piece]) + MARGIN))
             for piece in new]
    made = with_pieces(model, model.pieces, added)
    return with_rows([embedding], made, composed, _done(composed, embedding))


def _done(composed: Mapping[str, list[int]], embedding: Embedding) -> str:
    return f"extended: {len(composed):,} rows added to {len(embedding.weight):,}, each the mean of the rows that spelled it"


def _spelled(embedding: Embedding, piece: str) -> list[int]:
    """Ids that write a piece so far; for one inside a word, without the boundary that the tokenizer puts before any text."""
    ids = embedding.tokenizer.encode(piece.replace(WORD_BOUNDARY, " ").strip())
    symbols = embedding.tokenizer.vocabulary.symbols
    if not piece.startswith(WORD_BOUNDARY) and ids:
        inner = symbols[ids[0]].removeprefix(WORD_BOUNDARY)
        ids = [*([embedding.tokenizer.vocabulary.ids[inner]] if inner in embedding.tokenizer.vocabulary.ids else
                 ids[:1] if inner else []), *ids[1:]]
    return ids or [UNK]


def new_pieces(embedding: Embedding, texts: Sequence[str], count: int) -> list[str]:
    """The most probable pieces of a tokenizer learned from `texts` that the embedding's has not.

    Args:
        count: how many, at most.

    Raises:
        UserError: fewer than one asked for, or too little text.
    """
    if count < 1:
        raise UserError(f"--count {count}: expected at least 1")
    known = {*embedding.tokenizer.spellings}
    editor = Editor(embedding.tokenizer) if embedding.tokenizer.file_name == JSON_NAME else None
    if editor is not None and editor.library.normalizer is not None:
        texts = [editor.library.normalizer.normalize_str(text) for text in texts]
    learned = read_model_of(texts, 4 * count + 1000)
    ranked = sorted(learned, key=lambda piece: -learned[piece])
    return list(islice((piece for piece in ranked if piece not in known and (editor is None or not editor.objection(piece))),
                       count))


def read_model_of(texts: Sequence[str], size: int) -> dict[str, float]:
    """Pieces and scores of a unigram model learned from `texts`."""
    from adapt.text.tokenizer import Tokenizer

    return scores(read_model(Tokenizer(train_tokenizer(texts, size))))


def prune(embedding: Embedding, texts: Sequence[str]) -> Embedding:
    """Leaves out the pieces that `texts` do not use; these texts have the pieces they had.

    Single characters stay, so that no text becomes unknown that was known; bytes and the file's own special pieces stay too.

    Raises:
        UserError: texts without a token, or a tokenizer that would read them otherwise (`adapt.surgery.prune`).
    """
    made = pruned(embedding.tokenizer, texts)
    done = f"pruned to a text: {len(made):,} of {len(embedding.weight):,} rows kept"
    return with_rows([embedding], made, {}, done)


def merge(one: Embedding, two: Embedding, language: str) -> Embedding:
    """One module for two languages of one body: all pieces of both, the first's rows where both have a piece.

    Args:
        language: code of the result (`mul` for several languages).

    Raises:
        UserError: modules of two bodies, other normalisation rules, or tensors that differ beyond the rows.
    """
    check_alike(one, two)
    if one.tokenizer.file_name == two.tokenizer.file_name == JSON_NAME:
        made = united(one.tokenizer, two.tokenizer, (one.language, two.language))
        return with_rows([one, two], made, {}, _merged(one, two, len(made) - len(one.weight)), check_language(language))
    if one.tokenizer.file_name != two.tokenizer.file_name:
        raise UserError(f"the tokenizers of {one.language} and {two.language} are {one.tokenizer.file_name} and "
                        f"{two.tokenizer.file_name}; only those of one kind can be merged")
    first, second = read_model(one.tokenizer), read_model(two.tokenizer)
    for part in ("normalizer_spec", "denormalizer_spec"):
        if getattr(first, part) != getattr(second, part):
            raise UserError(f"the tokenizers of {one.language} and {two.language} normalise text by other rules; prepare both "
                            "languages with the same settings")
    if first.trainer_spec.byte_fallback != second.trainer_spec.byte_fallback:
        raise UserError(f"one of the tokenizers of {one.language} and {two.language} writes unknown characters as bytes and the "
                        "other does not; prepare both languages with the same --byte-fallback")
    known = {piece.piece for piece in first.pieces}
    added = [(piece.piece, piece.score) for piece in second.pieces if piece.type == NORMAL and piece.piece not in known]
    made = with_pieces(first, first.pieces, added)
    return with_rows([one, two], made, {}, _merged(one, two, len(added)), check_language(language))


def _merged(one: Embedding, two: Embedding, added: int) -> str:
    return (f"merged {one.language} ({len(one.weight):,} rows) with {two.language}: {added:,} rows added, shared pieces have the "
            f"rows of {one.language}")
