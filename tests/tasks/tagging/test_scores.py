"""Entities as conlleval counts them: by hand, against a second implementation, and the errors of the scores."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pretrain.base.errors import UserError
from tasks.tagging.scores import count_entities, entities, metric_of, precision_recall_f1, tag_scores

LABELS = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")


@pytest.mark.parametrize(("tags", "expected"), [
    ("O O O", []),
    ("B-PER I-PER O", [("PER", 0, 1)]),
    ("B-PER B-PER I-PER", [("PER", 0, 0), ("PER", 1, 2)]),
    ("O I-PER I-PER", [("PER", 1, 2)]),  # I after O begins
    ("I-PER O I-PER", [("PER", 0, 0), ("PER", 2, 2)]),
    ("B-PER I-LOC I-LOC", [("PER", 0, 0), ("LOC", 1, 2)]),  # I of another type begins
    ("I-PER B-PER", [("PER", 0, 0), ("PER", 1, 1)]),  # IOB1: B only between neighbours
    ("B-PER", [("PER", 0, 0)]),
    ("B-PRO-X I-PRO-X I-PRO", [("PRO-X", 0, 1), ("PRO", 2, 2)]),  # the type begins after the first hyphen
])
def test_entities_by_hand(tags: str, expected: list[tuple[str, int, int]]) -> None:
    assert entities(tags.split()) == expected


@pytest.mark.parametrize(("gold", "predicted", "counts"), [
    ("B-PER I-PER O B-LOC", "B-PER I-PER O B-LOC", (2, 2, 2)),
    ("B-PER I-PER O B-LOC", "B-PER O O B-LOC", (1, 2, 2)),  # too short
    ("B-PER I-PER O O", "B-PER I-PER I-PER O", (0, 1, 1)),  # too long
    ("B-PER I-PER O B-LOC", "B-LOC I-LOC O B-LOC", (1, 2, 2)),  # another type
    ("B-PER I-PER", "I-PER I-PER", (1, 1, 1)),  # other tags, the same entity
    ("B-PER I-PER", "B-PER B-PER", (0, 2, 1)),  # one entity in two pieces
    ("O O", "O B-PER", (0, 1, 0)),
    ("O B-PER", "O O", (0, 0, 1)),
])
def test_counts_by_hand(gold: str, predicted: str, counts: tuple[int, int, int]) -> None:
    assert tuple(count_entities([gold.split()], [predicted.split()])[0]) == counts


def conlleval(gold: list[list[str]], predicted: list[list[str]]) -> tuple[int, int, int]:
    """The shared tasks' own way: one pass over all words with open chunks, sentences parted by O."""

    def starts(previous: str, tag: str) -> bool:
        return tag[0] == "B" or (tag[0] == "I" and (previous == "O" or previous[2:] != tag[2:]))

    def ends(previous: str, tag: str) -> bool:
        return previous != "O" and (tag[0] in "BO" or previous[2:] != tag[2:])

    words = [pair for one, two in zip(gold, predicted, strict=True) for pair in (*zip(one, two, strict=True), ("O", "O"))]
    right = found = wanted = 0
    both_open = False
    before = ("O", "O")
    for now in words:
        ended = [ends(a, b) for a, b in zip(before, now, strict=True)]
        if both_open:
            if all(ended):
                right += 1
                both_open = False
            elif any(ended):
                both_open = False
        started = [starts(a, b) for a, b in zip(before, now, strict=True)]
        if all(started) and now[0][2:] == now[1][2:]:
            both_open = True
        elif any(started):
            both_open = False
        wanted += started[0]
        found += started[1]
        before = now
    return right, found, wanted


PAIRS = st.lists(st.lists(st.tuples(st.sampled_from(LABELS), st.sampled_from(LABELS)), min_size=1, max_size=9), max_size=6)


@settings(deadline=None)
@given(PAIRS)
def test_equal_to_a_pass_with_open_chunks(sentences: list[list[tuple[str, str]]]) -> None:
    gold, predicted = ([[pair[side] for pair in sentence] for sentence in sentences] for side in (0, 1))
    assert tuple(count_entities(gold, predicted).sum(0)) == conlleval(gold, predicted)


@settings(deadline=None)
@given(PAIRS)
def test_types_add_up(sentences: list[list[tuple[str, str]]]) -> None:
    gold, predicted = ([[pair[side] for pair in sentence] for sentence in sentences] for side in (0, 1))
    parts = count_entities(gold, predicted, "PER") + count_entities(gold, predicted, "LOC")
    assert (parts == count_entities(gold, predicted)).all()


def test_figures_of_entities_by_hand() -> None:
    gold = [["B-PER", "I-PER", "O"], ["B-LOC"], ["O", "B-PER"]]
    predicted = [["B-PER", "I-PER", "O"], ["B-PER"], ["O", "O"]]
    found = tag_scores(gold, predicted, "f1")
    # one of two predicted and of three gold entities is right
    whole = found["entities"]
    assert (whole["precision"], whole["recall"]) == (50.0, pytest.approx(100 / 3))
    assert found["score"] == pytest.approx(0.4) and whole["f1"] == pytest.approx(40.0)
    assert found["tag_accuracy"] == pytest.approx(100 * 4 / 6) and (found["n"], found["words"]) == (3, 6)
    assert {kind: (one["right"], one["predicted"], one["gold"]) for kind, one in found["types"].items()} == {
        "LOC": (0, 0, 1), "PER": (1, 2, 2)}
    low, high = found["interval_95"]
    assert 0 <= low <= 0.4 <= high <= 1
    # residuals 2c - F(p + g): 2 - .8, -.8, -.4; squares 1.44, .64, .16; root(3/2 * 2.24) / 5
    assert found["standard_error"] == pytest.approx((1.5 * 2.24) ** 0.5 / 5)


def test_figures_of_accuracy() -> None:
    found = tag_scores([["NOUN", "VERB"], ["X"]], [["NOUN", "X"], ["X"]], "accuracy")
    assert found["score"] == pytest.approx(2 / 3) and found["tag_accuracy"] == pytest.approx(200 / 3)
    assert "entities" not in found and found["n"] == 2


def test_nothing_to_find_and_nothing_found() -> None:
    found = tag_scores([["O", "O"]], [["O", "O"]], "f1")
    assert (found["score"], found["entities"]["f1"], found["tag_accuracy"]) == (0.0, 0.0, 100.0)
    assert precision_recall_f1(0, 0, 0) == (0.0, 0.0, 0.0)


def test_predictions_of_another_length_are_refused() -> None:
    with pytest.raises(ValueError, match="2 predicted tags for 1 words"):
        count_entities([["O"]], [["O", "O"]])


def test_metric_follows_from_the_labels() -> None:
    assert metric_of(LABELS) == "f1" and metric_of(("NOUN", "VERB", "X")) == "accuracy"
    assert metric_of(("O", "I-PER")) == "f1"
    with pytest.raises(UserError, match=r"'S-PER' stands among B- and I- labels; .*convert the tags"):
        metric_of(("O", "B-PER", "I-PER", "S-PER"))


def test_order_of_sentences_changes_no_score() -> None:
    draw = np.random.default_rng(3)
    gold, predicted = ([[LABELS[i] for i in draw.integers(0, 5, 6)] for _ in range(20)] for _ in range(2))
    one, two = tag_scores(gold, predicted, "f1"), tag_scores(gold[::-1], predicted[::-1], "f1")
    assert one["score"] == two["score"] and one["standard_error"] == pytest.approx(two["standard_error"])
