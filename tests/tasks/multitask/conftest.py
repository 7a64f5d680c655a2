"""A mixture's data, and a body that was trained on it once for all tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from recipes.cli import main

from .mixture_world import RUN, write_all


@pytest.fixture(scope="session")
def mixed(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with the data of three tasks and `mixture.yaml`."""
    folder = tmp_path_factory.mktemp("mixed")
    write_all(world, folder)
    return folder


@pytest.fixture(scope="session")
def several(world: Path, mixed: Path) -> Path:
    """A body of three tasks, with its training folder beside it."""
    pytest.importorskip("fairseq")
    output = mixed / "runs" / "several"
    words = ["multitask", "--body", world / "body", "--embedding", world / "qaa", "--mixture", mixed / "mixture.yaml", "--output",
             output, *RUN, "--keep-checkpoints", "--validate-every", 40]
    assert main([str(word) for word in words]) == 0
    return output
