"""Means over runs, tests between arms and the page, with numbers that can be checked by hand."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from pretrain.base.errors import UserError
from recipes.sampling.arms import Result, against_zero, between, by_arm, check_pairing, compare, mean
from recipes.sampling.figures import Figure
from recipes.sampling.page import page, record, verdict, write_csv
from recipes.sampling.picture import picture
from recipes.sampling.runs import Run

SETTINGS = {"data": "data/en", "split": "valid", "blocks": 3, "tokens_per_sample": 16, "mask_prob": 0.15,
            "mask_policy": "electra", "mixture": 0.1, "draws": 2, "seed": 1, "test": "welch"}


def result(arm: str, seed: int, confident: float, head: str = "none", correlation: float | None = None,
           accuracy: tuple[float, float] = (0.9, 0.8)) -> Result:
    values: dict[tuple[str, str], float | None] = {
        ("overconfident", "hidden"): confident, ("confidence", "hidden"): 0.5, ("generator_accuracy", "hidden"): 0.4,
        ("surprisal_spearman", "p_G/all"): 0.2}
    for sampler, score in zip(("p_G", "p_S") if head != "none" else ("p_G",), accuracy, strict=head != "none"):
        for part in ("all", "hidden"):
            values["rtd_accuracy", f"{sampler}/{part}"] = score
            values["rtd_auc", f"{sampler}/{part}"] = score
    if head != "none":
        for part in ("all", "correct", "replaced"):
            values["head_spearman", f"p_S/{part}"] = correlation
    figures = {key: Figure(*key, value, 100) for key, value in values.items()}
    run = Run(arm, f"runs/{arm}{seed}", Path("x"), Path("x"), head, {
        "arm": arm, "run": f"runs/{arm}{seed}", "seed": seed, "updates": 10, "hardness_head": head, "focal_gamma": 0.0,
        "hardness_mixture": None})
    return Result(run, figures, [10, 20, 0, 0, 0, 0, 0, 0, 30, 40])


def world() -> list[Result]:
    """Clear differences, so that their tests are significant with three runs."""
    return [*(result("plain", n, 0.5 + n / 100) for n in (1, 2, 3)),
            *(result("dist", n, 0.1 + n / 100, "dist", 0.5 + n / 100, (0.9, 0.8 + n / 1000)) for n in (1, 2, 3))]


def test_mean_and_standard_error_by_hand():
    found = mean([0.1, 0.2, None, 0.3])
    assert (found.value, found.error, found.runs) == (pytest.approx(0.2), pytest.approx(0.1 / 3**0.5), 3)
    assert str(found) == "0.2000 ± 0.0577" and str(mean([0.5])) == "0.5000" and str(mean([None])) == "–"


def test_welch_and_paired_by_hand():
    # means 2 and 4, variances 1 and 1: t = 2 / sqrt(2/3), 4 degrees of freedom
    assert between([1, 2, 3], [3, 4, 5], "welch") == pytest.approx(0.0705, rel=1e-5, abs=1e-4)
    # differences 1, 2, 3: t = 2 / (1 / sqrt(3)), 2 degrees of freedom
    assert between([1, 2, 3], [2, 4, 6], "paired") == pytest.approx(0.0742, rel=1e-5, abs=1e-4)
    assert against_zero([1, 2, 3]) == pytest.approx(0.0742, rel=1e-5, abs=1e-4)


def test_one_run_or_no_spread_is_no_test():
    assert between([1], [2, 3], "welch") is None and between([1, 1], [1, 1], "welch") is None and against_zero([2.0]) is None
    assert against_zero([2.0, 2.0]) is None


def test_every_claim_is_put_to_the_test_and_corrected_among_its_own():
    found = compare(world(), "welch")
    assert [(c.claim, c.arm) for c in found] == [(1, "dist"), (2, "dist"), (2, "dist"), *[(3, "dist")] * 3]
    one, two, _, three, *_ = found
    assert one.difference == pytest.approx(-0.4) and one.p_holm == one.p  # alone in its claim
    assert two.first.value == 0 and two.difference == pytest.approx(0.52) and two.p_holm == pytest.approx(2 * two.p)
    assert three.difference == pytest.approx(-0.098) and three.p_holm == pytest.approx(3 * three.p)
    assert all(verdict(c) == "as claimed, significant" for c in found)


def test_verdict_follows_the_sign_and_the_spread():
    def of(*values: float) -> str:
        runs = [result("plain", n, 0.5) for n in (1, 2)] + [result("new", n, value) for n, value in enumerate(values)]
        return verdict(compare(runs, "welch")[0])

    assert of(0.8, 0.81).startswith("the opposite") and of(0.1, 0.8) == "as claimed, not significant"
    assert of(0.3) == "as claimed, untested (too few runs or no spread)"
    assert of(0.5, 0.5) == "no difference, untested (too few runs or no spread)"


def test_arm_without_a_head_is_in_no_test_of_the_head():
    assert {c.arm for c in compare(world(), "welch") if c.claim > 1} == {"dist"}
    text = page(world(), compare(world(), "welch"), SETTINGS)
    assert "An arm without a hardness head has no p_S." in text
    assert "| plain | p_G | all | 0.9000 ± 0.0000 |" in text and "| plain | p_S |" not in text


def test_page_answers_each_claim_with_numbers():
    text = page(world(), compare(world(), "welch"), SETTINGS)
    parts = text.split("\n## ")
    assert "| plain | 3 | none | 0.5200 ± 0.0058 | 0.5000 ± 0.0000 | 0.4000 ± 0.0000 |" in parts[1]
    assert "| dist | overconfident, hidden | 0.5200 ± 0.0058 | 0.1200 ± 0.0058 | -0.4000 | welch |" in parts[1]
    assert "| dist | head_spearman, replaced | 0.0000 | 0.5200 ± 0.0058 | +0.5200 |" in parts[2]
    assert "| dist | rtd_accuracy, hidden | 0.9000 ± 0.0000 | 0.8020 ± 0.0006 | -0.0980 |" in parts[3]
    assert "| dist | runs/dist2 | 2 | 10 | dist | 0.0 | – |" in parts[5]


def test_undefined_figures_are_left_out_of_means_and_counted():
    runs = [result("loss", 1, 0.5, "loss", None), result("loss", 2, 0.5, "loss", 0.4)]
    found = {(f["figure"], f["subset"]): f for f in record(runs, [], SETTINGS)["arms"]["loss"]}
    assert found["head_spearman", "p_S/all"] == {"figure": "head_spearman", "subset": "p_S/all", "mean": 0.4,
                                                 "standard_error": None, "runs": 1}


def test_csv_has_a_row_for_each_run_and_figure(tmp_path):
    runs = [result("loss", 1, 0.25, "loss", None), result("plain", 2, 0.5)]
    write_csv(runs, tmp_path)
    rows = list(csv.DictReader((tmp_path / "figures.csv").open()))
    assert len(rows) == sum(len(run.figures) for run in runs)
    assert rows[0] == {"arm": "loss", "run": "runs/loss1", "figure": "overconfident", "subset": "hidden", "value": "0.25",
                       "n": "100"}
    assert next(row for row in rows if row["figure"] == "head_spearman")["value"] == ""
    bins = list(csv.DictReader((tmp_path / "histogram.csv").open()))
    assert len(bins) == 20 and bins[9] == {"arm": "loss", "run": "runs/loss1", "from": "0.9", "to": "1.0", "positions": "40",
                                           "share": "0.4"}


def test_paired_test_wants_matching_seeds():
    arms = by_arm([result("a", 1, 0.5), result("a", 2, 0.5), result("b", 2, 0.5), result("b", 1, 0.5)])
    with pytest.raises(UserError, match=r"the seeds \[1, 2\], those of 'b' \[2, 1\]"):
        check_pairing(arms)
    with pytest.raises(UserError, match="--test paired"):
        check_pairing(by_arm([result("a", 1, 0.5), result("a", 2, 0.5), result("b", 1, 0.5)]))
    check_pairing(by_arm([result("a", 1, 0.5), result("b", 1, 0.5)]))


def test_picture_is_a_png_with_and_without_heads(tmp_path):
    pytest.importorskip("matplotlib")
    for name, runs in (("one", world()[:1]), ("all", world())):
        picture(runs, tmp_path / f"{name}.png")
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")
