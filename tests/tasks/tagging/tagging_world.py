"""Sentences that a tiny body learns to tag in seconds: one word is a LOC, one begins a PER, one continues it."""

from __future__ import annotations

import random
from pathlib import Path

from ..conftest import WORDS

Tagged = list[tuple[str, str]]


def sentences(language: str, count: int, seed: int) -> list[Tagged]:
    draw = random.Random(seed)
    *plain, place, person, more = WORDS[language]
    found: list[Tagged] = []
    for _ in range(count):
        row: Tagged = []
        for _ in range(draw.randint(2, 5)):
            entity: Tagged = draw.choice([[(place, "B-LOC")], [(person, "B-PER")], [(person, "B-PER"), (more, "I-PER")]])
            row += [(draw.choice(plain), "O") for _ in range(draw.randint(0, 2))] + entity
        found.append(row)
    return found


def write_sentences(path: Path, rows: list[Tagged], gap: str = "\t") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join("".join(f"{word}{gap}{tag}\n" for word, tag in row) + "\n" for row in rows), encoding="utf-8")
    return path


def write_world(folder: Path) -> Path:
    """PAN-X files of both languages: train of the base language, dev and test of both."""
    write_sentences(folder / "train-qaa.tsv", sentences("qaa", 160, 1))
    for language in WORDS:
        for split, seed in (("dev", 2), ("test", 3)):
            write_sentences(folder / f"{split}-{language}.tsv", sentences(language, 40, seed))
    return folder
