"""The mean over tasks, by hand."""

from __future__ import annotations

from recipes.report.results.cells import Matrix, Mean
from recipes.report.sections.aggregate import aggregate_table, one_split
from tasks.statistics import Estimate


def matrix(task: str, split: str, *means: tuple[str, dict[str, float]]) -> Matrix:
    arms = list(dict.fromkeys(arm for _, values in means for arm in values))
    made = [Mean(condition, ["de", "sw"], {arm: Estimate(value, value, value, 2) for arm, value in values.items()},
                 {}, {}, {}) for condition, values in means]
    return Matrix(task, split, "accuracy", 0.5, "standard", arms, [], made)


def shown(matrices: list[Matrix]) -> list[list[str]]:
    table = aggregate_table(matrices)
    assert table is not None
    return [[str(getattr(value, "text", value)) for value in row] for row in table.rows]


def test_every_task_counts_once_however_many_languages_it_has() -> None:
    found = shown([matrix("xnli", "test", ("", {"standard": 0.4, "forgetting": 0.5})),
                   matrix("panx", "test", ("", {"standard": 0.6, "forgetting": 0.2}))])
    assert found == [["standard", "40.0", "60.0", "50.0"], ["forgetting", "50.0", "20.0", "35.0"]]


def test_an_arm_that_lacks_a_task_has_no_mean() -> None:
    found = shown([matrix("xnli", "test", ("", {"standard": 0.4, "forgetting": 0.5})),
                   matrix("panx", "test", ("", {"standard": 0.6}))])
    assert found[1] == ["forgetting", "50.0", "–", "–"]


def test_conditions_stand_apart() -> None:
    found = shown([matrix("xnli", "test", ("100k", {"standard": 0.4}), ("1M", {"standard": 0.6})),
                   matrix("panx", "test", ("100k", {"standard": 0.2}), ("1M", {"standard": 0.4}))])
    assert found == [["standard", "100k", "40.0", "20.0", "30.0"], ["standard", "1M", "60.0", "40.0", "50.0"]]


def test_one_split_stands_for_a_task_and_one_task_is_no_table() -> None:
    dev, test = (matrix("xnli", split, ("", {"standard": 0.4})) for split in ("dev", "test"))
    assert one_split([dev, test]) == [test] and aggregate_table([dev, test]) is None
    assert aggregate_table([test, matrix("panx", "test")]) is None
