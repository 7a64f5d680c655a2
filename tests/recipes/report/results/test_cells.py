"""Cells, comparisons, means and curves against cases computed by hand, and the commands behind a number."""

from __future__ import annotations

import itertools
import math

import pytest

from pretrain.base.errors import UserError
from recipes.report.build import load
from recipes.report.page.svg import ticks
from recipes.report.paper_tables import paper_tables
from recipes.report.results.cells import matrices
from recipes.report.results.commands import parse, trace
from recipes.report.sections.curves import pooled_scores, speed
from recipes.report.sections.pretraining import episodes
from tests.recipes.report.report_world import RIGHT, body_made, make_run, record, write_gold, write_scores


@pytest.fixture
def run(tmp_path):
    return make_run(tmp_path / "run")


def row_of(matrix, language):
    return next(row for row in matrix.rows if row.languages[0] == language)


def test_the_matrix_holds_the_last_step_of_each_run(run):
    matrix, = matrices(load([run]).scores)
    assert (matrix.task, matrix.split, matrix.baseline, matrix.arms) == ("xnli", "test", "standard", ["standard", "forgetting"])
    assert [row.name for row in matrix.rows] == ["qaa", "qab", "qac"] and not matrix.rows[0].adapted
    assert row_of(matrix, "qab").cells["forgetting"].estimate.value == pytest.approx(42 / 60)


def test_one_seed_is_tested_over_examples(run):
    matrix, = matrices(load([run]).scores)
    qaa, qab, qac = (row_of(matrix, code).comparisons["forgetting"] for code in ("qaa", "qab", "qac"))
    # qab: 14 gained, 2 lost: 2 (C(16,0) + C(16,1) + C(16,2)) / 2^16 = 274 / 65536; qaa: 3 lost of 3: 1/4; qac: 1 of 1: 1
    assert (qab.p_examples, qaa.p_examples, qac.p_examples) == pytest.approx((274 / 65536, 0.25, 1.0))
    assert (qab.p_examples_holm, qaa.p_examples_holm, qac.p_examples_holm) == pytest.approx((3 * 274 / 65536, 0.5, 1.0))
    assert (qab.test, qab.mark, qaa.mark, qac.mark) == ("McNemar, exact", "△", "", "") and math.isnan(qab.p_seeds)
    assert qab.difference.value == pytest.approx(0.2) and 0 < qab.difference.low < 0.2 < qab.difference.high


def seeds(tmp_path, scores):
    """`scores`: arm -> right answers of each seed, language qab."""
    write_gold(tmp_path / "data", "qab")
    for arm, counts in scores.items():
        for seed, count in enumerate(counts):
            if count is not None:
                write_scores(tmp_path / f"{arm}-{seed}", [record(tmp_path, arm, "qab", range(count), seed=seed)])
    return matrices(load([tmp_path]).scores)[0].rows[0]


def test_several_seeds_are_pooled_and_tested_over_seeds(tmp_path):
    row = seeds(tmp_path, {"standard": (18, 24, 30), "forgetting": (30, 38, 42)})
    # .3 .4 .5: mean .4, sd .1; half-width 4.302653 * .1 / sqrt(3)
    estimate = row.cells["standard"].estimate
    assert (estimate.value, estimate.high) == pytest.approx((0.4, 0.4 + 0.248414), rel=1e-6, abs=1e-6)
    compared = row.comparisons["forgetting"]
    # differences 12 14 12 of 60: mean .21111, sd .019245, t = 19 with 2 degrees of freedom
    assert compared.difference.value == pytest.approx(0.211111, rel=1e-6, abs=1e-6)
    assert compared.p_seeds == pytest.approx(0.002759, rel=1e-6, abs=1e-6) and compared.mark == "▲" and compared.seeds == 3
    assert compared.test == "sign flips"


def test_both_errors_of_a_cell_by_hand(tmp_path):
    cell = seeds(tmp_path, {"standard": (18, 24, 30)}).cells["standard"]
    assert cell.error_over_seeds == pytest.approx(0.1 / math.sqrt(3))  # .3 .4 .5
    # over seeds 18 examples are right in all, 6 in two, 6 in one of three: mean .4, squares 18 + 6 * 4/9 + 6 * 1/9 = 21.3333
    error, interval = cell.over_examples
    assert error == pytest.approx(math.sqrt((64 / 3 - 60 * 0.16) / 59 / 60))
    assert interval.value == pytest.approx(0.4) and interval.low < 0.4 - error < 0.4 + error < interval.high


def test_one_seed_has_no_error_over_seeds(tmp_path):
    assert math.isnan(seeds(tmp_path, {"standard": (18,)}).cells["standard"].error_over_seeds)


def test_seeds_that_one_arm_lacks_are_not_compared(tmp_path):
    row = seeds(tmp_path, {"standard": (18, 24, None), "forgetting": (None, 38, 42)})
    assert row.comparisons["forgetting"].seeds == 1 and row.comparisons["forgetting"].difference.value == pytest.approx(14 / 60)


def test_arms_without_a_common_seed_are_not_compared(tmp_path):
    assert seeds(tmp_path, {"standard": (18, None), "forgetting": (None, 38)}).comparisons == {}


def test_the_interval_of_a_score_stays_between_0_and_1(tmp_path):
    estimate = seeds(tmp_path, {"standard": (1, 59)}).cells["standard"].estimate
    assert (estimate.low, estimate.high) == (0.0, 1.0)


def test_means_are_over_adapted_languages_only(run):
    mean, = matrices(load([run]).scores)[0].means
    assert mean.languages == ["qab", "qac"]
    assert mean.values["standard"].value == pytest.approx((30 + 20) / 120)
    gap, of_relative, of_means = mean.gains["forgetting"]
    assert gap.value == pytest.approx(11 / 120)  # 61 of 120 against 50 of 120
    assert of_relative == pytest.approx((42 / 30 + 19 / 20) / 2 - 1) and of_means == pytest.approx(61 / 50 - 1)


def test_how_soon_counts_scored_updates(run):
    rows = speed(load([run])).rows
    told = {(row[0], row[2]): (row[-2].text, row[-1] if isinstance(row[-1], str) else row[-1].text) for row in rows}
    assert told["qab", "forgetting"] == ("600", "600")  # half of the final score at 150
    assert told["qac", "forgetting"][1] == "not above chance"


def test_what_is_above_an_unknown_chance_is_not_counted(run):
    found = load([run])
    for score in found.scores:
        del score.record["chance"]
    told = {(row[0], row[2]): (row[-2].text, row[-1].text) for row in speed(found).rows}
    assert told["qab", "forgetting"] == ("600", "–") and {above for _, above in told.values()} == {"–"}


def test_seeds_that_finish_at_other_updates_have_a_mean_curve_to_the_end():
    nan = math.nan
    found = pooled_scores([[(100, 0.4, nan, nan), (500, 0.6, nan, nan)], [(100, 0.6, nan, nan), (600, 0.8, nan, nan)]])
    assert [point[:2] for point in found] == [(100, pytest.approx(0.5)), (550, pytest.approx(0.7))]
    assert all((low, high) == (0.0, 1.0) for _, _, low, high in found)  # t(.975, 1) = 12.7: wider than all scores


def test_episodes_are_those_of_the_training():
    # resets before updates 101, 201, …, 901; the last update never resets; until 600: none at 600
    assert episodes(body_made("forgetting", 1))[0] == [100.0 * number for number in range(1, 10)]
    assert episodes(body_made("temporary forgetting", 1))[0] == [100.0 * number for number in range(1, 6)]
    assert episodes(body_made("standard", 1)) == ([], "never reset")
    assert "nothing is reset" in episodes(body_made("matched control", 1))[1]


@pytest.mark.parametrize(("more", "text"), [
    ({"reset": "permute"}, "the embedding is permuted 9 times"),
    ({"share": 0.5}, "a share of 0.5 of the rows of the embedding is reset 9 times"),
    ({"reset": "rotate", "tables": 3}, "another of 3 tables is taken up 9 times")])
def test_a_variant_of_the_reset_is_named(more, text):
    made = body_made("forgetting", 1)
    assert text in episodes({**made, "forgetting": {**made["forgetting"], **more}})[1]
    assert episodes({**made, "forgetting": {**made["forgetting"], "every": 1, "reset": "rotate", "tables": 3}})[0] == []


def test_a_number_is_traced_to_the_commands_it_needs(run):
    found = load([run])
    commands, chains = trace(found)
    chain = [commands[number - 1] for number in chains[run / "forgetting" / "scores-600" / "results.json"]]
    assert [known.line.split()[1] for known in chain] == ["pretrain", "adapt", "finetune", "evaluate"]
    assert all("standard" not in known.line and known.source == "run/commands.sh" for known in chain)


def test_without_a_commands_file_the_evaluation_is_rebuilt(run):
    commands, chains = trace(load([run]))
    number, = chains[run / "standard" / "scores-150" / "results.json"]
    assert commands[number - 1].line == (
        "relexify evaluate --body run/standard/nli --task xnli --split test --data run/data --output run/standard/scores-150 "
        "--embedding run/standard/qab/at/000150 --embedding run/standard/qac/at/000150")
    assert commands[number - 1].source == "the record, rebuilt"


def test_a_line_that_is_no_command_leads_nowhere():
    assert parse("for l in 'de", "x").output == "" and parse("a --output b/ # c", "x").output == "b"


@pytest.mark.parametrize(("low", "high"), [(0.32, 0.79), (0, 600), (5.0, 5.0), (0, 0), (-0.2, 0.31), (0, 2_000_000)])
def test_ticks_span_the_values(low, high):
    found = ticks(low, high)
    assert found[0] <= low and found[-1] >= high and 2 <= len(found) <= 9
    assert len({round(b - a, 9) for a, b in itertools.pairwise(found)}) == 1


def test_paper_tables_print_both_arms_and_both_gains(run):
    text = paper_tables([run], "standard", "forgetting")
    lines = {line.split("  ")[0]: line.split() for line in text.splitlines()}
    assert lines["standard"][1:] == ["50.0", "33.3", "41.7", "80.0"] and lines["forgetting"][1:4] == ["70.0", "31.7", "50.8"]
    assert lines["relative gain, %"][3:] == ["+40.0", "−5.0", "+17.5", "−6.2"]
    assert "Mean of relative gains +17.5 % (the paper's average), relative gain of means +22.0 %, over 2 languages." in text
    assert "Not run, left out: vi, sw," in text and "MLQA, F1, question and context in one language: no results" in text


def test_paper_tables_keep_the_papers_order(tmp_path):
    for language in ("th", "sw", "vi"):
        write_gold(tmp_path / "data", language)
    for arm in RIGHT:
        write_scores(tmp_path / arm, [record(tmp_path, arm, language, range(30)) for language in ("th", "sw", "vi")])
    assert paper_tables([tmp_path], "standard", "forgetting").splitlines()[1].split() == ["vi", "sw", "th", "avg"]


@pytest.mark.parametrize(("baseline", "arm", "said"), [
    ("standard", "forgeting", "did you mean 'forgetting'"), ("standard", "standard", "are both 'standard'")])
def test_paper_tables_need_two_known_arms(run, baseline, arm, said):
    with pytest.raises(UserError, match=said):
        paper_tables([run], baseline, arm)
