"""On real items of several languages exported models give our own ids, labels and tags (tiny random bodies)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch

from adapt.artefacts.embedding import Embedding
from adapt.formats.huggingface_export import export
from adapt.text.tokenizer import Tokenizer, train_tokenizer
from tasks.classification.family import predict
from tasks.encoding import encode_examples
from tasks.heads.export import head_of
from tasks.heads.model import task_model
from tasks.registry import get_task
from tasks.tagging.data import Sentences
from tasks.tagging.family import tag
from tests.adapt.formats.huggingface_tools import transformers
from tests.tasks.heads.test_export import LABELS, balanced, piped_tags, task_body

DATA = Path(os.environ.get("RELEXIFY_SHARED") or Path(__file__).resolve().parents[4] / "shared") / "data"
NLI = ("ar", "de", "el", "en", "hi", "ru", "sw", "th", "vi", "zh")
TAGS = ("ar", "de", "el", "en", "es", "hi", "ru", "sw", "tr", "vi")
EACH = 50


def embedding_of(texts: list[str], language: str) -> Embedding:
    tokenizer = Tokenizer(train_tokenizer(texts, 1500, character_coverage=0.9995))
    weight = torch.randn(len(tokenizer), 16, generator=torch.Generator().manual_seed(6))
    return Embedding(weight, torch.zeros(len(tokenizer)), tokenizer, language, "0" * 64)


def read(task: str, language: str) -> Any:
    """The development split; skips where it is absent."""
    folder = DATA / task
    if not (folder / f"dev-{language}.tsv").is_file():
        pytest.skip(f"no {task} in {language} under {DATA}")
    return get_task(task).read(folder, "dev", language)


@pytest.mark.realdata
@pytest.mark.slow
@pytest.mark.parametrize("language", NLI)
def test_labels_of_real_pairs(language: str, tmp_path: Path) -> None:
    examples = read("xnli", language).examples[:EACH]
    embedding = embedding_of([text for item in examples for text in (item.text_a, item.text_b or "")] * 3, language)
    encoded = encode_examples(embedding.tokenizer, examples, 512)
    body = balanced(task_body("classification", max_positions=512), embedding, encoded)
    export(body, embedding, tmp_path / "out", head=head_of(body))
    auto = transformers.AutoTokenizer.from_pretrained(tmp_path / "out")
    theirs = auto([item.text_a for item in examples], [item.text_b for item in examples]).input_ids
    assert theirs == [ids.tolist() for ids in encoded.tokens]
    ours = [LABELS["classification"][index] for index in predict(task_model(body, embedding), encoded, "xnli")]
    pipe = transformers.pipeline("text-classification", str(tmp_path / "out"), device="cpu")
    found = pipe([{"text": item.text_a, "text_pair": item.text_b} for item in examples])
    assert [one["label"] for one in found] == ours and len({*ours}) > 1


@pytest.mark.realdata
@pytest.mark.slow
@pytest.mark.parametrize("language", TAGS)
def test_tags_of_real_sentences(language: str, tmp_path: Path) -> None:
    task: Any = get_task("panx")
    items = Sentences(read("panx", language).sentences[:EACH])
    embedding = embedding_of([" ".join(item.words) for item in items] * 3, language)
    body = task_body("tagging", labels=task.labels, max_positions=512)
    export(body, embedding, tmp_path / "out", head=head_of(body))
    ours, _ = tag(task_model(body, embedding), "panx", embedding, items, task.labels, 512)
    pipe = transformers.pipeline("token-classification", str(tmp_path / "out"), ignore_labels=[], device="cpu")
    assert [piped_tags(pipe, item.words) for item in items] == ours
