"""Few-shot learning from several bodies: what is trained, paired by subsample, resumed, and refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from adapt.artefacts.embedding import Embedding
from pretrain.artefacts.body import Body
from pretrain.base.errors import UserError
from recipes.cli import main
from tasks.learning import few_shot as module
from tasks.learning.few_shot import few_shot, names_of, parse_shares, record_of, runs_of, table

from ..conftest import settings_for
from .test_seeds import body_of


def trained(world: Path, scores: dict[tuple[str, float], list[float]]) -> list[tuple[module.Run, Body]]:
    """Runs with these dev scores, a list of subsamples for each body and share."""
    found = []
    for (name, share), own in scores.items():
        for number, score in enumerate(own, 1):
            body = body_of(score)
            body.made["train_examples"] = int(1000 * share)
            found.append((module.Run(name, share, number, settings_for(world, world)), body))
    return found


def test_mean_sd_and_paired_differences(world: Path) -> None:
    found = record_of(trained(world, {("glue", 0.01): [0.8, 0.9, 0.7], ("glue", 1.0): [0.9], ("en", 0.01): [0.6, 0.65, 0.55],
                                      ("en", 1.0): [0.9]}))
    small, other, whole, _ = found["cells"]
    assert (small["body"], small["share"], small["examples"], small["count"]) == ("glue", 0.01, 10, 3)
    assert small["mean"] == pytest.approx(0.8) and small["sd"] == pytest.approx(0.1) and other["sd"] == pytest.approx(0.05)
    gap = small["difference"]  # 0.2, 0.25, 0.15: t = 0.2 / (0.05 / sqrt 3), two degrees of freedom
    assert gap["mean"] == pytest.approx(0.2) and gap["p"] == pytest.approx(0.0202, rel=1e-2)
    assert gap["interval_95"] == pytest.approx([0.2 - 4.3027 * 0.05 / 3**0.5, 0.2 + 4.3027 * 0.05 / 3**0.5], rel=1e-3)
    assert "difference" not in other and whole["difference"] == {"mean": pytest.approx(0.0), "interval_95": None, "p": None}
    lines = [line.split() for line in table(found).splitlines()]
    assert lines[1] == ["share", "examples", "glue", "en", "glue", "-", "en"]
    assert lines[2][:9] == ["1", "%", "10", "80.0", "±", "10.0", "60.0", "±", "5.0"] and lines[2][9] == "+20.0"
    assert lines[3] == ["100", "%", "1,000", "90.0", "90.0", "+0.0"]


def test_differences_that_are_all_the_same_have_no_p(world: Path) -> None:
    found = record_of(trained(world, {("glue", 1.0): [0.9, 0.9], ("en", 1.0): [0.5, 0.5]}))
    gap = found["cells"][0]["difference"]
    assert gap["p"] is None and gap["interval_95"] == pytest.approx([0.4, 0.4])
    assert table(found).splitlines()[-1].endswith("+40.0 [+40.0, +40.0]")


@pytest.mark.parametrize("text", ["", "0,1", "0.1,0.1", "1.5", "a", "0.1,"])
def test_wrong_shares(text: str) -> None:
    with pytest.raises(UserError, match="expected different shares above 0, at most 1"):
        parse_shares(text)


def test_shares_bodies_and_places() -> None:
    assert parse_shares("1,0.01") == [0.01, 1.0]
    assert names_of(["runs/glue", "runs/en"]) == {"runs/glue": "glue", "runs/en": "en"}
    assert names_of(["a/body", "b/body"]) == {"a/body": "a-body", "b/body": "b-body"}
    with pytest.raises(UserError, match="--body: name each body once"):
        names_of(["runs/en", "runs/./en"])
    with pytest.raises(UserError, match="--body: name each body once"):
        names_of([])
    assert set(names_of(["../m", "m"]).values()) == {Path.cwd().parent.name + "-m", Path.cwd().name + "-m"}
    assert names_of(["."]) == {".": Path.cwd().name}


def test_every_subsample_has_its_seed(world: Path, tmp_path: Path) -> None:
    runs = runs_of(settings_for(world, tmp_path), ["x/glue", "x/en"], [0.01, 1.0], 2)
    assert [(run.body, run.share, run.subsample) for run in runs] == [
        (body, share, number) for body in ("glue", "en") for share in (0.01, 1.0) for number in (1, 2)]
    one = runs[1].settings
    assert (one.seed, one.share_seed, one.share, one.body) == (2, 2, 0.01, "x/glue")
    assert one.output == str(tmp_path / "glue" / "0.01" / "2")
    with pytest.raises(UserError, match="--subsamples 0"):
        runs_of(settings_for(world, tmp_path), ["x"], [1.0], 0)


def test_finished_runs_stay_and_others_are_added(world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stub(one: Any, **_: Any) -> Body:
        made.append((one.share, one.seed))
        body = body_of(0.5 + one.share / 10)
        body.made.update(train_examples=int(240 * one.share), body_fingerprint=Body.load(world / "body").fingerprint,
                         embedding_fingerprint=Embedding.load(world / "qaa").record()["fingerprint"])
        body.save(one.output)
        return body

    made: list[tuple[float, int]] = []
    monkeypatch.setattr(module.alone, "finetune", stub)
    settings, bodies, output = settings_for(world, tmp_path / "few"), [str(world / "body")], tmp_path / "few"
    few_shot(settings, bodies, [0.1], 2, quiet=True)
    found = few_shot(settings, bodies, [0.1, 1.0], 3, quiet=True)
    assert made == [(0.1, 1), (0.1, 2), (0.1, 3), (1.0, 1), (1.0, 2), (1.0, 3)] and len(found["runs"]) == 6
    assert json.loads((output / "few-shot.json").read_text()) == found
    with pytest.raises(UserError, match=r"was trained with another embedding than .*qab is now"):
        module._trained(replace(module.runs_of(settings, bodies, [0.1], 1)[0], settings=replace(
            settings, body=bodies[0], embedding=str(world / "qab"), output=str(output / "body" / "0.1" / "1"))), quiet=True)
    with pytest.raises(UserError, match=r"holds runs with other settings \(.*batch_size was 16, now 8"):
        few_shot(settings_for(world, output, batch_size=8), bodies, [0.1], 2, quiet=True)
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "file").touch()
    with pytest.raises(UserError, match="already holds something other than few-shot runs"):
        few_shot(settings_for(world, tmp_path / "x"), bodies, [0.1], 1, quiet=True)


def test_the_command_prints_every_line(world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("fairseq")
    words = ["few-shot", "--body", world / "body", "--embedding", world / "qaa", "--data", world / "data", "--shares", "0.1,1",
             "--subsamples", 2, "--updates", 4, "--output", tmp_path / "few", "--print-command"]
    assert main([str(word) for word in words]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4 and "--share 0.1 --share-seed 2" in lines[1] and "--seed 2" in lines[1]
    assert main(["few-shot", "--data", "x", "--output", "y"]) == 2
    assert "--body: name each body once" in capsys.readouterr().err
