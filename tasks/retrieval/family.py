"""Retrieval in evaluation: both languages read by one body, each under its own embedding, then searched both ways."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from adapt.artefacts.assemble import swap
from adapt.probe.states import layer_number, vectors
from pretrain.base.errors import UserError, unknown
from tasks.retrieval.search import Found, nearest, neighbourhoods, unit
from tasks.statistics import bootstrap, standard_error
from tasks.tables import aligned

if TYPE_CHECKING:
    from adapt.artefacts.embedding import Embedding
    from pretrain.artefacts.body import Body
    from tasks.family import EvaluationOptions
    from tasks.heads.model import TaskModel
    from tasks.retrieval.task import Bitext, RetrievalTask

PLAIN, MARGIN = "cosine", "csls"
PAIRS = ("same", "all")


@dataclass
class RetrievalEvaluation:
    """A body about to be scored; see `tasks.family.Evaluation`. It needs no head.

    A cell's files: `STEM.tsv`, the matches (see `write`); `STEM.json`, the record.
    """

    task: RetrievalTask
    body: Body
    layer: int
    neighbours: int
    pairs: str
    ending: ClassVar[str] = ".tsv"
    record_ending: ClassVar[str] = ".json"
    separate: ClassVar[bool] = True
    """The embeddings of a cell are used one after the other, not side by side."""

    @classmethod
    def of(cls, task: RetrievalTask, body: Body, options: EvaluationOptions) -> RetrievalEvaluation:
        """The evaluation that the options ask for; see `Definition.evaluation`."""
        options.refuse(task.name, "stride", "max_question", "max_answer")
        options.refuse(task.name, "max_length", belong_to="tasks that cut their inputs")
        options.refuse(task.name, "untrained_head", belong_to="tasks with a head")
        layer_number(options.layer, body.config.layers)
        if options.pairs not in PAIRS:
            raise unknown("pairs", options.pairs, PAIRS)
        if options.neighbours < 1:
            raise UserError(f"--neighbours {options.neighbours}: expected at least 1")
        return cls(task, body, options.layer, options.neighbours, options.pairs)

    def cells(self, languages: Sequence[str]) -> list[tuple[str, ...]]:
        """Each further language with the first one, or every two of them."""
        if len(languages) < 2:
            raise UserError(f"{self.task.name} needs the embeddings of two languages; name a second --embedding")
        return list(combinations(languages, 2)) if self.pairs == "all" else [(other, languages[0]) for other in languages[1:]]

    def read(self, data: str | Path, split: str, languages: tuple[str, ...]) -> Bitext:
        return self.task.read(data, split, languages[0], question_language=languages[1])

    def predict(self, model: TaskModel, embeddings: Sequence[Embedding], examples: Bitext, max_tokens: int,
                description: str | None) -> tuple[dict[str, Found], Bitext]:
        """The matches by plain cosine and with margin, and the sentences they are of."""
        sides = []
        for embedding, sentences in zip(embeddings, (examples.first, examples.second), strict=True):
            swap(model, embedding)
            sides.append(unit(vectors(model.encoder, embedding.tokenizer, sentences, self.layer, max_tokens=max_tokens,
                                      description=description)))
        first, second = sides
        margin = neighbourhoods(first, second, self.neighbours)
        return {PLAIN: nearest(first, second), MARGIN: nearest(first, second, margin)}, examples

    def write(self, stem: Path, predicted: tuple[dict[str, Found], Bitext]) -> None:
        """A table: numbers (from 0) of the best match of each first sentence and of each second one, by cosine and by CSLS; of
        mining the pairs found, best first, and their scores."""
        found, examples = predicted
        if self.task.mining:
            lines = ["first\tsecond\tcsls", *(f"{examples.ids[0][one]}\t{examples.ids[1][other]}\t{score:.6g}"
                                              for one, other, score in mined(found[MARGIN]))]
        else:
            columns = [column for method in (PLAIN, MARGIN) for column in (found[method].forward, found[method].backward)]
            lines = ["\t".join(f"{method} {way}" for method in (PLAIN, MARGIN) for way in ("forward", "backward")),
                     *("\t".join(map(str, row)) for row in zip(*columns, strict=True))]
        stem.with_name(stem.name + self.ending).write_text("\n".join(lines) + "\n", encoding="utf-8")

    def score(self, examples: Bitext, predicted: tuple[dict[str, Found], Bitext], language: str) -> dict[str, Any]:
        found = predicted[0]
        if self.task.mining:
            return mining_score(found, examples)
        each = {method: hits(one, examples) for method, one in found.items()}
        both = each[PLAIN].mean(1)
        estimate = bootstrap(both)
        return {"score": float(both.mean()), "n": len(both), "standard_error": standard_error(both) if len(both) > 1 else 0.0,
                "interval_95": [estimate.low, estimate.high],
                "accuracy": {method: {"forward": float(right[:, 0].mean()), "backward": float(right[:, 1].mean()),
                                      "mean": float(right.mean())} for method, right in each.items()}}

    def facts(self, examples: Bitext, predicted: tuple[dict[str, Found], Bitext], languages: tuple[str, ...]) -> dict[str, Any]:
        chance = {} if self.task.mining else {"chance": 1 / len(examples.second)}
        return {**chance, "question_language": languages[1], "layer": self.layer, "neighbours": self.neighbours,
                "data": {"files": examples.files, "sha256": examples.sha256(), "dropped": examples.dropped,
                         "sentences": [len(examples.first), len(examples.second)]}}


def hits(found: Found, examples: Bitext) -> NDArray[np.float64]:
    """Of each pair that belongs together: did the first find the second, did the second find the first [N, 2]?"""
    pairs = np.array(sorted(examples.gold.items()), dtype=np.int64)
    return np.stack([found.forward[pairs[:, 0]] == pairs[:, 1], found.backward[pairs[:, 1]] == pairs[:, 0]], 1).astype(np.float64)


def mined(found: Found) -> list[tuple[int, int, float]]:
    """Pairs that are each other's best match, the best first."""
    numbers = np.arange(len(found.forward))
    mutual = numbers[found.backward[found.forward] == numbers]
    order = mutual[np.argsort(-found.forward_scores[mutual], kind="stable")]
    return [(int(one), int(found.forward[one]), float(found.forward_scores[one])) for one in order]


def best_f1(pairs: Sequence[tuple[int, int, float]], gold: dict[int, int]) -> dict[str, float]:
    """The highest F1 of the mined pairs above a threshold of their scores, with precision, recall and that threshold."""
    best = {"f1": 0.0, "precision": 0.0, "recall": 0.0, "threshold": float("inf")}
    right = 0
    for count, (one, other, score) in enumerate(pairs, 1):
        right += gold.get(one) == other
        if count < len(pairs) and pairs[count][2] == score:
            continue  # no threshold parts equal scores
        f1 = 2 * right / (count + len(gold))
        if f1 > best["f1"]:
            best = {"f1": f1, "precision": right / count, "recall": right / len(gold), "threshold": score}
    return best


def mining_score(found: dict[str, Found], examples: Bitext) -> dict[str, Any]:
    """Mining by both methods; the score is F1 by cosine. The threshold is chosen on the scored split itself: an upper bound."""
    methods = {method: best_f1(mined(one), examples.gold) for method, one in found.items()}
    share = methods[PLAIN]["f1"]
    return {"score": share, "n": len(examples.gold), "standard_error": float(np.sqrt(share * (1 - share) / len(examples.gold))),
            "mining": methods,
            "threshold_rule": "chosen on the scored split: an upper bound"}


def example_scores(file: Path, examples: Bitext) -> NDArray[np.float64]:
    """Share of the two directions in which cosine finds each pair of a file [N]; see `Definition.example_scores`."""
    rows = [line.split("\t") for line in file.read_text(encoding="utf-8").splitlines()[1:]]
    if len(rows) != len(examples):
        raise UserError(f"{len(rows):,} predictions for {len(examples):,} examples")
    return np.array([((int(row[0]) == number) + (int(row[1]) == number)) / 2 for number, row in enumerate(rows)])


def table(records: Sequence[dict[str, Any]]) -> str:
    """The scores as text: both languages, split, accuracy each way with and without margin; of mining F1."""
    if "mining" in records[0]:
        rows = [["languages", "split", "F1, cosine", "F1, csls", "gold pairs"]]
        rows += [[f"{record['language']}-{record['question_language']}", record["split"],
                  *(f"{record['mining'][method]['f1']:.3f}" for method in (PLAIN, MARGIN)), f"{record['n']:,}"]
                 for record in records]
        return aligned(rows)
    rows = [["from", "to", "split", PLAIN, MARGIN, "n", "chance"]]
    for record in records:
        there, back = record["language"], record["question_language"]
        for way, one, other in (("forward", there, back), ("backward", back, there)):
            rows.append([one, other, record["split"], *(f"{record['accuracy'][method][way]:.3f}" for method in (PLAIN, MARGIN)),
                         f"{record['n']:,}", f"{record['chance']:.4f}"])
    return aligned(rows, left=3)
