"""The real all-MiniLM-L6-v2 with task heads: on real English items its export gives what `relexify predict` gives."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch

from adapt.artefacts.embedding import Embedding
from adapt.formats.import_model import import_model
from pretrain.artefacts.body import Body
from tasks.encoding import encode_examples
from tasks.heads.model import TaskModel
from tasks.registry import get_task
from tests.adapt.formats.huggingface_tools import transformers
from tests.tasks.heads.test_export import LABELS, NAMES, balanced, opened, piped_tags, their_answer
from tests.tasks.heads.test_export_real import read, said

pytestmark = [pytest.mark.realdata, pytest.mark.slow]


@pytest.fixture(scope="module")
def minilm(tmp_path_factory: pytest.TempPathFactory) -> tuple[Body, Embedding]:
    """The imported body and its embedding; skips where the model is absent."""
    named = os.environ.get("RELEXIFY_MINILM")
    found = next(iter(sorted(Path(named).rglob("model.safetensors"))), None) if named else None
    if found is None:
        pytest.skip("no model in $RELEXIFY_MINILM")
    folder = tmp_path_factory.mktemp("minilm")
    import_model(str(found.parent), folder / "out", language="en")
    return Body.load(folder / "out" / "body"), Embedding.load(folder / "out" / "embedding")


@cache
def labels_of(kind: str) -> tuple[str, ...]:
    return tuple(get_task("panx").labels) if kind == "tagging" else LABELS[kind]


def with_head(body: Body, kind: str) -> Body:
    """A task body on the real encoder, its head drawn."""
    torch.manual_seed(3)
    model = TaskModel(body.config, 8)
    model.add_head(NAMES[kind], kind, len(labels_of(kind)))
    heads = {name: torch.randn_like(tensor) * 0.3 for name, tensor in Body.of_model(model).tensors.items()
             if name.startswith("heads.")}
    return Body(body.config, {**body.tensors, **heads}, body.lineage, body.backbone, {"seed": 3}, {
        "name": NAMES[kind], "version": "1.0", "head": kind, "labels": list(labels_of(kind)), "metric": "accuracy",
        "windows": {"max_length": 384, "stride": 128, "max_question": 64}, "answer_tokens": 30,
        "dev": {"split": "dev", "language": "en", "score": 0.5, "n": 8}})


def test_labels(minilm: tuple[Body, Embedding], request: pytest.FixtureRequest, tmp_path: Path) -> None:
    body, embedding = minilm
    examples = read("xnli", "en", "dev-en.tsv").examples[:int(request.config.getoption("--items"))]
    encoded = encode_examples(embedding.tokenizer, examples, 512, 3 - body.config.segments)
    task = balanced(with_head(body, "classification"), embedding, encoded)
    ours = said(task, embedding, tmp_path, [{"premise": item.text_a, "hypothesis": item.text_b} for item in examples])
    auto = transformers.AutoTokenizer.from_pretrained(tmp_path / "out")
    theirs = auto([item.text_a for item in examples], [item.text_b for item in examples]).input_ids
    assert theirs == [embedding.foreign[torch.from_numpy(ids).long()].tolist() for ids in encoded.tokens]  # type: ignore[index]
    pipe = transformers.pipeline("text-classification", str(tmp_path / "out"), device="cpu")
    found = pipe([{"text": item.text_a, "text_pair": item.text_b} for item in examples])
    assert [one["label"] for one in found] == [one["label"] for one in ours] and len({one["label"] for one in ours}) > 1
    assert [one["score"] for one in found] == pytest.approx([one["probabilities"][one["label"]] for one in ours], rel=1e-3)


def test_tags(minilm: tuple[Body, Embedding], request: pytest.FixtureRequest, tmp_path: Path) -> None:
    body, embedding = minilm
    sentences = read("panx", "en", "dev-en.tsv").sentences[:int(request.config.getoption("--items"))]
    ours = said(with_head(body, "tagging"), embedding, tmp_path, [{"words": list(item.words)} for item in sentences])
    pipe = transformers.pipeline("token-classification", str(tmp_path / "out"), ignore_labels=[], device="cpu")
    assert [piped_tags(pipe, item.words) for item in sentences] == [one["tags"] for one in ours]
    assert len({tag for one in ours for tag in one["tags"]}) > 2


def test_spans(minilm: tuple[Body, Embedding], request: pytest.FixtureRequest, tmp_path: Path) -> None:
    body, embedding = minilm
    questions: list[Any] = list(read("xquad", "en", "xquad.en.json", "test"))[:int(request.config.getoption("--items"))]
    rows = [{"question": item.question, "context": item.context} for item in questions]
    ours = said(with_head(body, "span"), embedding, tmp_path, rows)
    model, auto = opened(tmp_path / "out", "span"), transformers.AutoTokenizer.from_pretrained(tmp_path / "out")
    fits = [number for number, row in enumerate(rows) if len(auto(row["question"], row["context"]).input_ids) <= 384
            and len(embedding.tokenizer.encode(row["question"])) <= 64]
    assert len(fits) >= 0.9 * len(rows)
    assert [their_answer(auto, model, rows[number]["question"], rows[number]["context"]) for number in fits] == [
        ours[number]["answer"] for number in fits]
