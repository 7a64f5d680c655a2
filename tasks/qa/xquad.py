"""XQuAD (Artetxe et al. 2020): SQuAD questions translated into eleven languages; one set, for testing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pretrain.base.errors import UserError
from tasks.definition import register
from tasks.qa.files import CODE, matches, with_endings
from tasks.qa.task import QATask

LANGUAGES = ("ar", "de", "el", "en", "es", "hi", "ro", "ru", "th", "tr", "vi", "zh")


@dataclass(frozen=True, kw_only=True)
class XQuad(QATask):
    """XQuAD, `xquad.CODE.json`."""

    def check_split(self, split: str) -> str:
        if split in ("train", "dev"):
            raise UserError(f"XQuAD has no {split} split: it is one set of questions, called 'test'; use --split test, and "
                            "finetune and choose settings on --task squad")
        return super().check_split(split)

    def candidates(self, split: str, context: str, question: str) -> list[list[str]]:
        return with_endings([[f"xquad.{context}"]])

    def held(self, folder: Path, split: str) -> list[str]:
        return [code for code, in matches(folder, rf"xquad\.{CODE}")]

    def hub_place(self, split: str, context: str, question: str) -> tuple[str | None, str]:
        return f"xquad.{context}", "validation"


XQUAD = register(XQuad("xquad", "1.1", LANGUAGES, ("test",), hub="hf:google/xquad"))
