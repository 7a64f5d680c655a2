"""A mixture that a tiny body learns in seconds: inference, values and tags in two invented languages."""

from __future__ import annotations

import random
from pathlib import Path

from tests.tasks.conftest import WORDS
from tests.tasks.tagging.tagging_world import write_world

RUN = ("--updates", 240, "--lr", 5e-3, "--batch-size", 16, "--threads", 1,
       "--dropout", 0, "--attention-dropout", 0, "--cpu", "--quiet")
"""Of a training on it."""


def write_values(folder: Path) -> None:
    """Files of a regression: the value grows with how often one word stands in the second text."""
    folder.mkdir()
    for language, (*plain, marker, other) in WORDS.items():
        for split, count, seed in (("train", 120, 1), ("dev", 60, 2), ("test", 60, 3)):
            draw, lines = random.Random(seed), ["index\tsentence1\tsentence2\tscore"]
            for number in range(count):
                second = [marker] * (number % 3) + [other] * (2 - number % 3)
                lines.append(f"{number}\t{' '.join(draw.choices(plain, k=2))}\t{' '.join(second)}\t{1.0 * (number % 3):.3f}")
            (folder / f"{split}-{language}.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_mixture(path: Path, world: Path, folder: Path, **changes: str) -> Path:
    """A recipe of the three tasks; `changes` are further lines at its top."""
    top = "".join(f"{key}: {value}\n" for key, value in changes.items())
    path.write_text(f"{top}tasks:\n"
                    f"  xnli: {{data: {world / 'data'}, head: san, dropout: 0}}\n"
                    f"  stsb: {{data: {folder / 'values'}, weight: 0.5}}\n"
                    f"  panx: {{data: {folder / 'tags'}, limit: 120}}\n", encoding="utf-8")
    return path


def write_bitext(folder: Path) -> None:
    """Sentences of both languages, line by line."""
    folder.mkdir()
    draw = random.Random(4)
    numbers = [draw.sample(range(6), 3) for _ in range(40)]
    for language in WORDS:
        text = "".join(" ".join(WORDS[language][number] for number in row) + "\n" for row in numbers)
        (folder / f"tatoeba.qaa-qab.{language}").write_text(text, encoding="utf-8")


def write_all(world: Path, folder: Path) -> Path:
    """Data of all tasks and `mixture.yaml`, below a folder."""
    write_values(folder / "values")
    write_bitext(folder / "bitext")
    (folder / "tags").mkdir()
    write_world(folder / "tags")
    return write_mixture(folder / "mixture.yaml", world, folder)
