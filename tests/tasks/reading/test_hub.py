"""Data sets of the hub in several shards, through the real `datasets` over a folder on this machine: all rows, or one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from pretrain.base.errors import UserError
from tasks.classification.nli import _read_hub
from tasks.qa.data import read_hub

pyarrow = pytest.importorskip("pyarrow")
datasets = pytest.importorskip("datasets")


def shard(folder: Path, number: int, **columns: list[object]) -> Path:
    from pyarrow import parquet

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"train-{number:05d}-of-00002.parquet"
    parquet.write_table(pyarrow.table(columns), path)
    return path


def questions(number: int) -> dict[str, list[object]]:
    return {"id": [f"q{number}"], "title": ["t"], "context": ["a b c"], "question": ["which?"],
            "answers": [{"text": ["b"], "answer_start": [2]}]}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")


def test_every_shard_is_read(tmp_path):
    for number in (0, 1):
        shard(tmp_path / "set", number, **questions(number))
    assert [item.id for item in read_hub(f"hf:{tmp_path / 'set'}", None, "train")] == ["q0", "q1"]


@pytest.mark.parametrize("damage", ["cut", "columns"])
def test_a_second_shard_that_cannot_be_read_is_one_line(damage, tmp_path, capfd):
    shard(tmp_path / "set", 0, **questions(0))
    second = shard(tmp_path / "set", 1, **(questions(1) if damage == "cut" else {"words": ["other"]}))
    if damage == "cut":
        second.write_bytes(second.read_bytes()[:-50])
    with pytest.raises(UserError, match="could not be loaded from the hub: ") as error:
        read_hub(f"hf:{tmp_path / 'set'}", None, "train")
    assert "\n" not in str(error.value) and len(str(error.value)) < 1500


def test_the_same_for_pairs(tmp_path, monkeypatch):
    good = {"premise": ["a"], "hypothesis": ["b"], "label": [0]}
    shard(tmp_path / "set" / "en", 0, **good)
    shard(tmp_path / "set" / "en", 1, **good).write_bytes(b"PAR1 no more")
    load = datasets.load_dataset
    monkeypatch.setattr("datasets.load_dataset", lambda name, configuration, **more: load(name, data_dir=configuration, **more))
    with pytest.raises(UserError, match="could not load 'train' in 'en' from the hub") as error:
        _read_hub(f"hf:{tmp_path / 'set'}", "train", "en")
    assert "\n" not in str(error.value)
