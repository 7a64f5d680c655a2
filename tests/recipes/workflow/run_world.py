"""Small recipes: one over files with hardly anything in them, for tests that train nothing; the begin of one that does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from recipes.workflow.jobs import Plan
from recipes.workflow.plan import make_plan
from recipes.workflow.settings import load
from tests.killing import ROOT

PRETRAINING = ROOT / "recipes" / "pretrain"
TRAINED = """
base: qaa
prepare: {{vocab_size: 300, documents: line}}
languages:
  qaa: {{text: {world}/text/qaa.txt}}
  qab: {{text: {world}/text/qab.txt}}
pretrain: {{recipe: {root}/recipes/pretrain/demo-standard.yaml, layers: 1, width: 16, heads: 2, ffn: 16, batch_size: 4,
           updates: 12, warmup: 4, validate_every: 6}}
arms: {{standard: {{}}}}
adapt: {{batch_size: 4, tokens_per_sample: 64, validate_every: 4, lr: 5e-3}}
"""
"""How a recipe begins whose cells are trained, as small as they can be; {world} is what `relexify world` wrote."""


def content(root: Path) -> dict[str, Any]:
    """Two arms, two seeds, two new languages, two budgets, one task: 31 jobs."""
    for code in ("en", "bg", "sw"):
        (root / f"{code}.txt").write_text(code)
    (root / "task").mkdir(exist_ok=True)
    (root / "task" / "train-en.tsv").write_text("x")
    return {"name": "small", "base": "en",
            "languages": {code: {"text": str(root / f"{code}.txt")} for code in ("en", "bg", "sw")},
            "pretrain": {"updates": 800, "warmup": 10},
            "arms": {"standard": {"recipe": str(PRETRAINING / "demo-standard.yaml")},
                     "forgetting": {"recipe": str(PRETRAINING / "demo-forgetting.yaml"), "forget_every": 100, "forget_start": 0}},
            "seeds": [1, 2], "budgets": {"updates": [10, 20]}, "adapt": {"lr": 1e-3},
            "tasks": {"xnli": {"data": str(root / "task")}}, "finally": []}


def write(root: Path, name: str = "small", **changes: Any) -> Path:
    """The recipe as a file (JSON is YAML), with some of its keys changed; None leaves one out."""
    made = {**content(root), **changes}
    path = root / f"{name}.yaml"
    path.write_text(json.dumps({key: value for key, value in made.items() if value is not None}, indent=1))
    return path


def plan(root: Path, *words: str, **changes: Any) -> Plan:
    """Its plan, with the store in `root`."""
    return make_plan(load(write(root, **changes), words), root / "store")
