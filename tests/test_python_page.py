"""docs/python.md: its first example runs as it stands, with a task body of each language's embedding; the server as well."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

import relexify
from adapt.text.tokenizer import Tokenizer, train_tokenizer
from pretrain.artefacts.body import Body
from pretrain.encoder import Dropout, EncoderConfig
from tasks.heads.model import TaskModel
from tests.pairs import other_embedding

PAGE = Path(__file__).resolve().parents[1] / "docs" / "python.md"
CODE = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("page")
    config = EncoderConfig(layers=1, width=16, heads=2, ffn=32, embedding_width=16, max_positions=32)
    model = TaskModel(config, 8, Dropout(0, 0, 0))
    model.add_head("panx", "tagging", 7)
    labels = ["O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC"]
    task = {"name": "panx", "version": "1", "head": "tagging", "labels": labels, "metric": "f1", "majority": "O"}
    body = Body.of_model(model, lineage="a" * 64, made={}, task=task)
    body.save(root / "body")
    for code, text in (("sw", "Mbwa anabweka na paka analala"), ("en", "The dog barks and the cat sleeps")):
        tokenizer = Tokenizer(train_tokenizer([text] * 30, 40, model_type="bpe"))
        other_embedding(body, tokenizer, code).save(root / code)
    return root


def test_the_example_runs_and_says_what_the_page_says(folder):
    names: dict[str, object] = {"BODY": folder / "body", "SWAHILI": folder / "sw", "ENGLISH": folder / "en"}
    exec(compile(CODE[0], str(PAGE), "exec"), names)
    model = names["model"]
    assert isinstance(model, relexify.Model) and model.languages == ("sw", "en")
    assert model("Mbwa anabweka", language="sw")["words"] == ["Mbwa", "anabweka"]
    assert [one["language"] for one in model(["Mbwa anabweka", "The dog barks"], "auto")] == ["sw", "en"]
    assert names["swahili"].encode("Mbwa anabweka").shape == (16,)  # type: ignore[attr-defined]


def test_the_server_answers_and_refuses(folder, monkeypatch):
    """FastAPI's two names are stood in for: what is tested is the page's own code."""
    class Refused(Exception):
        pass

    class App:
        def post(self, path):
            return lambda function: function

    fastapi = ModuleType("fastapi")
    fastapi.FastAPI, fastapi.HTTPException = App, lambda code, text: Refused(code, text)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "fastapi", fastapi)
    monkeypatch.setenv("BODY", str(folder / "body"))
    monkeypatch.setenv("EMBEDDINGS", f"{folder / 'sw'},{folder / 'en'}")
    names = SimpleNamespace()
    exec(compile(CODE[1], str(PAGE), "exec"), names.__dict__)
    assert names.predict({"text": "Mbwa anabweka", "language": "sw"})["words"] == ["Mbwa", "anabweka"]
    with pytest.raises(Refused, match="expected text"):
        names.predict({"txt": "Mbwa"})
