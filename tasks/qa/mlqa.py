"""MLQA (Lewis et al. 2020): seven languages, questions and contexts in any two of them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from pretrain.base.errors import UserError
from tasks.definition import missing_data, register
from tasks.qa.files import CODE, HUB, matches, with_endings
from tasks.qa.scores import mlqa_rules
from tasks.qa.task import QATask

LANGUAGES = ("ar", "de", "en", "es", "hi", "vi", "zh")


@dataclass(frozen=True, kw_only=True)
class Mlqa(QATask):
    """MLQA, `SPLIT-context-CODE-question-CODE.json`, also in the folders of the official archive."""

    def check_split(self, split: str) -> str:
        if split == "train":
            raise UserError("MLQA has no train split: finetune on --task squad, evaluate on --split dev or test")
        return super().check_split(split)

    def candidates(self, split: str, context: str, question: str) -> list[list[str]]:
        name = f"{split}-context-{context}-question-{question}"
        return with_endings([[name, f"{split}/{name}", f"MLQA_V1/{split}/{name}"]])

    def available_pairs(self, data: str, split: str) -> list[tuple[str, str]]:
        """Pairs (context language, question language) that `data` holds this split in."""
        self.check_split(split)
        if data.startswith(HUB):
            return [(context, question) for context in LANGUAGES for question in LANGUAGES]
        folder = Path(data)
        pattern = rf"{re.escape(split)}-context-{CODE}-question-{CODE}"
        return sorted({(context, question) for place in (folder, folder / split, folder / "MLQA_V1" / split)
                       for context, question in matches(place, pattern)})

    def held(self, folder: Path, split: str) -> list[str]:
        return [context for context, question in self.available_pairs(str(folder), split) if context == question]

    def missing(self, data: str, split: str, context: str, question: str, tried: list[str]) -> UserError:
        if question == context:
            return super().missing(data, split, context, question, tried)
        known = [f"{one}/{other}" for one, other in self.available_pairs(data, split)]
        return missing_data(self.name, data, split, context, known, tried, f"context {context!r}, question {question!r}")

    def hub_place(self, split: str, context: str, question: str) -> tuple[str | None, str]:
        return f"mlqa.{context}.{question}", {"dev": "validation", "test": "test"}[split]


MLQA = register(Mlqa("mlqa", "1.0", LANGUAGES, ("dev", "test"), hub="hf:facebook/mlqa", pairs=True, scoring=mlqa_rules))
