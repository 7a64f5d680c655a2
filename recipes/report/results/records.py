"""What a report is made of: records and artefacts, and what the report adds to them."""

from __future__ import annotations

import math
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.statistics import Estimate

PRETRAINING = "pre-training"
"""The initialiser that the record of a source embedding names."""
UNKNOWN = Estimate(math.nan, math.nan, math.nan, 0)
STEP = re.compile(r"^(?P<base>.*?)/at/0*(?P<updates>\d+)/?$")
"""Where `adapt --save-embeddings-at` puts the embeddings of earlier updates."""


@dataclass(frozen=True)
class Problem:
    """A file that could not be used, or only in part, and why: one line."""

    file: str
    text: str


@dataclass
class Artefact:
    """A body, task body or embedding found below a run.

    Attributes:
        kind: body, task body or embedding.
        shown: its path as the report shows it.
        record: its body.json or embedding.json.
        curve: the points of its curves.json; empty where there is none.
        training: of a body, the losses that were logged in training; from its training.json, else from the log of its training
            folder where that still stands beside it.
    """

    kind: str
    folder: Path
    shown: str
    record: dict[str, Any]
    curve: list[dict[str, Any]] = field(default_factory=list)
    training: list[dict[str, Any]] = field(default_factory=list)

    @property
    def fingerprint(self) -> str:
        return str(self.record.get("fingerprint", ""))

    @property
    def lineage(self) -> str:
        return str(self.record.get("lineage", ""))

    @property
    def made(self) -> dict[str, Any]:
        return dict(self.record.get("made") or {})


@dataclass
class Score:
    """One record of a results.json, and what the report adds to it.

    Attributes:
        file: the results.json; `run` the folder the user named.
        base: what tells one adaptation run from another: its folder, without `/at/UPDATES`.
        final: not an embedding of an earlier update, nor of a body that learned with one.
        updates: of the adaptation; None for an embedding that was not adapted.
        tokens: that it had seen; None where nothing says it.
        arm, condition: see `recipes.report.results.arms`; `besides_text` is the condition without the amount of text.
        text: tokens of text it was adapted on where the text was cut to a number; None where it was not, or of earlier points.
        examples: one score per example [N], or numerator and denominator [N, 2] where the score is a ratio of sums, where
            predictions and gold were found; else `unpaired` says why not.
        estimate: score as a share, with the interval over examples; `interval` names how it was computed.
    """

    file: Path
    run: Path
    shown: str
    record: dict[str, Any]
    base: str
    final: bool
    updates: int | None
    tokens: int | None = None
    arm: str = ""
    condition: str = ""
    besides_text: str = ""
    text: int | None = None
    examples: NDArray[np.float64] | None = None
    unpaired: str = ""
    estimate: Estimate = UNKNOWN
    interval: str = ""

    @property
    def test(self) -> tuple[str, str]:
        """Task and split."""
        return str(self.record["task"]), str(self.record["split"])

    @property
    def languages(self) -> tuple[str, str]:
        """Language of the texts (contexts), and of the questions."""
        return str(self.record["language"]), str(self.record.get("question_language") or self.record["language"])

    @property
    def lineage(self) -> str:
        return str(self.record["body"]["lineage"])

    @property
    def body_made(self) -> dict[str, Any]:
        """How the pre-trained body was made."""
        return dict(self.record["body"].get("body_made") or {})

    @property
    def made(self) -> dict[str, Any]:
        """How the embedding was made."""
        return dict((self.record.get("embedding") or {}).get("made") or {})

    @property
    def annealed(self) -> bool:
        """Whether each budget of its adaptation was a run of its own (`adapt --budgets`), finished like the longest."""
        return bool(self.made.get("budgets"))

    @property
    def adapted(self) -> bool:
        """Whether the embedding was learned against the finished body, rather than together with it."""
        return self.made.get("initialiser") not in (None, PRETRAINING)

    @property
    def seeds(self) -> tuple[Any, Any, Any]:
        """Seeds of body, embedding and task adaptation: one training is one triple."""
        return (self.body_made.get("seed"), self.made.get("seed"), self.record["body"].get("seed"))

    @property
    def learned_in(self) -> str:
        """The language whose embedding the task was learned with, or several by the alphabet, `de+en`; empty: not recorded.

        A record names that of the embedding only where the examples had another one.
        """
        body = self.record["body"]
        told = body.get("embedding_language") or (body.get("dev") or {}).get("language") or ""
        return "+".join(sorted(str(told).split("+")))

    @property
    def learned_with(self) -> dict[str, Any]:
        """How the adapted embedding came about that the task was learned with, the first of several; empty: with none."""
        return dict(next(iter((self.record["body"].get("learned_with") or {}).values()), {}))

    @property
    def data_sha256(self) -> str:
        return str((self.record.get("data") or {}).get("sha256", ""))


def saved_at(folder: Path) -> int | None:
    """After how many updates the embedding in that folder was saved; None: it is a finished one."""
    step = STEP.match(folder.as_posix())
    return int(step["updates"]) if step else None


@dataclass
class Collected:
    """Everything found below the given folders.

    Attributes:
        prepared: hash of train.bin -> prepare.json.
        commands: folder -> the lines of its commands.sh.
        repeated: records that were found twice and count once.
        arms: lineage -> arm, see `recipes.report.results.arms.label`.
    """

    runs: list[Path]
    scores: list[Score] = field(default_factory=list)
    artefacts: list[Artefact] = field(default_factory=list)
    prepared: dict[str, dict[str, Any]] = field(default_factory=dict)
    commands: dict[Path, list[str]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    repeated: int = 0
    arms: dict[str, str] = field(default_factory=dict)
    _embeddings: dict[str, list[Artefact]] = field(default_factory=dict)

    def shown(self, path: Path) -> str:
        """`path` as seen from the folder that holds the run, so that a report says the same wherever the run lies; from the
        folder that holds all runs where several have one name."""
        run = next((run for run in self.runs if path.is_relative_to(run)), None)
        if run is None:
            return str(path)
        names = [other.resolve().name for other in self.runs]
        unique = len(set(names)) == len(names)
        above = run.resolve().parent if unique else Path(os.path.commonpath([other.resolve().parent for other in self.runs]))
        return str(run.resolve().relative_to(above) / path.relative_to(run))

    def embedding(self, fingerprint: str, updates: int | None) -> Artefact | None:
        """The embedding of that fingerprint, saved after so many updates; None: a finished one. Where a run's best embedding is
        one that was also saved on the way, both folders hold the same tensors; either serves where the other is not there."""
        same = self._embeddings.get(fingerprint, [])
        return next((one for one in same if saved_at(one.folder) == updates), next(iter(same), None))

    def add(self, artefact: Artefact) -> None:
        """Takes an artefact in."""
        self.artefacts.append(artefact)
        if artefact.kind == "embedding":
            self._embeddings.setdefault(artefact.fingerprint, []).append(artefact)
