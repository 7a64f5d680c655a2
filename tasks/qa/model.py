"""Models for question answering: a task body under one embedding, or under two: one reads contexts, one questions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from adapt.artefacts.assemble import check_compatible, swap
from pretrain.base.errors import UserError, unknown
from pretrain.base.records import Record
from tasks.heads.model import SPAN_HEADS, TaskModel, with_drawn_head

if TYPE_CHECKING:
    from adapt.artefacts.embedding import Embedding
    from pretrain.artefacts.body import Body
    from tasks.heads.model import TaskModel

UNTRAINED = "untrained"
"""Name of a head that was never trained, see `untrained`."""


def swap_pair(model: TaskModel, contexts: Embedding, questions: Embedding) -> None:
    """Puts two embeddings into one model: ids below V read contexts with the first, ids from V on questions with the second.

    V is the number of rows of `contexts`. Each side brings its own special tokens: `<s> question </s>` are the second's,
    `</s> context </s>` the first's. Both tables are used as they are, so a question is read as in a model of its own
    language alone. The output bias is stacked alike, though answers do not need it.

    Raises:
        UserError: one of them brings more than an embedding (positions, layers), of which a body can hold one set only.
    """
    extras = sorted({*contexts.extras, *questions.extras})
    if extras:
        raise UserError(f"the embeddings ({contexts.language}, {questions.language}) bring tensors of the body of their own "
                        f"({', '.join(extras[:3])}); two languages at once need embeddings that were adapted without --train")
    swap(model, contexts)
    old = model.encoder.embed_tokens
    both = torch.cat([old.weight.detach(), questions.weight.to(old.weight.device)])
    table = torch.nn.Embedding(both.size(0), both.size(1), padding_idx=old.padding_idx, device="meta")
    table.weight = torch.nn.Parameter(both, requires_grad=old.weight.requires_grad)
    model.encoder.embed_tokens = table
    bias = model.lm_head.bias
    stacked = torch.cat([bias.detach(), questions.bias.to(bias.device)])
    model.lm_head.bias = torch.nn.Parameter(stacked, requires_grad=bias.requires_grad)


def qa_record(body: Body) -> dict[str, Any]:
    """The task record of a body with a head for question answering.

    Raises:
        UserError: no head, or one of another family.
    """
    if not body.task:
        raise UserError("this body has no task head; train one first (relexify finetune --task squad …), or ask for the "
                        "score of a head that was never trained: --untrained-head")
    if body.task["head"] not in SPAN_HEADS:
        raise UserError(f"the task body does {body.task['name']!r}, which answers no questions; finetune a body on squad, "
                        "squad2 or tydiqa")
    if isinstance(body.task, Record):  # read from a file
        windows = body.task.table("windows")
        for name in windows:
            windows.integer(name)
        body.task.integer("answer_tokens")
        if "no_answer_threshold" in body.task:
            body.task.number("no_answer_threshold")
    return body.task


def untrained(body: Body, seed: int = 1, head: str = "span") -> Body:
    """The body with a head for question answering that was drawn by `seed` and never trained: a baseline."""
    if head not in SPAN_HEADS:
        raise unknown("head", head, SPAN_HEADS)
    record = {"name": UNTRAINED, "head": head, "labels": [], "metric": "f1", "windows": {}, "answer_tokens": 3}
    return with_drawn_head(body, record, seed)


def check_both(body: Body, contexts: Embedding, questions: Embedding) -> None:
    """The assembly rule for each of two embeddings."""
    check_compatible(body, contexts)
    check_compatible(body, questions)
