import json
import shutil
from dataclasses import replace

import pytest

from adapt.artefacts.difference import ABSENT, differences
from adapt.surgery.operations import prune
from pretrain.base.errors import UserError
from recipes.cli import main


def named(found):
    return {(one.what, one.name): one for one in found}


def test_the_same_differs_in_nothing(journey, tmp_path, capsys):
    shutil.copytree(journey / "en", tmp_path / "copy")
    assert differences(journey / "en", tmp_path / "copy") == []
    assert main(["diff", str(journey / "en"), str(tmp_path / "copy")]) == 0
    assert "the same" in capsys.readouterr().out


def test_bodies_differ_in_settings_lineage_and_tensors(journey, body, tmp_path, capsys):
    name = "encoder.layers.0.ffn_in.weight"
    tensors = {**body.tensors, name: body.tensors[name] + 0.25}
    tensors["lm_head.dense.bias"] = tensors["lm_head.dense.bias"].double()
    other = replace(body, tensors=tensors, lineage="", made={"seed": 5, "recipe": {"lr": 1e-3}})
    other.save(tmp_path / "other")
    found = named(differences(journey / "en" / "body", tmp_path / "other"))
    assert found["tensor", name].largest == pytest.approx(0.25, rel=1e-5)
    assert found["tensor", "lm_head.dense.bias"].two == "[16] float64" and found["tensor", "lm_head.dense.bias"].largest is None
    assert (found["record", "made.seed"].one, found["record", "made.seed"].two) == ("4", "5")
    assert found["record", "made.recipe.lr"].one == ABSENT
    assert found["record", "lineage"].two == other.lineage
    assert {key for key in found if key[0] == "tensor"} == {("tensor", name), ("tensor", "lm_head.dense.bias")}
    assert main(["diff", str(journey / "en" / "body"), str(tmp_path / "other"), "--json"]) == 1
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {line["name"] for line in lines} == {name for _, name in found}


def test_embeddings_differ_in_pieces_and_rows(journey, source, tmp_path):
    text = source.tokenizer.decode(list(range(10, 30)))
    pruned = prune(source, [text])
    pruned.weight[20] += 1.0
    pruned.save(tmp_path / "small")
    found = named(differences(journey / "en", tmp_path / "small"))
    assert found["record", "rows"].one == str(len(source.weight))
    assert found["tensor", "weight"].two == f"[{len(pruned.weight)}, 16] float32"
    lost = len(source.weight) - len(pruned.weight)
    own = found["tokenizer", "pieces of its own"]
    assert own.one.startswith(f"{lost} (") and own.two == "0"
    rows = found["rows", "weight"]
    assert rows.one == f"{len(pruned.weight)} pieces in common, {len(pruned.weight) - 1} rows the same"
    assert rows.largest == pytest.approx(1.0, rel=1e-5)


def test_pairs_differ_in_the_generator_too(electra, tmp_path):
    from pretrain.artefacts.body import Body

    pair = Body.load(electra / "body")
    assert pair.generator is not None
    name = next(iter(pair.generator.tensors))
    tensors = {**pair.generator.tensors, name: pair.generator.tensors[name] * 2}
    replace(pair, generator=replace(pair.generator, tensors=tensors)).save(tmp_path / "other")
    assert ("tensor", f"generator: {name}") in named(differences(electra, tmp_path / "other"))


def test_prepared_texts_differ_in_their_records(journey):
    found = named(differences(journey / "data" / "qaa", journey / "data" / "qab"))
    assert found["record", "language"].two == "qab"


def test_artefacts_of_two_kinds_are_refused(journey, tmp_path):
    with pytest.raises(UserError, match=r"holds body, .* embedding; name two artefacts of one kind"):
        differences(journey / "en" / "body", journey / "en" / "embedding")
    with pytest.raises(UserError, match="expected a body, an embedding, a folder with both, or prepared text"):
        differences(journey / "en", tmp_path)
