"""Artefacts go to a hub and come back by name, pinned to a commit, also from the cache alone; a stand-in answers on loopback."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from adapt.artefacts.embedding import Embedding
from adapt.artefacts.hub import Name
from adapt.text.tokenizer import Tokenizer
from pretrain.artefacts.body import Body
from pretrain.base.errors import UserError
from pretrain.encoder import EncoderConfig
from pretrain.masked_lm import MaskedLM
from tests.adapt.artefacts.hub_server import TOKEN, hub
from tests.killing import warm

pytest.importorskip("huggingface_hub")
ROOT = Path(__file__).resolve().parents[3]
CALLS = """
import json, sys
from adapt.artefacts.embedding import Embedding
from adapt.artefacts.resources import embedding_of, locate
from pretrain.artefacts.body import Body
from pretrain.base.errors import UserError
from recipes.cli import main

def look(name):
    try:
        return [Body.load(locate(name, "body")).fingerprint, Embedding.load(embedding_of(name)).record()["fingerprint"]]
    except UserError as error:
        return str(error)

for call in json.loads(sys.argv[1]):
    print(json.dumps(main(call[1:]) if call[0] == "relexify" else look(call[1])), flush=True)
"""


def world(folder: Path, tokenizer: Tokenizer, seed: int) -> tuple[Body, Embedding]:
    torch.manual_seed(seed)
    model = MaskedLM(EncoderConfig(layers=1, width=16, heads=2, ffn=16, embedding_width=16, max_positions=8), len(tokenizer))
    body = Body.of_model(model)
    embedding = Embedding.of_model(model, tokenizer, "de", body.lineage)
    body.save(folder / "body")
    embedding.save(folder / "embedding")
    return body, embedding


def called(calls: list[list[str]], folder: Path, address: str, **more: str) -> tuple[list[Any], str]:
    """What a fresh process answers (the hub's settings are read at its start), and its standard error."""
    environment = {**warm(), "HF_ENDPOINT": address, "HF_HOME": str(folder / "hub"), "HF_TOKEN": TOKEN,
                   "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_HUB_DISABLE_XET": "1", **more}
    done = subprocess.run([sys.executable, "-c", CALLS, json.dumps(calls)], cwd=ROOT, env=environment, capture_output=True,
                          text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    lines = done.stdout.splitlines()
    answers = [json.loads(line) for line in lines if line[:1] in "0123456789[{\""]
    return answers, "\n".join([*(line for line in lines if line[:1] not in "0123456789[{\""), done.stderr])


def test_there_and_back_pinned_and_offline(sentencepiece: Tokenizer, tmp_path: Path) -> None:
    first, embedding = world(tmp_path / "one", sentencepiece, 1)
    second, other = world(tmp_path / "two", sentencepiece, 2)
    one = [first.fingerprint, embedding.record()["fingerprint"]]
    two = [second.fingerprint, other.record()["fingerprint"]]
    with hub() as (address, store):
        answers, said = called([["relexify", "push", str(tmp_path / "one"), "hf:some/body", "--private"]], tmp_path, address)
        assert answers == [0] and store.private["some/body"]
        pinned = said.split(": ")[0]
        assert pinned == f"hf:some/body@{store.branches['some/body']['main']}" and "body and embedding of de" in said
        answers, _ = called([
            ["look", "hf:some/body"], ["relexify", "push", str(tmp_path / "two"), "hf:some/body"], ["look", "hf:some/body"],
            ["look", pinned], ["relexify", "push", str(tmp_path / "one"), "hf:some/body@old"], ["look", "hf:some/body@old"],
            ["look", "hf:some/body@nowhere"], ["look", "hf:no/body"]],
            tmp_path, address)
        assert answers[:6] == [one, 0, two, one, 0, one]
        assert "hf:some/body@nowhere: could not be loaded from the hub" in str(answers[6])
        assert "hf:no/body: could not be loaded from the hub" in str(answers[7])
    # the server is gone: what was loaded is there, what was not is refused
    for offline in ({"HF_HUB_OFFLINE": "1"}, {}):
        answers, _ = called([["look", pinned], ["look", "hf:some/body"], ["look", "hf:some/other"]], tmp_path, address, **offline)
        assert answers[:2] == [one, two] and "could not be loaded from the hub" in str(answers[2])


def test_what_cannot_be_pushed_is_refused_in_one_line_and_not_sent(sentencepiece: Tokenizer, tmp_path: Path) -> None:
    world(tmp_path / "run", sentencepiece, 1)
    world(tmp_path / "changed", sentencepiece, 2)
    (tmp_path / "changed" / "body" / "body.safetensors").write_bytes(
        (tmp_path / "run" / "body" / "body.safetensors").read_bytes())
    (tmp_path / "empty").mkdir()
    with hub() as (address, store):
        answers, said = called([["relexify", "push", str(tmp_path / name), target] for name, target in (
            ("empty", "hf:some/body"), ("changed", "hf:some/body"), ("gone", "hf:some/body"), ("run", "some/body"),
            ("run", "hf:some/body@"))], tmp_path, address)
        assert answers == [2] * 5 and not store.commits
        errors = [line for line in said.splitlines() if "error:" in line]
        expected = ["expected a body, an embedding", "fingerprint", "gone", "expected hf:OWNER/NAME", "expected hf:OWNER/NAME"]
        assert len(errors) == 5 and all(part in line for part, line in zip(expected, errors, strict=True))
        answers, said = called([["relexify", "push", str(tmp_path / "run"), "hf:some/body"]], tmp_path, address, HF_TOKEN="wrong")
        assert answers == [2] and not store.commits
        assert "the hub did not take it" in said and "HF_TOKEN" in said


def test_hub_names_go_through_import_inspect_assemble_predict_and_export(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    from tests.adapt.formats.models import make
    from tests.tasks.heads.test_export import task_body
    from tests.tasks.heads.test_json_export import module

    make("bert", tmp_path / "theirs", num_hidden_layers=1)
    shutil.copytree(tmp_path / "theirs", tmp_path / "newer")
    make("bert", tmp_path / "newer", num_hidden_layers=2)
    task_body("classification", segments=2).save(tmp_path / "task" / "body")
    module("bert").save(tmp_path / "task" / "embedding")
    texts = ["--task", "xnli", "--text", "the old books", "about rivers"]
    with hub() as (address, store):
        answers, said = called([["relexify", "push", str(tmp_path / "theirs"), "hf:some/bert"],
                                ["relexify", "push", str(tmp_path / "task"), "hf:some/task"]], tmp_path, address)
        assert answers == [0, 0]
        pinned = f"hf:some/bert@{store.branches['some/bert']['main']}"
        answers, said = called([
            ["relexify", "push", str(tmp_path / "newer"), "hf:some/bert"],
            ["relexify", "import", pinned, "--language", "en", "--output", str(tmp_path / "old")],
            ["relexify", "import", "hf:some/bert", "--language", "en", "--output", str(tmp_path / "new")],
            ["relexify", "import", "hf:some/bert@nowhere", "--language", "en", "--output", str(tmp_path / "none")],
            ["relexify", "inspect", "hf:some/task"],
            ["relexify", "assemble", "--body", "hf:some/task", "--embedding", "hf:some/task", "--output",
             str(tmp_path / "whole")],
            ["relexify", "export", "--body", "hf:some/task", "--to", "huggingface", "--output", str(tmp_path / "exported")]],
            tmp_path, address)
        assert [answer for answer in answers if isinstance(answer, int)] == [0, 0, 0, 2, 0, 0, 0]
        assert "hf:some/bert@nowhere: could not be loaded from the hub" in said and not (tmp_path / "none").exists()
        assert Body.load(tmp_path / "old" / "body").config.layers == 1 and Body.load(tmp_path / "new" / "body").config.layers == 2
        made = Body.load(tmp_path / "old" / "body").made
        assert made["source"] == pinned
        assert Body.load(tmp_path / "whole" / "body").fingerprint == Body.load(tmp_path / "task" / "body").fingerprint
        asked = len(store.asked)
        answers, _ = called([["relexify", "predict", "--body", "hf:some/task", "--embedding", "hf:some/task", *texts]], tmp_path,
                            address)
        assert answers[-1] == 0 and answers[0]["label"] and len(store.asked) > asked
    # the server is gone: the cache gives the same
    again, _ = called([
        ["relexify", "predict", "--body", "hf:some/task", "--embedding", "hf:some/task", *texts],
        ["relexify", "import", pinned, "--language", "en", "--output", str(tmp_path / "cached")]], tmp_path, address,
        HF_HUB_OFFLINE="1")
    assert [one for one in again if isinstance(one, dict)] == [one for one in answers if isinstance(one, dict)]
    assert Body.load(tmp_path / "cached" / "body").fingerprint == Body.load(tmp_path / "old" / "body").fingerprint


@pytest.mark.parametrize("text", ["hf:", "hf:a/b/c", "hf:a/b@", "hf:../b", "a/b", "hf:a b/c"])
def test_names_of_another_form_are_refused(text: str) -> None:
    with pytest.raises(UserError, match="expected hf:OWNER/NAME"):
        Name.parse(text)


def test_names_with_and_without_revision() -> None:
    assert Name.parse("hf:a/b@v1.0") == Name("a/b", "v1.0")
    assert Name.parse("hf:bert-base") == Name("bert-base", "")
