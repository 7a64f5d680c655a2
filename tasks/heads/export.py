"""Task heads under the names of transformers' heads: exactly, or not at all.

transformers has one head for tags and spans, a linear layer, as we have. For one label a text RoBERTa and MPNet have ours
(`classification`: dense, tanh, out_proj), and BERT has it as pooler and classifier; ELECTRA has gelu in the place of tanh. The
head of ELECTRA's own fine-tuning code (`linear`: out_proj alone) is written through that gelu without loss:
gelu(x) - gelu(-x) = x for every x. For multiple choice all have two layers with tanh, and ELECTRA, whose config names the
activation, one layer too.
"""

from __future__ import annotations

import torch
from torch import Tensor

from adapt.formats.huggingface.target import BERT, ELECTRA, MPNET, ROBERTA, Head
from pretrain.artefacts.body import HEADS as HEAD_TENSORS
from pretrain.artefacts.body import Body
from pretrain.base.errors import UserError
from tasks.definition import OUTPUT
from tasks.heads.model import task_of

SEQUENCE = ("ForSequenceClassification", "text-classification")
TOKENS = ("ForTokenClassification", "token-classification")
CHOICES = ("ForMultipleChoice", "multiple-choice")
SPANS = ("ForQuestionAnswering", "question-answering")
BERT_POOLER = "bert.pooler.dense"


def head_of(body: Body) -> Head:
    """The head of a task body for `adapt.formats.huggingface_export.export`.

    Raises:
        UserError: no task body, or a head that transformers does not have.
    """
    record = task_of(body)
    kind, labels, own = record["head"], tuple(record["labels"]), _tensors(body)
    if record.get("candidates"):
        return _choice_head(kind, own)
    # of one output, a value: transformers' pipeline would squeeze it into a probability
    said = {"problem_type": "regression"} if labels == (OUTPUT,) else {}
    value = dict.fromkeys((ROBERTA, BERT, ELECTRA, MPNET), said)
    if kind == "classification":
        tensors = {f"classifier.{name}": tensor for name, tensor in own.items()}
        pooled = {f"{place}.{part}": own[f"{name}.{part}"] for name, place in (("dense", BERT_POOLER), ("out_proj", "classifier"))
                  for part in ("weight", "bias")}
        return Head(*SEQUENCE, {ROBERTA: tensors, MPNET: tensors, BERT: pooled}, labels, "tanh between two layers", value)
    if kind == "linear":
        one = _through_gelu(own["out_proj.weight"], own["out_proj.bias"])
        return Head(*SEQUENCE, {ELECTRA: one}, labels, "one layer", value)
    if kind in ("tagging", "span"):
        name, (suffix, pipeline) = ("classifier", TOKENS) if kind == "tagging" else ("qa_outputs", SPANS)
        tensors = {f"{name}.{part}": own[f"out_proj.{part}"] for part in ("weight", "bias")}
        return Head(suffix, pipeline, dict.fromkeys((ROBERTA, BERT, ELECTRA, MPNET), tensors), labels, "one layer")
    if kind == "san":
        raise UserError(f"this task body has a 'san' head ({record['name']}), which reasons in several steps; transformers has "
                        "no such head, so nothing was written; finetune with --head classification or linear to export")
    raise UserError(f"this task body has a {kind!r} head ({record['name']}), which chooses the end of a span given its start; "
                    "transformers' models choose both independently, so nothing was written; finetune with --head span to export")


def _choice_head(kind: str, own: dict[str, Tensor]) -> Head:
    """One output for each candidate: a pooler and a linear layer; in ELECTRA a summary whose activation its config names."""
    linear = {f"classifier.{part}": own[f"out_proj.{part}"] for part in ("weight", "bias")}
    if kind == "linear":
        plain = {"summary_type": "first", "summary_use_proj": False, "summary_activation": "linear"}
        return Head(*CHOICES, {ELECTRA: linear}, (), "one layer", {ELECTRA: plain})
    places = {ROBERTA: "roberta.pooler.dense", BERT: BERT_POOLER, MPNET: "mpnet.pooler.dense",
              ELECTRA: "sequence_summary.summary"}
    tensors = {family: {**linear, **{f"{place}.{part}": own[f"dense.{part}"] for part in ("weight", "bias")}}
               for family, place in places.items()}
    summary = {"summary_type": "first", "summary_use_proj": True, "summary_activation": "tanh"}
    return Head(*CHOICES, tensors, (), "tanh between two layers", {ELECTRA: summary})


def fairseq_head_of(body: Body) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Tensors and labels of a task body's head for `adapt.formats.fairseq_export.export`.

    Raises:
        UserError: no task body, or a head that fairseq's `sentence_prediction` does not have.
    """
    record = task_of(body)
    if record["head"] != "classification":
        raise UserError(f"this task body has a {record['head']!r} head ({record['name']}); fairseq's RoBERTa has the head of "
                        "sentence_prediction alone (--head classification); nothing was written")
    return _tensors(body), tuple(record["labels"])


def _tensors(body: Body) -> dict[str, Tensor]:
    """Of the head, with its own names."""
    prefix = f"{HEAD_TENSORS}{task_of(body)['name']}."
    return {name.removeprefix(prefix): tensor for name, tensor in body.tensors.items() if name.startswith(prefix)}


def _through_gelu(weight_CD: Tensor, bias_C: Tensor) -> dict[str, Tensor]:
    """ELECTRA's dense [D, D], gelu, out_proj [C, D] that give `weight_CD` x + `bias_C`, exact up to rounding.

    Raises:
        UserError: two rows for each label are more than the layer has.
    """
    classes, width = weight_CD.shape
    if 2 * classes > width:
        raise UserError(f"a linear head of {classes} labels on a body of width {width} has no place in transformers' ELECTRA "
                        f"head, which needs a width of {2 * classes}; finetune with --head classification to export")
    dense, bias, out = weight_CD.new_zeros(width, width), bias_C.new_zeros(width), weight_CD.new_zeros(classes, width)
    dense[:classes], dense[classes:2 * classes] = weight_CD, -weight_CD
    bias[:classes], bias[classes:2 * classes] = bias_C, -bias_C
    out[:, :classes], out[:, classes:2 * classes] = torch.eye(classes), -torch.eye(classes)
    return {"classifier.dense.weight": dense, "classifier.dense.bias": bias, "classifier.out_proj.weight": out,
            "classifier.out_proj.bias": bias_C.new_zeros(classes)}
