"""The student's side: which rows of a file of teachers' outputs its training examples have, and the loss on them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import softmax
from torch import Tensor

from pretrain.base.errors import UserError
from pretrain.base.files import sha256_file
from pretrain.base.settings import option
from tasks.definition import Definition
from tasks.distillation.losses import (
    KL,
    LOGIT_MSE,
    MSE,
    SOFT_CE,
    TEMPERED,
    kl_divergence,
    logit_mse,
    mixed,
    soft_cross_entropy,
    value_mse,
)
from tasks.distillation.soft_labels import CLASSES, SPANS, VALUE, WORDS, SoftLabels, read
from tasks.distillation.teaching import LOGITS, Columns
from tasks.family import Examples

LOSSES_OF = {CLASSES: (SOFT_CE, KL, LOGIT_MSE), VALUE: (MSE,), SPANS: (SOFT_CE, KL), WORDS: (SOFT_CE, KL, LOGIT_MSE)}
"""Form of the file -> the losses on it, the default first."""
STUDENT = ("teacher", "distillation_loss", "alpha", "temperature")
"""Settings of a student; what they come to is in `Lesson.record`."""
UNLABELLED = -100
"""Label of an example without one: cross entropy leaves it out."""


@dataclass(frozen=True)
class Distillation:
    """How a student learns from a teacher.

    Attributes:
        teacher: the file.
        loss: one of `tasks.distillation.losses.LOSSES`; empty: the form's first.
        alpha: share of the loss on hard labels; 0: examples need none.
        temperature: 0: the file's.
        spell: how the user writes one of these settings, for errors.
    """

    teacher: str
    loss: str = ""
    alpha: float = 0.0
    temperature: float = 0.0
    spell: Callable[[str], str] = option

    @classmethod
    def of(cls, settings: Any, spell: Callable[[str], str] = option) -> Distillation | None:
        """What settings say; None without a teacher.

        Raises:
            UserError: settings of a student without a teacher.
        """
        if settings.teacher:
            return cls(settings.teacher, settings.distillation_loss, settings.alpha, settings.temperature, spell)
        for name in STUDENT[1:]:
            if value := getattr(settings, name):
                raise UserError(f"{spell(name)}: got {value!r} without a teacher; name its file with {spell('teacher')}, or "
                                "leave it out")
        return None

    def learn(self, task: Definition, examples: Any, language: str, head: str) -> Lesson:
        """What the teacher says of these examples.

        Raises:
            UserError: a file of another task, of other labels or in another order, in another language, without some of the
                examples, or a loss or temperature that it does not allow. All name both sides, before anything is trained.
        """
        teaching = task.teaching()
        file = read(self.teacher)
        header, place = file.header, self.teacher
        if header["task"] != task.name:
            raise UserError(f"{place}: teaches {header['task']}, this trains {task.name}; make a file of that task with relexify "
                            "teach")
        if header["form"] != teaching.form or header["labels"] != teaching.labels:
            raise UserError(f"{place}: has the outputs {', '.join(header['labels']) or header['form']} in this order, "
                            f"{task.name} {task.version} has {', '.join(teaching.labels) or teaching.form}; make the file anew")
        if header["language"] != language:
            raise UserError(f"{place}: is of examples in {header['language']!r}, this trains in {language!r}; make it with "
                            f"relexify teach --student-language {language}, or train in {header['language']!r}")
        if head not in teaching.heads:
            raise UserError(f"{self.spell('head')} {head}: learns from no teacher; of {task.name} do those of kind "
                            f"{', '.join(teaching.heads)}")
        loss, temperature = self._loss(file), self._temperature(file)
        rows = self._rows(file, teaching.keys(examples), teaching.ids(examples), examples)
        columns = {name: [values[row] for row in rows] for name, values in file.columns.items()}
        if header["form"] == WORDS:
            self._check_words(columns["logits"], examples, len(header["labels"]))
        return Lesson(self, loss, temperature, header, sha256_file(self.teacher), columns)

    def _check_words(self, rows: Sequence[NDArray[Any]], examples: Any, labels: int) -> None:
        for number, (row, item) in enumerate(zip(rows, examples, strict=True), 1):
            if len(row) != labels * len(item.words):
                raise UserError(f"{self.teacher}: speaks of {len(row) // labels} words of sentence {number} of "
                                f"{', '.join(examples.files)}, which has {len(item.words)}; make the file anew")

    def _loss(self, file: SoftLabels) -> str:
        known = LOSSES_OF[file.header["form"]]
        if self.loss and self.loss not in known:
            raise UserError(f"{self.spell('distillation_loss')} {self.loss}: {file.header['task']} is learned with "
                            f"{' or '.join(known)}")
        return self.loss or known[0]

    def _temperature(self, file: SoftLabels) -> float:
        header, made = file.header, float(file.header["temperature"])
        if self._loss(file) not in TEMPERED:
            if self.temperature not in (0, 1):
                raise UserError(f"{self.spell('temperature')} {self.temperature:g}: the loss {self._loss(file)} has none; leave "
                                "it out")
            return 1.0
        several = len(header["teachers"]) > 1 and header["average"] != LOGITS
        if self.temperature not in (0, made) and several:
            asked = f"{self.temperature:g}"
            raise UserError(f"{self.spell('temperature')} {asked}: {self.teacher} holds the mean of {len(header['teachers'])} "
                            f"teachers' probabilities at temperature {made:g}; make it anew with relexify teach --temperature "
                            f"{asked}, or with --average logits, which allows any")
        return self.temperature or made

    def _rows(self, file: SoftLabels, keys: Sequence[str], ids: Sequence[str], examples: Examples) -> list[int]:
        """The row of each example; of rows with the same texts the first."""
        places: dict[str, int] = {}
        for row, key in enumerate(file.keys):
            places.setdefault(key, row)
        missing = [number for number, key in enumerate(keys) if key not in places]
        if missing:
            data, first = file.header["data"], ids[missing[0]]
            raise UserError(
                f"{self.teacher}: has no row for {len(missing):,} of the {len(keys):,} training examples (first: id {first}); it "
                f"was made on {', '.join(data['files'])} ({len(file):,} examples, data {data['sha256'][:12]}), this trains on "
                f"{', '.join(examples.files)} (data {examples.sha256()[:12]}); let the teacher read these with relexify teach")
        return [places[key] for key in keys]


@dataclass
class Lesson:
    """What a teacher says of the training examples, in their order.

    Attributes:
        loss, temperature: as they are, where the settings left them open.
        header: of the file.
        sha256: of the file.
        columns: its columns, rows in the order of the examples.
    """

    asked: Distillation
    loss: str
    temperature: float
    header: dict[str, Any]
    sha256: str
    columns: Columns

    def targets(self) -> Tensor:
        """Of classes the logits or the probabilities at the temperature [N, C], of words the same of all words in order, of a
        regression the values [N]."""
        if self.header["form"] == VALUE:
            return self._numbers("values")[:, 0]
        if self.loss == LOGIT_MSE:
            return self._numbers("logits")
        if self.temperature == self.header["temperature"]:
            return self._numbers("probabilities")
        return torch.from_numpy(softmax(self._numbers("logits").numpy() / self.temperature, axis=1)).float()

    def _numbers(self, name: str) -> Tensor:
        """A column as one row for each example, or for each word."""
        rows = np.concatenate([np.zeros(0), *self.columns[name]]).astype(np.float32)
        return torch.from_numpy(rows).view(-1, len(self.header["labels"]))

    def total(self, hard: Callable[[], Tensor], outputs: Tensor, teacher: Tensor) -> Tensor:
        """The loss of a batch, summed over its examples.

        Args:
            hard: gives its loss on hard labels, summed over its examples; not asked where alpha is 0.
            outputs: the student's: logits [B, C], of words too, of windows [B, 2, T], values [B].
            teacher: of the same shape, from `targets` or `tasks.qa.teaching.window_shares`. Starts and ends count half each, as
                in the loss on hard labels.
        """
        if self.loss == MSE:
            soft = value_mse(outputs, teacher)
        elif self.loss == LOGIT_MSE:
            soft = logit_mse(outputs, teacher)
        else:
            loss = kl_divergence if self.loss == KL else soft_cross_entropy
            soft = loss(outputs, teacher, self.temperature)
        total = soft.sum() / (2 if soft.ndim > 1 else 1)
        return mixed(hard(), total, self.asked.alpha) if self.asked.alpha else total

    def record(self) -> dict[str, Any]:
        """For the record of the student's body."""
        return {"file": Path(self.asked.teacher).name, **self.identity}

    @property
    def identity(self) -> dict[str, Any]:
        """What decides what is learned, wherever the file stands."""
        header = self.header
        return {"sha256": self.sha256, "loss": self.loss, "alpha": self.asked.alpha,
                "temperature": self.temperature, "average": header["average"], "read_in": header["read"]["language"],
                "teachers": [one["fingerprint"] for one in header["teachers"]], "data_sha256": header["data"]["sha256"]}


def read_training(task: Definition, data: str, language: str, files: Sequence[str], distillation: Distillation | None) -> Any:
    """The examples of the training split. With a teacher and no share of hard labels they need no gold."""
    if distillation is not None and distillation.alpha == 0:
        return task.unlabelled(data, "train", language, files)
    return task.read(data, "train", language, files)
