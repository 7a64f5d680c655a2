"""Questions that a tiny body learns in seconds: the answer is the marker word of the context, one or two tokens long."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from ..conftest import WORDS


def question_files(count: int, seed: int, language: str, asked_in: str | None = None, impossible: float = 0.0) -> dict[str, Any]:
    """A data set in SQuAD's layout; the same ids and places in every language. `impossible` contexts lack the marker."""
    draw = random.Random(seed)
    *_, marker, _ = words = WORDS[language]
    asked = WORDS[asked_in or language]
    paragraphs = []
    for number in range(count):
        places = [draw.randrange(4) for _ in range(draw.randint(8, 30))]
        at = draw.randrange(len(places))
        none = draw.random() < impossible
        text = [words[place] for place in places]
        start = len("".join(word + " " for word in text[:at]))
        if not none:
            text[at] = marker
        question = {"id": f"q{number}", "question": f"{asked[draw.randrange(4)]} {asked[5]}",
                    "answers": [] if none else [{"text": marker, "answer_start": start}]}
        if impossible:
            question["is_impossible"] = none
        paragraphs.append({"context": " ".join(text), "qas": [question]})
    return {"version": "test", "data": [{"title": "t", "paragraphs": paragraphs}]}


def write_questions(folder: Path) -> Path:
    """`squad` and `squad2` files of the base language, dev and test of both, MLQA's four pairs."""
    folder.mkdir(parents=True, exist_ok=True)
    for part, share in (("one", 0.0), ("two", 0.4)):
        (folder / part).mkdir()
        (folder / part / "train-qaa.json").write_text(json.dumps(question_files(160, 1, "qaa", impossible=share)))
        for language in WORDS:
            for split, seed in (("dev", 2), ("test", 3)):
                (folder / part / f"{split}-{language}.json").write_text(
                    json.dumps(question_files(40, seed, language, impossible=share), ensure_ascii=False))
    (folder / "mlqa").mkdir()
    for context in WORDS:
        for asked in WORDS:
            (folder / "mlqa" / f"dev-context-{context}-question-{asked}.json").write_text(
                json.dumps(question_files(25, 4, context, asked), ensure_ascii=False))
    return folder
