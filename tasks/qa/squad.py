"""SQuAD 1.1 (Rajpurkar et al. 2016) and 2.0 (Rajpurkar et al. 2018), in the official files or on the hub."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pretrain.base.errors import UserError
from tasks.definition import register
from tasks.qa.files import ENDINGS, with_endings
from tasks.qa.scores import SQUAD2 as RULES2
from tasks.qa.task import QATask

SPLITS = ("train", "dev", "test")
"""SQuAD's own test set is not published: `test` is for files of one's own, `test-CODE.json`."""


@dataclass(frozen=True, kw_only=True)
class Squad(QATask):
    """SQuAD: `SPLIT-CODE.json`, for English also the official names, which do not say the language."""

    official: str

    def candidates(self, split: str, context: str, question: str) -> list[list[str]]:
        official = [[f"{split}-{self.official}"], [f"{split}-{self.official}*"]] if context == "en" else []
        return super().candidates(split, context, question) + with_endings(official)

    def held(self, folder: Path, split: str) -> list[str]:
        official = any(path for ending in ENDINGS for path in folder.glob(f"{split}-{self.official}*{ending}"))
        return sorted({*super().held(folder, split), *(["en"] if official else [])})

    def hub_place(self, split: str, context: str, question: str) -> tuple[str | None, str]:
        if split == "test":
            raise UserError(f"split 'test' of {self.name} is not published: the hub has train and dev")
        if context != "en":
            raise UserError(f"{self.name} on the hub is English, not {context!r}; put the files into a folder, "
                            f"{split}-{context}.json, and name it with --data")
        return None, {"train": "train", "dev": "validation"}[split]


SQUAD = register(Squad("squad", "1.1", ("en",), SPLITS, official="v1.1", hub="hf:rajpurkar/squad"))
SQUAD2 = register(Squad("squad2", "2.0", ("en",), SPLITS, official="v2.0", hub="hf:rajpurkar/squad_v2", unanswerable=True,
                        heads=("joint_span", "span"), scoring=lambda language: RULES2))
