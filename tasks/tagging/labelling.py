"""Tags for words that have none: what `relexify predict` and the Python door say of a tagging task."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from adapt.text.segment import segment, spaceless
from tasks.encoding import resolve_max_length
from tasks.heads.model import TaskModel
from tasks.tagging.data import Sentence, Sentences
from tasks.tagging.family import tag

if TYPE_CHECKING:
    from adapt.artefacts.embedding import Embedding

WORD = re.compile(r"\w+|[^\w\s]")
"""A word of running text, or a punctuation mark by itself, as the tagged sets have them."""


@dataclass
class Tagger:
    """One tag for each word; see `tasks.family.Predictor`."""

    task: str
    labels: Sequence[str]
    columns: ClassVar[tuple[tuple[str, ...], ...]] = (("text",), ("words",))

    def predict(self, model: TaskModel, embedding: Embedding, rows: Sequence[Mapping[str, Any]],
                max_tokens: int) -> list[dict[str, Any]]:
        """`words` with their `tags`; of running text also the characters `[start, end)` of each word."""
        split = [words_of(row, embedding.language) for row in rows]
        sentences = Sentences([Sentence(tuple(words), (0,) * len(words)) for words, _ in split], [])
        length = resolve_max_length(0, model.encoder.config.max_positions)
        kept = [item for item in sentences.sentences if item.words]
        found = tag(model, self.task, embedding, Sentences(kept, []), self.labels, length, max_tokens)[0] if kept else []
        tags = iter(found)
        return [{"words": words, "tags": next(tags) if words else [], **({"spans": spans} if spans is not None else {})}
                for words, spans in split]


def words_of(row: Mapping[str, Any], language: str) -> tuple[list[str], list[list[int]] | None]:
    """The words of a row, and where they stand in its text; without places where it gives words."""
    if "words" in row:
        words = row["words"]
        return (words.split() if isinstance(words, str) else list(words)), None
    text = row["text"]
    if not spaceless(language):
        found = list(WORD.finditer(text))
        return [match[0] for match in found], [[match.start(), match.end()] for match in found]
    words, spans, at = [], [], 0
    for word in segment(text):
        at = text.index(word, at)
        words.append(word)
        spans.append([at, at + len(word)])
        at += len(word)
    return words, spans
