"""Few-shot subsets: the paper's counts, the same for a seed, smaller ones within larger ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from pretrain.artefacts.body import Body
from pretrain.base.errors import UserError
from tasks.classification.task import Example, Loaded
from tasks.learning.finetune import plan
from tasks.qa.data import Questions
from tasks.reading.subset import Subset
from tasks.tagging.data import Sentence, Sentences
from tests.tasks.qa.qa_tools import question

from ..conftest import settings_for


def loaded(count: int) -> Loaded:
    return Loaded([Example(str(n), f"a {n}", None, n % 2) for n in range(count)], ["x"], groups={"all": list(range(count))})


@pytest.mark.parametrize("examples, counts", [(549_367, (549, 5_493, 54_936, 549_367)), (23_596, (23, 235, 2_359, 23_596))])
def test_the_counts_are_those_of_the_paper(examples: int, counts: tuple[int, ...]) -> None:
    """SNLI and SciTail (Liu et al. 2019, table 7)."""
    assert tuple(Subset(share).count(examples) for share in (0.001, 0.01, 0.1, 1.0)) == counts


def test_shares_are_not_rounded_in_binary() -> None:
    assert Subset(0.29).count(100) == 29


def test_a_smaller_share_lies_within_a_larger_one_of_its_seed() -> None:
    small, large = (set(Subset(share, seed=4).numbers(1000)) for share in (0.01, 0.1))
    assert len(small) == 10 and len(large) == 100 and small < large
    assert set(Subset(0.1, seed=5).numbers(1000)) != large
    assert Subset(0.1, seed=4).numbers(1000) == sorted(large)


def test_a_limit_is_at_most_what_there_is() -> None:
    assert Subset(limit=7).count(5) == 5 and Subset(limit=7).count(50) == 7


def test_examples_keep_their_order_and_what_they_are() -> None:
    every = loaded(40)
    assert Subset().of(every) is every
    part = Subset(0.25, seed=2).of(every)
    assert [item.id for item in part.examples] == [str(n) for n in Subset(0.25, seed=2).numbers(40)]
    assert part.files == ["x"] and not part.groups and part.sha256() != every.sha256()
    questions = Questions([question("tilo mapu", "mapu", name=f"q{n}") for n in range(4)], misaligned=["q0", "q2"])
    assert [item.id for item in questions.only([2, 3]).questions] == ["q2", "q3"] and questions.only([2, 3]).misaligned == ["q2"]
    sentences = Sentences([Sentence((word,), (0,)) for word in "abc"])
    assert [item.words for item in sentences.only([2, 0])] == [("c",), ("a",)]


def test_none_left_is_told() -> None:
    with pytest.raises(UserError, match=r"--share 0.001: of 500 training examples none is left; take at least 0.002"):
        Subset(0.001).of(loaded(500))


def test_a_run_learns_from_its_share(world: Path, tmp_path: Path) -> None:
    planned = plan(settings_for(world, tmp_path / "x", share=0.1, share_seed=3))
    assert len(planned.first.train) == 24 and len(planned.first.dev) == 60
    whole = plan(settings_for(world, tmp_path / "y"))
    assert planned.stage.settings["train_sha256"] != whole.stage.settings["train_sha256"]
    assert "--share 0.1" in planned.stage.printed() and "--share-seed 3" in planned.stage.printed()


@pytest.mark.slow
def test_the_training_reads_the_same_examples(world: Path, tmp_path: Path) -> None:
    pytest.importorskip("fairseq")
    from tasks.learning.finetune import finetune

    finetune(settings_for(world, tmp_path / "x", share=0.1, share_seed=3, updates=2, validate_every=2), quiet=True, keep=True)
    assert "24 examples of xnli train" in (tmp_path / "x.training" / "train.log").read_text()
    made = Body.load(tmp_path / "x").made
    assert (made["share"], made["share_seed"], made["train_examples"]) == (0.1, 3, 24)
