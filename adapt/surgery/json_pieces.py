"""New pieces in a `tokenizer.json`, so that a text without them is read as before.

- WordPiece takes the longest piece that fits: a new one is taken where it fits. No word becomes unknown as long as every letter
  that stands inside a piece is a piece by itself.
- BPE: merges for a new piece would join letters of other words on the way to it. So the piece gets none, and a word that is a
  piece as a whole is taken before merges are looked at (`ignore_merges`). That changes no other word if every piece is what its
  own letters merge to, which is checked. A new piece inside a word would need merges and is refused.
- Unigram: a new piece is a little more probable than those that spelled it.

Two BPE tokenizers cannot become one: their merges have two orders, and each reads its language only in its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from adapt.formats.huggingface.json_tokenizer import numbered
from adapt.surgery.prune import merged
from adapt.text.tokenizer import JSON_NAME, Tokenizer
from adapt.text.tokenizer.kind import WORD_BOUNDARY
from adapt.text.tokenizer.roles import OWN_KEY
from pretrain.base.errors import UserError
from pretrain.base.vocabulary import UNK

MARGIN = 0.1
"""By how much (log probability) a new piece of a unigram model is preferred to those that spelled it."""
KINDS = ("WordPiece", "BPE", "Unigram")


class Editor:
    """A `tokenizer.json` that is being extended.

    Attributes:
        tokenizer: as it was.
        kind: of its pieces.
        ids: of all tokens, those of the new ones behind the others.
        library: the library's object, as it was.
    """

    def __init__(self, tokenizer: Tokenizer):
        from tokenizers import Tokenizer as Library

        self.tokenizer = tokenizer
        self.content: dict[str, Any] = json.loads(tokenizer.model)
        self.roles: dict[str, str | None] = self.content.pop(OWN_KEY)
        self.library: Any = Library.from_str(json.dumps(self.content))
        self.model: dict[str, Any] = self.content["model"]
        self.kind = str(self.model.get("type"))
        if self.kind not in KINDS or self.model.get("end_of_word_suffix") or (
                self.kind == "BPE" and (self.model.get("continuing_subword_prefix") or self.model.get("dropout"))):
            raise UserError(f"{tokenizer.name}: expected pieces of {', '.join(KINDS)}, without marks at the ends of words; this "
                            f"{JSON_NAME} ({self.kind}) has others, and how a new piece changes them is not known")
        self.ids: dict[str, int] = self.library.get_vocab(with_added_tokens=True)
        self._next = max(self.ids.values()) + 1
        self.scores: dict[str, float] = {}
        if self.kind == "Unigram":
            self.scores = {str(piece): float(score) for piece, score in self.model["vocab"]}

    def objection(self, spelling: str) -> str:
        """Why this would never be a piece, for a message; empty where it can be one.

        Args:
            spelling: as SentencePiece writes it, `▁` in front where a word begins.
        """
        text = spelling.removeprefix(WORD_BOUNDARY)
        if not text or any(letter.isspace() for letter in spelling):
            return f"is no piece: a piece is not empty and holds no white space ({WORD_BOUNDARY} marks a word's beginning)"
        normalised = text if self.library.normalizer is None else self.library.normalizer.normalize_str(text)
        if normalised.replace(WORD_BOUNDARY, "").strip() != text.replace(WORD_BOUNDARY, ""):
            return ("is changed by the tokenizer's normalisation and would never be used; give it as the normalised text has it")
        spaced = f" {text}" if self.kind == "BPE" and text != spelling else text  # a byte-level pattern looks at the space too
        if self.library.pre_tokenizer is not None and len(self.library.pre_tokenizer.pre_tokenize_str(spaced)) > 1:
            return "is cut in parts before pieces are looked for, so that it would never be used"
        if self.kind == "BPE" and text == spelling:
            return (f"would stand inside words ({WORD_BOUNDARY} marks a word's beginning), and merges that make it would change "
                    "how other words are read; to this tokenizer only whole words can be added")
        return ""

    def add(self, piece: str) -> None:
        """Adds a piece as the file writes it."""
        if self.kind == "Unigram":
            least = min(self.scores.values())
            parts = self.spelled(piece)
            self.scores[piece] = max(least, sum(self.scores.get(part, least - 10) for part in parts) + MARGIN)
        self.number(piece)

    def number(self, piece: str) -> None:
        """Gives a piece the next id."""
        self.ids[piece], self._next = self._next, self._next + 1

    def spelled(self, piece: str) -> list[str]:
        """The pieces that wrote a new one, by the tokenizer as it was."""
        prefix = str(self.model.get("continuing_subword_prefix") or "") if self.kind == "WordPiece" else ""
        if prefix and piece.startswith(prefix) and len(piece) > len(prefix):
            return self._longest(piece.removeprefix(prefix), prefix)
        return [token.value for token in self.library.model.tokenize(piece)]

    def _longest(self, text: str, prefix: str) -> list[str]:
        """WordPiece's pieces of a text inside a word; none where it is unknown."""
        known, parts, start = self.model["vocab"], [], 0
        while start < len(text):
            end = next((end for end in range(len(text), start, -1) if prefix + text[start:end] in known), None)
            if end is None:
                return []
            parts.append(prefix + text[start:end])
            start = end
        return parts

    def made(self) -> Tokenizer:
        """The tokenizer with what was added."""
        content = {**self.content, "model": {**self.model}}
        if self.kind == "Unigram":
            content["model"]["vocab"] = list(self.scores.items())
            unknown = self.model.get("unk_id")
            if isinstance(unknown, int):
                content["model"]["unk_id"] = list(self.scores).index(str(self.model["vocab"][unknown][0]))
        if self.kind == "BPE":
            content["model"]["ignore_merges"] = True
        content = {**numbered(content, self.ids), OWN_KEY: self.roles}
        return Tokenizer(json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode(), self.tokenizer.name)


def extended(tokenizer: Tokenizer, spellings: Iterable[str]) -> tuple[Tokenizer, dict[str, list[int]]]:
    """A tokenizer with more pieces, and for each new one the ids that wrote it so far.

    Args:
        spellings: as SentencePiece writes pieces, `▁` in front where a word begins, whatever the file's own marks are.

    Raises:
        UserError: nothing new, something that is no piece, or a WordPiece vocabulary in which words could become unknown.
    """
    editor, given = Editor(tokenizer), list(dict.fromkeys(spellings))
    known = {*tokenizer.spellings}
    new = [spelling for spelling in given if spelling not in known]
    for spelling in new:
        if reason := editor.objection(spelling):
            raise UserError(f"{spelling!r} {reason}")
    new = [spelling for spelling in new if tokenizer.written(spelling) not in editor.ids]
    if not new:
        raise UserError(f"none of the {len(given):,} pieces is new to the tokenizer; there is nothing to add")
    check_letters(editor)
    check_merges(editor)
    ids, composed = tokenizer.vocabulary.ids, {}
    for piece in map(tokenizer.written, new):
        editor.add(piece)
        composed[piece] = [ids.get(part, UNK) for part in editor.spelled(piece)] or [UNK]
    made = editor.made()
    if editor.kind == "BPE":
        words = made.encode_words([spelling.removeprefix(WORD_BOUNDARY) for spelling in new])
        for spelling, read in zip(new, words, strict=True):
            if read != [made.vocabulary.ids[tokenizer.written(spelling)]]:
                raise UserError(f"{spelling!r} would never be read as one piece by this tokenizer, which does not cut text into "
                                "words; only prune works on it")
    return made, composed


def check_merges(editor: Editor) -> None:
    """Refuses a BPE with pieces that its own merges do not make: taken as whole words, they would be read otherwise.

    Raises:
        UserError: there is such a piece.
    """
    if editor.kind != "BPE" or editor.model.get("ignore_merges"):
        return
    ranks = {tuple(pair) if isinstance(pair, list) else tuple(pair.split(" ")): rank
             for rank, pair in enumerate(editor.model["merges"])}
    added = {str(token["content"]) for token in editor.content.get("added_tokens") or []}
    odd = next((piece for piece in editor.model["vocab"] if piece not in added and merged(piece, ranks) != [piece]), None)
    if odd is not None:
        raise UserError(f"{editor.tokenizer.name}: its merges do not make its own piece {odd!r}, so that words would be read "
                        "otherwise if new ones were taken whole; only prune works on this tokenizer")


def check_letters(*editors: Editor) -> None:
    """Refuses WordPiece vocabularies in which another choice of pieces could leave a letter that no piece begins with.

    Raises:
        UserError: there is such a letter.
    """
    for editor in editors:
        if editor.kind != "WordPiece":
            continue
        prefix = str(editor.model.get("continuing_subword_prefix") or "")
        special = {token for token in editor.roles.values() if token}
        for piece in editor.model["vocab"]:
            text = piece.removeprefix(prefix) if len(piece) > len(prefix) else piece
            bare = next((letter for letter in text[1:] if prefix + letter not in editor.model["vocab"]), None)
            if bare is not None and piece not in special and not (piece[0] == "[" and piece[-1] == "]"):
                raise UserError(f"{editor.tokenizer.name}: the letter {bare!r} stands inside {piece!r} and {prefix + bare!r} is "
                                "no piece, so that with further pieces words with it could become unknown; only prune works on "
                                "this tokenizer")


def united(first: Tokenizer, second: Tokenizer, names: Sequence[str]) -> Tokenizer:
    """A tokenizer with the pieces of both, the first's ids for its own.

    Args:
        names: of the two, for messages.

    Raises:
        UserError: kinds or rules that differ, merges, or a WordPiece vocabulary in which words could become unknown.
    """
    one, two = Editor(first), Editor(second)
    if "BPE" in (one.kind, two.kind):
        raise UserError(f"the tokenizers of {names[0]} and {names[1]} find pieces by merges ({one.kind}, {two.kind}), and two "
                        "orders of merges cannot be kept in one: texts would be read otherwise than with either; keep the "
                        "modules apart, or extend one of them")
    for part, what in (("normalizer", "normalise text"), ("pre_tokenizer", "cut text into words")):
        if one.content.get(part) != two.content.get(part):
            raise UserError(f"the tokenizers of {names[0]} and {names[1]} {what} by other rules; only those of one kind can be "
                            "merged")
    if _settings(one) != _settings(two):
        raise UserError(f"the tokenizers of {names[0]} and {names[1]} have other settings ({one.kind}, {two.kind}); only those "
                        "of one kind can be merged")
    check_letters(one, two)
    added = {str(token["content"]): token for token in two.content.get("added_tokens") or []}
    for piece in second.vocabulary.pieces:
        if piece not in one.ids:
            one.number(piece)
            if piece in two.scores:
                one.scores[piece] = two.scores[piece]
            if piece in added:
                one.content.setdefault("added_tokens", []).append(added[piece])
    return one.made()


def _settings(editor: Editor) -> Mapping[str, Any]:
    """Of the model, all but its pieces."""
    return {name: value for name, value in editor.model.items() if name not in ("vocab", "unk_id", "unk_token", "merges")}
