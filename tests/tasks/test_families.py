"""A task carries its family: nobody outside a family's folder asks which family or which task it is."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from tasks.registry import load_all

ROOT = Path(__file__).resolve().parents[2]
FAMILIES = {"ClassificationTask": "tasks/classification", "ChoiceTask": "tasks/choice", "RegressionTask": "tasks/classification",
            "RetrievalTask": "tasks/retrieval", "QATask": "tasks/qa", "TaggingTask": "tasks/tagging"}


def sources() -> Iterator[tuple[str, ast.Module]]:
    for folder in ("pretrain", "adapt", "tasks", "recipes"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield path.relative_to(ROOT).as_posix(), ast.parse(path.read_text(encoding="utf-8"))


def test_nobody_asks_for_the_class_of_a_task_outside_its_room():
    found = []
    for name, tree in sources():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "isinstance":
                asked = {part.id for part in ast.walk(node.args[1]) if isinstance(part, ast.Name)}
                found += [f"{name}:{node.lineno}: {cls}" for cls in asked & FAMILIES.keys() if not name.startswith(FAMILIES[cls])]
    assert not found


def test_nobody_compares_with_the_name_of_a_task():
    names = set(load_all())
    found = []
    for name, tree in sources():
        for node in ast.walk(tree):
            if isinstance(node, ast.Compare) and any(isinstance(op, ast.Eq | ast.NotEq | ast.In | ast.NotIn) for op in node.ops):
                for part in (node.left, *node.comparators):
                    values = [part, *(part.elts if isinstance(part, ast.Tuple | ast.List | ast.Set) else [])]
                    found += [f"{name}:{node.lineno}: {value.value}" for value in values
                              if isinstance(value, ast.Constant) and value.value in names]
    assert not found
