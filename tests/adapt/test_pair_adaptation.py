"""Language adaptation of an ELECTRA pair: what each objective trains, what stays as it was, the artefact."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf

pytest.importorskip("fairseq")

from adapt.artefacts.assemble import assemble, assemble_pair, swap
from adapt.artefacts.embedding import Embedding
from adapt.language import adapt, stage
from adapt.objective import OBJECTIVES, resolve
from adapt.settings import AdaptSettings
from adapt.text.tokenizer import Tokenizer
from adapt.trainer import plugin  # noqa: F401
from adapt.trainer.frozen_pair import FrozenPair
from pretrain.artefacts.body import Body, GeneratorPart
from pretrain.artefacts.pair import pair_body, sort_tensors
from pretrain.base.errors import UserError
from pretrain.base.files import read_json
from pretrain.electra.networks import Electra, ElectraConfig
from pretrain.encoder import EncoderConfig
from pretrain.masked_lm import EMBEDDING_WEIGHT
from pretrain.trainer.electra_loss import ModularReplacedToken
from tests.adapt.test_language import ADAPT, task_for
from tests.training import state, train

SHAPE = EncoderConfig(layers=2, width=16, heads=2, ffn=32, embedding_width=8, max_positions=32)
ADAPT_PAIR = {**ADAPT, "arch": "modular_frozen_pair", "criterion": "modular_replaced_token", "rtd-warmup": 4}
TABLE, OFFSET = "encoder.embed_tokens.weight", "encoder.embed_tokens.delta"
THEIRS, BIAS, HARDNESS = "generator.encoder.embed_tokens.weight", "generator.lm_head.bias", "generator.hardness_head.bias"
MODEL = SimpleNamespace(dropout=0.0, attention_dropout=0.0, activation_dropout=0.0, precision="fp32", compile=False)


def write_pair(journey: Path, folder: Path, tying: str = "embedding", hardness: str = "none") -> Path:
    """Body and embedding of a random pair over the vocabulary of qaa."""
    tokenizer = Tokenizer.load(journey / "data" / "qaa")
    torch.manual_seed(4)
    model = Electra(ElectraConfig(SHAPE, replace(SHAPE, width=8, ffn=16), tying, hardness), len(tokenizer.vocabulary))
    for name, parameter in model.named_parameters():  # offsets and biases start from 0, where a copy would prove nothing
        if name.endswith(("delta", "bias")):
            torch.nn.init.normal_(parameter, std=0.1)
    with torch.no_grad():
        model.encoder.embed_tokens.weight.data[1] = 0
    tensors = sort_tensors({name: tensor.clone() for name, tensor in model.state_dict().items()})
    body = pair_body(model.config, tensors, made={"recipe": {"rtd_weight": 7.0, "mask_policy": "electra"}})
    body.save(folder / "body")
    Embedding(tensors.weight, tensors.bias, tokenizer, "qaa", body.lineage,
              generator=tensors.generator_lexicon).save(folder / "embedding")
    return folder


@pytest.fixture(scope="module")
def pair(journey, tmp_path_factory) -> Path:
    return write_pair(journey, tmp_path_factory.mktemp("pair") / "en")


def pair_task(journey: Path, place: Path, **changes: Any) -> Any:
    return task_for(journey, body=str(place), **changes)


def built(journey: Path, place: Path, **changes: Any) -> tuple[Any, FrozenPair]:
    task = pair_task(journey, place, **changes)
    return task, FrozenPair.build_model(MODEL, task)


def losses(task: Any, model: FrozenPair, **settings: Any) -> torch.Tensor:
    """The training loss of one batch."""
    task.load_dataset("train")
    sample = task.datasets["train"].collater([0, 1, 2])
    task.update = 50
    return ModularReplacedToken(task, **settings)(model.train(), sample)[0]


def gradients(model: FrozenPair) -> set[str]:
    return {name for name, p in model.named_parameters() if p.grad is not None and bool(p.grad.abs().sum() > 0)}


@pytest.mark.parametrize(("tying", "objective", "trained"), [
    ("embedding", "mlm", {TABLE, BIAS}), ("embedding", "rtd", {TABLE}), ("embedding", "joint", {TABLE, BIAS}),
    ("token", "joint", {TABLE, BIAS}), ("none", "rtd", {TABLE}), ("none", "joint", {TABLE, THEIRS, BIAS}),
    ("gdes", "mlm", {THEIRS, BIAS}), ("gdes", "joint", {THEIRS, OFFSET, BIAS}),
])
def test_each_objective_trains_the_tensors_it_has_a_gradient_for(journey, tmp_path, tying, objective, trained):
    task, model = built(journey, write_pair(journey, tmp_path / "en", tying), objective=objective)
    assert {name for name, p in model.named_parameters() if p.requires_grad} == trained
    weights = {"mlm": {"rtd_weight": 0}, "rtd": {"mlm_weight": 0}, "joint": {}}[objective]
    losses(task, model, **weights).backward()
    assert gradients(model) == trained


def test_hardness_bias_is_trained_with_the_discriminator_and_rests_without(journey, tmp_path):
    place = write_pair(journey, tmp_path / "en", hardness="loss")
    for objective, expected in (("joint", {TABLE, BIAS, HARDNESS}), ("mlm", {TABLE, BIAS})):
        _, model = built(journey, place, objective=objective)
        assert {name for name, p in model.named_parameters() if p.requires_grad} == expected


def test_masked_language_modelling_does_not_run_the_discriminator(journey, pair, monkeypatch):
    task, model = built(journey, pair, objective="mlm")
    monkeypatch.setattr(model, "detect", lambda *a, **k: pytest.fail("the discriminator was asked"))
    assert losses(task, model, rtd_weight=0) > 0


def test_pre_training_runs_the_discriminator_though_its_weight_is_0(journey, pair):
    """Its parameters would else have no gradient, which a distributed wrapper does not allow."""
    task, model = built(journey, pair, objective="joint")
    model.networks_frozen = False
    asked: list[int] = []
    detect = model.detect
    model.detect = lambda *a, **k: (asked.append(1), detect(*a, **k))[1]  # type: ignore[method-assign]
    losses(task, model, rtd_weight=0)
    assert asked


def test_mlm_loss_without_the_discriminator_equals_that_beside_it(journey, pair):
    task, model = built(journey, pair, objective="mlm")
    alone = losses(task, model, rtd_weight=0)
    model.networks_frozen = False
    torch.testing.assert_close(alone, losses(task, model, rtd_weight=0), atol=1e-6, rtol=1e-6)  # other products, other kernels


def test_disentangled_tables_have_one_loss_each(journey, pair):
    """He et al. 2021, eq. 5: no gradient from detection into the generator's table, none from the language model into the
    offset."""
    task, model = built(journey, pair, objective="joint", disentangle=True)
    losses(task, model, mlm_weight=0).backward()
    assert gradients(model) == {OFFSET}
    model.zero_grad()
    losses(task, model, rtd_weight=0).backward()
    assert gradients(model) == {THEIRS, BIAS}


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_both_networks_are_bit_identical_after_training(journey, pair, tmp_path, monkeypatch, objective):
    models = []
    init = FrozenPair.__init__
    monkeypatch.setattr(FrozenPair, "__init__", lambda self, *a, **k: (init(self, *a, **k), models.append(self))[0])
    train(journey / "data" / "qab", tmp_path, "adapt", ADAPT_PAIR, body=pair, objective=objective)
    body, now = Body.load(pair / "body"), torch.nn.Module.state_dict(models[-1])
    assert body.generator is not None
    assert all(torch.equal(now[name], tensor) for name, tensor in body.tensors.items())
    assert all(torch.equal(now["generator." + name], tensor) for name, tensor in body.generator.tensors.items())


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_the_shared_table_moves_under_every_objective(journey, pair, tmp_path, objective):
    start = pair_task(journey, pair, objective=objective).initial_embedding()
    folder = train(journey / "data" / "qab", tmp_path, "adapt", ADAPT_PAIR, body=pair, objective=objective)
    assert not torch.equal(state(folder)["model"][TABLE], start.weight)


def test_checkpoint_holds_the_whole_lexicon_though_not_all_of_it_learns(journey, pair, tmp_path):
    folder = train(journey / "data" / "qab", tmp_path, "adapt", ADAPT_PAIR, body=pair, objective="rtd")
    assert set(state(folder)["model"]) == {TABLE, BIAS}
    assert len(state(folder)["last_optimizer_state"]["state"]) == 1


@pytest.mark.parametrize("disentangle", [False, True])
def test_resume_is_bit_exact(journey, pair, tmp_path, disentangle):
    options = {"body": pair, "disentangle": disentangle, "save_interval_updates": 7}
    whole = train(journey / "data" / "qab", tmp_path / "a", "adapt", ADAPT_PAIR, **options)
    middle = next(whole.glob("checkpoint_*_7.pt"))
    resumed = train(journey / "data" / "qab", tmp_path / "b", "adapt", ADAPT_PAIR, restore_file=middle, **options)
    one, two = state(whole)["model"], state(resumed)["model"]
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_the_objective_rules_over_the_criterions_weights(journey, pair):
    from pretrain.trainer.electra_loss import ModularReplacedTokenConfig

    for objective, expected in (("mlm", (1, 0)), ("rtd", (0, 50)), ("joint", (1, 50))):
        cfg = OmegaConf.structured(ModularReplacedTokenConfig)
        cfg._name = "modular_replaced_token"
        settings = pair_task(journey, pair, objective=objective).build_criterion(cfg).settings
        assert (settings.mlm_weight, settings.rtd_weight) == expected


@pytest.mark.parametrize(("place", "base", "message"), [
    ("electra", ADAPT, "--arch modular_frozen_body: .* has backbone electra; use --arch modular_frozen_pair"),
    ("roberta", ADAPT_PAIR, "--arch modular_frozen_pair: .* has backbone roberta; use --arch modular_frozen_body"),
    ("electra", {**ADAPT_PAIR, "criterion": "modular_masked_lm"}, "use --criterion modular_replaced_token"),
])
def test_a_line_for_the_other_kind_of_body_is_refused(journey, pair, tmp_path, place, base, message):
    base = {key: value for key, value in base.items() if key != "rtd-warmup"}
    with pytest.raises(UserError, match=message):
        train(journey / "data" / "qab", tmp_path, "adapt", base, body=pair if place == "electra" else journey / "en")


def settings_for(journey: Path, place: Path, **changes: Any) -> AdaptSettings:
    return AdaptSettings(body=str(place), data=str(journey / "data" / "qab"), updates=12, lr=1e-2, batch_size=4,
                         tokens_per_sample=32, validate_every=4, threads=1, **{"output": "", **changes})


@pytest.fixture(scope="module", params=[False, True], ids=["shared", "disentangled"])
def adapted(journey, pair, tmp_path_factory, request) -> Path:
    output = tmp_path_factory.mktemp("out") / "qab"
    adapt(settings_for(journey, pair, output=str(output), objective="joint", disentangle=request.param, save_embeddings_at="4"),
          quiet=True)
    return output


def test_artefact_records_objective_and_held_out_figures(adapted):
    made = Embedding.load(adapted).made
    assert (made["objective"], made["rtd_weight"]) == ("joint", 7.0)
    assert made["held_out_mlm_loss"] > 0 and 0 <= made["held_out_rtd_auc"] <= 1


def test_a_folded_embedding_is_what_the_discriminator_saw(adapted, journey, pair):
    embedding = Embedding.load(adapted)
    body = Body.load(pair / "body")
    model = assemble(body, embedding)
    assert torch.equal(model.encoder.embed_tokens.weight, embedding.weight)
    again = assemble_pair(body, embedding, tying="gdes" if "weight" in embedding.generator else "")
    tokens = torch.tensor([[0, 9, 8, 7, 2]])
    torch.testing.assert_close(model(tokens), again.detect(tokens), atol=1e-6, rtol=1e-6)


def test_swap_to_the_new_language_and_back_restores_the_discriminator_bit_for_bit(adapted, pair):
    body, english = Body.load(pair / "body"), Embedding.load(pair / "embedding")
    model = assemble(body, english)
    tokens = torch.tensor([[0, 9, 8, 7, 2]])
    before = model(tokens)
    swap(model, Embedding.load(adapted))
    assert not torch.equal(model(tokens), before)
    swap(model, english)
    assert torch.equal(model(tokens), before)


def test_intermediate_embeddings_are_artefacts(adapted):
    assert Embedding.load(adapted / "at" / "000004").made["objective"] == "joint"


def test_special_rows_of_both_tables_come_from_the_source(journey, tmp_path):
    place = write_pair(journey, tmp_path / "en", "gdes")
    source = Embedding.load(place / "embedding")
    start = pair_task(journey, place, objective="joint").initial_embedding()
    assert torch.equal(start.weight[0], source.weight[0])
    assert torch.equal(start.generator["weight"][0], source.generator["weight"][0])
    assert torch.equal(start.weight[9], start.generator["weight"][9])


def test_discriminator_without_generator_learns_from_replacements_by_frequency(journey, pair, tmp_path):
    body = Body.load(pair / "body")
    replace(body, generator=None).save(tmp_path / "en" / "body")
    Embedding.load(pair / "embedding").save(tmp_path / "en" / "embedding")
    task, model = built(journey, tmp_path / "en")
    assert task.objective.name == "rtd" and model.generator is None
    assert len(set(model.prior_V.tolist())) > 3 and bool(model.prior_V[0].isneginf())
    losses(task, model, mlm_weight=0).backward()
    assert gradients(model) == {TABLE}


def test_further_tensors_of_the_discriminator_are_trained_on_request(journey, pair):
    _, model = built(journey, pair, train_also="encoder.embed_norm.*")
    assert {"encoder.embed_norm.weight", "encoder.embed_norm.bias"} <= model.trained


def test_pattern_that_matches_the_generator_alone_is_refused(journey, pair):
    with pytest.raises(UserError, match=r"--train-also 'generator.lm_head.dense.weight' matches no tensor"):
        built(journey, pair, train_also="generator.lm_head.dense.weight")


def refusal(journey: Path, body: Body, name: str, disentangle: bool = False) -> str:
    with pytest.raises(UserError) as caught:
        resolve(name, disentangle, body, "runs/en")
    return str(caught.value)


def test_objectives_that_a_body_cannot_have_are_refused(journey, pair, body):
    electra = Body.load(pair / "body")
    assert "has no discriminator: its objective is mlm" in refusal(journey, body, "joint")
    assert "leave out --disentangle" in refusal(journey, body, "", True)
    assert "'mlmm'" in refusal(journey, electra, "mlmm")
    assert "as it was drawn" in refusal(journey, electra, "rtd", True)
    assert "no generator" in refusal(journey, replace(electra, generator=None), "mlm")
    part = electra.generator
    assert part is not None
    untied = replace(electra, generator=GeneratorPart(part.config, part.tensors, "none"))
    assert "tables of their own" in refusal(journey, untied, "mlm")


def test_the_default_is_mlm_where_the_table_is_shared(journey, pair):
    electra = Body.load(pair / "body")
    part = electra.generator
    assert part is not None
    untied = replace(electra, generator=GeneratorPart(part.config, part.tensors, "none"))
    assert [resolve("", disentangle, body, "runs/en").name for disentangle, body in
            ((False, electra), (True, electra), (False, untied))] == ["mlm", "joint", "joint"]


def test_settings_of_a_loss_that_the_objective_lacks_are_refused(journey, pair, tmp_path):
    with pytest.raises(UserError, match="--rtd-start 3: the discriminator takes no part in the objective mlm"):
        stage(settings_for(journey, pair, output=str(tmp_path / "qab"), rtd_start=3))


def test_printed_command_carries_the_game_of_pre_training(journey, pair, tmp_path):
    line = stage(settings_for(journey, pair, output=str(tmp_path / "qab"), objective="joint")).printed()
    assert "--arch modular_frozen_pair --criterion modular_replaced_token" in line
    assert "--rtd-weight 7.0" in line and "--mask-policy electra" in line and "--rtd-warmup 1" in line


def test_a_roberta_body_is_adapted_to_as_before(journey, tmp_path):
    line = stage(settings_for(journey, journey / "en", output=str(tmp_path / "qab"))).printed()
    assert "--criterion modular_masked_lm" in line and "--mask-policy bert" in line and "--objective" not in line
    assert EMBEDDING_WEIGHT == TABLE


def test_a_pair_finds_its_rate_and_has_several_budgets(journey, pair, tmp_path):
    train(journey / "data" / "qab", tmp_path / "run", "adapt", {**ADAPT_PAIR, "max-update": 10}, body=pair, objective="joint",
          lr=0, lr_file=tmp_path / "lr.json", budgets="4,6", embeddings_dir=tmp_path / "at")
    found = read_json(tmp_path / "lr.json")
    assert found["updates"] == 6 and found["rate"] in [one["rate"] for one in found["tried"]]
    first = Embedding.load(tmp_path / "at" / "000004")
    assert first.made["held_out_mlm_loss"] > 0 and "held_out_rtd_auc" in first.made
