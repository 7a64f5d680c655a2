"""A demo that can be drawn, whether matplotlib is installed or not: these tests do not need it."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def drawable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recipes.demo.checks.find_spec", lambda name: name)
