"""Bodies that learned a task in several languages: their arms, and which of them stands for the end in the base language."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from recipes.report.build import load
from recipes.report.results.arms import base_label, meanings, sort_arms
from recipes.report.results.cells import matrices, pick_baseline
from recipes.report.results.records import Score

from ..report_world import record, write_gold, write_scores

FINISHED = {"initialiser": "random", "updates": 600, "data_sha256": "text-qab"}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    for language in ("qaa", "qab"):
        write_gold(tmp_path / "data", language)
    return tmp_path


def scored(place: Path, name: str, learned: str = "qaa", how: dict[str, Any] | None = None, language: str = "qaa",
           updates: int | None = None, right: int = 30) -> None:
    """A record of a body that learned in `learned` (`qaa+qab`), of its second language with the embedding that `how` tells of."""
    made, predictions = record(place, "standard", language, range(right), updates=updates)
    made["body"].update(fingerprint=name, dev={"language": learned}, **({"learned_with": {"qab": how}} if how else {}))
    if updates:
        made["embedding"]["made"]["initialiser"] = (how or FINISHED)["initialiser"]
        made["embedding"]["fingerprint"] += (how or FINISHED)["initialiser"]
    write_scores(place / name, [(made, predictions)])


def arms(scores: list[Score]) -> dict[str, str]:
    return {score.file.parent.name: score.arm for score in scores}


@pytest.mark.parametrize(("made", "label"), [({"updates": 2000}, "temporary forgetting"), ({}, "temporary forgetting"),
                                             ({"updates": 700}, "forgetting"), ({"updates": 500}, "forgetting")])
def test_an_end_of_forgetting_that_the_run_does_not_reach_is_none(made: dict[str, int], label: str) -> None:
    assert base_label({"forgetting": {"every": 100, "until": 700, "reset": "normal"}, **made}) == label


def test_the_language_of_the_examples_is_named_where_it_is_not_that_of_the_pretraining(place: Path) -> None:
    for name, learned in (("base", "qaa"), ("both", "qaa+qab"), ("other", "qab"), ("unknown", "")):
        scored(place, name, learned)
    assert arms(load([place]).scores) == {"base": "standard", "unknown": "standard", "both": "standard, learned in qaa+qab",
                                          "other": "standard, learned in qab"}


def test_examples_of_another_language_that_the_bases_embedding_read_make_no_other_arm(place: Path) -> None:
    """`finetune --source-language qab` with the one embedding of qaa."""
    made, predictions = record(place, "standard", "qaa", range(30), updates=None)
    made["body"].update(dev={"language": "qab"}, embedding_language="qaa")
    write_scores(place / "read", [(made, predictions)])
    assert arms(load([place]).scores) == {"read": "standard"}


def test_languages_are_named_by_the_alphabet_in_whatever_order_they_were_given(place: Path) -> None:
    scored(place, "one", "qab+qaa")
    assert arms(load([place]).scores) == {"one": "standard, learned in qaa+qab"}


def test_it_is_set_against_the_body_that_learned_in_one_language(place: Path) -> None:
    scored(place, "base", right=30)
    scored(place, "base-qab", language="qab", updates=600, right=20)
    scored(place, "both", "qaa+qab", FINISHED, right=36)
    scored(place, "both-qab", "qaa+qab", FINISHED, language="qab", updates=600, right=40)
    (matrix,) = matrices(load([place]).scores)
    assert matrix.baseline == "standard" and [row.condition for row in matrix.rows] == ["", ""]
    gaps = {row.name: row.comparisons["standard, learned in qaa+qab"].difference.value for row in matrix.rows}
    assert gaps == {"qaa": pytest.approx(0.1), "qab": pytest.approx(1 / 3)}


def test_in_the_base_language_the_body_that_learned_with_the_last_embeddings_stands_for_the_end(place: Path) -> None:
    scored(place, "early", "qaa+qab", {"initialiser": "random", "updates": 150}, right=20)
    scored(place, "late", "qaa+qab", FINISHED, right=40)
    found = load([place]).scores
    assert {score.file.parent.name: score.final for score in found} == {"early": False, "late": True}
    (matrix,) = matrices(found)
    assert [(row.condition, len(cell.scores)) for row in matrix.rows for cell in row.cells.values()] == [("", 1)]


def test_where_only_saved_steps_were_learned_with_the_latest_is_the_end(place: Path) -> None:
    for updates in (50, 150):
        scored(place, f"at-{updates}", "qaa+qab", {"initialiser": "random", "updates": updates}, right=updates // 5)
    assert {score.file.parent.name: score.final for score in load([place]).scores} == {"at-50": False, "at-150": True}


def test_embeddings_of_two_initialisers_are_two_conditions_each_named_once(place: Path) -> None:
    for initialiser in ("random", "lexicon"):
        how = {**FINISHED, "initialiser": initialiser}
        scored(place, f"{initialiser}-qaa", "qaa+qab", how)
        scored(place, f"{initialiser}-qab", "qaa+qab", how, language="qab", updates=600)
    told = {score.file.parent.name: score.condition for score in load([place]).scores}
    assert told == {"random-qab": "random", "lexicon-qab": "lexicon",
                    "random-qaa": "learned with random embeddings of 600 updates",
                    "lexicon-qaa": "learned with lexicon embeddings of 600 updates"}


def test_where_every_body_learned_in_several_languages_the_standard_one_is_the_baseline(place: Path) -> None:
    for arm in ("forgetting", "matched control", "standard"):
        made, predictions = record(place, arm, "qaa", range(30), updates=None)
        made["body"].update(fingerprint=arm, dev={"language": "qaa+qab"})
        write_scores(place / arm, [(made, predictions)])
    found = load([place]).scores
    (matrix,) = matrices(found)
    assert matrix.arms == [f"{arm}, learned in qaa+qab" for arm in ("standard", "forgetting", "matched control")]
    assert matrix.baseline == "standard, learned in qaa+qab"
    (matrix,) = matrices(found, "matched control")
    assert matrix.baseline == "matched control, learned in qaa+qab"


def test_arms_of_one_base_stand_together_whatever_follows_its_name() -> None:
    expected = ["standard", "standard (lr=0.1)", "standard, learned in de+en", "standard, multi-task", "forgetting",
                "forgetting (forget_hold=20), multi-task", "temporary forgetting, multi-task, then one task", "xlmr/body"]
    assert sort_arms(sorted(expected)) == expected
    assert pick_baseline([f"{arm}, multi-task" for arm in ("forgetting", "standard")]) == "standard, multi-task"


def test_the_matched_control_is_the_baseline_where_no_standard_arm_is():
    """So that a difference says what resets do, with the sign that the pages have."""
    assert pick_baseline(["temporary forgetting", "matched control"]) == "matched control"
    assert pick_baseline(["temporary forgetting", "matched control", "standard"]) == "standard"


@pytest.mark.parametrize(("changes", "expected"), [
    ({"reset": "gaussian"}, "forgetting"), ({"reset": "permute"}, "forgetting, permuted rows"),
    ({"share": 0.5}, "forgetting, 50 % of the rows"),
    ({"reset": "rotate", "tables": 4, "until": 700}, "temporary forgetting, 4 tables in turn"),
    ({"reset": "permute", "share": 0.25}, "forgetting, permuted rows, 25 % of the rows"),
    ({"reset": "none", "until": 700}, "matched control"), ({"every": 0}, "standard")])
def test_an_arm_says_what_its_resets_do_instead_of_drawing_all_rows(changes: dict[str, Any], expected: str) -> None:
    label = base_label({"forgetting": {"every": 100, "until": 0, "reset": "normal", **changes}})
    assert label == expected


def test_the_page_explains_resets_without_saying_that_tables_in_turn_are_thrown_away() -> None:
    first, second = meanings(["standard", "temporary forgetting, 4 tables in turn (lr=0.1), multi-task"])[:2]
    assert "temporary forgetting: the embedding was reset" in first and "thrown away" not in first
    assert second.endswith("with “tables in turn” in an arm's name nothing was thrown away: several tables took turns, each "
                           "taken up where it had been left.")
    assert "permuted" not in second and "permuted rows" in meanings(["forgetting, permuted rows"])[1]
