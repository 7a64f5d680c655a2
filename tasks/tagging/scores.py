"""Scores of tagged sentences: F1 of whole entities as the CoNLL shared tasks count it, accuracy of tags.

An entity is right where first word, last word and type are (Tjong Kim Sang and De Meulder 2003; their script
`conlleval`). `I-TYPE` after `O`, or after another type, begins an entity: nothing that was tagged is thrown away.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pretrain.base.errors import UserError
from tasks.statistics import bootstrap_ratio, ratio_standard_error

Tags = Sequence[str]


def metric_of(labels: Sequence[str]) -> str:
    """`f1` for labels of entities (`O`, `B-TYPE`, `I-TYPE`), `accuracy` for others.

    Raises:
        UserError: labels of entities in another scheme (`E-TYPE`, `S-TYPE`), which are not counted here.
    """
    inside = [label for label in labels if label[:2] in ("B-", "I-") and len(label) > 2]
    if not inside:
        return "accuracy"
    other = next((label for label in labels if label not in inside and label != "O"), None)
    if other is not None:
        raise UserError(f"the label {other!r} stands among B- and I- labels; entities are counted in the schemes O, B-, I- "
                        "only: convert the tags")
    return "f1"


def entities(tags: Tags) -> list[tuple[str, int, int]]:
    """(type, first word, last word) of each entity of a sentence, in order."""
    found: list[tuple[str, int, int]] = []
    previous = "O"
    for place, tag in enumerate(tags):
        mark, _, kind = tag.partition("-")
        if mark == "B" or (mark == "I" and previous.partition("-")[2] != kind):  # the type of O is empty
            found.append((kind, place, place))
        elif mark == "I":
            found[-1] = (kind, found[-1][1], place)
        previous = tag
    return found


def count_entities(gold: Sequence[Tags], predicted: Sequence[Tags], kind: str | None = None) -> NDArray[np.int64]:
    """Right, predicted and gold entities of each sentence [S, 3]; of one type, or of all."""
    rows = []
    for right, own in zip(gold, predicted, strict=True):
        if len(right) != len(own):
            raise ValueError(f"{len(own)} predicted tags for {len(right)} words")
        sets = [{entity for entity in entities(tags) if kind in (None, entity[0])} for tags in (right, own)]
        rows.append((len(sets[0] & sets[1]), len(sets[1]), len(sets[0])))
    return np.array(rows, dtype=np.int64).reshape(-1, 3)


def precision_recall_f1(right: int, predicted: int, gold: int) -> tuple[float, float, float]:
    """As shares; 0 where there is nothing to divide by, as `conlleval` says."""
    return (right / predicted if predicted else 0.0, right / gold if gold else 0.0,
            2 * right / (predicted + gold) if predicted + gold else 0.0)


def ratio_parts(gold: Sequence[Tags], predicted: Sequence[Tags], metric: str) -> NDArray[np.int64]:
    """What each sentence adds to the two sums whose ratio is the score [S, 2]: for `accuracy` right tags and words, for `f1`
    twice the right entities, and predicted and gold ones together."""
    if metric == "f1":
        counts = count_entities(gold, predicted)
        return np.stack([2 * counts[:, 0], counts[:, 1] + counts[:, 2]], axis=1)
    return np.array([(sum(a == b for a, b in zip(one, two, strict=True)), len(one))
                     for one, two in zip(gold, predicted, strict=True)], dtype=np.int64).reshape(-1, 2)


def tag_scores(gold: Sequence[Tags], predicted: Sequence[Tags], metric: str) -> dict[str, Any]:
    """`score` (a share) with its standard error and 95 % interval, n, and further figures in percent.

    The score is a ratio of sums over sentences, and sentences are what an error is estimated from: the tags and entities
    of one sentence depend on each other.

    Args:
        gold: tags of each sentence.
        metric: `f1` or `accuracy`.

    Returns:
        Also `n` (sentences), `words`, `tag_accuracy` (percent); for `f1` precision, recall, F1 (percent) and counts of all
        `entities` and of each of their `types`.
    """
    right, words = ratio_parts(gold, predicted, "accuracy").T
    result: dict[str, Any] = {"n": len(gold), "words": int(words.sum()), "tag_accuracy": 100 * float(right.sum() / words.sum())}
    numerator, denominator = ratio_parts(gold, predicted, metric).T
    if metric == "f1":
        result["entities"] = _percent(count_entities(gold, predicted))
        kinds = sorted({kind for tags in (*gold, *predicted) for kind, _, _ in entities(tags)})
        result["types"] = {kind: _percent(count_entities(gold, predicted, kind)) for kind in kinds}
    if not denominator.any():  # neither gold nor predicted entities
        return {"score": 0.0, "standard_error": 0.0, "interval_95": [0.0, 0.0], **result}
    estimate = bootstrap_ratio(numerator, denominator)
    return {"score": estimate.value, "standard_error": ratio_standard_error(numerator, denominator),
            "interval_95": [estimate.low, estimate.high], **result}


def _percent(counts: NDArray[np.int64]) -> dict[str, Any]:
    right, predicted, gold = (int(total) for total in counts.sum(0))
    precision, recall, f1 = (100 * share for share in precision_recall_f1(right, predicted, gold))
    return {"precision": precision, "recall": recall, "f1": f1, "right": right, "predicted": predicted, "gold": gold}
