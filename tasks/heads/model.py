"""Task heads, and the model that carries them: encoder and LM head as in pre-training, plus `heads.<task>.*`.

Plain torch; `tasks/trainer/task.py` makes it known to fairseq. The unused LM head stays, so that a task body keeps
every tensor of the body it descends from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor, nn

from pretrain.artefacts.body import HEADS as HEAD_TENSORS
from pretrain.artefacts.body import SEVERAL, Body, load_body
from pretrain.base.errors import UserError, unknown
from pretrain.encoder import Dropout, EncoderConfig, autocast, init_weights
from pretrain.masked_lm import MaskedLM
from tasks.encoding import segments_of
from tasks.heads.san import SANHead
from tasks.heads.span import JointSpanHead, SpanHead, SpanOutput, SpanSearch

if TYPE_CHECKING:
    from adapt.artefacts.embedding import Embedding


class ClassificationHead(nn.Module):
    """RoBERTa's head on the state of `<s>`: dropout, dense D -> D, tanh, dropout, out_proj D -> C (Liu et al. 2019)."""

    first_only = True
    """Only the state of `<s>` is read."""

    def __init__(self, width: int, classes: int, dropout: float):
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.dense = nn.Linear(width, width)
        self.out_proj = nn.Linear(width, classes)
        self.apply(init_weights)

    def forward(self, states_BTD: Tensor) -> Tensor:
        """States [B, T, D] -> logits [B, C]."""
        x = torch.tanh(self.dense(self.dropout(states_BTD[:, 0])))
        return self.out_proj(self.dropout(x))


class TokenHead(nn.Module):
    """A label for each token: dropout, out_proj D -> C (Devlin et al. 2019)."""

    first_only = False

    def __init__(self, width: int, classes: int, dropout: float):
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.out_proj = nn.Linear(width, classes)
        self.apply(init_weights)

    def forward(self, states_BTD: Tensor) -> Tensor:
        """States [B, T, D] -> logits [B, T, C]."""
        return self.out_proj(self.dropout(states_BTD))


class LinearHead(TokenHead):
    """ELECTRA's head on the state of `<s>`: dropout, out_proj D -> C (Clark et al. 2020, official fine-tuning code).

    Drawn from N(0, 0.02) as every head here; that code draws its last layer from Glorot's uniform distribution.
    """

    first_only = True
    """Only the state of `<s>` is read."""

    def forward(self, states_BTD: Tensor) -> Tensor:
        """States [B, T, D] -> logits [B, C]."""
        return super().forward(states_BTD[:, 0])


HEADS: dict[str, type[ClassificationHead | LinearHead | SANHead | SpanHead | JointSpanHead | TokenHead]] = {
    "classification": ClassificationHead, "linear": LinearHead, "san": SANHead, "span": SpanHead, "joint_span": JointSpanHead,
    "tagging": TokenHead,
}
"""Head kinds that a task may declare."""
SPAN_HEADS = ("span", "joint_span")


class Labelled(Protocol):
    """A task with labels."""

    @property
    def name(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def labels(self) -> Sequence[str]: ...


@dataclass(frozen=True)
class NewHead:
    """A head that a model shall have.

    Attributes:
        labels: what its outputs are, for finding a head of the same that is trained already.
        dropout: None: the body's.
    """

    task: str
    kind: str
    outputs: int
    labels: list[str]
    dropout: float | None = None


class TaskModel(MaskedLM):
    """`MaskedLM` with task heads; without a task it is the masked language model it was."""

    def __init__(self, config: EncoderConfig, vocabulary_size: int, dropout: Dropout | None = None,
                 precision: str = "fp32"):
        super().__init__(config, vocabulary_size, dropout, precision)
        self.head_dropout = (dropout or Dropout()).hidden
        self.heads = nn.ModuleDict()

    def add_head(self, task: str, kind: str, classes: int, dropout: float | None = None) -> None:
        """A new head for `task` with `classes` outputs; its dropout is the body's where None."""
        if kind not in HEADS:
            raise unknown("head", kind, HEADS)
        self.heads[task] = HEADS[kind](self.encoder.config.width, classes, self.head_dropout if dropout is None else dropout)

    def forward(self, tokens_BT: Tensor, positions: Tensor | None = None, full: bool = False,
                segments_BT: Tensor | None = None, task: str | None = None, **spans: Any) -> Any:
        """fp32 logits [B, C] of a task's head ([B, T, C] of one for tokens), or those of `MaskedLM` where `task` is None.

        Args:
            tokens_BT: ids, padded on the right.
            full: nothing is padded.
            segments_BT: for a masked language model; a task's are found in the ids (`tasks.encoding.segments_of`).
            spans: for a head that chooses spans, what `spans` takes; the result is then its `SpanOutput`.
        """
        if task is None:
            return super().forward(tokens_BT, positions, full, segments_BT)
        if spans:
            return self.spans(tokens_BT, task, full, **spans)
        with autocast(tokens_BT.device, self.precision):
            rows_BQ = None
            if self.heads[task].first_only:  # the last layer is computed for `<s>` alone
                batch, time = tokens_BT.shape
                rows_BQ = torch.arange(0, batch * time, time, device=tokens_BT.device)[:, None]
            states = self.encoder(tokens_BT, full=full, rows_BQ=rows_BQ,
                                  segments_BT=segments_of(tokens_BT, self.encoder.config))
            head = self.heads[task]
            logits = head(states, tokens_BT) if getattr(head, "reads_tokens", False) else head(states)
        return logits.float()

    def spans(self, tokens_BT: Tensor, task: str, full: bool = False, targets: Tensor | None = None,
              allowed: Tensor | None = None, search: SpanSearch | None = None) -> SpanOutput:
        """Losses and candidates of a head that chooses spans, see `tasks.heads.span`."""
        with autocast(tokens_BT.device, self.precision):
            states = self.encoder(tokens_BT, full=full, segments_BT=segments_of(tokens_BT, self.encoder.config))
            output: SpanOutput = self.heads[task](states, targets, allowed, search)
        return output


def task_of(body: Body, name: str | None = None) -> dict[str, Any]:
    """The task record of a task body.

    Raises:
        UserError: the body has no head, or one for another task than `name`.
    """
    if not body.task:
        raise UserError("this body has no task head; train one first: relexify finetune --body … --task …")
    if body.task["name"] == SEVERAL:
        raise UserError(f"this body does {', '.join(body.task['tasks'])}; name one of them with --task")
    if name is not None and body.task["name"] != name:
        raise UserError(f"the task body does {body.task['name']!r}, asked for {name!r}; finetune a body for it")
    return body.task


def check_trained_labels(place: str | Path, trained: Sequence[str], task: Labelled) -> None:
    """Refuses a task body whose head has other labels than the task."""
    if sorted(trained) != sorted(task.labels):
        raise UserError(f"{place}: was trained on the labels {trained}, {task.name} {task.version} has {list(task.labels)}; "
                        "finetune it anew")


def with_drawn_head(body: Body, record: dict[str, Any], seed: int) -> Body:
    """The body with a head that was drawn by `seed` and never trained, in the place of its own: a baseline.

    Args:
        record: the task record to give it: `name`, `head` and `labels` make the head.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed the accelerators too
        drawn = HEADS[record["head"]](body.config.width, len(record["labels"]), 0.0)
    tensors = {name: tensor for name, tensor in body.tensors.items() if not name.startswith(HEAD_TENSORS)}
    tensors.update({f"{HEAD_TENSORS}{record['name']}.{name}": tensor for name, tensor in drawn.state_dict().items()})
    return replace(body, tensors=tensors, task=record)


def task_model(body: Body, embedding: Embedding, device: str | torch.device = "cpu",
               precision: str = "fp32", headless: bool = False) -> TaskModel:
    """A model in evaluation mode from a task body and a compatible embedding.

    `adapt.artefacts.assemble.swap` then changes its language in place.

    Raises:
        UserError: not a task body (unless `headless`: then a body without a head will do), or an embedding that does not fit it.
    """
    from adapt.artefacts.assemble import check_compatible, swap

    record = None if headless and not body.task else task_of(body)
    check_compatible(body, embedding)
    model = TaskModel(body.config, len(embedding.tokenizer.vocabulary), precision=precision)
    if record:
        model.add_head(record["name"], record["head"], len(record["labels"]))
    load_body(model, body, heads=True)
    model.to(device)
    swap(model, embedding)
    model.eval()
    return model
