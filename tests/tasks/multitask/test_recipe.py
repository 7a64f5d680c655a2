"""A mixture in a file: what it says, and every mistake with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from pretrain.base.errors import UserError
from tasks.multitask.policy import Policy
from tasks.multitask.recipe import Entry, read_mixture


def written(folder: Path, text: str) -> Path:
    (folder / "mixture.yaml").write_text(text)
    return folder / "mixture.yaml"


def test_what_a_mixture_says(tmp_path: Path) -> None:
    found = read_mixture(written(tmp_path, """
policy: main-ratio
main: mnli
ratio: 0.4
best: rte
tasks:
  mnli: {data: glue, head: san, dropout: 0.3, weight: 2, limit: 1000}
  rte:
    data: glue/RTE
    train_files: [a.tsv, b.tsv]
    metric: accuracy
"""))
    assert found.policy == Policy("main-ratio", main="mnli", ratio=0.4) and found.best == "rte"
    assert found.tasks == {"mnli": Entry("glue", head="san", dropout=0.3, weight=2.0, limit=1000),
                           "rte": Entry("glue/RTE", train_files=("a.tsv", "b.tsv"), metric="accuracy")}


def test_all_mistakes_are_told_with_their_lines(tmp_path: Path) -> None:
    with pytest.raises(UserError) as told:
        read_mixture(written(tmp_path, """policy: proportionl
bets: mean
tasks:
  mnli: {dat: glue, weight: -1}
  rte:
    data: glue
    dropout: 1.5
  cola: glue
"""))
    text = str(told.value)
    for line in ("mixture.yaml:1: policy: got 'proportionl'", "mixture.yaml:2: bets: unknown key, did you mean 'best'?",
                 "mixture.yaml:4: tasks.mnli.dat: unknown key, did you mean 'data'?", "mixture.yaml:4: tasks.mnli.weight: got -1",
                 "mixture.yaml:4: tasks.mnli.data is missing", "mixture.yaml:7: tasks.rte.dropout: got 1.5",
                 "mixture.yaml:8: tasks.cola: got 'glue', expected `key: value` lines"):
        assert line in text


@pytest.mark.parametrize("text, said", [
    ("policy: proportional\n", r"mixture.yaml:1: tasks: got None, expected the names of tasks"),
    ("tasks: {rte: {data: x}}\nbest: rt\n", r"mixture.yaml:2: best: got 'rt', expected mean or one of rte, did you mean 'rte'"),
    ("tasks: {rte: {data: x}}\npolicy: main-ratio\n", r"unknown main task ''"),
    ("tasks: [rte]\n", r"tasks: got \['rte'\], expected the names of tasks"),
])
def test_mistakes(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=said):
        read_mixture(written(tmp_path, text))
