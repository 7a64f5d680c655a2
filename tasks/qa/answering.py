"""Answers to questions that have none yet: what `relexify predict` and the Python door say of a question answering task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from tasks.heads.model import TaskModel
from tasks.qa.data import Question
from tasks.qa.family import answer
from tasks.qa.features import WindowSettings

if TYPE_CHECKING:
    from adapt.artefacts.embedding import Embedding


@dataclass
class Answerer:
    """A span of the context for each question; see `tasks.family.Predictor`."""

    head: str
    windows: WindowSettings
    threshold: float
    columns: ClassVar[tuple[tuple[str, ...], ...]] = (("question", "context"),)

    def predict(self, model: TaskModel, embedding: Embedding, rows: Sequence[Mapping[str, Any]],
                max_tokens: int) -> list[dict[str, Any]]:
        """`answer` (empty where "no answer" is likelier than the body's threshold), its characters `start` and `end` in the
        context, its `probability`, and that of no answer."""
        questions = [Question(str(number), row["question"], row["context"], ()) for number, row in enumerate(rows)]
        predicted, _ = answer(model, self.head, embedding.tokenizer, questions, self.windows, max_tokens=max_tokens)
        found = []
        for item in questions:
            one = predicted[item.id]
            best = one.spans[0] if one.spans and one.text(self.threshold) else None
            found.append({"answer": best.text if best else "", "start": best.start if best else None,
                          "end": best.end if best else None, "probability": best.probability if best else None,
                          "no_answer": one.no_answer})
        return found
