"""kill -9 in the middle of pretrain and adapt, then the same command again: bit for bit the uninterrupted result."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from adapt.artefacts.embedding import Embedding
from adapt.text.prepare import prepare
from pretrain.artefacts.body import Body
from tests.events import scalars
from tests.killing import ROOT, kill_at, relexify

pytest.importorskip("fairseq")
RECIPE = ROOT / "recipes" / "pretrain" / "demo-forgetting.yaml"


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    from recipes.world import World

    root = tmp_path_factory.mktemp("data")
    world = World(1, ("qaa", "qab"))
    for code in ("qaa", "qab"):
        (root / f"{code}.txt").write_text("\n".join(world.paragraphs(code, count=400)) + "\n", encoding="utf-8")
        prepare([str(root / f"{code}.txt")], code, str(root / code), vocab_size=300, documents="line", workers=1)
    return root


def pretrain(data: Path, output: Path, *more: str) -> list[object]:
    return ["pretrain", RECIPE, f"data={data / 'qaa'}", f"output={output}", "width=32", "heads=2", "ffn=64", "layers=2",
            "batch_size=4", "updates=60", "warmup=5", "validate_every=10", "forget_every=15", "forget_start=0",
            "embedding_lr_scale=3", "forget_warmup=0.2", "forget_bias=reset",
            "dropout=0.1", "attention_dropout=0.1", "threads=1", *more, "--quiet"]


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory) -> Path:
    output = tmp_path_factory.mktemp("whole") / "en"
    verb, recipe, *rest = pretrain(data, output)
    done = relexify(verb, recipe, f"tensorboard={output.parent / 'tb'}", *rest)
    assert done.returncode == 0, done.stderr
    return output


def test_pretrain_writes_tensorboard_logs(whole):
    logged = scalars(whole.parent / "tb")
    curve = {point["update"]: point["loss"] for point in json.loads((whole / "curves.json").read_text())}
    assert logged["valid/loss"] == pytest.approx(curve, abs=1e-3) and len(curve) == 6
    assert set(logged["train_inner/lr_embedding"]) == {25, 50} <= set(logged["train_inner/loss"])


def test_pretrain_keeps_the_losses_and_rates_of_its_training(whole):
    logged = scalars(whole.parent / "tb")
    points = json.loads((whole / "training.json").read_text())
    assert [(point["update"], pytest.approx(point["loss"], abs=1e-3)) for point in points] == \
        [(update, logged["train_inner/loss"][update]) for update in (25, 50)]
    assert all(point["lr_embedding"] != point["lr"] for point in points)  # in the middle of an episode


def test_a_body_records_what_it_was_trained_with(whole):
    made = Body.load(whole / "body").made["environment"]
    import torch

    assert made["torch"] == torch.__version__ and {"python", "system", "processor"} <= set(made)
    assert {"ve-fairseq", "fairseq"} & set(made)


@pytest.mark.slow
def test_pretrain_killed_between_two_resets_resumes_exactly(data, whole, tmp_path):
    output, log = tmp_path / "en", tmp_path / "en.training" / "train.log"
    cut = kill_at(30, log, *pretrain(data, output))
    assert "done training" not in cut and not output.exists()
    again = relexify(*pretrain(data, output))
    assert again.returncode == 0, again.stderr
    assert "Loaded checkpoint" in log.read_text()[len(cut):]
    assert Body.load(output / "body").fingerprint == Body.load(whole / "body").fingerprint
    assert Embedding.load(output / "embedding").record()["fingerprint"] == Embedding.load(
        whole / "embedding").record()["fingerprint"]
    assert json.loads((output / "curves.json").read_text()) == json.loads((whole / "curves.json").read_text())


@pytest.mark.slow
def test_a_run_with_tables_in_turn_killed_and_repeated_is_exact(data, tmp_path):
    """The tables that are put away come back from the checkpoint; the artefact holds the one in use alone."""
    variant = ["forget_every=1", "forget_reset=rotate", "forget_tables=3"]
    assert relexify(*pretrain(data, tmp_path / "whole", *variant)).returncode == 0
    output, log = tmp_path / "en", tmp_path / "en.training" / "train.log"
    cut = kill_at(30, log, *pretrain(data, output, *variant))
    assert "done training" not in cut and not output.exists()
    again = relexify(*pretrain(data, output, *variant))
    assert again.returncode == 0, again.stderr
    assert "Loaded checkpoint" in log.read_text()[len(cut):]
    for part in ("body/body.safetensors", "embedding/embedding.safetensors", "curves.json"):
        assert (output / part).read_bytes() == (tmp_path / "whole" / part).read_bytes()
    made = Body.load(output / "body").made
    assert made["recipe"]["forget_tables"] == made["forgetting"]["tables"] == 3
    assert not {"forget_share", "forget_hold"} & made["recipe"].keys() and not {"share", "hold"} & made["forgetting"].keys()


@pytest.mark.slow
def test_a_finished_pretraining_repeated_with_overwrite_is_the_same(whole, data):
    """60 updates are a multiple of K: one update more would begin an episode and reset the embedding."""
    log = (whole.with_name("en.training") / "train.log").read_text()
    before = {path: path.read_bytes() for path in sorted(whole.rglob("*")) if path.is_file()}
    verb, recipe, *rest = pretrain(data, whole)
    for _ in range(2):
        again = relexify(verb, recipe, f"tensorboard={whole.parent / 'tb'}", *rest, "--overwrite")
        assert again.returncode == 0, again.stderr
    assert {path: path.read_bytes() for path in sorted(whole.rglob("*")) if path.is_file()} == before
    assert (whole.with_name("en.training") / "train.log").read_text() == log


def test_adapt_killed_and_repeated_is_exact(data, whole, tmp_path):
    def words(output: Path) -> list[object]:
        return ["adapt", "--body", whole, "--data", data / "qab", "--output", output, "--updates", 40, "--batch-size", 4,
                "--tokens-per-sample", 64, "--validate-every", 8, "--patience", 4, "--threads", 1, "--quiet"]

    assert relexify(*words(tmp_path / "a")).returncode == 0
    cut = kill_at(16, tmp_path / "b.training" / "train.log", *words(tmp_path / "b"))
    assert "done training" not in cut
    again = relexify(*words(tmp_path / "b"))
    assert again.returncode == 0, again.stderr
    one, two = Embedding.load(tmp_path / "a"), Embedding.load(tmp_path / "b")
    assert one.record() == two.record()
    assert (tmp_path / "a" / "curves.json").read_text() == (tmp_path / "b" / "curves.json").read_text()


def test_checkpoint_early_in_an_episode_is_not_exported(data, whole, tmp_path):
    checkpoint = whole.with_name("en.training") / "checkpoint_last.pt"
    import torch

    from pretrain.base.checkpoints import load_checkpoint

    state = load_checkpoint(checkpoint)
    state["optimizer_history"][-1]["num_updates"] = 46
    torch.save(state, tmp_path / "early.pt")
    refused = relexify("split", tmp_path / "early.pt", "--data", data / "qaa", "--output", tmp_path / "out")
    assert refused.returncode == 2 and "was reset 1 updates ago, less than a tenth of an episode of 15" in refused.stderr
    assert relexify("split", tmp_path / "early.pt", "--data", data / "qaa", "--output", tmp_path / "out",
                    "--force").returncode == 0


def test_body_records_its_recipe_and_forgetting(whole):
    made = Body.load(whole / "body").made
    assert made["forgetting"]["every"] == 15 and made["updates"] == 60 and made["updates_since_reset"] == 15
    assert made["forgetting"]["warmup"] == 0.2 and made["forgetting"]["bias"] == "reset"
    assert made["recipe"]["embedding_lr_scale"] == 3
    assert made["language"] == "qaa" and len(made["data_sha256"]) == 64
