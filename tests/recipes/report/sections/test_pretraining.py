"""Loss and learning rates along pre-training, what each reset cost, and what the stages ran with."""

from __future__ import annotations

import pytest

from recipes.report.build import build, load
from recipes.report.results.records import Artefact
from recipes.report.sections.pretraining import MOST_EPISODES, episode_table, training
from recipes.report.sections.tables import environment_table
from tests.recipes.report.report_world import body_made, make_run, write_json
from tests.recipes.report.test_build import Page

LINE = '2026-01-01 00:00:00 | INFO | train_inner | {"loss": "%s", "num_updates": "%d", "lr": "0.002", "lr_embedding": "0.001"}\n'


def points(losses, step=50):
    return [{"update": step * (number + 1), "loss": loss, "lr": 2e-3, "lr_embedding": 1e-3} for number, loss in enumerate(losses)]


def body(arm, losses, step=50, **made):
    from pathlib import Path

    return Artefact("body", Path("x"), "x", {"fingerprint": arm, "made": {**body_made(arm, 1), **made}}, [], points(losses, step))


def cells(table):
    return [[value if isinstance(value, str) else value.text for value in row] for row in table.rows]


def test_episodes_tell_what_a_reset_cost_by_hand():
    # resets before updates 101, 201, …; 300 updates in all, a loss logged every 50
    table = episode_table({"forgetting": [body("forgetting", (5, 2, 4, 1.5, 3, 2.5), updates=300)]})
    assert cells(table) == [
        ["forgetting", "1", "1", "0", "100", "–", "5.000", "2.000", "–"],
        ["forgetting", "1", "2", "100", "200", "2.000", "4.000", "1.500", "100"],
        ["forgetting", "1", "3", "200", "300", "1.500", "3.000", "2.500", "not in the episode"]]


def test_a_standard_body_has_one_episode():
    assert cells(episode_table({"standard": [body("standard", (5, 2))]})) == \
        [["standard", "1", "1", "0", "100", "–", "5.000", "2.000", "–"]]


def test_many_episodes_are_thinned_and_that_is_said():
    table = episode_table({"forgetting": [body("forgetting", [1.0] * 200, 50, updates=10_000)]})
    assert len(table.rows) == MOST_EPISODES and f"at most {MOST_EPISODES} a body" in table.caption


@pytest.fixture
def run(tmp_path):
    run = make_run(tmp_path / "run")
    write_json(run / "forgetting" / "en" / "training.json", points((5, 2, 4, 1.5)))
    log = run / "standard" / "en.training" / "train.log"
    log.parent.mkdir()
    log.write_text("".join(LINE % (loss, 50 * (number + 1)) for number, loss in enumerate((5, 3))))
    return run


def test_losses_come_from_the_artefact_or_else_from_the_log_of_the_training(run):
    known = {one.shown: [point["loss"] for point in one.training] for one in load([run]).artefacts if one.kind == "body"}
    assert known == {"run/forgetting/en/body": [5, 2, 4, 1.5], "run/standard/en/body": [5, 3]}


def test_the_page_marks_every_reset_in_the_training_loss(run):
    found = load([run])
    losses, rates = training(found, {"standard": 0, "forgetting": 1})
    assert [panel.title for panel in losses.panels] == ["standard", "forgetting"]
    assert losses.panels[1].marks == [100.0 * number for number in range(1, 10)] and losses.panels[0].marks == []
    assert [line.name for line in rates.panels[1].lines] == ["body", "embedding"]
    assert "Training loss along pre-training" in page_of(run).text


def page_of(run):
    from recipes.report.page.html import render

    return Page(render(build([run])))


def test_a_damaged_training_curve_is_a_problem_and_the_rest_is_reported(run):
    write_json(run / "forgetting" / "en" / "training.json", [{"update": 1}])
    found = load([run])
    assert [problem.file for problem in found.problems] == ["run/forgetting/en/training.json"] and len(found.scores) == 10


def test_without_a_log_there_is_no_plot_of_it(tmp_path):
    assert training(load([make_run(tmp_path / "run")]), {}) == []


def test_every_stage_that_recorded_it_has_a_column(run):
    table = environment_table(load([run]))
    assert list(table.head) == ["what", "evaluation"] and "only evaluations recorded it" in table.caption
    path = run / "standard" / "qab" / "embedding.json"
    import json

    record = json.loads(path.read_text())
    record["made"]["environment"] = {"torch": "2.12.0", "processor": "One, 2 cores"}
    write_json(path, record)
    table = environment_table(load([run]))
    rows = {row[0]: row[1:] for row in table.rows}
    assert list(table.head) == ["what", "language adaptation", "evaluation"]
    assert rows["torch"] == ["2.12.0", "2.13.0"] and rows["processor"] == ["One, 2 cores", "–"]
