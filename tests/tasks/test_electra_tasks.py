"""Tasks on an ELECTRA body: the same path as for a RoBERTa body, from training to swapping languages."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pytest
import torch

from adapt.artefacts.assemble import assemble, assemble_pair, swap
from adapt.artefacts.embedding import Embedding
from pretrain.artefacts.body import Body
from pretrain.base.errors import UserError
from pretrain.electra.networks import Discriminator
from recipes.commands.training import assemble as assemble_command
from recipes.commands.using.inspect import describe
from tasks.evaluate import evaluate
from tasks.heads.model import task_model
from tasks.qa.task import QATask
from tasks.registry import get_task

from .conftest import WORDS, make_embedding, settings_for
from .electra_tools import electra_body
from .qa.qa_world import write_questions

KINDS = [("xnli", "classification"), ("xnli", "linear"), ("xnli", "san"), ("squad", "span"), ("squad2", "joint_span")]
TOKENS = torch.tensor([[0, 9, 8, 2, 2, 11, 2], [0, 4, 5, 2, 2, 7, 2]])


@pytest.fixture(scope="module")
def electra(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with an ELECTRA body (generator and all), two embeddings of it, and the data of `world`."""
    root = tmp_path_factory.mktemp("electra")
    body = electra_body()
    body.save(root / "body")
    for seed, language in enumerate(WORDS):
        make_embedding(language, body.lineage, seed, body.config.embedding_width).save(root / language)
    (root / "data").symlink_to(world / "data")
    write_questions(root / "questions")
    return root


def data_of(electra: Path, task: str) -> Path:
    return {"xnli": electra / "data", "squad": electra / "questions" / "one", "squad2": electra / "questions" / "two"}[task]


@pytest.fixture(scope="module", params=KINDS, ids=[head for _, head in KINDS])
def tuned(request: pytest.FixtureRequest, electra: Path) -> tuple[str, str, Path]:
    """(task, head, folder) of a task body that was trained on the ELECTRA body."""
    pytest.importorskip("fairseq")
    from tasks.learning.finetune import finetune

    task, head = request.param
    windows = {} if task == "xnli" else {"max_length": 24, "stride": 8, "max_question": 6}
    output = electra / "runs" / head
    updates = 120 if task == "squad2" else 60
    finetune(settings_for(electra, output, task=task, head=head, data=str(data_of(electra, task)), updates=updates,
                          validate_every=20, **windows), quiet=True)
    return task, head, output


def scores(electra: Path, body: Path, task: str, output: Path, *languages: str) -> list[dict[str, Any]]:
    """Records of an evaluation of the test split (squad2: of dev, where its threshold was chosen)."""
    definition = get_task(task)
    embeddings = [electra / language for language in languages]
    if isinstance(definition, QATask):
        return evaluate(body, embeddings, definition, data_of(electra, task), "dev" if task == "squad2" else "test", output,
                           quiet=True)
    return evaluate(body, embeddings, task, data_of(electra, task), "test", output, quiet=True)


def test_it_learns(tuned: tuple[str, str, Path]) -> None:
    body = Body.load(tuned[2])
    assert body.task is not None and body.task["head"] == tuned[1]
    assert body.task["dev"]["score"] > 0.8 > body.task["dev"]["baseline"]["score"] + 0.2


def test_the_task_body_is_the_discriminator_with_a_head_and_no_generator(tuned: tuple[str, str, Path], electra: Path) -> None:
    start, body = Body.load(electra / "body"), Body.load(tuned[2])
    assert start.generator is not None and body.generator is None
    assert {path.name for path in tuned[2].iterdir()} == {"body.json", "body.safetensors", "curves.json"}
    assert (body.backbone, body.lineage) == ("electra", start.fingerprint)
    heads = {name for name in body.tensors if name.startswith("heads.")}
    assert heads and set(body.tensors) == set(start.tensors) | heads
    unused = {name for name in start.tensors if name.startswith("rtd_head.")}
    kept = {name for name in start.tensors if torch.equal(start.tensors[name], body.tensors[name])}
    # the padding row of the positions is all that an encoder tensor could keep, so none of them is equal
    assert unused and kept == unused


def test_it_is_evaluated_in_every_language(tuned: tuple[str, str, Path], electra: Path, tmp_path: Path) -> None:
    first, second = scores(electra, tuned[2], tuned[0], tmp_path / "scores", "qaa", "qab")
    dev = (Body.load(tuned[2]).task or {})["dev"]
    assert first["score"] > 0.8 and first["body"]["lineage"] == second["embedding"]["lineage"]
    if tuned[0] == "squad2":  # the same split
        assert first["score"] == pytest.approx(dev["score"])
        assert first["NoAns_total"] > 0 and first["HasAns_f1"] > 60 and first["NoAns_f1"] > 60


def test_swapping_languages_and_back_restores_every_answer(tuned: tuple[str, str, Path], electra: Path) -> None:
    body, qaa, qab = Body.load(tuned[2]), Embedding.load(electra / "qaa"), Embedding.load(electra / "qab")
    model = task_model(body, qaa)
    with torch.no_grad():
        before = model.encoder(TOKENS)
        swap(model, qab)
        other = model.encoder(TOKENS)
        swap(model, qaa)
        assert torch.equal(before, model.encoder(TOKENS)) and not torch.equal(before, other)


def test_an_assembled_folder_is_verified_and_scores_the_same(tuned: tuple[str, str, Path], electra: Path, tmp_path: Path) -> None:
    task, head, folder = tuned
    parser = argparse.ArgumentParser()
    assemble_command.add_arguments(parser)
    model = tmp_path / "model"
    words = ["--body", str(folder), "--embedding", str(electra / "qaa"), "--output", str(model)]
    assert assemble_command.run(parser.parse_args(words)) == 0
    assert {path.name for path in (model / "body").iterdir()} == {"body.json", "body.safetensors"}
    (_, body), (_, embedding) = describe(model)
    assert body["task"]["head"] == head and "generator" not in body and embedding["lineage"] == body["lineage"]
    (apart,), (together,) = (scores(electra, place, task, tmp_path / name, "qaa")
                             for place, name in ((folder, "apart"), (model, "together")))
    assert apart["score"] == together["score"]


def test_without_its_head_it_is_a_discriminator_and_no_pair(tuned: tuple[str, str, Path], electra: Path) -> None:
    body, embedding = Body.load(tuned[2]), Embedding.load(electra / "qaa")
    model = assemble(body, embedding)
    assert isinstance(model, Discriminator)
    with torch.no_grad():
        assert torch.equal(model.encoder(TOKENS), task_model(body, embedding).encoder(TOKENS))
    with pytest.raises(UserError, match=r"has no generator .*it is a task body"):
        assemble_pair(body, embedding)


def test_a_head_that_was_never_trained_is_scored_too(electra: Path, tmp_path: Path) -> None:
    task = get_task("squad")
    assert isinstance(task, QATask)
    (record,) = evaluate(electra / "body", [electra / "qaa"], task, data_of(electra, "squad"), "test", tmp_path / "out",
                            untrained_head=True, quiet=True)
    assert record["head"]["trained_on"] is None and record["f1"] < 60
