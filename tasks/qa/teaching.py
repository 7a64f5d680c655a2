"""How bodies that answer questions teach: shares of the places at which an answer may begin and end (docs/distillation.md).

Places are characters of the context, not tokens: a start is the first character of the teacher's token, an end is one past the
last character of its token. So a student with any other tokenizer finds them: a start belongs to the student's token that covers
this character, an end to the token that covers the character before it, as it is with the answers of a training set.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import softmax

from pretrain.base.errors import UserError
from tasks.distillation.soft_labels import SPANS, key_of
from tasks.distillation.teaching import LOGITS, Columns
from tasks.encoding import batches
from tasks.qa.data import Questions
from tasks.qa.features import Windows, encode_questions
from tasks.qa.spans import TokenizedText

if TYPE_CHECKING:
    from adapt.artefacts.embedding import Embedding
    from tasks.heads.model import TaskModel
    from tasks.qa.family import QAEvaluation, QATraining
    from tasks.qa.task import QATask

LEAST = 1e-30
"""Smallest share whose logarithm is taken."""
Side = tuple[NDArray[np.int32], NDArray[np.float64]]
"""Places of a context, and at each the logit less that of "no answer"."""


@dataclass
class QATeaching:
    """Starts and ends; see `tasks.distillation.teaching.Teaching`."""

    task: QATask
    form: ClassVar[str] = SPANS
    parallel: ClassVar[bool] = False
    heads: ClassVar[tuple[str, ...]] = ("span",)

    @property
    def labels(self) -> list[str]:
        return []

    def ids(self, examples: Questions) -> list[str]:
        return [item.id for item in examples]

    def keys(self, examples: Questions) -> list[str]:
        return [key_of(item.question, item.context) for item in examples]

    def golds(self, examples: Questions) -> list[Any]:
        return [None] * len(examples)

    def without_gold(self, training: QATraining) -> QATraining:
        return replace(training, gold=False)

    @torch.inference_mode()
    def outputs(self, evaluation: QAEvaluation, model: TaskModel, embedding: Embedding, examples: Questions, max_tokens: int,
                description: str | None) -> list[tuple[Side, Side]]:
        """Starts and ends of each question. A token that several windows hold counts in the one that shows most context around
        it, and there by its distance from "no answer", the logit of `<s>`; so windows compare."""
        from tqdm import tqdm

        windows = encode_questions(embedding.tokenizer, examples.questions, evaluation.windows)
        odds = [np.zeros((2, len(context))) for context in windows.contexts]
        device = model.encoder.embed_tokens.weight.device
        head = evaluation.record["name"]
        with tqdm(total=len(windows), desc=description, disable=description is None, unit="window", leave=False,
                  dynamic_ncols=True) as bar:
            for indices in batches(windows.sizes, max_tokens):
                tokens, full = windows.batch(indices)
                allowed = windows.search(indices, 1, 1).allowed
                logits_B2T = model.spans(tokens.to(device), head, full=full, allowed=allowed.to(device)).logits
                assert logits_B2T is not None
                difference = (logits_B2T - logits_B2T[..., :1]).double().cpu().numpy()
                for row, index in zip(difference, indices, strict=True):
                    low, high = windows.best[index]
                    at = low - windows.context_at[index] + windows.offset[index]
                    odds[windows.question[index]][:, at:at + high - low] = row[:, low:high]
                bar.update(len(indices))
        if not all(np.isfinite(one).all() for one in odds):
            raise UserError("the model's outputs are NaN or infinite; try --precision fp32, else the body or the embedding "
                            "diverged in training")
        return [((context.starts.astype(np.int32), start), (context.ends.astype(np.int32), end))
                for context, (start, end) in zip(windows.contexts, odds, strict=True)]

    def average(self, outputs: Sequence[list[tuple[Side, Side]]], average: str, temperature: float) -> Columns:
        """Places and logits of both sides. The logits are those at which the softmax over them and a 0 for "no answer", divided
        by the temperature, is the average of the teachers' shares.

        Raises:
            UserError: logits of teachers with different tokenizers.
        """
        columns: Columns = {name: [] for name in ("start_at", "start_logits", "end_at", "end_logits")}
        for said in zip(*outputs, strict=True):
            for number, side in enumerate(("start", "end")):
                at, logits = _averaged([one[number] for one in said], average, temperature)
                columns[f"{side}_at"].append(at)
                columns[f"{side}_logits"].append(logits)
        return columns


def _averaged(sides: Sequence[Side], average: str, temperature: float) -> Side:
    if len(sides) == 1:
        return sides[0]
    if average == LOGITS:
        if any(not np.array_equal(at, sides[0][0]) for at, _ in sides):
            raise UserError("--average logits: the teachers have different tokenizers, so their logits belong to different "
                            "places; take --average probabilities")
        return sides[0][0], np.mean([logits for _, logits in sides], axis=0)
    places = np.unique(np.concatenate([at for at, _ in sides]))
    shares, none = np.zeros(len(places)), 0.0
    for at, logits in sides:
        own = shares_of(logits, temperature)
        np.add.at(shares, np.searchsorted(places, at), own[1:] / len(sides))
        none += own[0] / len(sides)
    odds = np.log(np.maximum(shares, LEAST)) - np.log(max(none, LEAST))
    return places.astype(np.int32), temperature * odds


def shares_of(logits: NDArray[Any], temperature: float) -> NDArray[np.float64]:
    """The share of "no answer", and then of each place."""
    found: NDArray[np.float64] = softmax(np.concatenate([[0.0], logits.astype(np.float64)]) / temperature)
    return found


def on_tokens(context: TokenizedText, at: NDArray[Any], shares: NDArray[np.float64], end: bool) -> NDArray[np.float64]:
    """Shares of places as shares of the tokens of a context [T].

    Args:
        at: characters [P]: of a start the first, of an end one past the last.
        shares: of each place [P]. What no token covers, behind the last or before the first one, goes to none.
    """
    found = np.zeros(len(context))
    real = np.flatnonzero(context.starts < context.ends)  # a token that stands for a word boundary alone covers nothing
    if end:
        place = np.searchsorted(context.starts[real], at, side="left") - 1
    else:
        place = np.searchsorted(context.ends[real], at, side="right")
    inside = (place >= 0) & (place < len(real))
    np.add.at(found, real[place[inside]], shares[inside])
    return found


def window_shares(windows: Windows, rows: NDArray[np.int64], columns: Columns, temperature: float) -> torch.Tensor:
    """What a teacher says of windows: shares of starts and ends over the columns of each [B, 2, T].

    The column of `<s>` has the share of "no answer" and of all tokens that are not in the window: as windows without the answer
    are trained towards it.

    Args:
        columns: of a file of teachers' outputs, in the order of the windows' questions.
    """
    sides = []
    for side in ("start", "end"):
        found = []
        for row in rows.tolist():
            number, first, offset, count = (int(part[row]) for part in (windows.question, windows.context_at, windows.offset,
                                                                        windows.count))
            shares = shares_of(columns[f"{side}_logits"][number], temperature)[1:]
            tokens = on_tokens(windows.contexts[number], columns[f"{side}_at"][number], shares, side == "end")
            line = np.zeros(int(windows.sizes[row]), dtype=np.float32)
            line[first:first + count] = tokens[offset:offset + count]
            line[0] = max(0.0, 1.0 - float(line.sum(dtype=np.float64)))
            found.append(torch.from_numpy(line))
        sides.append(torch.nn.utils.rnn.pad_sequence(found, batch_first=True))
    return torch.stack(sides, 1)
