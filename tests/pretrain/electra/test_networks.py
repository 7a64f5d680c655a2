"""The pair in plain torch: ties, gradients between the networks, what each of them sees, round trips."""

from __future__ import annotations

import copy
import os
from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from pretrain.artefacts.body import Body
from pretrain.artefacts.pair import build_pair, pair_body, sort_tensors
from pretrain.base.errors import UserError
from pretrain.choices import ELECTRA_SIZES as SIZES
from pretrain.choices import TYINGS
from pretrain.electra.networks import Electra, ElectraConfig, OffsetEmbedding, generator_config
from pretrain.electra.replacement import Sampling
from pretrain.encoder import Dropout, EncoderConfig
from pretrain.forgetting import Forgetting, reset_lexicon
from pretrain.masking import Masked, generator_for, mask_tokens

ROWS = 40
MASK = ROWS - 1
SHAPE = EncoderConfig(layers=2, width=16, heads=4, ffn=32, embedding_width=8, max_positions=16)
TOKENS = torch.randint(4, MASK, (3, 12), generator=torch.Generator().manual_seed(1))


def config(tying: str = "embedding", hardness: str = "none") -> ElectraConfig:
    smaller = SHAPE if tying == "all" else generator_config(SHAPE, 0.5, 1)
    return ElectraConfig(SHAPE, smaller, tying, hardness)


def pair(tying: str = "embedding", hardness: str = "none", seed: int = 1) -> Electra:
    torch.manual_seed(seed)
    model = Electra(config(tying, hardness), ROWS, Dropout(0, 0, 0))
    with torch.no_grad():  # nothing may pass a test for being zero
        for parameter in model.parameters():
            parameter += 0.05 * torch.randn_like(parameter)
    return model


def key(seed: int = 0) -> torch.Generator:
    return generator_for(torch.device("cpu"), seed)


def masked(tokens: torch.Tensor = TOKENS, policy: str = "electra") -> Masked:
    return mask_tokens(tokens, MASK, key(), 0.25, policy)


def run(model: Electra, sampling: Sampling | None = None, seed: int = 0):
    return model(TOKENS, masked(), sampling or Sampling(), key(seed), True)


def mlm_loss(output) -> torch.Tensor:
    return F.cross_entropy(output.mlm_NV, masked().targets)


def rtd_loss(output) -> torch.Tensor:
    return F.binary_cross_entropy_with_logits(output.rtd_BT, output.labels_BT.float())


def gradients(model: Electra, loss: torch.Tensor) -> dict[str, torch.Tensor]:
    model.zero_grad()
    loss.backward()
    return {name: p.grad for name, p in model.named_parameters() if p.grad is not None and bool(p.grad.any())}


@pytest.mark.parametrize("size", SIZES)
def test_presets_build_a_generator_with_heads_of_the_discriminators_size(size):
    preset = dict(SIZES[size])
    multiple = preset.pop("generator_width")
    shape = EncoderConfig(**preset)
    smaller = generator_config(shape, multiple, 1)
    assert smaller.width // smaller.heads == shape.width // shape.heads
    assert smaller.ffn == 4 * smaller.width and smaller.layers == shape.layers
    assert smaller.embedding_width == shape.embedding_width


def test_published_generator_sizes():
    widths = {}
    for size in ("small", "base", "large"):
        preset = dict(SIZES[size])
        multiple = preset.pop("generator_width")
        widths[size] = (generator_config(EncoderConfig(**preset), multiple, 1).width,
                        generator_config(EncoderConfig(**preset), multiple, 1).heads)
    assert widths == {"small": (64, 1), "base": (256, 4), "large": (256, 4)}


def test_odd_multipliers_still_give_a_shape_that_works():
    smaller = generator_config(replace(SHAPE, width=60, heads=4), 0.3, 0.4)
    assert smaller.width == 18 and smaller.width % smaller.heads == 0 and smaller.layers == 1


def same_objects(model: Electra) -> dict[str, bool]:
    own, theirs = model.encoder, model.generator.encoder
    return {"token": theirs.embed_tokens.weight is own.embed_tokens.weight,
            "positions": theirs.embed_positions.weight is own.embed_positions.weight,
            "norm": theirs.embed_norm.weight is own.embed_norm.weight and theirs.embed_norm.bias is own.embed_norm.bias,
            "layers": theirs.layers[0].ffn_in.weight is own.layers[0].ffn_in.weight}


SHARED = {"none": set(), "token": {"token"}, "embedding": {"token", "positions", "norm"},
          "all": {"token", "positions", "norm", "layers"}, "gdes": set()}


@pytest.mark.parametrize("tying", TYINGS)
def test_tying_shares_exactly_what_it_says(tying):
    assert {name for name, same in same_objects(pair(tying)).items() if same} == SHARED[tying]


@pytest.mark.parametrize("tying", ["token", "embedding", "all"])
@pytest.mark.parametrize("event", ["load", "reset", "half", "copy"])
def test_the_tied_table_stays_one_object_in_all_four_places(tying, event):
    model = pair(tying, "dist")
    if event == "load":
        model.load_state_dict(pair(tying, "dist", seed=2).state_dict())
    elif event == "reset":
        reset_lexicon(model.lexicon(), Forgetting(5), 1, 5)
    elif event == "half":
        model.half().float()
    else:
        model = copy.deepcopy(model)
    table = model.encoder.embed_tokens.weight
    assert model.generator.encoder.embed_tokens.weight is table
    # the two output matrices have no tensor of their own: they feel a change of the table
    before = run(model)
    with torch.no_grad():
        table[20] += 1
    assert not torch.equal(run(model).mlm_NV[:, 20], before.mlm_NV[:, 20])
    assert not torch.equal(run(model).hardness_NV[:, 20], before.hardness_NV[:, 20])


def test_ties_survive_a_distributed_wrapper_and_gradients_flow_through_it(tmp_path):
    model = pair(hardness="dist")
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path / 'store'}", rank=0, world_size=1)
    try:
        wrapped = torch.nn.parallel.DistributedDataParallel(model)
        output = wrapped(TOKENS, masked(), Sampling(hard=True), key(), True)
        (mlm_loss(output) + rtd_loss(output) + output.hardness_NV.logsumexp(-1).mean()).backward()
        inner = wrapped.module
        assert inner.generator.encoder.embed_tokens.weight is inner.encoder.embed_tokens.weight
        assert sum(p is inner.encoder.embed_tokens.weight for p in wrapped.parameters()) == 1
        assert all(p.grad is not None for p in wrapped.parameters())
    finally:
        torch.distributed.destroy_process_group()
        for name in ("MASTER_ADDR", "MASTER_PORT"):
            os.environ.pop(name, None)


@pytest.mark.parametrize("tying", ["token", "embedding", "all"])
def test_four_places_follow_a_reset_and_a_step_under_a_distributed_wrapper(tying, tmp_path):
    model = pair(tying, "dist")
    table = model.encoder.embed_tokens.weight
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path / 'store'}", rank=0, world_size=1)
    try:
        wrapped = torch.nn.parallel.DistributedDataParallel(model, find_unused_parameters=True)
        optimizer = torch.optim.SGD(wrapped.parameters(), lr=0.1)
        reset_lexicon(wrapped.module.lexicon(), Forgetting(5), 1, 5)
        fresh = table.detach().clone()
        output = wrapped(TOKENS, masked(), Sampling(), key(), True)
        (mlm_loss(output) + rtd_loss(output) + output.hardness_NV.logsumexp(-1).mean()).backward()
        optimizer.step()
        assert not torch.equal(table, fresh)
        inner = wrapped.module
        assert inner.encoder.embed_tokens.weight is table and inner.generator.encoder.embed_tokens.weight is table
        seen = []  # the table that each of the two heads multiplies by
        for head in (inner.generator.lm_head, inner.generator.hardness_head):
            head.register_forward_pre_hook(lambda _, args: seen.append(args[1]))
        wrapped(TOKENS, masked(), Sampling(hard=True), key(), True)
        assert len(seen) == 2 and all(tensor is table for tensor in seen)
    finally:
        torch.distributed.destroy_process_group()
        for name in ("MASTER_ADDR", "MASTER_PORT"):
            os.environ.pop(name, None)


@pytest.mark.parametrize("tying", ["token", "embedding", "all"])
def test_heads_multiply_by_the_table_that_both_encoders_read_after_a_round_trip_through_files(tying, tmp_path):
    model = pair(tying, "dist")
    pair_body(model.config, sort_tensors(model.state_dict())).save(tmp_path / "body")
    rebuilt = build_pair(Body.load(tmp_path / "body"), ROWS)
    assert rebuilt.generator is not None and rebuilt.generator.hardness_head is not None
    seen = []
    for head in (rebuilt.generator.lm_head, rebuilt.generator.hardness_head):
        head.register_forward_pre_hook(lambda _, args: seen.append(args[1]))
    run(rebuilt)
    table = rebuilt.encoder.embed_tokens.weight
    assert rebuilt.generator.encoder.embed_tokens.weight is table
    assert len(seen) == 2 and all(tensor is table for tensor in seen)


@pytest.mark.parametrize("tying", TYINGS)
def test_state_dict_holds_each_tied_tensor_once_and_loads_bit_for_bit(tying):
    one, two = pair(tying, "loss"), pair(tying, "loss", seed=2)
    state = one.state_dict()
    assert len(state) == len({id(p) for p in one.parameters()})
    two.load_state_dict(state)
    assert torch.equal(run(one).rtd_BT, run(two).rtd_BT) and torch.equal(run(one).mlm_NV, run(two).mlm_NV)


def test_a_checkpoint_whose_tied_tensors_differ_is_refused():
    model = pair()
    state = model.state_dict()
    state["generator.encoder.embed_tokens.weight"] = state["encoder.embed_tokens.weight"] + 1
    with pytest.raises(UserError, match="are one tensor in this model"):
        model.load_state_dict(state)


def test_no_gradient_from_the_discriminator_to_the_generator():
    model = pair("none")
    assert all(not name.startswith("generator.") for name in gradients(model, rtd_loss(run(model))))


def test_no_gradient_from_the_language_model_to_the_discriminator():
    model = pair("none", "dist")
    output = run(model)
    names = gradients(model, mlm_loss(output) + output.hardness_NV.logsumexp(-1).sum())
    assert names and all(name.startswith("generator.") for name in names)


def test_shared_table_gets_gradients_from_both():
    model = pair("token")
    parts = [gradients(model, loss(run(model)))["encoder.embed_tokens.weight"].clone() for loss in (mlm_loss, rtd_loss)]
    both = gradients(model, mlm_loss(run(model)) + rtd_loss(run(model)))["encoder.embed_tokens.weight"]
    torch.testing.assert_close(both, parts[0] + parts[1])


@pytest.mark.parametrize("table", ["embed_tokens", "embed_positions"])
def test_disentangled_tables_get_no_gradient_from_the_other_loss(table):
    model = pair("gdes")
    assert f"generator.encoder.{table}.weight" not in gradients(model, rtd_loss(run(model)))
    assert f"encoder.{table}.delta" not in gradients(model, mlm_loss(run(model)))
    assert f"encoder.{table}.delta" in gradients(model, rtd_loss(run(model)))


def test_disentangled_discriminator_follows_the_generators_table():
    model = pair("gdes")
    before = model.detect(TOKENS)
    with torch.no_grad():
        model.generator.encoder.embed_tokens.weight += torch.randn(ROWS, 8)
    assert not torch.allclose(model.detect(TOKENS), before)


def test_discriminator_sees_the_corrupted_text_and_the_generator_the_masked_one():
    model, seen = pair(), {}
    model.encoder.register_forward_pre_hook(lambda _, args: seen.update(discriminator=args[0].clone()))
    model.generator.encoder.register_forward_pre_hook(lambda _, args: seen.update(generator=args[0].clone()))
    output, hidden = run(model), masked()
    assert torch.equal(seen["generator"], hidden.tokens)
    assert (seen["generator"] == MASK).any() and not (seen["discriminator"] == MASK).any()
    at = hidden.positions
    assert torch.equal(seen["discriminator"].view(-1)[at], output.drawn.ids)
    rest = torch.ones(TOKENS.numel(), dtype=torch.bool).index_fill(0, at, False)
    assert torch.equal(seen["discriminator"].view(-1)[rest], TOKENS.view(-1)[rest])


def test_a_sample_equal_to_the_original_counts_as_original():
    model = pair()
    with torch.no_grad():
        model.generator.lm_head.bias[TOKENS[0, 0]] = 50.0  # always sampled
    hidden = Masked(torch.full_like(TOKENS, MASK), torch.arange(TOKENS.numel()), TOKENS.view(-1))
    output = model(TOKENS, hidden, Sampling(), key(), True)
    assert torch.equal(output.labels_BT, TOKENS[0, 0] != TOKENS)


def test_whole_pass_depends_on_the_key_alone():
    model = pair(hardness="dist")
    torch.manual_seed(1)
    one = run(model, Sampling(hard=True))
    torch.manual_seed(2)
    assert torch.equal(one.drawn.ids, run(model, Sampling(hard=True)).drawn.ids)
    assert not torch.equal(one.drawn.ids, run(model, Sampling(hard=True), seed=3).drawn.ids)


def test_detached_hardness_head_trains_itself_alone():
    model = pair(hardness="dist")
    output = run(model, Sampling(hard=True, detach_hardness=True))
    names = gradients(model, output.hardness_NV.logsumexp(-1).sum())
    assert names and all("hardness_head" in name for name in names)


@pytest.mark.parametrize("scope", ["embedding", "embedding+bias"])
@pytest.mark.parametrize("tying", TYINGS)
def test_reset_changes_what_a_vocabulary_indexes_and_nothing_else(tying, scope):
    model = pair(tying, "loss")
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    reset_lexicon(model.lexicon(), Forgetting(5, scope=scope), 1, 5)
    expected = {"encoder.embed_tokens.weight"}
    if tying == "none":
        expected |= {"generator.encoder.embed_tokens.weight"}
    if tying == "gdes":
        expected = {"generator.encoder.embed_tokens.weight", "encoder.embed_tokens.delta"}
    if scope == "embedding+bias":
        expected |= {"generator.lm_head.bias", "generator.hardness_head.bias"}
    after = model.state_dict()
    assert {name for name in after if not torch.equal(after[name], before[name])} == expected


def test_after_a_reset_a_disentangled_discriminator_has_the_generators_table():
    model = pair("gdes")
    reset_lexicon(model.lexicon(), Forgetting(5), 1, 5)
    assert isinstance(model.encoder.embed_tokens, OffsetEmbedding)
    assert torch.equal(model.encoder.embed_tokens.weight, model.generator.encoder.embed_tokens.weight)


def test_untied_tables_are_reset_to_different_values():
    model = pair("none")
    reset_lexicon(model.lexicon(), Forgetting(5), 1, 5)
    assert not torch.equal(model.encoder.embed_tokens.weight, model.generator.encoder.embed_tokens.weight)


def test_networks_name_every_parameter_once():
    model = pair("embedding", "dist")
    found = model.networks()
    assert sum(map(len, found.values())) == len(list(model.parameters()))
    assert {id(p) for p in found["shared"]} == {id(p) for p in (
        model.encoder.embed_tokens.weight, model.encoder.embed_positions.weight, *model.encoder.embed_norm.parameters())}


@pytest.mark.parametrize("tying", TYINGS)
def test_pair_survives_its_artefacts(tying, tmp_path):
    model = pair(tying, "dist")
    tensors = sort_tensors(model.state_dict())
    pair_body(model.config, tensors).save(tmp_path / "body")
    again = build_pair(Body.load(tmp_path / "body"), ROWS).eval()
    assert again.config == model.config
    lexicon, source = again.lexicon(), model.lexicon()
    with torch.no_grad():
        for new, old in zip([*lexicon.tables, *lexicon.biases, *lexicon.offsets],
                            [*source.tables, *source.biases, *source.offsets], strict=True):
            new.copy_(old)
    one, two = run(model), run(again)
    tolerance = 1e-5 if tying == "gdes" else 0  # a folded offset comes back by subtraction
    torch.testing.assert_close(two.rtd_BT, one.rtd_BT, atol=tolerance, rtol=tolerance)
    torch.testing.assert_close(two.mlm_NV, one.mlm_NV, atol=0, rtol=0)


def test_folded_tables_are_what_the_discriminator_saw():
    model = pair("gdes")
    body = pair_body(model.config, sort_tensors(model.state_dict()))
    alone = body.build(ROWS).eval()
    with torch.no_grad():
        alone.encoder.embed_tokens.weight.copy_(sort_tensors(model.state_dict()).weight)
    torch.testing.assert_close(alone(TOKENS), model.detect(TOKENS), atol=0, rtol=0)


def test_a_pair_may_be_rebuilt_sharing_less_but_never_more():
    body = pair_body(config("embedding"), sort_tensors(pair("embedding").state_dict()))
    loose = build_pair(body, ROWS, "none")
    assert torch.equal(loose.generator.encoder.embed_positions.weight, loose.encoder.embed_positions.weight)
    with pytest.raises(UserError, match="unknown tying for this pair 'all'"):
        build_pair(body, ROWS, "all")


def test_changed_generator_is_noticed(tmp_path):
    body = pair_body(config(), sort_tensors(pair().state_dict()))
    body.save(tmp_path / "one")
    pair_body(config(), sort_tensors(pair(seed=2).state_dict())).save(tmp_path / "two")
    (tmp_path / "one" / "generator.safetensors").write_bytes((tmp_path / "two" / "generator.safetensors").read_bytes())
    with pytest.raises(UserError, match=r"generator.safetensors have fingerprint .* body.json says"):
        Body.load(tmp_path / "one")


def test_generator_is_no_part_of_the_bodys_fingerprint():
    tensors = sort_tensors(pair().state_dict())
    body = pair_body(config(), tensors)
    assert replace(body, generator=None, lineage="").fingerprint == body.fingerprint
    assert body.lineage == body.fingerprint and body.record()["generator"]["tying"] == "embedding"


@pytest.mark.parametrize(("changes", "message"), [
    ({"tying": "some"}, "unknown tying 'some'"), ({"tying": "all"}, "--generator-width 1"),
    ({"generator": None, "hardness": "dist"}, "this pair has none"), ({"hardness": "soft"}, "unknown hardness head")])
def test_impossible_pairs_are_refused(changes, message):
    with pytest.raises(UserError, match=message):
        replace(config(), **changes)


def test_pair_without_generator_samples_from_the_prior():
    prior = torch.full((ROWS,), -torch.inf)
    prior[7] = 0.0
    model = Electra(ElectraConfig(SHAPE, None), ROWS, Dropout(0, 0, 0), prior_V=prior)
    output = run(model)
    assert output.mlm_NV is None and (output.drawn.ids == 7).all()
    assert pair_body(model.config, sort_tensors(model.state_dict())).generator is None
