"""Held-out loss of new embeddings, arm against arm, on seeds and languages that both have."""

from __future__ import annotations

from pathlib import Path

import pytest
from scipy import stats

from recipes.report.build import build
from recipes.report.page.html import render
from recipes.report.results.records import Artefact, Collected
from recipes.report.sections.losses import MOST_POINTS, loss_tables
from tests.recipes.report.report_world import body_made, make_run
from tests.recipes.report.test_build import Page

LOSSES = {("standard", 1): 4.0, ("standard", 2): 4.4, ("standard", 3): 4.1,
          ("forgetting", 1): 3.8, ("forgetting", 2): 4.3, ("forgetting", 3): 3.6}
"""Of language qab after 100 updates; qac lies 1 higher, and 200 updates bring both down by 1."""


def collected(losses=LOSSES, languages=("qab", "qac"), updates=(100, 200), text=lambda language, arm: language) -> Collected:
    found = Collected([Path("run")])
    for (arm, seed), loss in losses.items():
        lineage = f"body-{arm}-{seed}"
        found.arms[lineage] = arm
        found.add(Artefact("body", Path("x"), "x", {"fingerprint": lineage, "made": body_made(arm, seed)}))
        for place, language in enumerate(languages):
            curve = [{"update": at, "loss": loss + place - (number > 0), "tokens": 1024 * at}
                     for number, at in enumerate(updates)]
            found.add(Artefact("embedding", Path(arm, str(seed), language), language, {
                "fingerprint": f"{arm}-{seed}-{language}", "lineage": lineage, "language": language,
                "made": {"initialiser": "random", "seed": seed, "data_sha256": text(language, arm)}}, curve))
    return found


def cells(table):
    return [[value if isinstance(value, str) else value.text for value in row] for row in table.rows]


def test_the_table_by_hand():
    note, table, _ = loss_tables(collected())
    assert note.text.startswith("Held-out loss, arms against standard")
    assert table.caption == "Held-out loss of the new embeddings against standard: mean over qab, qac; seeds 1, 2, 3"
    gaps = [-0.2, -0.1, -0.5]
    p = stats.ttest_1samp(gaps, 0).pvalue
    half = stats.t.ppf(0.975, 2) * stats.sem(gaps)
    against = f"−0.267 [{-0.8 / 3 - half:+.3f}, {-0.8 / 3 + half:+.3f}]".replace("-", "−")
    assert cells(table) == [
        ["100", "102,400", "standard", f"{12.5 / 3 + 0.5:.3f}", "–", "–", "–"],
        ["100", "102,400", "forgetting", f"{11.7 / 3 + 0.5:.3f}", against, f"{p:.2f}", f"{2 * p:.2f}"],
        ["200", "204,800", "standard", f"{12.5 / 3 - 0.5:.3f}", "–", "–", "–"],
        ["200", "204,800", "forgetting", f"{11.7 / 3 - 0.5:.3f}", against, f"{p:.2f}", f"{2 * p:.2f}"]]


def test_each_language_by_itself():
    table = loss_tables(collected())[2]
    assert table.caption == "Held-out loss of each new language against standard; seeds 1, 2, 3"
    found = cells(table)
    assert [row[:4] for row in found[:4]] == [
        ["100", "qab", "standard", f"{12.5 / 3:.3f}"], ["100", "qab", "forgetting", f"{11.7 / 3:.3f}"],
        ["100", "qac", "standard", f"{12.5 / 3 + 1:.3f}"], ["100", "qac", "forgetting", f"{11.7 / 3 + 1:.3f}"]]
    p = stats.ttest_1samp([-0.2, -0.1, -0.5], 0).pvalue
    assert all(row[5:] == [f"{p:.2f}", f"{min(1, 4 * p):.2f}"] for row in found[1::2])  # Holm over all four lines


def test_of_many_points_each_language_has_the_last():
    table = loss_tables(collected(updates=(10, 20, 30, 40, 50)))[2]
    assert {row[0] for row in cells(table)} == {"50"}


def test_one_language_needs_no_table_of_its_own():
    assert len(loss_tables(collected(languages=("qab",)))) == 2


def searched(rates) -> Collected:
    """As `collected`, after a search at these rates: 0.1 bits lower at each higher one."""
    found = collected()
    for one in found.artefacts:
        if one.kind == "embedding":
            tried = [{"rate": rate, "loss": one.curve[0]["loss"] - 0.1 * place} for place, rate in enumerate(rates)]
            one.record["made"]["lr_search"] = {"rate": rates[-1], "updates": 24, "tried": tried}
    return found


def test_the_rates_of_the_search_side_by_side():
    *_, note, table = loss_tables(searched([0.001, 0.01]))
    assert "too low for one arm" in note.text
    assert table.caption == ("Held-out loss after 24 updates at each rate of the search against standard: mean over qab, qac; "
                             "seeds 1, 2, 3")
    assert [row[:3] for row in cells(table)] == [
        ["0.001", "standard", f"{12.5 / 3 + 0.5:.3f}"], ["0.001", "forgetting", f"{11.7 / 3 + 0.5:.3f}"],
        ["0.01", "standard", f"{12.5 / 3 + 0.4:.3f}"], ["0.01", "forgetting", f"{11.7 / 3 + 0.4:.3f}"]]


@pytest.mark.parametrize("search", [None, {}, {"tried": None}, {"tried": ["x", {"rate": "y"}]}, "auto"])
def test_a_search_that_says_nothing_is_passed_over(search):
    found = collected()
    for one in found.artefacts:
        if one.kind == "embedding":
            one.record["made"]["lr_search"] = search
    assert len(loss_tables(found)) == 3


def test_a_seed_that_one_arm_lacks_is_left_out():
    rest = {key: loss for key, loss in LOSSES.items() if key != ("standard", 2)}
    assert loss_tables(collected(rest))[1].caption.endswith("seeds 1, 3")


def test_a_language_whose_text_differs_between_arms_is_left_out():
    found = collected(text=lambda language, arm: language if language == "qab" else f"{language}-{arm}")
    assert "mean over qab;" in loss_tables(found)[1].caption


def test_seeds_may_have_texts_of_their_own_as_worlds_do():
    """What has to be the same is the text of two arms that are compared."""
    found = collected()
    for one in found.artefacts:
        if one.kind == "embedding":
            one.record["made"]["data_sha256"] += f" of seed {one.record['made']['seed']}"
    assert loss_tables(found)[1].caption.endswith("mean over qab, qac; seeds 1, 2, 3")


def test_one_seed_has_a_difference_and_no_test():
    table = loss_tables(collected({key: loss for key, loss in LOSSES.items() if key[1] == 1}))[1]
    assert cells(table)[1][4:] == ["−0.200", "–", "–"] and table.caption.endswith("seed 1")


def test_only_updates_that_all_have_and_not_too_many():
    found = collected(updates=tuple(range(10, 1010, 10)))
    found.artefacts[1].curve.pop()  # one run lacks the last point
    shown = [row[0] for row in cells(loss_tables(found)[1])[::2]]
    assert len(shown) == MOST_POINTS and (shown[0], shown[-1]) == ("10", "990")


@pytest.mark.parametrize("losses", [{}, {("standard", 1): 4.0}, {("standard", 1): 4.0, ("forgetting", 2): 4.0}])
def test_nothing_to_compare_gives_no_table(losses):
    assert loss_tables(collected(losses)) == []


def test_the_chosen_baseline_and_the_page(tmp_path):
    run = make_run(tmp_path / "run")
    assert "Held-out loss of the new embeddings against forgetting: mean over qab, qac" in \
        Page(render(build([run], baseline="forgetting"))).text
