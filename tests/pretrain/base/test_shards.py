"""Files that are the parts of one, and folders that are not."""

from __future__ import annotations

from pathlib import Path

import pytest

from pretrain.base.errors import UserError
from pretrain.base.shards import fitting, in_order, mark_of, texts_in


def make(folder: Path, *names: str) -> list[Path]:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x\n")
    return [folder / name for name in names]


@pytest.mark.parametrize(("name", "whole", "number", "count"), [
    ("train-00001-of-00003.parquet", "train.parquet", 1, 3),
    ("train-00000-of-00001-7c9a2bdeadbeef01.parquet", "train.parquet", 0, 1),
    ("c4-train.00007-of-01024.json.gz", "c4-train.json.gz", 7, 1024), ("train_2_of_3.tsv", "train.tsv", 2, 3),
    ("train-sw-1.tsv.gz", "train-sw.tsv.gz", 1, 0), ("sw.part12.txt", "sw.txt", 12, 0), ("shard-0.jsonl", "d.jsonl", 0, 0),
])
def test_a_mark_says_whole_number_and_count(name, whole, number, count, tmp_path):
    mark = mark_of(tmp_path / "d" / name)
    assert (mark.whole.name, mark.number, mark.count) == (whole, number, count)


@pytest.mark.parametrize("name", ["train.tsv", "README.md", "train-v2", "multinli_1.0_train.jsonl"])
def test_other_names_have_no_mark(name, tmp_path):
    assert mark_of(tmp_path / name) is None


def test_parts_stand_in_the_order_of_their_numbers(tmp_path):
    paths = make(tmp_path, *(f"train-{number}.tsv" for number in (10, 9, 8, 7, 6, 5, 4, 3, 2, 1)))
    assert in_order(sorted(paths)) == paths[::-1]


@pytest.mark.parametrize("names", [
    ("a.tsv", "b.tsv"), ("train.tsv", "train-0.tsv"), ("train-2019.tsv", "train-2020.tsv"), ("train-0.tsv", "train-0.tsv.gz"),
    ("train-00000-of-00002.tsv", "train-00001-of-00003.tsv"), ("train-0.tsv", "train_0.tsv"),
])
def test_files_that_are_not_the_parts_of_one(names, tmp_path):
    assert in_order(make(tmp_path, *names)) is None


@pytest.mark.parametrize(("names", "missing"), [
    (("train-00000-of-00003.parquet",), "2 are missing: number 1, 2"),
    (("train-00000-of-00003.parquet", "train-00002-of-00003.parquet"), "1 is missing: number 1"),
    (("train-0.tsv", "train-2.tsv"), "1 is missing: number 1"),
])
def test_a_missing_part_is_an_error(names, missing, tmp_path):
    with pytest.raises(UserError, match=missing):
        in_order(make(tmp_path, *names))


def test_parts_fit_the_pattern_of_the_whole_also_in_a_folder_of_its_name(tmp_path):
    parts = make(tmp_path, "de/train-00000-of-00002.parquet", "de/train-00001-of-00002.parquet")
    others = make(tmp_path, "sw/train/0000.parquet", "sw/train/0001.parquet")
    make(tmp_path, "de/validation-00000-of-00001.parquet", "sw/test/0000.parquet", "train-de-x.tsv")
    assert fitting(tmp_path, ["de/train.parquet"]) == parts
    assert fitting(tmp_path, ["sw/train.parquet"]) == others
    assert fitting(tmp_path, ["train-de.tsv"]) == []


@pytest.mark.parametrize(("names", "chosen"), [
    (("train-00000-of-00002.parquet", "train-00001-of-00002.parquet", "README.md", "dataset_infos.json"), 2),
    (("data/train-00000-of-00001.parquet", "data/test-00000-of-00001.parquet", ".gitattributes", "README.md"), 1),
    (("train/0000.parquet", "train/0001.parquet", "validation/0000.parquet"), 2),
    (("train.jsonl", "validation.jsonl"), 1), (("sw-0.txt.gz", "sw-1.txt.gz", "sw-2.txt.gz"), 3), (("only.txt",), 1),
])
def test_a_folder_of_text_is_one_split(names, chosen, tmp_path):
    paths = make(tmp_path, *names)
    assert texts_in(tmp_path) == paths[:chosen]


@pytest.mark.parametrize(("names", "said"), [
    ((), "no text"), (("README.md", "data-00000-of-00001.arrow"), "no text: README.md, data-0"),
    (("en.txt", "sw.txt"), "several: en.txt, sw.txt"), (("sw/train.txt", "en/train.txt"), "several folders of text: en, sw"),
    (("train.txt", "extra.txt", "test.txt"), "several: "), (("train-0.txt", "train-2.txt"), "1 is missing"),
])
def test_a_folder_that_is_not_one_text_is_refused_with_what_it_holds(names, said, tmp_path):
    make(tmp_path, *names)
    with pytest.raises(UserError, match=said):
        texts_in(tmp_path)


def test_a_licence_beside_a_folder_of_parts_is_no_corpus(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "LICENSE.txt").write_text("free")
    for number in range(2):
        (tmp_path / "data" / f"train-0000{number}-of-00002.jsonl").write_text('{"text": "x"}')
    with pytest.raises(UserError, match=r"found several: LICENSE.txt, data; name the files, or the folder"):
        texts_in(tmp_path)
