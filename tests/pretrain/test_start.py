"""Pre-training that goes on from a body: its weights and shape, the heads first, exact resume, records, refusals."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from adapt.artefacts.embedding import Embedding
from adapt.artefacts.split import split
from pretrain.artefacts.body import Body
from pretrain.artefacts.lexicon import StoredLexicon
from pretrain.artefacts.pair import build_pair
from pretrain.base.errors import UserError
from pretrain.electra.networks import Electra
from pretrain.encoder import Dropout
from pretrain.masked_lm import MaskedLM
from pretrain.recipe import check, provenance, stage
from pretrain.settings import PretrainRecipe
from pretrain.start import NEW, read_start, shaped
from recipes.cli import main

from ..adapt.conftest import CONFIG, electra, journey  # noqa: F401
from ..pairs import save_pair
from ..training import state, train

HEADS = ("lm_head.", "rtd_head.", "generator.lm_head.")


def recipe(journey: Path, source: Path, **changes) -> PretrainRecipe:  # noqa: F811
    family = "electra" if (source / "body" / "generator.safetensors").exists() else "roberta"
    return PretrainRecipe(**{
        "data": str(journey / "data" / "qaa"), "output": str(journey / "out"), "from_body": str(source / "body"),
        "from_embedding": str(source / "embedding"), "arch": f"{family}_tiny", "tokens_per_sample": 32, "updates": 8, "warmup": 2,
        "batch_size": 4, "head_only_updates": 3, "dropout": 0.1, "attention_dropout": 0.1, **changes})


def options(one: PretrainRecipe) -> dict:
    """The training line of a recipe, as `tests.training.train` takes it."""
    start = read_start(one.from_body, one.from_embedding, one.data)
    words = stage(shaped(one, start), start=start).words()[4:]
    words = words[:words.index("--save-dir")]
    found, key = {}, ""
    for word in words:
        if word.startswith("--"):
            key = word[2:]
            found[key] = True
        else:
            found[key] = word
    return {name: value for name, value in found.items() if name not in ("num-workers", "no-epoch-checkpoints")}


def run(one: PretrainRecipe, folder: Path, **changes) -> Path:
    return train(Path(one.data), folder, base={**options(one), **changes})


def weights(source: Path) -> dict[str, torch.Tensor]:
    """The state of the model that body and embedding stand for."""
    body, lexicon = Body.load(source / "body"), StoredLexicon.load(source / "embedding")
    model = build_pair(body, len(lexicon.weight)) if body.generator else body.build(len(lexicon.weight))
    lexicon.copy_into(model)
    return torch.nn.Module.state_dict(model)


@pytest.fixture(params=["roberta", "electra"])
def source(request, journey, electra) -> Path:  # noqa: F811
    return {"roberta": journey / "en", "electra": electra}[request.param]


def test_only_the_heads_learn_at_first_then_everything(journey, source, tmp_path):  # noqa: F811
    pytest.importorskip("fairseq")
    one, before = recipe(journey, source, weight_decay=0.1), weights(source)
    heads_alone = state(run(one, tmp_path / "3", **{"max-update": "3"}))["model"]
    assert set(heads_alone) == set(before)
    changed = {name for name, tensor in heads_alone.items() if not torch.equal(tensor, before[name])}
    assert changed == {name for name in before if name.startswith(HEADS)} and len(changed) >= 5
    later = state(run(one, tmp_path / "5", **{"max-update": "5"}))["model"]
    assert not any(torch.equal(tensor, before[name]) for name, tensor in later.items()
                   if name.startswith("encoder.layers.") or name.endswith("embed_tokens.weight"))


@pytest.mark.slow
def test_resume_is_exact_while_the_heads_learn_at_the_border_and_with_forgetting(journey, source, tmp_path):  # noqa: F811
    pytest.importorskip("fairseq")
    one = recipe(journey, source, forget_every=5, validate_every=1, updates=8)
    whole = run(one, tmp_path / "whole", **{"keep-interval-updates": "-1"})
    first = state(whole)["model"]
    for cut in (2, 3, 6):
        again = tmp_path / f"from {cut}"
        again.mkdir()
        shutil.copy(next(whole.glob(f"checkpoint_*_{cut}.pt")), again / "checkpoint_last.pt")
        second = state(run(one, again))["model"]
        assert all(torch.equal(first[name], second[name]) for name in first) and first.keys() == second.keys(), cut


def test_the_new_body_has_a_lineage_of_its_own_and_says_where_it_comes_from(journey, source, tmp_path):  # noqa: F811
    pytest.importorskip("fairseq")
    old, rows = Body.load(source / "body"), Embedding.load(source / "embedding")
    one = recipe(journey, source)
    start = read_start(one.from_body, one.from_embedding, one.data)
    folder = run(one, tmp_path / "train", **{"max-update": "4"})
    body = split(folder / "checkpoint_last.pt", tmp_path / "new", made=provenance(shaped(one, start), start))
    assert body.config == old.config and body.lineage == body.fingerprint != old.fingerprint
    assert body.made["from"]["body"] == old.fingerprint and body.made["from"]["embedding"] == rows.record()["fingerprint"]
    assert body.made["recipe"]["layers"] == old.config.layers and body.made["recipe"]["arch"] in ("roberta", "electra")
    if old.generator:
        assert body.generator is not None and body.generator.config == old.generator.config
    by_hand = split(folder / "checkpoint_last.pt", tmp_path / "hand")  # a raw fairseq-train line records it too
    assert by_hand.made["from"] == body.made["from"] and by_hand.fingerprint == body.fingerprint


def test_rows_can_be_drawn_anew_for_another_tokenizer(journey, tmp_path):  # noqa: F811
    pytest.importorskip("fairseq")
    one = recipe(journey, journey / "en", data=str(journey / "data" / "qab"), from_embedding=NEW, head_only_updates=0)
    found = state(run(one, tmp_path / "t", **{"max-update": "1", "lr": "1e-12", "warmup-updates": "0"}))["model"]
    before = Body.load(journey / "en" / "body").tensors
    name = "encoder.layers.0.ffn_in.weight"
    torch.testing.assert_close(found[name], before[name], rtol=1e-4, atol=1e-6)
    table = found["encoder.embed_tokens.weight"]
    assert abs(table[4:].std().item() - 0.02) < 0.005


def test_the_second_segment_is_learned(journey, tmp_path):  # noqa: F811
    pytest.importorskip("fairseq")
    shape = {"encoder-layers": 1, "encoder-embed-dim": 16, "encoder-ffn-embed-dim": 32, "encoder-attention-heads": 2,
             "token-embed-dim": 8, "relative-buckets": 8}
    for arch, loss in (("modular_roberta_tiny", "modular_masked_lm"), ("modular_electra_tiny", "modular_replaced_token")):
        found = [state(train(journey / "data" / "qaa", tmp_path / f"{arch}{n}", arch=arch, criterion=loss, segments=2,
                             max_update=n, warmup_updates=0, weight_decay=0, **shape)) for n in (1, 3)]
        first, last = (one["model"]["encoder.embed_segments.weight"] for one in found)
        assert first.shape[0] == 2 and (first[1] != last[1]).any() and (first[0] != last[0]).any()
    body = split(tmp_path / f"{arch}3" / "checkpoint_last.pt", tmp_path / "out")
    assert body.config.segments == 2 and Body.load(tmp_path / "out" / "body").fingerprint == body.fingerprint


# --- copying an embedding into a model ----------------------------------------------------------------------------------

@pytest.mark.parametrize("tying", ["none", "token", "embedding", "gdes"])
def test_a_pair_gets_its_tables_back_whatever_is_tied(journey, tmp_path, tying):  # noqa: F811
    from adapt.artefacts.assemble import assemble_pair
    from adapt.text.tokenizer import Tokenizer

    save_pair(tmp_path, Tokenizer.load(journey / "data" / "qaa"), "qaa", tying=tying)
    body, embedding = Body.load(tmp_path / "body"), Embedding.load(tmp_path / "embedding")
    expected = torch.nn.Module.state_dict(assemble_pair(body, embedding))
    model = Electra(assemble_pair(body, embedding).config, len(embedding.weight), Dropout(0, 0, 0))
    read_start(str(tmp_path / "body"), str(tmp_path / "embedding"), journey / "data" / "qaa").load(model)
    found = torch.nn.Module.state_dict(model)
    assert found.keys() == expected.keys()
    for name, tensor in found.items():
        torch.testing.assert_close(tensor, expected[name], rtol=1e-5, atol=1e-6)


def test_extras_of_an_adapted_embedding_come_along(journey, tmp_path):  # noqa: F811
    embedding = Embedding.load(journey / "en" / "embedding")
    positions = torch.randn(CONFIG.max_positions + 2, CONFIG.width)
    replace(embedding, extras={"encoder.embed_positions.weight": positions}).save(tmp_path / "e")
    model = MaskedLM(CONFIG, len(embedding.weight))
    read_start(str(journey / "en" / "body"), str(tmp_path / "e"), journey / "data" / "qaa").load(model)
    assert torch.equal(model.encoder.embed_positions.weight, positions)


# --- what is refused ----------------------------------------------------------------------------------------------------

def begun(one: PretrainRecipe) -> None:
    start = read_start(one.from_body, one.from_embedding, one.data)
    stage(shaped(one, start), start=start)


@pytest.mark.parametrize(("changes", "message"), [
    ({"arch": "electra_tiny"}, "backbone roberta, the recipe has arch=electra_tiny; take a recipe with an arch roberta_"),
    ({"layers": 3}, "this body has layers=2, the recipe says 3"),
    ({"segments": 2}, "this body has segments=1, the recipe says 2"),
    ({"max_positions": 64}, "max_positions=32, the recipe says 64"),
    ({"tokens_per_sample": 64}, "tokens_per_sample=64, but this body has 32 positions"),
    ({"head_only_updates": 9}, "more than the 8 updates of the run"),
    ({"head_only_updates": 5, "forget_every": 3}, "reset after 3 updates, while only the heads learn; set forget_start=5"),
])
def test_recipes_that_do_not_fit_the_body(journey, changes, message):  # noqa: F811
    with pytest.raises(UserError, match=message):
        begun(recipe(journey, journey / "en", **changes))


def test_settings_of_a_start_without_one(journey):  # noqa: F811
    for name, value in (("head_only_updates", 3), ("from_embedding", "x")):
        with pytest.raises(UserError, match=f"{name}={value}: only a training that goes on from a body"):
            check(PretrainRecipe(data=str(journey / "data" / "qaa"), output="o", **{name: value}))


def test_text_of_another_tokenizer_is_refused_with_both_ways_out(journey):  # noqa: F811
    with pytest.raises(UserError, match=r"qab: prepared with another tokenizer .* --tokenizer .*from_embedding=new"):
        begun(recipe(journey, journey / "en", data=str(journey / "data" / "qab")))


def test_an_embedding_of_another_body_is_refused(journey, electra):  # noqa: F811
    with pytest.raises(UserError, match="learned against lineage"):
        begun(recipe(journey, journey / "en", from_embedding=str(electra / "embedding")))


def test_a_task_body_is_refused(journey, tmp_path):  # noqa: F811
    body = Body.load(journey / "en" / "body")
    replace(body, task={"name": "xnli", "head": "classification", "labels": ["a", "b"]}).save(tmp_path / "task")
    with pytest.raises(UserError, match=r"a task body \(xnli\)"):
        read_start(str(tmp_path / "task"), str(journey / "en" / "embedding"), journey / "data" / "qaa")


def test_a_pair_without_its_generator_says_how_to_go_on(journey, tmp_path):  # noqa: F811
    from adapt.text.tokenizer import Tokenizer

    save_pair(tmp_path, Tokenizer.load(journey / "data" / "qaa"), "qaa", network=False, tying="none")
    with pytest.raises(UserError, match=r"has no generator .* generator=unigram"):
        begun(recipe(journey, tmp_path, arch="electra_tiny"))
    begun(recipe(journey, tmp_path, arch="electra_tiny", generator="unigram"))


def test_a_line_by_hand_with_another_shape_names_what_differs(journey, tmp_path):  # noqa: F811
    pytest.importorskip("fairseq")
    place = journey / "en"
    with pytest.raises(UserError, match=r"this body has .*embedding_width=16.* the training line says"):
        train(journey / "data" / "qaa", tmp_path / "t", from_body=place / "body", from_embedding=place / "embedding",
              token_embed_dim=8)
    with pytest.raises(UserError, match="--from-embedding is missing"):
        train(journey / "data" / "qaa", tmp_path / "t", from_body=place / "body")


# --- as a command -------------------------------------------------------------------------------------------------------

@pytest.mark.slow
def test_a_body_with_a_drawn_head_can_be_adapted_to_after_its_head_was_trained(tmp_path, capsys):
    pytest.importorskip("fairseq")
    pytest.importorskip("transformers")
    from ..adapt.formats.models import make
    from ..foreign import lines

    make("bert", tmp_path / "theirs", head=False)
    (tmp_path / "en.txt").write_text("\n".join(lines(400)) + "\n", encoding="utf-8")
    prepare = ["prepare", tmp_path / "en.txt", "--language", "en", "--output", tmp_path / "data", "--tokenizer",
               tmp_path / "bert" / "embedding", "--documents", "line", "--workers", "1"]
    adapt = ["--data", tmp_path / "data", "--output", tmp_path / "sw", "--tokens-per-sample", "32", "--batch-size", "4",
             "--updates", "2", "--validate-every", "2", "--quiet"]

    def call(*words: object) -> int:
        return main([str(word) for word in words])

    assert call("import", tmp_path / "theirs", "--language", "en", "--output", tmp_path / "bert") == 0
    assert call(*prepare) == 0
    assert call("adapt", "--body", tmp_path / "bert", *adapt) == 2
    assert f"relexify pretrain RECIPE from={tmp_path / 'bert'} head_only_updates=N" in capsys.readouterr().err
    words = [f"from={tmp_path / 'bert'}", f"data={tmp_path / 'data'}", f"output={tmp_path / 'en'}", "tokens_per_sample=32",
             "batch_size=4", "updates=4", "warmup=1", "head_only_updates=2", "validate_every=2", "--quiet"]
    assert call("pretrain", "recipes/pretrain/continue-standard.yaml", *words) == 0
    record = json.loads((tmp_path / "en" / "body" / "body.json").read_text())
    assert record["made"]["from"]["head"] == "drawn" and "head" not in record["made"] and record["architecture"]["segments"] == 2
    assert call("adapt", "--body", tmp_path / "en", *adapt) == 0
