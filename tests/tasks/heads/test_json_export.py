"""Task models with a `tokenizer.json`: transformers' pipelines on the exported folder give what `relexify predict` gives."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from adapt.artefacts.embedding import Embedding
from adapt.text.tokenizer import Tokenizer
from tasks.classification.task import Example
from tasks.encoding import encode_examples
from tasks.registry import get_task
from tests.adapt.formats.huggingface_tools import transformers
from tests.adapt.formats.models import tokenizer_of
from tests.foreign import lines
from tests.tasks.heads.test_export import balanced, opened, piped_tags, task_body, their_answer
from tests.tasks.heads.test_export_real import said

FAMILIES = [("bert", 2, "Bert"), ("bert", 1, "Bert"), ("roberta", 1, "Roberta"), ("roberta", 2, "Roberta"),
            ("xlm-roberta", 1, "Roberta")]
families = pytest.mark.parametrize("family, segments, name", FAMILIES)
PAIRS = list(zip(lines(24), reversed(lines(24)), strict=True))


def module(family: str, width: int = 16) -> Embedding:
    tokenizer = Tokenizer(tokenizer_of(family))
    weight = torch.randn(len(tokenizer), width, generator=torch.Generator().manual_seed(6))
    return Embedding(weight, torch.zeros(len(tokenizer)), tokenizer, "en", "0" * 64)


@families
def test_labels_of_pairs(family: str, segments: int, name: str, tmp_path: Path) -> None:
    embedding = module(family)
    encoded = encode_examples(embedding.tokenizer, [Example("0", a, b, 0) for a, b in PAIRS], 160, 3 - segments)
    body = balanced(task_body("classification", segments=segments), embedding, encoded)
    ours = said(body, embedding, tmp_path, [{"premise": a, "hypothesis": b} for a, b in PAIRS])
    assert type(opened(tmp_path / "out", "classification")).__name__ == f"{name}ForSequenceClassification"
    pipe = transformers.pipeline("text-classification", str(tmp_path / "out"), device="cpu")
    theirs = pipe([{"text": a, "text_pair": b} for a, b in PAIRS])
    assert [one["label"] for one in theirs] == [one["label"] for one in ours] and len({one["label"] for one in ours}) > 1
    assert [one["score"] for one in theirs] == pytest.approx([one["probabilities"][one["label"]] for one in ours], rel=1e-3)


@families
def test_tags_of_words(family: str, segments: int, name: str, tmp_path: Path) -> None:
    embedding, rows = module(family), [line.split() for line in lines(20)]
    body = task_body("tagging", labels=get_task("panx").labels, segments=segments)
    ours = said(body, embedding, tmp_path, [{"words": row} for row in rows])
    assert type(opened(tmp_path / "out", "tagging")).__name__ == f"{name}ForTokenClassification"
    pipe = transformers.pipeline("token-classification", str(tmp_path / "out"), ignore_labels=[], device="cpu")
    # a byte-level BPE reads a list of words without the spaces between them, so it is given the text
    theirs = [tags_of_text(pipe, row) if family == "roberta" else piped_tags(pipe, tuple(row)) for row in rows]
    assert theirs == [one["tags"] for one in ours] and len({tag for row in theirs for tag in row}) > 1


def tags_of_text(pipe: Any, words: list[str]) -> list[str]:
    """The tag of each word's first piece that is more than a space, in a text."""
    text, tags = " ".join(words), {}
    for found in pipe(text):
        if found["end"] > found["start"]:
            tags.setdefault(text[:found["end"]].count(" "), found["entity"])
    return [tags[number] for number in range(len(words))]


@families
def test_spans_of_questions(family: str, segments: int, name: str, tmp_path: Path) -> None:
    embedding = module(family)
    body: Any = task_body("span", segments=segments)
    body = replace(body, task={**body.task, "windows": {"max_length": 160, "stride": 64, "max_question": 64},
                               "answer_tokens": 30})
    rows = [{"question": a, "context": b} for a, b in PAIRS[:12]]
    ours = said(body, embedding, tmp_path, rows)
    model, auto = opened(tmp_path / "out", "span"), transformers.AutoTokenizer.from_pretrained(tmp_path / "out")
    assert type(model).__name__ == f"{name}ForQuestionAnswering"
    fits = [number for number, (a, b) in enumerate(PAIRS[:12]) if len(auto(a, b).input_ids) <= 160
            and len(embedding.tokenizer.encode(a)) <= 64]
    assert len(fits) > 4
    assert [their_answer(auto, model, *PAIRS[number]) for number in fits] == [ours[number]["answer"] for number in fits]
