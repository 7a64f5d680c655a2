"""What is read from a run, what is left out and said, and how arms, conditions and examples are made out."""

from __future__ import annotations

import json

import pytest

from pretrain.base.errors import UserError
from recipes.report.build import load
from recipes.report.results.arms import arms_of
from recipes.report.results.cells import matrices
from recipes.report.results.collect import collect
from tests.recipes.report.report_world import COUNT, body_made, make_run, record, write_gold, write_json, write_scores


@pytest.fixture
def run(tmp_path):
    return make_run(tmp_path / "run")


def one(found, arm, language, updates=600):
    return next(s for s in found.scores if (s.arm, s.languages[0], s.updates) == (arm, language, updates))


def test_everything_below_a_run_is_found(run):
    found = collect([run])
    assert len(found.scores) == 10 and found.problems == []
    assert sorted({artefact.kind for artefact in found.artefacts}) == ["body", "embedding"]


def test_a_damaged_file_is_named_and_the_rest_is_reported(run):
    (run / "standard" / "scores-150" / "results.json").write_text('[{"task": "xnli",')
    (run / "forgetting" / "qab" / "curves.json").write_text('{"update": 1}')
    found = collect([run])
    assert len(found.scores) == 8
    assert sorted(problem.file for problem in found.problems) == \
        ["run/forgetting/qab/curves.json", "run/standard/scores-150/results.json"]
    assert all(problem.text.endswith("left out") for problem in found.problems)


@pytest.mark.parametrize(("change", "said"), [
    ({"score": "high"}, "record 1: the score is 'high', expected a number from -1 to 1"),
    ({"score": 71.5}, "the score is 71.5"), ({"score": -1.5}, "the score is -1.5"),
    ({"n": 0}, "n is 0"), ({"split": None}, "'split' is missing"),
    ({"body": None}, "which body"), ({"embedding": ["x"]}, "'embedding' is no JSON object")])
def test_a_wrong_record_is_left_out_alone(tmp_path, change, said):
    write_gold(tmp_path / "run" / "data", "qab")
    good = record(tmp_path / "run", "standard", "qab", range(9))
    write_scores(tmp_path / "run" / "scores", [({**good[0], **change}, good[1]), good])
    found = collect([tmp_path / "run"])
    assert len(found.scores) == 1 and said in found.problems[0].text


def test_a_correlation_below_zero_is_reported(tmp_path):
    write_gold(tmp_path / "run" / "data", "qab")
    good = record(tmp_path / "run", "standard", "qab", range(9))
    write_scores(tmp_path / "run" / "scores", [({**good[0], "score": -0.25, "metric": "matthews"}, good[1])])
    found = collect([tmp_path / "run"])
    assert [score.record["score"] for score in found.scores] == [-0.25]
    assert not any("expected a number" in problem.text for problem in found.problems)


@pytest.mark.parametrize("change", [{"score": 10**400}, {"max_length": []}, {"data": {"sha256": {}}},
                                    {"question_language": ["x"]}, {"precision": {"a": 1}},
                                    {"embedding": {"fingerprint": [], "made": {"updates": "x", "tokens_seen": {}}}},
                                    {"head": {"trained_on": {}}}])
def test_a_record_of_odd_types_does_not_end_the_report(tmp_path, change):
    write_gold(tmp_path / "run" / "data", "qab")
    good = record(tmp_path / "run", "standard", "qab", range(9))
    write_scores(tmp_path / "run" / "scores", [({**good[0], **change}, good[1]), good])
    found = collect([tmp_path / "run"])
    assert found.scores and len(found.scores) + len(found.problems) >= 1
    assert all(problem.file == "run/scores/results.json" for problem in found.problems)


def test_deep_results_are_a_problem_with_their_file(tmp_path):
    write_gold(tmp_path / "run" / "data", "qab")
    write_scores(tmp_path / "run" / "scores", [record(tmp_path / "run", "standard", "qab", range(9))])
    (tmp_path / "run" / "deep").mkdir()
    (tmp_path / "run" / "deep" / "results.json").write_text("[" * 100_000)
    (problem,) = (one for one in collect([tmp_path / "run"]).problems if "deep" in one.file)
    assert problem.file == "run/deep/results.json" and "nested deeper" in problem.text


def test_nothing_to_report_is_one_line(tmp_path):
    with pytest.raises(UserError, match=r"no results\.json there"):
        collect([tmp_path])
    (tmp_path / "results.json").write_text("[")
    with pytest.raises(UserError, match=r"nothing to report: .*results.json"):
        collect([tmp_path])
    with pytest.raises(UserError, match="found nothing; check the path"):
        collect([tmp_path / "absent"])


@pytest.mark.parametrize("summary", [{"settings": {}, "cells": [], "bodies": []}, {"seed": 1, "arms": {}}])
def test_a_demos_own_summary_is_no_problem(run, summary):
    write_json(run / "results.json", summary)
    assert collect([run]).problems == []


def test_unfinished_outputs_are_passed_over(run):
    for name in (".scores.tmp", "en.training"):
        write_json(run / name / "results.json", "damaged")
    assert collect([run]).problems == []


def test_a_record_that_is_found_twice_counts_once(run, tmp_path):
    copy = tmp_path / "copy"
    copy.mkdir()
    (copy / "results.json").write_text((run / "standard" / "scores-600" / "results.json").read_text())
    found = collect([run, copy, run / "standard"])
    assert (len(found.scores), found.repeated) == (10, 3)


def test_tokens_of_an_earlier_step_follow_from_the_curve_of_its_run(run):
    found = load([run])
    assert one(found, "standard", "qab", 150).tokens == 153600 and not one(found, "standard", "qab", 150).final


@pytest.mark.parametrize("arm", ["standard", "forgetting", "temporary forgetting", "matched control"])
def test_arms_are_named_after_how_the_body_was_made(tmp_path, arm):
    write_gold(tmp_path / "data", "qab")
    write_scores(tmp_path / "scores", [record(tmp_path, arm, "qab", range(9))])
    assert [score.arm for score in load([tmp_path]).scores] == [arm]


def bodies(tmp_path, *made):
    """Scores of one body each; `made` replaces the record of how it was made."""
    write_gold(tmp_path / "data", "qab")
    for number, one_made in enumerate(made):
        content, predictions = record(tmp_path, "standard", "qab", range(9 + number), seed=number)
        content["body"] |= {"body_made": one_made, "lineage": f"lineage-{number}", "path": f"runs/xlmr-{number}/nli"}
        write_scores(tmp_path / f"scores-{number}", [(content, predictions)])
    return collect([tmp_path])


def test_bodies_with_another_setting_are_another_arm(tmp_path):
    found = bodies(tmp_path, body_made("forgetting", 1, forget_every=100), body_made("forgetting", 1, forget_every=400))
    assert sorted(arms_of(found).values()) == ["forgetting (forget_every=100)", "forgetting (forget_every=400)"]


def test_no_more_settings_are_named_than_tell_bodies_apart(tmp_path):
    made = [body_made("standard", 1, layers=layers, width=width, updates=updates)
            for layers, width, updates in ((4, 128, 10), (8, 256, 20), (8, 256, 30))]
    assert sorted(arms_of(bodies(tmp_path, *made)).values()) == [f"standard (updates={n})" for n in (10, 20, 30)]


def test_an_arm_is_told_apart_by_what_is_not_the_commonest(tmp_path):
    """As in a demo with many arms, which changes one factor at a time."""
    changed = [{}, {"forget_every": 100}, {"forget_bias": "reset"}, {"lr": 0.1}, {"lr": 0.1, "forget_every": 100}]
    made = [body_made("forgetting", 1, **{"forget_every": 200, "forget_bias": "", "lr": 0.002, **one}) for one in changed]
    assert sorted(arms_of(bodies(tmp_path, *made)).values()) == [
        "forgetting", "forgetting (forget_bias=reset)", "forgetting (forget_every=100)",
        "forgetting (forget_every=100, lr=0.1)", "forgetting (lr=0.1)"]


def test_a_setting_that_is_empty_is_not_set(tmp_path):
    made = [body_made("forgetting", 1, forget_bias=bias) for bias in ("", "reset")]
    assert sorted(arms_of(bodies(tmp_path, *made)).values()) == ["forgetting (forget_bias not set)",
                                                                 "forgetting (forget_bias=reset)"]


def test_bodies_of_other_seeds_are_one_arm(tmp_path):
    found = bodies(tmp_path, body_made("forgetting", 1), body_made("forgetting", 2))
    assert set(arms_of(found).values()) == {"forgetting"}


def test_an_imported_body_is_called_by_its_folder(tmp_path):
    assert set(arms_of(bodies(tmp_path, {"recipe": "import-fairseq"})).values()) == {"xlmr-0/nli"}


def test_conditions_are_spelled_out_where_they_are_needed(tmp_path):
    write_gold(tmp_path / "data", "qab")
    for name in ("random", "overlap"):
        content, predictions = record(tmp_path, "standard", "qab", range(9))
        content["embedding"] |= {"path": f"run/{name}", "fingerprint": name}
        content["embedding"]["made"] |= {"initialiser": name}
        write_scores(tmp_path / name, [(content, predictions)])
    assert sorted(score.condition for score in load([tmp_path]).scores) == ["overlap", "random"]


def test_a_head_that_was_never_trained_is_no_further_seed(tmp_path):
    run = tmp_path / "run"
    write_gold(run / "data", "qab")
    content, predictions = record(run, "standard", "qab", range(30))
    baseline, other = record(run, "standard", "qab", range(9), head={"kind": "tagging", "trained_on": None})
    baseline["body"] |= {"seed": None, "fingerprint": "drawn"}
    write_scores(run / "scores", [({**content, "head": {"kind": "tagging", "trained_on": "xnli"}}, predictions)])
    write_scores(run / "untrained", [(baseline, other)])
    assert sorted(score.condition for score in load([run]).scores) == ["", "head not trained"]


def test_budgets_of_text_are_conditions(tmp_path):
    write_gold(tmp_path / "data", "qab")
    for tokens in (200_000, 1_000_000):
        content, predictions = record(tmp_path, "standard", "qab", range(9))
        content["embedding"] |= {"path": f"run/{tokens}", "fingerprint": str(tokens)}
        content["embedding"]["made"] |= {"data_sha256": f"text-{tokens}"}
        write_scores(tmp_path / f"scores-{tokens}", [(content, predictions)])
        write_json(tmp_path / f"text-{tokens}" / "prepare.json",
                   {"files": {"train.bin": f"text-{tokens}"}, "settings": {"tokens": tokens}})
    assert sorted(score.condition for score in load([tmp_path]).scores) == ["1,000,000 tokens of text", "200,000 tokens of text"]


def test_examples_are_scored_one_by_one(run):
    examples = one(load([run]), "forgetting", "qab").examples
    assert examples.sum() == 42 and list(examples[:3]) == [0, 0, 1] and len(examples) == COUNT


def test_a_moved_run_keeps_its_examples(run, tmp_path):
    moved = run.rename(tmp_path / "elsewhere")
    assert all(score.examples is not None for score in load([moved]).scores)


def test_changed_gold_data_enters_no_test(run):
    path = run / "data" / "test-qab.tsv"
    path.write_text(path.read_text().replace("premise 3\t", "premise three\t"))
    score = one(load([run]), "standard", "qab")
    assert score.examples is None and "other hash" in score.unpaired


def test_gold_data_that_is_gone_leaves_the_interval(run):
    (run / "data" / "test-qab.tsv").unlink()
    score = one(load([run]), "standard", "qab")
    assert score.examples is None and 0.3 < score.estimate.low < 0.5 < score.estimate.high < 0.7


def test_predictions_that_contradict_the_record_are_a_problem(run):
    path = run / "standard" / "scores-600" / "xnli" / "test-qab.tsv"
    path.write_text("entailment\n" * COUNT)
    found = load([run])
    assert [problem.file for problem in found.problems] == ["run/standard/scores-600/results.json"]
    assert "the predictions give 0.333333, the record says 0.500000" in found.problems[0].text


def test_answers_are_scored_by_their_f1(tmp_path):
    from tasks.qa.squad import SQUAD

    run = tmp_path / "run"
    questions = [{"id": str(n), "question": "who?", "answers": [{"text": "the big cat", "answer_start": 0}]} for n in range(2)]
    write_json(run / "qa.json", {"version": "1.1", "data": [{"title": "t", "paragraphs": [
        {"context": "the big cat sat", "qas": questions}]}]})
    content, _ = record_of_answers(run, SQUAD.read("", "test", "qab", [run / "qa.json"]).sha256())
    write_json(run / "scores" / "results.json", [content])
    write_json(run / "scores" / "squad" / "test-qab.json", {"0": "big cat", "1": "cat"})
    score = load([run]).scores[0]
    assert list(score.examples) == [1.0, pytest.approx(2 / 3)] and score.interval == "bootstrap"


TAGS = [["B-PER", "I-PER", "O"], ["B-LOC", "O"], ["O", "B-ORG"]]
"""Three sentences with one entity each."""


def tagged(run, arm, predicted):
    """A record of PAN-X as evaluate writes it."""
    from tasks.tagging.family import write_tags
    from tasks.tagging.panx import PANX
    from tasks.tagging.scores import tag_scores
    from tests.tasks.tagging.tagging_world import write_sentences

    write_gold(run / "data", "de")
    gold = write_sentences(run / "panx" / "test-de.tsv", [[(f"w{n}", tag) for n, tag in enumerate(tags)] for tags in TAGS])
    content, _ = record(run, arm, "de", range(9))
    del content["correct"], content["chance"]
    content.update(tag_scores(TAGS, predicted, "f1"), task="panx", metric="f1", predictions="panx/test-de.tsv", data={
        "files": ["run/panx/test-de.tsv"], "sha256": PANX.read("", "test", "de", [gold]).sha256()})
    write_json(run / arm / "results.json", [content])
    (run / arm / "panx").mkdir()
    write_tags(run / arm / "panx" / "test-de.tsv", predicted)


def test_entities_are_paired_over_sentences(tmp_path):
    run = tmp_path / "run"
    tagged(run, "standard", [["O", "O", "O"], ["B-LOC", "O"], ["O", "B-PER"]])
    tagged(run, "forgetting", TAGS)
    found = load([run])
    assert found.problems == [] and {score.unpaired for score in found.scores} == {""}
    by_arm = {score.arm: score for score in found.scores}
    assert by_arm["standard"].examples.tolist() == [[0, 1], [2, 2], [0, 2]]  # twice the right ones, predicted and gold ones
    assert by_arm["standard"].estimate.value == pytest.approx(2 / 5) and by_arm["standard"].interval == "bootstrap"
    row = matrices(found.scores)[0].rows[0]
    # two sentences differ: F1 pairs (2/5, 1), (4/6, 4/5), (2/3 …): |difference| >= 3/5 only as it is and all swapped: 2 of 4
    compared = row.comparisons["forgetting"]
    assert (compared.test, compared.p_examples) == ("swapped sentences", 0.5)
    assert compared.difference.value == pytest.approx(0.6)
    error, interval = row.cells["standard"].over_examples
    assert error > 0 and interval.low < 0.4 < interval.high


def test_tags_that_do_not_fit_the_sentences_are_a_problem(tmp_path):
    run = tmp_path / "run"
    tagged(run, "standard", TAGS)
    (run / "standard" / "panx" / "test-de.tsv").write_text("O\nO\n\n")
    found = load([run])
    assert found.scores[0].examples is None and "2 predictions for 7 words" in found.problems[0].text


def record_of_answers(run, digest):
    write_gold(run / "data", "qab")
    content, predictions = record(run, "standard", "qab", range(9))
    for key in ("correct", "chance"):
        del content[key]
    return {**content, "task": "squad", "score": 5 / 6, "n": 2, "metric": "f1", "question_language": "qab",
            "data": {"files": ["run/qa.json"], "sha256": digest}, "predictions": "squad/test-qab.json"}, json.dumps(predictions)
