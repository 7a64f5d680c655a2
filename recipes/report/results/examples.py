"""One score per example of a record, from its predictions and the gold data it names; and the interval that follows.

Gold data is used only where its hash is the one in the record: a moved or changed file never enters a test.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pretrain.base.errors import UserError
from recipes.report.results.records import Collected, Problem, Score
from tasks.registry import get_task
from tasks.statistics import Estimate, bootstrap, bootstrap_ratio, bootstrap_share

HUB = "hf:"


def find(path: str, score: Score) -> Path | None:
    """The file or folder that a record calls `path`.

    Records hold paths as they were typed. They are tried from the run's own folder and those above it, then by their
    last parts inside the run, which finds them in a run that was moved or renamed.
    """
    if not path or path.startswith(HUB):
        return None
    given = Path(path)
    run = score.run.resolve()
    places = [given] if given.is_absolute() else [folder / given for folder in (run, *list(run.parents)[:3], Path.cwd())]
    places += [run.joinpath(*given.parts[start:]) for start in range(len(given.parts))]
    return next((place for place in places if place.exists()), None)


class Gold:
    """Reads each file of gold data once."""

    def __init__(self) -> None:
        self._read: dict[tuple[Any, ...], Any] = {}

    def __call__(self, score: Score) -> Any:
        """The examples behind a score.

        Raises:
            UserError: no such task, a file that is gone, cannot be read, or is not what was scored.
        """
        task = get_task(score.test[0])
        named = [str(name) for name in (score.record.get("data") or {}).get("files") or []]
        files = [find(name, score) for name in named]
        if not named or None in files:
            missing = next((name for name, file in zip(named, files, strict=True) if file is None), "")
            raise UserError(f"the test data {missing or '(not named)'} is not there")
        language, question = score.languages
        key = (task.name, score.test[1], language, question, *map(str, files))
        if key not in self._read:
            more = {"question_language": question} if question != language else {}
            found = task.read("", score.test[1], language, [str(file) for file in files], **more)
            self._read[key] = (found, found.sha256())
        examples, digest = self._read[key]
        if digest != score.data_sha256:
            raise UserError(f"the test data {named[0]} is not what was scored (other hash)")
        return examples


def example_scores(score: Score, gold: Gold) -> NDArray[np.float64]:
    """The score of each example in the order of the gold data, [N] or [N, 2], see `Definition.example_scores`.

    Raises:
        UserError: predictions or gold data that are missing, or that do not give the recorded score again.
    """
    task = get_task(score.test[0])
    file = score.file.parent / str(score.record.get("predictions", ""))
    if not file.is_file():
        raise UserError(f"the predictions {score.record.get('predictions')} are not there")
    result = task.example_scores(file, gold(score), score.languages[0])
    again = result.mean() if result.ndim == 1 else result[:, 0].sum() / max(1, result[:, 1].sum())
    if abs(float(again) - float(score.record["score"])) > 1e-9:
        raise UserError(f"the predictions give {again:.6f}, the record says {score.record['score']:.6f}")
    return result


def fill(found: Collected) -> None:
    """Per-example scores and intervals of all scores; what could not be read is said, and those records' own intervals stay."""
    gold = Gold()
    for score in found.scores:
        try:
            score.examples = example_scores(score, gold)
        except UserError as error:
            score.unpaired = str(error)
            if "the record says" in score.unpaired or "predictions for" in score.unpaired:
                found.problems.append(Problem(score.shown, f"{' '.join((*score.test, score.languages[0]))}: {error}"))
        score.estimate, score.interval = _interval(score)


def _interval(score: Score) -> tuple[Estimate, str]:
    share, count, correct = float(score.record["score"]), int(score.record["n"]), score.record.get("correct")
    if isinstance(correct, int) and 0 <= correct <= count and abs(correct / count - share) < 1e-9:
        return bootstrap_share(correct, count), "bootstrap"
    if score.examples is not None and len(score.examples) > 1:
        return (bootstrap(score.examples) if score.examples.ndim == 1 else bootstrap_ratio(*score.examples.T)), "bootstrap"
    try:
        low, high = (float(value) for value in score.record["interval_95"])
    except (KeyError, TypeError, ValueError):
        return Estimate(share, float("nan"), float("nan"), count), "none recorded"
    return Estimate(share, low, high, count), "as recorded"
