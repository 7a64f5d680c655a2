"""What a task family is asked where its bodies teach and learn; `Definition.teaching` gives its answer."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from pretrain.base.errors import UserError
from tasks.distillation.soft_labels import CLASSES, VALUE

if TYPE_CHECKING:
    from adapt.artefacts.embedding import Embedding
    from tasks.heads.model import TaskModel

logger = logging.getLogger(__name__)

PROBABILITIES, LOGITS = "probabilities", "logits"
"""What is averaged over several teachers."""
DISAGREEMENT = 0.05
"""Share of examples whose gold may differ between two languages: in the dev sets of PAWS-X up to 1.6 % do."""
Columns = dict[str, list[NDArray[Any]]]
"""Columns of a file of teachers' outputs: of each the list of every row."""


class Teaching(Protocol):
    """How bodies of a task teach.

    Attributes:
        form: what a row of the file holds, a key of `tasks.distillation.soft_labels.FORMS`.
        labels: names of the outputs, in their order.
        heads: kinds of heads that can teach and learn.
        parallel: whether the outputs for a text hold for its translation too.
    """

    form: ClassVar[str]
    parallel: ClassVar[bool]

    @property
    def labels(self) -> list[str]: ...

    @property
    def heads(self) -> tuple[str, ...]: ...

    def ids(self, examples: Any) -> list[str]:
        """The id of each example."""

    def keys(self, examples: Any) -> list[str]:
        """The key of each example: `key_of` its texts."""

    def golds(self, examples: Any) -> list[Any]:
        """The gold of each example; None where there is none."""

    def outputs(self, evaluation: Any, model: TaskModel, embedding: Embedding, examples: Any, max_tokens: int,
                description: str | None) -> Any:
        """What one teacher says of each example, in the family's own form.

        Args:
            evaluation: what `Definition.evaluation` made for the teacher's body.
        """

    def average(self, outputs: Sequence[Any], average: str, temperature: float) -> Columns:
        """The columns of the file from what each teacher says.

        Raises:
            UserError: outputs that cannot be averaged in that way.
        """

    def without_gold(self, training: Any) -> Any:
        """How the task takes part in training where a teacher alone speaks of the examples."""


class RowTeaching:
    """What families do alike whose bodies put out so many numbers for an example, or for each of its words: logits of classes or
    candidates, or a value."""

    parallel: ClassVar[bool] = True
    task: Any

    @property
    def heads(self) -> tuple[str, ...]:
        return tuple(self.task.heads)

    @property
    def labels(self) -> list[str]:
        return list(self.task.labels)

    def without_gold(self, training: Any) -> Any:
        return training


class ClassTeaching(RowTeaching):
    """Classes or candidates."""

    form: ClassVar[str] = CLASSES

    def average(self, outputs: Sequence[NDArray[np.float64]], average: str, temperature: float) -> Columns:
        return {name: list(rows_NC) for name, rows_NC in averaged(outputs, average, temperature).items()}


def averaged(outputs: Sequence[NDArray[np.float64]], average: str, temperature: float) -> dict[str, NDArray[np.float64]]:
    """`logits` is the mean of the teachers' [N, C]; `probabilities` the mean of each one's at the temperature, or those of the
    mean logits."""
    logits_NC = np.mean(outputs, axis=0)
    if average == LOGITS:
        shares_NC = softmax(logits_NC / temperature, axis=1)
    else:
        shares_NC = np.mean([softmax(one / temperature, axis=1) for one in outputs], axis=0)
    return {"logits": logits_NC, "probabilities": shares_NC}


class ValueTeaching(RowTeaching):
    """One value."""

    form: ClassVar[str] = VALUE

    def average(self, outputs: Sequence[NDArray[np.float64]], average: str, temperature: float) -> Columns:
        if temperature != 1:
            raise UserError(f"--temperature {temperature:g}: {self.task.name} has values, which have none; leave it out")
        return {"values": [np.array([value]) for value in np.mean(outputs, axis=0)]}


def numbers(ids: Sequence[str]) -> bool:
    """Whether ids are the numbers of rows: they say nothing of which example it is where a row is missing."""
    return bool(ids) and ids[0].isdecimal() and list(ids) == [str(int(ids[0]) + place) for place in range(len(ids))]


def same_examples(teaching: Teaching, first: Any, second: Any) -> Any:
    """Of the examples that a teacher reads those that a student reads in another language, in the student's order.

    They are the same by their ids, where these are all different, else by their rows; the ids of files that name none are numbers
    of rows.

    Args:
        first, second: what the teacher reads, and what the student reads.

    Raises:
        UserError: an example of the student's that the teacher's side lacks, or golds that differ more often than translators and
            annotators disagree; both sides are named.
    """
    names = " and ".join(", ".join(one.files) for one in (first, second))
    expected = "expected the same examples, by their ids or row by row, in the teacher's and the student's language"
    ids, wanted = teaching.ids(first), teaching.ids(second)
    found = first
    if ids != wanted:
        if len(set(ids)) < len(ids) or len(set(wanted)) < len(wanted):
            raise UserError(f"{names}: {len(first):,} and {len(second):,} examples, whose ids are not the same, nor all "
                            f"different; {expected}")
        if len(ids) != len(wanted) and numbers(ids) and numbers(wanted):
            raise UserError(f"{names}: {len(first):,} and {len(second):,} examples, whose ids are numbers of rows; {expected}")
        places = {identifier: place for place, identifier in enumerate(ids)}
        missing = [identifier for identifier in wanted if identifier not in places]
        if missing:
            raise UserError(f"{names}: {len(missing):,} of {len(second):,} examples of the student's are not on the teacher's "
                            f"side (first: id {missing[0]}); {expected}")
        found = first.only([places[identifier] for identifier in wanted])
    both = [(identifier, one, other) for identifier, one, other in
            zip(wanted, teaching.golds(found), teaching.golds(second), strict=True) if one is not None and other is not None]
    if apart := [(identifier, one, other) for identifier, one, other in both if one != other]:
        identifier, one, other = apart[0]
        said = (f"{names}: {len(apart):,} of {len(both):,} examples have another gold on the other side (first: id {identifier}, "
                f"{one} there, {other} here)")
        if len(apart) > DISAGREEMENT * len(both):
            raise UserError(f"{said}; {expected}")
        logger.warning(f"{said}; the teacher speaks of them all the same")
    return found
