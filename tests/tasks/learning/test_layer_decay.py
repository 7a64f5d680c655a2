"""Layer-wise decay: the factor of every parameter, how it meets the optimizer's other rates, and resume."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

pytest.importorskip("fairseq")

from pretrain.artefacts.body import Body
from pretrain.base.errors import UserError
from pretrain.encoder import EncoderConfig
from pretrain.trainer.optimizer import ModularAdamW
from tasks.heads.model import NewHead
from tasks.learning.finetune import finetune, plan
from tasks.learning.layer_decay import LayerDecay
from tasks.trainer.task import TaskBody
from tests.killing import kill_finetune_at

from ..conftest import make_embedding, settings_for
from ..electra_tools import electra_body

LAYERS = 3
SHAPE = EncoderConfig(layers=LAYERS, width=16, heads=2, ffn=32, embedding_width=8, max_positions=16, relative_buckets=8)
EXPONENTS = {
    "paper": {"heads.": 0, "encoder.layers.2.": 1, "encoder.layers.1.": 2, "encoder.layers.0.": 3, "encoder.embed_": 4,
              "encoder.relative_bias.": 4},
    "official": {"heads.": 0, "encoder.layers.2.": 2, "encoder.layers.1.": 3, "encoder.layers.0.": 4, "encoder.embed_": 5,
                 "encoder.relative_bias.": 5},
}


def build(backbone: str, decay: LayerDecay | None, head: str = "linear", train_embedding: bool = False) -> TaskBody:
    """A task body before its training."""
    if backbone == "electra":
        body = electra_body(SHAPE)
    else:
        from pretrain.masked_lm import MaskedLM

        body = Body.of_model(MaskedLM(replace(SHAPE, embedding_width=16), 8))
    embedding = make_embedding("qaa", body.lineage, 1, body.config.embedding_width)
    cfg: Any = SimpleNamespace(dropout=0.0, attention_dropout=0.0, activation_dropout=0.0, precision="fp32", compile=False)
    return TaskBody(body, embedding, cfg, [NewHead("xnli", head, 3, [])], train_embedding, decay)


def optimizer_of(model: TaskBody) -> ModularAdamW:
    return ModularAdamW(SimpleNamespace(lr=[1e-2], adam_betas="(0.9, 0.999)", adam_eps=1e-12, weight_decay=0.0, decay_all=False,
                                        forget_scope="embedding", precision="fp32"),
                        [p for p in model.parameters() if p.requires_grad])


def rates(model: TaskBody, optimizer: ModularAdamW) -> dict[str, float]:
    """The learning rate of each trained parameter by name."""
    found = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    return {name: found[id(p)] for name, p in model.named_parameters() if p.requires_grad}


def expected(name: str, variant: str, decay: float) -> float:
    (exponent,) = {exponent for prefix, exponent in EXPONENTS[variant].items() if name.startswith(prefix)}
    return float(decay**exponent)


@pytest.mark.parametrize("head", ["classification", "linear", "san", "joint_span"])
@pytest.mark.parametrize("variant", ["paper", "official"])
@pytest.mark.parametrize("backbone", ["roberta", "electra"])
def test_every_parameter_learns_at_the_rate_of_its_depth(backbone: str, variant: str, head: str) -> None:
    model = build(backbone, LayerDecay(0.5, variant), head)
    optimizer = optimizer_of(model)
    optimizer.set_lr(8e-3)
    found = rates(model, optimizer)
    assert found == pytest.approx({name: 8e-3 * expected(name, variant, 0.5) for name in found})
    kinds = {"embed_positions", "embed_norm", "relative_bias", "layers"} | ({"embed_project"} if backbone == "electra" else set())
    assert {name.split(".")[1] for name in found if name.startswith("encoder.")} == kinds
    assert optimizer.get_lr() == 8e-3


def test_official_rates_are_the_papers_times_the_decay_below_the_head() -> None:
    names = [name for name, _ in build("electra", None).named_parameters() if name.startswith("encoder.")]
    paper, official = LayerDecay(0.8), LayerDecay(0.8, "official")
    assert all(official.factor(n, LAYERS) == pytest.approx(0.8 * paper.factor(n, LAYERS)) for n in names)
    assert paper.factor("heads.x.out_proj.weight", LAYERS) == official.factor("heads.x.out_proj.weight", LAYERS) == 1


def test_one_step_moves_each_parameter_by_its_rate() -> None:
    """Adam's first step is the learning rate times the sign of the gradient."""
    model = build("electra", LayerDecay(0.5))
    optimizer = optimizer_of(model)
    optimizer.set_lr(1e-2)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    for parameter in optimizer.params:
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    for name, parameter in model.named_parameters():
        moved = before[name] - parameter
        if parameter.requires_grad:
            torch.testing.assert_close(moved, torch.full_like(moved, 1e-2 * expected(name, "paper", 0.5)), rtol=1e-3, atol=1e-6)
        else:
            assert not moved.any(), name


def test_a_frozen_embedding_has_no_rate_and_a_trained_one_that_of_depth_zero() -> None:
    frozen, trained = (build("electra", LayerDecay(0.5), train_embedding=on) for on in (False, True))
    table = "encoder.embed_tokens.weight"
    assert table not in rates(frozen, optimizer_of(frozen)) and optimizer_of(frozen).embedding_lr is None
    optimizer = optimizer_of(trained)
    optimizer.set_lr(1e-2)
    assert rates(trained, optimizer)[table] == optimizer.embedding_lr == pytest.approx(1e-2 / 16)
    optimizer.set_embedding_lr(4e-3)  # as in an episode: another phase of the schedule, under the same scale
    assert rates(trained, optimizer)[table] == pytest.approx(4e-3 / 16)
    assert optimizer.get_lr() == 1e-2


def test_without_decay_there_are_the_groups_that_there_were() -> None:
    for decay in (None, LayerDecay()):
        optimizer = optimizer_of(build("electra", decay, train_embedding=True))
        assert [group["name"] for group in optimizer.param_groups] == ["embedding", "matrix", "vector"]


def test_scales_are_this_runs_own_after_a_resume() -> None:
    first, second = (optimizer_of(build("electra", LayerDecay(decay))) for decay in (0.5, 0.25))
    first.set_lr(1e-2)
    second.load_state_dict(first.state_dict())
    second.set_lr(1e-2)
    assert {group["lr"] for group in second.param_groups} == {1e-2 * 0.25**exponent for exponent in (0, 1, 2, 3, 4)}


def test_untrained_parts_have_no_depth() -> None:
    for name in ("lm_head.bias", "rtd_head.out.weight"):
        with pytest.raises(ValueError, match="neither encoder nor task head"):
            LayerDecay().factor(name, LAYERS)


@pytest.mark.slow
def test_resume_after_kill_is_exact(world: Path, tmp_path: Path) -> None:
    settings = settings_for(world, tmp_path / "cut", updates=20, layer_decay=0.6, layer_decay_variant="official", head="linear",
                            validate_every=5, adam_betas="(0.9, 0.999)")
    kill_finetune_at(10, tmp_path / "cut.training" / "train.log", settings)
    resumed = finetune(settings, quiet=True)
    whole = finetune(replace(settings, output=str(tmp_path / "whole")), quiet=True)
    assert resumed.fingerprint == whole.fingerprint
    assert (whole.made["layer_decay"], whole.made["layer_decay_variant"]) == (0.6, "official")
    plain = finetune(replace(settings, output=str(tmp_path / "plain"), layer_decay=1.0), quiet=True)
    start = Body.load(world / "body").tensors["encoder.embed_positions.weight"]
    moved = [float((body.tensors["encoder.embed_positions.weight"] - start).abs().max()) for body in (whole, plain)]
    assert moved[0] < moved[1] / 4  # 0.6 ** 4 of the rate


@pytest.mark.parametrize(("changes", "message"), [
    ({"layer_decay": 0.0}, r"--layer-decay: got 0.0, expected a number above 0 to 1"),
    ({"layer_decay": 1.5}, r"--layer-decay: got 1.5"),
    ({"layer_decay_variant": "offical"},
     r"--layer-decay-variant: got 'offical', expected one of paper, official, did you mean 'official'"),
    ({"adam_betas": "0.9"}, r"--adam-betas: got '0.9', expected two numbers"),
    ({"adam_betas": "(0.9, 1.0)"}, r"--adam-betas"),
    ({"adam_eps": 0.0}, r"--adam-eps: got 0.0, expected a number above 0"),
])
def test_wrong_settings_are_told_before_training(world: Path, tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        plan(settings_for(world, tmp_path / "x", **changes))
