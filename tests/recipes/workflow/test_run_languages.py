"""Tasks of a run that are learned in other languages than the base, or in several: cells, keys, mistakes, and a run of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pretrain.base.errors import UserError
from recipes.cli import main
from recipes.workflow.jobs import Job, Plan
from recipes.workflow.settings import load
from tests.killing import ROOT

from .run_world import TRAINED, plan, write

BOTH = [["en"], ["en", "bg"]]


def recipe(root: Path, learned: Any, budgets: tuple[int, ...] = (10, 20), **finetune: Any) -> dict[str, Any]:
    """Changes of the small recipe: one arm, one seed, a task with these training languages."""
    for name in ("en", "bg"):
        (root / f"{name}.tsv").write_text(f"train {name}")
    return {"arms": {"standard": {"recipe": str(ROOT / "recipes" / "pretrain" / "demo-standard.yaml")}}, "seeds": [1],
            "budgets": {"updates": list(budgets)},
            "tasks": {"xnli": {"data": str(root / "task"), "train_languages": learned, "finetune": finetune}}}


def jobs(made: Plan, stage: str) -> list[Job]:
    return [job for job in made.jobs.values() if job.stage == stage]


def given(job: Job, flag: str) -> list[str]:
    return [job.words[number + 1] for number, word in enumerate(job.words) if word == flag]


def mistake(root: Path, **changes: Any) -> str:
    with pytest.raises(UserError) as caught:
        load(write(root, **changes))
    return str(caught.value)


def test_a_training_with_each_budgets_embeddings_and_its_scores_with_the_same(tmp_path: Path) -> None:
    made = plan(tmp_path, **recipe(tmp_path, ["en", "bg"]))
    assert made.counts() == {"prepare": 3, "pretrain": 1, "adapt": 2, "finetune": 2, "evaluate": 4}
    body, adapted = jobs(made, "pretrain")[0], next(job for job in jobs(made, "adapt") if "/bg-" in job.id)
    early, late = jobs(made, "finetune")
    assert given(early, "--embedding") == [str(body.output), str(adapted.output / "at" / "000010")]
    assert given(late, "--embedding") == [str(body.output), str(adapted.output)]
    assert early.needs == [body.id, adapted.id] and early.key != late.key
    for budget, learned in (("10", early), ("20", late)):
        scored = [job for job in jobs(made, "evaluate") if learned.id in job.needs]
        assert [("random" in job.id, budget in job.id.split("-")) for job in scored] == [(False, False), (True, True)]
        assert given(scored[0], "--embedding") == [str(body.output)]
        assert {place.endswith(f"0000{budget}") for place in given(scored[1], "--embedding")} == {budget == "10"}
        assert scored[1].needs[0] == learned.id
    cells = [cell for cell in made.cells if cell["stage"] == "finetune"]
    assert [(cell["train_languages"], cell["initialiser"], cell["budget"]) for cell in cells] == [
        (["en", "bg"], "random", "10"), (["en", "bg"], "random", "20")]


def test_several_trainings_of_a_task_that_of_the_base_language_as_ever(tmp_path: Path) -> None:
    plain = plan(tmp_path, **recipe(tmp_path, ["en"]))
    without = recipe(tmp_path, ["en"])
    del without["tasks"]["xnli"]["train_languages"]
    assert list(plain.jobs) == list(plan(tmp_path, **without).jobs)
    both = plan(tmp_path, **recipe(tmp_path, BOTH))
    assert set(plain.jobs) < set(both.jobs) and both.counts()["finetune"] == 1 + 2
    alone = plan(tmp_path, **recipe(tmp_path, "bg"))  # translate-train
    assert [len(given(job, "--embedding")) for job in jobs(alone, "finetune")] == [1, 1]
    assert all("--embedding" not in job.words for job in jobs(plain, "finetune"))


def test_files_go_to_the_trainings_of_their_languages(tmp_path: Path) -> None:
    files = [f"bg={tmp_path / 'bg.tsv'}", f"en={tmp_path / 'en.tsv'}"]
    made = plan(tmp_path, **recipe(tmp_path, BOTH, (20,), train_files=files))
    base, both = jobs(made, "finetune")
    assert given(base, "--train-file") == [str(tmp_path / "en.tsv")]
    assert given(both, "--train-file") == [f"en={tmp_path / 'en.tsv'}", f"bg={tmp_path / 'bg.tsv'}"]
    plain = plan(tmp_path, **recipe(tmp_path, ["en"], (20,), train_files=[str(tmp_path / "en.tsv")]))
    assert jobs(plain, "finetune")[0].id == base.id


def test_what_is_read_decides_the_key_not_where_it_lies(tmp_path: Path) -> None:
    def key(*files: str) -> str:
        named = [f"{code}={tmp_path / name}" for code, name in (word.split("=") for word in files)]
        return jobs(plan(tmp_path, **recipe(tmp_path, ["en", "bg"], (20,), train_files=named)), "finetune")[0].id

    first = key("en=en.tsv", "bg=bg.tsv")
    (tmp_path / "moved.tsv").write_text("train bg")
    assert key("bg=moved.tsv", "en=en.tsv") == first
    assert key("en=bg.tsv", "bg=en.tsv") != first  # the same files, each read as the other's
    (tmp_path / "moved.tsv").write_text("other")
    assert key("en=en.tsv", "bg=moved.tsv") != first
    (tmp_path / "task" / "dev-bg.tsv").write_text("x")  # the dev split is searched in the data
    assert key("en=en.tsv", "bg=bg.tsv") != first


@pytest.mark.parametrize(("learned", "finetune", "text"), [
    (["en", "de"], {}, "tasks.xnli.train_languages: unknown 'de' (known: en, bg, sw)"),
    ([["en", "bg"], ["bg", "en"]], {}, "tasks.xnli.train_languages: [bg, en] stands twice"),
    (["bg", "bg"], {}, "tasks.xnli.train_languages: bg stands twice"),
    ([], {}, "tasks.xnli.train_languages: the list is empty"),
    ([["en"], 3], {}, "tasks.xnli.train_languages: got 3, expected texts"),
    (["en", "bg"], {"train_files": ["de=a.tsv"]}, "tasks.xnli.finetune: train_files de=a.tsv: expected the language of the file "
                                                  "before it, as en=FILE, one of en, bg"),
    (["en", "bg"], {"teacher": "a.parquet"}, "tasks.xnli.finetune.teacher: is for a training in one language"),
    (["en", "bg"], {"train_embedding": True}, "tasks.xnli.finetune.train_embedding: is for a training in one language")])
def test_mistakes(learned: Any, finetune: dict[str, Any], text: str, tmp_path: Path) -> None:
    assert text in mistake(tmp_path, **recipe(tmp_path, learned, **finetune))


def test_a_mixture_learns_in_the_base_language(tmp_path: Path) -> None:
    changes = recipe(tmp_path, ["en", "bg"])
    text = mistake(tmp_path, **changes, mixtures={"all": None})
    assert "mixtures.all.tasks.xnli: a mixture learns in en alone, and xnli in en+bg; name the tasks without it" in text
    files = [f"en={tmp_path / 'en.tsv'}", f"bg={tmp_path / 'bg.tsv'}"]
    changes = recipe(tmp_path, BOTH, (20,), train_files=files)
    made = plan(tmp_path, **changes, mixtures={"all": {"then": "finetune"}})
    assert str(tmp_path / "en.tsv") in next(iter(made.files.values())) and "bg.tsv" not in next(iter(made.files.values()))
    assert made.counts()["finetune"] == 3 and made.counts()["multitask"] == 1


RUN = TRAINED + """
budgets: {{updates: [4, 8]}}
tasks:
  xnli:
    data: {world}/nli
    train_languages: [[qaa], [qaa, qab]]
    finetune: {{updates: 8, validate_every: 4, cpu: true,
               train_files: [qaa={world}/nli/train-qaa.tsv, qab={world}/nli/dev-qab.tsv]}}
"""


@pytest.mark.slow
def test_a_run_trains_scores_and_compares_them(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The report sets a body that learned in both languages against the same one that learned in the base language."""
    pytest.importorskip("fairseq")
    pytest.importorskip("snakemake")
    from recipes.world import write_world

    write_world(tmp_path / "world", ("qaa", "qab"), 1, words=6000, train=60, dev=20, test=40)
    (tmp_path / "both.yaml").write_text(RUN.format(world=tmp_path / "world", root=ROOT))
    words = ["run", tmp_path / "both.yaml", "--output", tmp_path / "run", "--cores", 2, "--quiet"]
    assert main([str(word) for word in words]) == 0, capfd.readouterr().err
    learned = sorted(path.name.partition("-on-")[0] for path in (tmp_path / "run" / "finetune").iterdir())
    assert learned == ["xnli", "xnli-in-qaa+qab-random-4", "xnli-in-qaa+qab-random-8"]
    bodies = [json.loads((path / "body.json").read_text())["made"] for path in (tmp_path / "run" / "finetune").iterdir()]
    assert sorted(str(made["embedding_language"]) for made in bodies) == ["qaa", "qaa+qab", "qaa+qab"]
    assert sorted(made["languages"]["qab"]["embedding_adapted"]["updates"] for made in bodies if "languages" in made) == [4, 8]
    page = (tmp_path / "run" / "report" / "report.md").read_text()
    assert "learned the task from examples in these languages" in page
    table = page[page.index("xnli, split test: accuracy"):].split("\n\n")[1].splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table]
    arms = [column for column, name in enumerate(rows[0]) if name in ("standard", "standard, learned in qaa+qab")]
    assert len(arms) == 2
    for row in rows[2:]:  # both languages: both arms in one row, that of the last budget in the base language too
        assert all(row[column] not in ("", "–") for column in arms), row
    assert "learned with random embeddings" not in page
    capfd.readouterr()
    assert main([str(word) for word in words]) == 0
    assert "were in the store" in capfd.readouterr().out
