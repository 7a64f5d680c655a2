"""TyDiQA-GoldP (Clark et al. 2020): nine languages, one file of all of them or XTREME's files by language."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from pretrain.base.errors import UserError
from tasks.definition import register
from tasks.qa.data import Questions
from tasks.qa.files import CODE, matches, with_endings
from tasks.qa.task import QATask

NAMES = {"ar": "arabic", "bn": "bengali", "en": "english", "fi": "finnish", "id": "indonesian", "ko": "korean",
         "ru": "russian", "sw": "swahili", "te": "telugu"}
"""The file of all languages tells them apart by the first word of the question's id."""


@dataclass(frozen=True, kw_only=True)
class TydiQA(QATask):
    """TyDiQA-GoldP, official files or XTREME's."""

    def candidates(self, split: str, context: str, question: str) -> list[list[str]]:
        whole = f"tydiqa-goldp-v1.1-{split}"
        names = [f"tydiqa.goldp.{context}.{split}", f"tydiqa.{context}.{split}"]
        if context in NAMES:
            names.append(f"tydiqa-goldp-{split}-{NAMES[context]}")
        stems = [[name, f"{whole}/{name}"] for name in names]
        return with_endings([*stems, *([[whole]] if context in NAMES else [])])

    def held(self, folder: Path, split: str) -> list[str]:
        at, whole = re.escape(split), f"tydiqa-goldp-v1.1-{split}"
        places = (folder, folder / whole)
        found = {code for place in places for code, in matches(place, rf"tydiqa\.(?:goldp\.)?{CODE}\.{at}")}
        found |= {code for code, name in NAMES.items() for place in places if matches(place, f"tydiqa-goldp-{at}-{name}")}
        return sorted(found | {*NAMES} if matches(folder, re.escape(whole)) else found)

    def hub_place(self, split: str, context: str, question: str) -> tuple[str | None, str]:
        return "secondary_task", {"train": "train", "dev": "validation"}[split]

    def keep(self, questions: Questions, language: str) -> Questions:
        return keep_language(questions, language)


def keep_language(questions: Questions, language: str) -> Questions:
    """Of TyDiQA's questions in all languages those in `language`, by their ids; any other file as it is.

    Raises:
        UserError: the ids name languages, but never this one.
    """
    codes = {name: code for code, name in NAMES.items()}
    named = {item.id: codes.get(item.id.partition("-")[0]) for item in questions if "-" in item.id}
    held = sorted({code for code in named.values() if code})
    if not held:
        return questions
    if language not in held:
        raise UserError(f"{', '.join(questions.files)}: no questions in {language!r}; the file holds {', '.join(held)}")
    kept = [item for item in questions if named.get(item.id) in (None, language)]
    ids = {item.id for item in kept}
    return Questions(kept, questions.files, [identifier for identifier in questions.misaligned if identifier in ids])


TYDIQA = register(TydiQA("tydiqa", "goldp-1.1", tuple(NAMES), ("train", "dev"), hub="hf:google-research-datasets/tydiqa"))
