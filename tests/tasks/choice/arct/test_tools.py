"""The tools of ARCT: the adversarial set built and checked, cues by hand and as recomputed, runs over seeds."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import Any

import pytest

from pretrain.base.errors import UserError
from recipes.cli import main
from tasks.choice.arct import cues
from tasks.choice.arct.adversarial import build, read_claims, read_points, validate
from tasks.choice.arct.runs import record_of, table
from tasks.registry import get_task

ARCT = Path(os.environ.get("RELEXIFY_SHARED") or Path(__file__).resolve().parents[5] / "shared") / "data" / "arct"
real = [pytest.mark.realdata, pytest.mark.skipif(not ARCT.is_dir(), reason="no real data")]
HEADER = "#id\twarrant0\twarrant1\tcorrectLabelW0orW1\treason\tclaim\tdebateTitle\tdebateInfo"


def points(path: Path, *rows: str) -> Path:
    path.write_text("\n".join([HEADER, *rows]) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    return points(tmp_path / "train.tsv", 'a\tit can\tit can\'t\t1\tSo "it" is\tTax is good\tt\ti',
                  "b\tno\tyes, it is not\t0\tR\tCats rule\tt\ti")


@pytest.fixture
def claims(tmp_path: Path) -> Path:
    path = tmp_path / "claims.csv"
    path.write_text('original,negated\nTax is good,"Tax is bad, say"\nCats rule,Cats do not rule\n')
    return path


def test_every_point_gets_a_mirror_image(plain: Path, claims: Path, tmp_path: Path) -> None:
    built = build(read_points(plain), read_claims(claims)).points
    assert [point["#id"] for point in built] == ["a", "b", "a-adversarial", "b-adversarial"]
    assert [point["correctLabelW0orW1"] for point in built] == ["1", "0", "0", "1"]
    assert [point["claim"] for point in built[2:]] == ["Tax is bad, say", "Cats do not rule"]
    assert (
        main(["arct", "build", str(plain), "--claims", str(claims), "--output", str(tmp_path / "train_adversarial-en.tsv")]) == 0
    )
    assert [dict(point) for point in read_points(tmp_path / "train_adversarial-en.tsv")] == built
    task = get_task("arct").read(tmp_path, "train_adversarial", "en")
    assert task.pairs == [(0, 2), (1, 3)] and 'So "it" is.' in task.items[0].options[0][0]
    assert main(["arct", "validate", str(tmp_path / "train_adversarial-en.tsv")]) == 0


@pytest.mark.parametrize(("row", "message"), [
    ("Tax is good,tax is good.", r"a: the claim 'Tax is good' has no negation .*claims\.csv:2: maps it to itself"),
    ("Other,Thing", "a: the claim 'Tax is good' has no negation .the claim map does not have it")])
def test_a_claim_without_negation_is_refused_or_left_out(row: str, message: str, plain: Path, tmp_path: Path) -> None:
    (tmp_path / "claims.csv").write_text(f"original,negated\n{row}\nCats rule,Dogs rule\n")
    table, given = read_claims(tmp_path / "claims.csv"), read_points(plain)
    with pytest.raises(UserError, match=message):
        build(given, table)
    built = build(given, table, leave_out=True)
    assert [point["#id"] for point in built.points] == ["b", "b-adversarial"] and built.left_out == 1


def test_the_validator_names_each_mistake(plain: Path, claims: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    built = build(read_points(plain), read_claims(claims)).points
    assert validate(built) == []
    broken = [dict(point) for point in built]
    broken[2]["claim"] = "tax is  good."
    broken[3].update(correctLabelW0orW1="0", warrant1="yes")
    assert validate(broken) == ["a: the label is flipped but the claim is not negated: 'Tax is good'",
                                "b: the label is not flipped", "b: warrant1 differs between the two"]
    assert validate(built[:3]) == ["b: its mirror image is missing"] and validate(built[1:]) == [
        "a-adversarial: its original is missing"
    ]
    path = points(tmp_path / "x.tsv", "a\tx\ty\t0\tR\tC\tt\ti", "a-adversarial\tx\ty\t1\tR\tC\tt\ti")
    assert main(["arct", "validate", str(path)]) == 1
    assert "a: the label is flipped" in capsys.readouterr().out
    assert main(["arct", "validate", str(plain)]) == 2


def test_cues_by_hand(plain: Path) -> None:
    """`can't` tells the right warrant once, `not` the wrong one once, `it` of the first point stands in both warrants."""
    found = {cue.name: cue for cue in cues.statistics(read_points(plain))}
    assert (found["can't"].applicability, found["can't"].productivity, found["can't"].coverage) == (1, 1.0, 0.5)
    assert (found["it"].applicability, found["it"].right) == (1, 0) and found["not"].productivity == 0
    both = cues.negations(read_points(plain))
    assert (both.applicability, both.productivity) == (2, 0.5)
    assert "it can't" in {cue.name for cue in cues.statistics(read_points(plain), 2)}
    assert cues.longer(read_points(plain)) == 0.5


RECOMPUTED = {"train": (0.711, 0.346, 0.706, 0.640, 0.582), "dev": (0.705, 0.354, 0.703, 0.608, 0.614),
              "test": (0.494, 0.365, 0.514, 0.561, 0.468)}


@pytest.mark.parametrize("split", [pytest.param(split, marks=real) for split in RECOMPUTED])
def test_the_cues_of_the_public_files(split: str) -> None:
    given = read_points(ARCT / f"ukp_{split}.tsv")
    single = next(cue for cue in cues.statistics(given) if cue.name == "not")
    both = cues.negations(given)
    found = (single.productivity, single.coverage, both.productivity, both.coverage, cues.longer(given))
    assert [round(value, 3) for value in found] == list(RECOMPUTED[split])


@pytest.mark.realdata
@pytest.mark.skipif(not ARCT.is_dir(), reason="no real data")
def test_the_published_adversarial_set_and_ours(capsys: pytest.CaptureFixture[str]) -> None:
    """12 training and 28 test pairs of it have a flipped label and the same claim; without them ours is the published one."""
    table = read_claims(ARCT / "claim_map.csv")
    for split, size, broken in (("train", 1210, 12), ("dev", 316, 0), ("test", 444, 28)):
        published = read_points(ARCT / f"{split}-adv-negated.csv")
        wrong = validate(published)
        assert len(published) == 2 * size and len(wrong) == broken
        assert all("the label is flipped but the claim is not negated" in line for line in wrong)
        built = build(read_points(ARCT / f"ukp_{split}.tsv"), table, leave_out=True)
        assert built.left_out == broken and len(built.points) == 2 * (size - broken) and validate(built.points) == []
        ours = {point["#id"]: point["claim"].replace('"', "") for point in built.points}
        theirs = {point["#id"]: point["claim"].replace('"', "") for point in published}
        assert all(theirs[identifier] == claim for identifier, claim in ours.items())
        # in a mirrored set no word tells anything
        assert all(cue.productivity == 0.5 for cue in cues.statistics(built.points))
    loaded = get_task("arct").read(ARCT, "test_adversarial", "en")
    assert len(loaded) == 888 and len(loaded.pairs) == 444
    assert [len(get_task("arct").read(ARCT, split, "en")) for split in ("train", "dev", "test")] == [1210, 316, 444]


def runs_of(*scores: tuple[float, float, float]) -> list[dict[str, Any]]:
    return [{"seed": seed, "degenerate": train < 0.8, "scores": {
        "train": {"score": train, "n": 10}, "test_adversarial": {"score": test, "n": 20, "pair_consistency": both}}}
            for seed, (train, test, both) in enumerate(scores, 1)]


def test_figures_of_all_runs_stand_beside_those_of_the_kept_ones(caplog: Any) -> None:
    with caplog.at_level(logging.WARNING):
        record = record_of(runs_of((0.9, 0.6, 0.3), (0.95, 0.7, 0.5), (0.55, 0.5, 0.0)), ["train", "test_adversarial"],
                           get_task("arct"), "train", 0.8)
    assert record["degenerate"] == [3] and not caplog.text
    sides = record["splits"]["test_adversarial"]
    assert sides["all"]["mean"] == pytest.approx(0.6) and sides["kept"]["mean"] == pytest.approx(0.65)
    assert (
        sides["all"]["count"] == 3
        and sides["kept"]["count"] == 2
        and sides["all"]["median"] == 0.6
        and sides["kept"]["max"] == 0.7
    )
    assert sides["all"]["sd"] == pytest.approx(0.1) and sides["kept"]["pair_consistency"] == pytest.approx(0.4)
    shown = table(record)
    assert "both of a pair" in shown and "degenerate (train accuracy < threshold 0.8): 3" in shown
    assert [line.split()[1] for line in shown.splitlines()[1:5]] == ["all", "kept", "all", "kept"]


def test_a_mean_below_chance_is_said_and_no_kept_run_is_no_figure(caplog: Any) -> None:
    with caplog.at_level(logging.WARNING):
        record = record_of(runs_of((0.5, 0.40, 0.1), (0.5, 0.41, 0.1), (0.5, 0.42, 0.1)), ["test_adversarial"], get_task("arct"),
                           "train", 0.8)
    assert "arct test_adversarial, mean of 3 runs: accuracy 0.410 is below chance (0.500)" in caplog.text
    assert record["splits"]["test_adversarial"]["kept"] is None and record["degenerate"] == [1, 2, 3]
    assert table(record).splitlines()[2].split() == ["test_adversarial", "kept", "0", "-", "-", "-", "-"]


@pytest.mark.slow
def test_runs_are_trained_and_scored(world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("fairseq")
    for split in ("train", "dev", "test"):
        rows = [
            f"{n}\t{('kove', 'buna')[n % 2]} tilo\t{('buna', 'kove')[n % 2]} tilo\t{n % 2}\tmapu\treno\tt\ti" for n in range(60)
        ]
        points(tmp_path / f"{split}-qaa.tsv", *rows)
    common = ["--embedding", world / "qaa", "--data", tmp_path, "--quiet"]
    words = ["finetune", "--body", world / "body", "--task", "arct", "--output", tmp_path / "runs", "--updates", 60, "--lr", 5e-3,
             "--batch-size", 16, "--threads", 1, "--dropout", 0, "--cpu", "--seeds", "1,2", *common]
    assert main([str(word) for word in words]) == 0
    words = ["arct", "runs", tmp_path / "runs", "--split", "test", "--output", tmp_path / "scores", *common]
    assert main([str(word) for word in words]) == 0
    record = json.loads((tmp_path / "scores" / "runs.json").read_text())
    assert [run["seed"] for run in record["runs"]] == [1, 2] and set(record["splits"]) == {"train", "test"}
    assert record["splits"]["train"]["all"]["mean"] > 0.9 and not record["degenerate"]
    assert json.loads((tmp_path / "scores" / "seed-2" / "test" / "results.json").read_text())[0]["n"] == 60
    assert "degenerate" in capsys.readouterr().out
