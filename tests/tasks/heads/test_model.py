"""The head's shapes and names, and that it changes nothing of the masked language model."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from adapt.artefacts.embedding import Embedding
from pretrain.artefacts.body import Body
from pretrain.base.errors import UserError
from pretrain.masked_lm import MaskedLM
from tasks.heads.model import TaskModel, task_model, task_of

from ..conftest import CONFIG, make_embedding


def test_head_shapes_and_names() -> None:
    model = TaskModel(CONFIG, 20).eval()
    model.add_head("xnli", "classification", 3)
    own = set(model.state_dict()) - set(MaskedLM(CONFIG, 20).state_dict())
    assert own == {f"heads.xnli.{part}.{kind}" for part in ("dense", "out_proj") for kind in ("weight", "bias")}
    tokens = torch.randint(4, 20, (5, 9))
    tokens[:, 0] = 0
    logits = model(tokens, full=True, task="xnli")
    assert logits.shape == (5, 3) and logits.dtype == torch.float32
    assert model.heads["xnli"].dense.weight.shape == (32, 32)
    assert model(tokens).shape == (5, 9, 20)
    assert torch.equal(model(tokens), MaskedLM.forward(model, tokens))
    with pytest.raises(UserError, match=r"unknown head 'clasification', did you mean 'classification'\?"):
        model.add_head("x", "clasification", 3)


def test_padding_does_not_change_the_logits(untrained: Path, world: Path) -> None:
    model = task_model(Body.load(untrained), Embedding.load(world / "qaa"))
    tokens = torch.tensor([[0, 5, 6, 2, 2, 7, 2]])
    padded = torch.nn.functional.pad(tokens, (0, 6), value=1)
    torch.testing.assert_close(model(tokens, full=True, task="xnli"), model(padded, task="xnli"), rtol=1e-5, atol=1e-5)


def test_task_body_keeps_every_tensor_of_its_body(untrained: Path, world: Path) -> None:
    start, end = Body.load(world / "body"), Body.load(untrained)
    assert set(start.tensors) == {name for name in end.tensors if not name.startswith("heads.")}
    assert end.lineage == start.fingerprint != end.fingerprint


def test_wrong_bodies_and_embeddings(untrained: Path, world: Path) -> None:
    with pytest.raises(UserError, match=r"no task head; train one first: relexify finetune"):
        task_model(Body.load(world / "body"), Embedding.load(world / "qaa"))
    with pytest.raises(UserError, match=r"does 'xnli', asked for 'pawsx'"):
        task_of(Body.load(untrained), "pawsx")
    with pytest.raises(UserError, match=r"learned against the body of lineage 111111111111, this body's lineage is"):
        task_model(Body.load(untrained), make_embedding("qab", "1" * 64, 1))


def test_last_layer_for_the_first_state_alone_changes_no_logit(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = TaskModel(Body.load(world / "body").config, 70)
    model.add_head("xnli", "classification", 3)
    model.eval()
    tokens = torch.tensor([[0, 5, 2, 2, 6, 2], [0, 7, 2, 2, 2, 1]])
    pruned = model(tokens, task="xnli")
    monkeypatch.setattr(type(model.heads["xnli"]), "first_only", False)
    assert torch.allclose(pruned, model(tokens, task="xnli"), atol=1e-6)
