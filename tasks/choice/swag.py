"""SWAG: how does a scene go on (Zellers et al. 2018)? Four endings; accuracy. HellaSwag's and CODAH's files have this form
too."""

from __future__ import annotations

from collections.abc import Mapping

from tasks.choice.task import ChoiceTask, Option
from tasks.definition import register
from tasks.reading.files import SPLITS, Files

ENDINGS = ("ending0", "ending1", "ending2", "ending3")
FILES = Files("swag", stems={"train": ("train",), "dev": ("val", "dev"), "test": ("test",)}, hub="regular")


def compose(row: Mapping[str, str]) -> tuple[Option, ...]:
    """First text: the sentence before; second: the start of the next one, and the ending."""
    return tuple((row["sent1"], f"{row['sent2']} {row[ending]}".strip()) for ending in ENDINGS)


SWAG = register(ChoiceTask(name="swag", version="1.0", languages=("en",), splits=SPLITS, candidates=4,
                           texts=("sent1", "sent2", *ENDINGS), compose=compose, files=FILES, identifier=("id", "video-id"),
                           optional=("sent2",)))
