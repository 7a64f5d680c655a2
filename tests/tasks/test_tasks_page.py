"""docs/tasks.md: its example is a file that registers what the page says, and reads what it says."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tasks import registry
from tasks.definition import REGISTRY

PAGE = Path(__file__).resolve().parents[2] / "docs" / "tasks.md"


@pytest.fixture
def mine(tmp_path, monkeypatch):
    registry.load_all()
    before = dict(REGISTRY)
    monkeypatch.setattr(registry, "_read", set())
    monkeypatch.setenv(registry.TASKS_FROM, "")
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)
    (tmp_path / "mine.py").write_text(code, encoding="utf-8")
    registry.tasks_from([str(tmp_path / "mine.py")])
    yield {name: task for name, task in REGISTRY.items() if name not in before}
    for name in set(REGISTRY) - set(before):
        del REGISTRY[name]


def test_the_page_registers_a_task_of_each_family(mine, tmp_path):
    assert sorted(mine) == ["gender", "recipes-qa", "reviews"]
    rows = [{"text": f"neno {number}", "stars": 1 + number % 5} for number in range(10)]
    (tmp_path / "dev-sw.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    loaded = mine["reviews"].read(tmp_path, "dev", "sw")
    assert [item.label for item in loaded.examples[:5]] == [0, 0, 0, 1, 1]
    assert mine["reviews"].available(str(tmp_path), "dev") == ["sw"]
    assert mine["recipes-qa"].rules("sw").normalise("Ugali") == "ugali"
    (tmp_path / "dev-sw.tsv").write_text("mama\tF\nna\tN\n\n")
    assert mine["gender"].read(tmp_path, "dev", "sw").words == 2
