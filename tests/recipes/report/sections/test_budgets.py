"""Arms by budget: means, paired differences and corrections by hand, where signs change, what is drawn and what is left out."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET

import pytest

from recipes.cli import main
from recipes.report.build import build, load, report
from recipes.report.page.html import render
from recipes.report.page.markdown import render as render_markdown
from recipes.report.sections.budgets import crossings, growths, label, main_curve, mean_table
from tests.recipes.report.report_budget_world import LANGUAGES, RIGHT, SEEDS, make_replication
from tests.recipes.report.report_world import make_run, record, write_gold, write_json, write_scores
from tests.recipes.report.test_build import Page


def adaptations(tmp_path, scores, languages=("qab",)):
    """`scores`: arm -> right answers of each seed at 150 updates, and at the end (600)."""
    for language in languages:
        write_gold(tmp_path / "data", language)
    for arm, (early, late) in scores.items():
        for updates, counts in ((150, early), (600, late)):
            for seed, count in enumerate(counts):
                write_scores(tmp_path / f"{arm}-{seed}-{updates}", [
                    record(tmp_path, arm, language, range(count), seed=seed, updates=updates) for language in languages])
    return growths(load([tmp_path]).scores)


@pytest.fixture(scope="module")
def replication(tmp_path_factory):
    return make_replication(tmp_path_factory.mktemp("replication") / "run")


@pytest.fixture(scope="module")
def made(replication):
    return build([replication])


def test_differences_are_paired_by_seed_and_corrected_over_budgets(tmp_path):
    growth, = adaptations(tmp_path, {"standard": ((18, 24, 30), (30, 30, 30)), "forgetting": ((30, 38, 42), (28, 29, 24))})
    early, late = (budget.comparisons["forgetting"] for budget in growth.budgets)
    # 12 14 12 of 60: t = 19 with 2 degrees of freedom; -2 -1 -6: mean -3, sd 2.6458, t = -1.964, p = 1 - t / sqrt(2 + t^2)
    figures = (early.difference.value, early.p_seeds, early.p_seeds_holm)
    assert figures == pytest.approx((38 / 180, 0.002759, 0.005518), rel=1e-6, abs=1e-6)
    figures = (late.difference.value, late.p_seeds, late.p_seeds_holm)
    assert figures == pytest.approx((-0.05, 0.188497, 0.188497), rel=1e-6, abs=1e-6)
    assert (early.mark, late.mark, early.seeds) == ("▲", "", 3)
    assert growth.budgets[0].mean.values["standard"].value == pytest.approx(0.4)


def test_the_line_says_where_the_sign_changes_and_where_it_is_told_from_zero(tmp_path):
    growth, = adaptations(tmp_path, {"standard": ((18, 24, 30), (30, 30, 30)), "forgetting": ((30, 38, 42), (28, 29, 24))})
    assert crossings(growth, "forgetting") == (
        "forgetting: the sign of the mean difference changes between 150 updates (+21.1) and 600 updates, finished (−5.0); "
        "told from zero over 3 seeds at 150 updates ▲")
    assert crossings(growth, "standard") == ""


def test_without_a_change_the_side_is_said(tmp_path):
    growth, = adaptations(tmp_path, {"standard": ((18,), (30,)), "forgetting": ((30,), (30,)), "matched control": ((18,), (30,))})
    assert crossings(growth, "forgetting") == \
        "forgetting: the mean difference is above zero at 1 of 2 budgets (one seed, so no test over trainings)"
    assert crossings(growth, "matched control").startswith("matched control: no mean difference at any budget")


def test_one_seed_has_intervals_over_examples(tmp_path):
    growth, = adaptations(tmp_path, {"standard": ((18,), (30,)), "forgetting": ((30,), (40,))})
    one = growth.budgets[0].comparisons["forgetting"]
    assert one.basis == "examples, widest case" and one.mark == "" and one.difference.low < 0.2 < one.difference.high


def test_all_tasks_arms_and_budgets_of_a_replication_are_there(replication):
    found = growths(load([replication]).scores)
    assert [growth.test[0] for growth in found] == ["panx", "udpos", "xnli"]
    for growth in found:
        assert growth.arms == list(RIGHT) and growth.languages == list(LANGUAGES) and not growth.condition
        assert [label(growth, budget) for budget in growth.budgets] == \
            ["50 updates", "150 updates", "400 updates", "600 updates, finished"]
        assert [budget.tokens for budget in growth.budgets] == [51_200, 153_600, 409_600, 614_400]
        assert all(one.seeds == len(SEEDS) for budget in growth.budgets for one in budget.comparisons.values())


def test_embeddings_of_which_only_some_lie_below_the_run_are_one_adaptation(replication):
    runs = {score.base for score in load([replication]).scores if score.languages[0] == "qab" and score.arm == "standard"}
    assert len(runs) == len(SEEDS)  # `at/000150` alone is there as a folder


def test_the_baseline_can_be_chosen(replication):
    found = growths(load([replication]).scores, "matched control")
    assert {growth.baseline for growth in found} == {"matched control"}
    assert set(found[0].budgets[0].comparisons) == set(RIGHT) - {"matched control"}


def test_means_are_over_languages_that_every_arm_has_at_every_budget(tmp_path):
    adaptations(tmp_path, {"standard": ((18, 24), (30, 30))}, ("qab", "qac"))
    growth, = adaptations(tmp_path, {"forgetting": ((30, 38), (28, 29))})
    assert (growth.languages, growth.left_out) == (["qab"], ["qac"])
    assert growth.budgets[0].mean.values["standard"].value == pytest.approx(21 / 60)


def test_an_arm_that_was_not_scored_at_a_budget_leaves_a_gap(tmp_path):
    write_gold(tmp_path / "data", "qab")
    write_scores(tmp_path / "more", [record(tmp_path, "forgetting", "qab", range(30), seed=0, updates=300)])
    growth, = adaptations(tmp_path, {"standard": ((18,), (30,)), "forgetting": ((30,), (40,))})
    rows = mean_table(growth).rows
    assert [row[0].text for row in rows] == ["150 updates", "300 updates", "600 updates, finished"] and rows[1][2] == "–"


def test_a_finished_embedding_counts_what_was_planned_though_an_earlier_one_was_better(tmp_path):
    write_gold(tmp_path / "data", "qab")
    for seed, best in ((0, 450), (1, 600)):
        for updates in (150, best):
            content, predictions = record(tmp_path, "standard", "qab", range(30), seed=seed, updates=updates)
            if updates == best:
                content["embedding"]["path"] = "run/standard/qab"
                content["embedding"]["made"]["planned_updates"] = 600
            write_scores(tmp_path / f"{seed}-{updates}", [(content, predictions)])
    growth, = growths(load([tmp_path]).scores)
    assert [(budget.at, budget.finished, budget.tokens) for budget in growth.budgets] == \
        [(150, False, 153_600), (600, True, 614_400)]


def test_the_best_embedding_may_be_one_that_was_saved_on_the_way(tmp_path):
    write_gold(tmp_path / "run" / "data", "qab")
    for name, place, updates in (("a", "qab/at/000150", 150), ("b", "qab/at/000300", 300), ("end", "qab", 300)):
        content, predictions = record(tmp_path / "run", "standard", "qab", range(30), updates=updates)
        content["embedding"] |= {"path": f"elsewhere/{place}", "fingerprint": f"same-{updates}"}
        write_scores(tmp_path / "run" / name, [(content, predictions)])
        write_json(tmp_path / "run" / place / "embedding.json",
                   {"fingerprint": f"same-{updates}", "lineage": "body-standard-1", "language": "qab", "made": {}})
    scores = load([tmp_path / "run"]).scores
    assert [(score.updates, score.final) for score in scores] == [(150, False), (300, False), (300, True)]
    assert len({score.base for score in scores}) == 1 and {score.condition for score in scores} == {""}


def test_amounts_of_text_are_budgets_too(tmp_path):
    write_gold(tmp_path / "data", "qab")
    for arm, counts in {"standard": (20, 40), "forgetting": (26, 36)}.items():
        for tokens, count in zip((200_000, 1_000_000), counts, strict=True):
            content, predictions = record(tmp_path, arm, "qab", range(count))
            content["embedding"] |= {"path": f"run/{arm}/{tokens}", "fingerprint": f"{arm}-{tokens}"}
            content["embedding"]["made"]["data_sha256"] = f"text-{tokens}"
            write_scores(tmp_path / f"{arm}-{tokens}", [(content, predictions)])
            write_json(tmp_path / f"text-{tokens}" / "prepare.json",
                       {"files": {"train.bin": f"text-{tokens}"}, "settings": {"tokens": tokens}})
    growth, = growths(load([tmp_path]).scores)
    assert (growth.kind, growth.condition) == ("text", "")
    assert "between 200,000 tokens of text (+10.0) and 1,000,000 tokens of text (−6.7)" in crossings(growth, "forgetting")
    assert main_curve([growth], {"standard": 0, "forgetting": 1})[0].x == "tokens of text"


def test_the_page_of_a_replication_is_whole_and_of_bearable_length(made):
    html = render(made)
    page = Page(html)
    assert page.open == [] and len(page.ids) == len(set(page.ids)) and len(html) < 1_500_000
    assert page.text.count("against standard by budget") == 3
    assert page.text.count("forgetting: the sign of the mean difference changes between 150 updates") == 3
    folded = [found for tag, found in page.tags if tag == "details" and found.get("class") == "fold"]
    assert len(folded) == 5  # settings, commands, errors, records, artefacts


def test_seeds_share_a_row_in_the_tables_of_the_plots(made):
    curves = next(section for section in made.sections if section.id == "curves")
    soon = next(block for block in curves.blocks if getattr(block, "caption", "").startswith("How soon"))
    assert len(soon.rows) == 3 * len(LANGUAGES) * len(RIGHT)  # a row a task, language and arm
    assert soon.rows[0][3] == "1 2 3"


@pytest.fixture(scope="module")
def annealed(tmp_path_factory):
    """The same run, but every budget was a run of its own (`adapt --budgets`)."""
    run = make_replication(tmp_path_factory.mktemp("annealed") / "run")
    for file in run.rglob("results.json"):
        scores = json.loads(file.read_text())
        for score in scores:
            score["embedding"]["made"] |= {"budgets": "50,150,400,600", "planned_updates": score["embedding"]["made"]["updates"]}
        write_json(file, scores)
    for file in run.rglob("embedding.json"):
        content = json.loads(file.read_text())
        if content["made"]["initialiser"] == "random":
            updates = content["made"]["updates"]
            content["made"] |= {"budgets": "150,600", "held_out_loss_bits": 9.0 if updates == 150 else 2.5,
                                "tokens_seen": 1024 * updates}
            write_json(file, content)
    return build([run])


def test_annealed_budgets_are_all_finished_and_none_lies_on_the_way_of_another(annealed, made):
    pages = {"annealed": annealed, "one run": made}
    texts = {name: render_markdown(page) for name, page in pages.items()}
    assert ", finished" in texts["one run"] and "How soon the final score" in texts["one run"]
    assert ", finished" not in texts["annealed"] and "How soon" not in texts["annealed"]
    assert "Every point is a finished embedding" in texts["annealed"] and "lowest held-out loss" not in texts["annealed"]


def test_held_out_loss_of_annealed_budgets_is_that_of_their_ends(annealed):
    """The curves.json of the longest has 4.0 bits after 150 updates, on its way; the run of 150 updates ended at 9.0."""
    text = render_markdown(annealed)
    rows = [line for line in text.splitlines() if line.startswith("| 150 |") and "bits" not in line]
    assert any("9.000" in row for row in rows) and not any("4.000" in row for row in rows)


def test_the_curve_is_a_picture_of_its_own(replication, tmp_path):
    report([replication], tmp_path / "out", curve=tmp_path / "curve.svg")
    picture = ET.parse(tmp_path / "curve.svg").getroot()
    panels = [child for child in picture if child.tag.endswith("svg") and child.get("class") == "plot"]
    assert len(panels) == 6  # mean and difference of three tasks
    text = (tmp_path / "curve.svg").read_text()
    assert "prefers-color-scheme: dark" in text and not any(sign in text for sign in ("url(", "href", "<script"))
    assert [node.text for node in picture if node.tag.endswith("text")][-4:] == list(RIGHT)


@pytest.mark.parametrize(("words", "said"), [
    (["--curve", "{here}/curve.png"], "ends in .svg"), (["--curve", "{here}/there.svg"], "already exists"),
    (["--curve", "{here}/curve.svg"], "nothing was scored at two budgets")])
def test_mistakes_about_the_curve_are_one_line_and_write_nothing(tmp_path, words, said, capsys):
    write_gold(tmp_path / "run" / "data", "qab")
    write_scores(tmp_path / "run" / "scores", [record(tmp_path / "run", "standard", "qab", range(9))])
    (tmp_path / "there.svg").write_text("old")
    asked = [word.format(here=tmp_path) for word in words]
    assert main(["report", str(tmp_path / "run"), "--output", str(tmp_path / "out"), *asked]) == 2
    text = capsys.readouterr().err.strip()
    assert said in text and "\n" not in text and not (tmp_path / "out").exists()
    assert (tmp_path / "there.svg").read_text() == "old"


def test_a_run_without_earlier_budgets_has_no_such_section(tmp_path):
    write_gold(tmp_path / "data", "qab")
    write_scores(tmp_path / "scores", [record(tmp_path, "standard", "qab", range(9))])
    assert "budgets" not in [section.id for section in build([tmp_path]).sections]
    assert "budgets" in [section.id for section in build([make_run(tmp_path / "run")]).sections]
