"""Runs over seeds: what is trained, kept and skipped, what the record says, and which run stands for the folder."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from adapt.artefacts.resources import locate
from pretrain.artefacts.body import Body
from pretrain.base.errors import UserError
from pretrain.encoder import EncoderConfig
from pretrain.masked_lm import MaskedLM
from recipes.commands.training import finetune as command
from recipes.commands.using.inspect import describe
from tasks.evaluate import evaluate
from tasks.learning import seeds as module
from tasks.learning.seeds import parse_seeds, record_of, summary_of, table, train_seeds
from tests.killing import kill_at

from ..conftest import settings_for

SHAPE = EncoderConfig(layers=1, width=2, heads=1, ffn=2, embedding_width=2, max_positions=4)


def body_of(score: float, baseline: float | None = 0.5) -> Body:
    """A task body with this dev score."""
    dev = {"split": "dev", "language": "qaa", "score": score, "standard_error": 0.01, "n": 100, "data_sha256": "0",
           **({} if baseline is None else {"baseline": {"score": baseline, "what": "the most frequent label"}})}
    torch.manual_seed(1)
    model = MaskedLM(SHAPE, 8)
    with torch.no_grad():
        model.encoder.embed_norm.weight.fill_(score)  # another body for another score
    return Body.of_model(model, made={"updates": 7}, task={
        "name": "xnli", "version": "1.0", "metric": "accuracy", "head": "classification", "labels": [], "dev": dev})


def record(*scores: float, margin: float = 0.02, **more: Any) -> dict[str, Any]:
    return record_of({seed: body_of(score, **more) for seed, score in enumerate(scores, 1)}, margin)


def test_a_body_of_several_tasks_counts_by_their_mean() -> None:
    def several(*scores: float) -> Body:
        body = body_of(sum(scores) / 2)
        one = dict(body.task or {})
        body.task = {**one, "name": "multitask", "metric": "rte", "tasks": {
            name: {**one, "name": name, "metric": metric, "dev": {**one["dev"], "score": score, "baseline": {"score": base}}}
            for name, metric, score, base in zip(("rte", "stsb"), ("accuracy", "pearson"), scores, (0.5, 0.0), strict=True)}}
        return body

    found = record_of({1: several(0.9, 0.5), 2: several(0.5, 0.0), 3: several(0.7, 0.3)}, 0.02)
    assert (found["task"], found["metric"], found["n"]) == ("multitask", "mean", 200)
    assert [run["score"] for run in found["runs"]] == pytest.approx([0.7, 0.25, 0.5]) and found["failed"] == [2]
    assert found["median"]["seed"] == 3 and found["failed_rule"]["baseline"]["score"] == pytest.approx(0.25)
    assert found["runs"][0]["standard_error"] == pytest.approx(0.01 / 2**0.5)
    assert found["tasks"]["stsb"]["metric"] == "pearson" and found["tasks"]["stsb"]["mean"] == pytest.approx(0.8 / 3)
    lines = [line.split() for line in table(found, "runs/x").splitlines()]
    assert ["rte", "accuracy", "3", "0.700", "0.200", "0.700", "0.500", "0.900"] in lines
    assert lines[0][:4] == ["mean", "of", "2", "tasks"]


@pytest.mark.parametrize("text", ["", "1,", "1,x", "1,1", "-1,2", "1.5"])
def test_wrong_lists_of_seeds(text: str) -> None:
    with pytest.raises(UserError, match="expected different whole numbers with commas between them"):
        parse_seeds(text)


def test_a_list_of_seeds() -> None:
    assert parse_seeds("3,1, 20") == [3, 1, 20]


def test_a_run_has_failed_where_it_is_not_above_the_baseline_by_the_margin() -> None:
    found = record(0.9, 0.5, 0.52, 0.53)
    assert found["failed"] == [2, 3] and [run["failed"] for run in found["runs"]] == [False, True, True, False]
    assert record(0.9, 0.5, 0.52, 0.53, margin=0.0)["failed"] == [2]
    assert found["failed_rule"]["baseline"] == {"score": 0.5, "what": "the most frequent label"}


def test_figures_of_all_and_of_kept_runs_stand_side_by_side() -> None:
    found = record(0.9, 0.5, 0.8, 0.7)
    scores = np.array([0.9, 0.5, 0.8, 0.7])
    low, high = found["all"].pop("interval_95")
    assert found["all"] == pytest.approx({"count": 4, "mean": scores.mean(), "sd": scores.std(ddof=1), "median": 0.75,
                                          "min": 0.5, "max": 0.9})
    assert low < scores.mean() < high and (low + high) / 2 == pytest.approx(scores.mean())
    assert found["kept"]["count"] == 3 and found["kept"]["mean"] == pytest.approx(0.8) and found["kept"]["min"] == 0.7
    text = table(found, "runs/x")
    assert "failed" in text.splitlines()[3] and "not more than 0.02 above 0.500" in text and "runs/x/seed-4" in text


def test_one_run_has_no_spread() -> None:
    assert summary_of([0.7]) == {"count": 1, "mean": 0.7, "sd": None, "median": 0.7, "min": 0.7, "max": 0.7, "interval_95": None}
    assert summary_of([]) is None


@pytest.mark.parametrize(("scores", "seed"), [
    ((0.9, 0.5, 0.8), 3), ((0.9, 0.5, 0.8, 0.7), 4), ((0.7,), 1), ((0.8, 0.8, 0.8), 2), ((0.1, 0.2, 0.9), 2)])
def test_the_median_run_is_the_lower_one_of_all_runs(scores: tuple[float, ...], seed: int) -> None:
    found = record(*scores)["median"]
    assert (found["seed"], found["folder"], found["score"]) == (seed, f"seed-{seed}", scores[seed - 1])


def test_a_median_run_that_failed_is_said_so() -> None:
    found = record(0.5, 0.5, 0.9)
    assert found["median"]["failed"] and "the median run has itself failed" in table(found, "x")
    nothing = record(0.5, 0.5)
    assert nothing["kept"] is None and nothing["all"]["count"] == 2 and "kept" in table(nothing, "x")


def test_a_family_without_a_baseline_is_judged_against_zero() -> None:
    assert record(0.01, 0.5, baseline=None)["failed"] == [1]


# whole runs

def words(world: Path, output: Path, *more: object) -> list[object]:
    return ["finetune", "--body", world / "body", "--embedding", world / "qaa", "--data", world / "data", "--output", output,
            "--updates", 30, "--lr", 5e-3, "--batch-size", 16, "--validate-every", 10, "--threads", 1, "--cpu", "--quiet", *more]


def run(*given: object) -> int:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return command.run(parser.parse_args([str(word) for word in given]))


@pytest.fixture(scope="module")
def runs(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One seed, then two; kill -9 cuts the second off in its training, and the same command finishes it."""
    pytest.importorskip("fairseq")
    output = tmp_path_factory.mktemp("seeds") / "xnli"
    assert run(*words(world, output, "--seeds", "1")[1:]) == 0
    first = (output / "seed-1" / "body.json").stat().st_mtime_ns
    line = words(world, output, "--seeds", "1,2")
    kill_at(10, output / "seed-2.training" / "train.log", *line)
    assert [one["seed"] for one in json.loads((output / "seeds.json").read_text())["runs"]] == [1]
    assert (output / "seed-2.training").exists() and not (output / "seed-2").exists()
    assert run(*line[1:]) == 0
    assert (output / "seed-1" / "body.json").stat().st_mtime_ns == first
    return output


def settings(world: Path, output: Path, **changes: Any) -> Any:
    return settings_for(world, output, **{"updates": 30, **changes})


def test_each_seed_is_a_task_body_of_its_own(runs: Path) -> None:
    assert {path.name for path in runs.iterdir()} == {"seed-1", "seed-2", "seeds.json", "settings.json"}
    found = json.loads((runs / "seeds.json").read_text())
    bodies = [Body.load(runs / f"seed-{seed}") for seed in (1, 2)]
    assert [body.made["seed"] for body in bodies] == [1, 2] and bodies[0].fingerprint != bodies[1].fingerprint
    assert [run["fingerprint"] for run in found["runs"]] == [body.fingerprint for body in bodies]
    assert [run["score"] for run in found["runs"]] == [(body.task or {})["dev"]["score"] for body in bodies]
    assert found["failed_rule"]["baseline"]["score"] == pytest.approx(1 / 3)


def test_the_folder_stands_for_its_median_run(runs: Path, world: Path, tmp_path: Path) -> None:
    median = json.loads((runs / "seeds.json").read_text())["median"]
    assert locate(runs, "body") == runs / median["folder"]
    by_folder, by_run = (evaluate(body, [world / "qaa"], "xnli", world / "data", "test", tmp_path / name, quiet=True)[0]
                         for body, name in ((runs, "folder"), (runs / median["folder"], "run")))
    assert by_folder["score"] == by_run["score"] and by_folder["seed"] == median["seed"]
    (title, found), (_, body) = describe(runs)
    assert "2 seeds, verified" in title and found["median"] == median and body["made"]["seed"] == median["seed"]


def test_finished_runs_are_left_alone_and_never_leave_the_record(
        runs: Path, world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr(module.alone, "finetune", refuse)
    before = json.loads((runs / "seeds.json").read_text())
    assert train_seeds(settings(world, runs), [2], quiet=True) == before
    assert [run["seed"] for run in before["runs"]] == [1, 2]
    with pytest.raises(AssertionError, match="trained again"):
        train_seeds(settings(world, runs), [1, 2, 3], quiet=True)
    assert json.loads((runs / "seeds.json").read_text()) == before


def test_the_command_prints_every_run_and_both_sides(runs: Path, world: Path, capsys: Any) -> None:
    assert run(*words(world, runs, "--seeds", "1,2")[1:]) == 0  # both are finished: nothing is trained
    lines = capsys.readouterr().out.splitlines()
    assert "each run's checkpoint was chosen on this split" in lines[0]
    assert [line.split()[0] for line in lines[1:7]] == ["seed", "1", "2", "count", "all", "kept"]
    assert lines[7].startswith("failed: not more than 0.02 above 0.333") and f"{runs} stands for {runs}/seed-" in lines[8]


def test_other_settings_are_refused(runs: Path, world: Path) -> None:
    with pytest.raises(UserError, match=r"holds runs with other settings \(.*lr was 0.005, now 0.004.*--overwrite"):
        train_seeds(settings(world, runs, lr=4e-3), [1, 2], quiet=True)


def test_a_folder_that_holds_something_else_is_refused(world: Path, tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "file").touch()
    with pytest.raises(UserError, match="already holds something other than runs over seeds"):
        train_seeds(settings(world, tmp_path / "x"), [1], quiet=True)


def test_overwrite_throws_the_old_runs_away(world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stub(one: Any, **_: Any) -> Body:
        body = body_of(0.9)
        body.save(one.output)
        return body

    monkeypatch.setattr(module.alone, "finetune", stub)
    train_seeds(settings(world, tmp_path / "x"), [1, 2], quiet=True)
    found = train_seeds(settings(world, tmp_path / "x", lr=4e-3), [3], overwrite=True, quiet=True)
    assert [run["seed"] for run in found["runs"]] == [3]
    assert {path.name for path in (tmp_path / "x").iterdir()} == {"seed-3", "seeds.json", "settings.json"}


def test_overwrite_leaves_the_old_runs_until_the_new_ones_are_whole(world: Path, tmp_path: Path,
                                                                    monkeypatch: pytest.MonkeyPatch) -> None:
    def stub(one: Any, **_: Any) -> Body:
        if one.seed == 4 and not trained:
            trained.append(one.seed)
            raise KeyboardInterrupt
        body_of(0.9).save(one.output)
        return body_of(0.9)

    trained: list[int] = []
    monkeypatch.setattr(module.alone, "finetune", stub)
    train_seeds(settings(world, tmp_path / "x"), [1, 2], quiet=True)
    before = (tmp_path / "x" / "seeds.json").read_text()
    with pytest.raises(KeyboardInterrupt):
        train_seeds(settings(world, tmp_path / "x", lr=4e-3), [3, 4], overwrite=True, quiet=True)
    with pytest.raises(UserError, match="layer-decay"):
        train_seeds(settings(world, tmp_path / "x", layer_decay=7.0), [1], overwrite=True, quiet=True)
    assert (tmp_path / "x" / "seeds.json").read_text() == before
    train_seeds(settings(world, tmp_path / "x", lr=4e-3), [3, 4], overwrite=True, quiet=True)
    assert {path.name for path in (tmp_path / "x").iterdir()} == {"seed-3", "seed-4", "seeds.json", "settings.json"}
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_overwrite_replaces_runs_over_seeds_only(world: Path, tmp_path: Path) -> None:
    body_of(0.9).save(tmp_path / "x")
    with pytest.raises(UserError, match="holds a task body, and --overwrite replaces runs over seeds only"):
        train_seeds(settings(world, tmp_path / "x"), [1], overwrite=True, quiet=True)
    assert (tmp_path / "x" / "body.json").exists()


def test_changed_runs_are_found_by_inspect(world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.alone, "finetune", lambda one, **_: (body_of(0.9).save(one.output), body_of(0.9))[1])
    train_seeds(settings(world, tmp_path / "x"), [1, 2], quiet=True)
    body_of(0.8).save(tmp_path / "y")
    for name in ("body.json", "body.safetensors"):
        (tmp_path / "x" / "seed-2" / name).write_bytes((tmp_path / "y" / name).read_bytes())
    with pytest.raises(UserError, match=r"seed-2: is another body than seeds.json says"):
        describe(tmp_path / "x")


def test_one_line_is_printed_for_each_seed(world: Path, tmp_path: Path, capsys: Any) -> None:
    assert run(*words(world, tmp_path / "x", "--seeds", "4,5", "--print-command")[1:]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert ["--seed 4 " in lines[0], "--seed 5 " in lines[1], len(lines)] == [True, True, 2]
    assert "seed-5.training" in lines[1] and not (tmp_path / "x").exists()


@pytest.mark.parametrize(("more", "message"), [
    (("--seeds", "1,2", "--seed", "3"), "--seed 3 and --seeds 1,2: give one of them"),
    (("--seeds", "1,2", "--failed-margin", "-0.1"), "--failed-margin -0.1: expected a share"),
])
def test_mistakes(world: Path, tmp_path: Path, more: tuple[str, ...], message: str) -> None:
    with pytest.raises(UserError, match=message):
        run(*words(world, tmp_path / "x", *more)[1:])
    assert not (tmp_path / "x").exists()
