"""Mixtures in a run's recipe: which cells they make, what decides their keys, and every mistake with its place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pretrain.base.errors import UserError
from recipes.workflow.settings import load
from tasks.multitask.recipe import read_mixture

from .run_world import plan, write


def recipe(root: Path, **changes: Any) -> dict[str, Any]:
    """Changes of the small recipe: two tasks, one mixture of both, one arm and one new language."""
    (root / "glue" / "RTE").mkdir(parents=True, exist_ok=True)
    (root / "glue" / "RTE" / "train.tsv").write_text("x")
    return {"arms": {"standard": {"recipe": "recipes/pretrain/demo-standard.yaml"}}, "seeds": [1, 2],
            "budgets": {"updates": [10]}, "values": {"glue": str(root / "glue")},
            "languages": {code: {"text": str(root / f"{code}.txt")} for code in ("en", "sw")},
            "tasks": {"xnli": {"data": str(root / "task"), "finetune": {"max_length": 32}},
                      "rte": {"data": "${values.glue}", "split": "dev", "languages": ["en"]}},
            "mixtures": {"all": {"policy": "square-root", "tasks": {"xnli": {"head": "san"}, "rte": {"weight": 0.5}},
                                 "multitask": {"epochs": 2}, "then": "finetune", **changes}}}


def test_a_mixture_is_trained_scored_and_trained_on_from(tmp_path: Path) -> None:
    made = plan(tmp_path, **recipe(tmp_path))
    assert made.counts() == {"prepare": 2, "pretrain": 2, "adapt": 2, "multitask": 2, "finetune": 8, "evaluate": 18}
    both = [job for job in made.jobs.values() if job.stage == "multitask"]
    words = both[0].words
    file = Path(words[words.index("--mixture") + 1])
    assert "--epochs 2.0" in both[0].line and "--seed 1" in both[0].line
    file.parent.mkdir(parents=True)
    file.write_text(made.files[file])
    mixture = read_mixture(file)
    assert list(mixture.tasks) == ["xnli", "rte"] and mixture.policy.name == "square-root"
    assert (mixture.tasks["xnli"].head, mixture.tasks["xnli"].max_length, mixture.tasks["rte"].weight) == ("san", 32, 0.5)
    assert mixture.tasks["rte"].data == str(tmp_path / "glue")
    then = [cell for cell in made.cells if cell["stage"] == "finetune" and cell.get("then")]
    later = made.jobs["/".join(Path(then[0]["folder"]).parts[-2:])]
    assert later.needs == [both[0].id] and "--head san" in later.line and "--embedding" in later.line
    scored = {(cell["task"], cell.get("mixture"), cell.get("then"), tuple(cell["languages"]))
              for cell in made.cells if cell["stage"] == "evaluate"}
    assert scored == {(task, *how, languages) for how in ((None, None), ("all", None), ("all", "finetune"))
                      for task, languages in (("xnli", ("en",)), ("xnli", ("sw",)), ("rte", ("en",)))}


def test_names_and_places_of_files_are_not_part_of_the_key(tmp_path: Path) -> None:
    def key(**changes: Any) -> str:
        made = plan(tmp_path, **{**recipe(tmp_path), **changes})
        return next(name for name in made.jobs if name.startswith("multitask/"))

    first = key()
    (tmp_path / "moved" / "RTE").mkdir(parents=True)
    (tmp_path / "moved" / "RTE" / "train.tsv").write_text("x")
    assert key(values={"glue": str(tmp_path / "moved")}) == first
    renamed = recipe(tmp_path)["mixtures"]["all"]
    assert key(mixtures={"other": renamed}) == first
    assert key(mixtures={"all": {**renamed, "tasks": {"xnli": {"head": "san"}, "rte": {"weight": 1}}}}) != first
    (tmp_path / "glue" / "RTE" / "dev.tsv").write_text("y")
    assert key() != first


def test_all_tasks_of_the_run_where_none_is_named(tmp_path: Path) -> None:
    changes = recipe(tmp_path)
    changes["mixtures"] = {"all": None}
    made = plan(tmp_path, **changes)
    assert made.counts()["multitask"] == 2 and made.counts()["finetune"] == 4
    assert [cell["tasks"] for cell in made.cells if cell["stage"] == "multitask"] == [["xnli", "rte"]] * 2


def test_two_tasks_that_learn_the_same_from_other_data(tmp_path: Path) -> None:
    """Neither may take the other's place without a word."""
    changes = recipe(tmp_path)
    changes["tasks"]["ax"] = {"data": str(tmp_path / "task"), "train_task": "rte"}
    changes["mixtures"]["all"]["tasks"] = ["rte", "ax"]
    with pytest.raises(UserError, match=r"mixtures\.all\.tasks\.ax: learns rte as another task here does, with other data"):
        load(write(tmp_path, **changes))


@pytest.mark.parametrize(("changes", "said"), [
    ({"tasks": ["xnli", "rta"]}, r"mixtures\.all\.tasks\.rta: is no task of this run, did you mean 'rte'"),
    ({"tasks": {"rte": {"hed": "san"}}}, r"small\.yaml:\d+: mixtures\.all\.tasks\.rte\.hed: unknown key, did you mean 'head'"),
    ({"tasks": {"rte": {"data": "x"}}}, r"mixtures\.all\.tasks\.rte\.data: is not set here: see tasks\.rte"),
    ({"policy": "propotional"}, r"mixtures\.all\.policy: got 'propotional'"),
    ({"best": "cola"}, r"mixtures\.all\.best: got 'cola'"),
    ({"policy": "main-ratio"}, r"mixtures\.all: unknown main task ''"),
    ({"multitask": {"seed": 3}}, r"mixtures\.all\.multitask\.seed: is not set here: see `seeds`"),
    ({"multitask": {"epoch": 3}}, r"all\.multitask\.epoch: relexify multitask has no such option, did you mean 'epochs'"),
    ({"then": "adapt"}, r"mixtures\.all\.then: got 'adapt', expected finetune"),
    ({"polcy": "annealed"}, r"mixtures\.all\.polcy: unknown key, did you mean 'policy'"),
])
def test_mistakes(changes: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=said):
        load(write(tmp_path, **recipe(tmp_path, **changes)))
