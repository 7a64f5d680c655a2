"""Splits in several files, as the hub stores them and otherwise, are one split for the reader of every family."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from pretrain.base.errors import UserError
from tasks.reading.files import files_of, parquet_rows
from tasks.registry import get_task

pyarrow = pytest.importorskip("pyarrow")

NLI = [{"premise": f"p {n}", "hypothesis": f"h {n}", "label": n % 3} for n in range(7)]
QUESTIONS = [{"id": f"q{n}", "title": "t", "context": "one two", "question": "what?",
              "answers": {"text": ["two"], "answer_start": [4]}} for n in range(7)]
TAGGED = [{"tokens": ["a", "b"], "ner_tags": [0, n % 3], "langs": ["de", "de"]} for n in range(7)]
SWAG = [{"video-id": str(n), "sent1": "a", "sent2": "b", **{f"ending{e}": str(e) for e in range(4)}, "label": n % 4}
        for n in range(7)]
COLA = [{"idx": n, "sentence": f"s {n}", "label": n % 2} for n in range(7)]
NAMES = {"ner_tags": {"feature": {"names": ["O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC"], "_type": "ClassLabel"},
                      "_type": "Sequence"}}
CASES: list[tuple[str, str, list[dict[str, Any]], str]] = [
    ("xnli", "de", NLI, "de"), ("squad", "en", QUESTIONS, "plain_text"), ("xquad", "de", QUESTIONS, "xquad.de"),
    ("mlqa", "de", QUESTIONS, "mlqa.de.de"), ("tydiqa", "sw", QUESTIONS, "secondary_task"), ("panx", "de", TAGGED, "de"),
    ("swag", "en", SWAG, "regular"), ("cola", "en", COLA, "cola"),
]
"""Task, language, seven rows, and the folder of its configuration."""
SPLIT = {"xnli": ("test", "test"), "xquad": ("test", "validation")}


def store(folder: Path, name: str, rows: list[dict[str, Any]], cuts: tuple[int, ...] = (0, 3, 5, 7),
          form: str = "{name}-{part:05}-of-{count:05}.parquet") -> None:
    """Rows as shards of parquet, with the names of labels that `datasets` writes."""
    from pyarrow import parquet

    folder.mkdir(parents=True, exist_ok=True)
    for part, (start, end) in enumerate(pairwise(cuts)):
        table = pyarrow.Table.from_pylist(rows[start:end])
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": NAMES}})})
        path = folder / form.format(name=name, part=part, count=len(cuts) - 1)
        path.parent.mkdir(exist_ok=True)
        parquet.write_table(table, path)


@pytest.mark.parametrize(("task", "language", "rows", "configuration"), CASES, ids=[case[0] for case in CASES])
@pytest.mark.parametrize("form", ["{name}-{part:05}-of-{count:05}.parquet", "{name}/{part:04}.parquet"], ids=["new", "converted"])
def test_shards_of_the_hub_are_one_split(task, language, rows, configuration, form, tmp_path):
    split, name = SPLIT.get(task, ("dev", "validation"))
    store(tmp_path / "cut" / configuration, name, rows, form=form)
    store(tmp_path / "whole" / configuration, name, rows, (0, 7))
    cut, whole = (get_task(task).read(tmp_path / place, split, language) for place in ("cut", "whole"))
    assert len(cut) == len(whole) == 7 and len(cut.files) == 3
    assert cut.sha256() == whole.sha256()


@pytest.mark.parametrize(("task", "language", "rows", "configuration"), CASES[:1] + CASES[5:7], ids=["xnli", "panx", "swag"])
def test_a_missing_shard_is_said(task, language, rows, configuration, tmp_path):
    split, name = SPLIT.get(task, ("dev", "validation"))
    store(tmp_path / configuration, name, rows)
    (tmp_path / configuration / f"{name}-00001-of-00003.parquet").unlink()
    with pytest.raises(UserError, match=r"1 is missing: number 1; fetch what is missing"):
        get_task(task).read(tmp_path, split, language)


def test_a_subsample_beside_the_whole_is_no_part_and_a_part_alone_no_whole(tmp_path):
    for name, text in (("dev-sw.tsv", "whole"), ("dev-sw-1000.tsv", "some")):
        (tmp_path / name).write_text(f"premise\thypothesis\tlabel\n{text}\th\t1\n")
    assert [item.text_a for item in get_task("xnli").read(tmp_path, "dev", "sw").examples] == ["whole"]
    (tmp_path / "dev-sw.tsv").unlink()
    with pytest.raises(UserError, match=r"dev-sw-1000.tsv: is part 1000 of dev-sw.tsv, and the only one"):
        get_task("xnli").read(tmp_path, "dev", "sw")


def test_numbered_files_of_a_split_are_one_split_and_others_are_refused(tmp_path):
    for number in range(11):
        (tmp_path / f"dev-sw.{number}.tsv").write_text(f"premise\thypothesis\tlabel\np{number}\th\t{number % 3}\n")
    assert [item.text_a for item in get_task("xnli").read(tmp_path, "dev", "sw").examples] == [f"p{n}" for n in range(11)]
    (tmp_path / "dev-sw.jsonl").write_text(json.dumps(NLI[0]) + "\n")
    with pytest.raises(UserError, match=r"several files fit dev in 'sw': dev-sw.0.tsv, .*dev-sw.jsonl"):
        get_task("xnli").read(tmp_path, "dev", "sw")


def test_numbers_without_names_are_no_tags(tmp_path):
    from pyarrow import parquet

    (tmp_path / "de").mkdir()
    parquet.write_table(pyarrow.Table.from_pylist(TAGGED), tmp_path / "de" / "validation-00000-of-00001.parquet")
    with pytest.raises(UserError, match=r"parquet:1: the tag is the number 0, and the file has no names"):
        get_task("panx").read(tmp_path, "dev", "de")


def test_files_are_told_apart_by_the_language_before_them() -> None:
    assert files_of(["a=1", "x=2"], ["a"], "--f") == {"a": ["1", "x=2"]} and files_of([], ["a", "b"], "--f") == {"a": [], "b": []}
    assert files_of(["b=1", "a=2", "b=3"], ["a", "b"], "--f") == {"a": ["2"], "b": ["1", "3"]}
    with pytest.raises(UserError, match="--f c=1: expected the language of the file before it, as a=FILE, one of a, b"):
        files_of(["c=1"], ["a", "b"], "--f")


def test_a_damaged_parquet_file_says_what_to_do(tmp_path):
    from pyarrow import Table, parquet

    path = tmp_path / "x.parquet"
    parquet.write_table(Table.from_pylist(NLI), path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(UserError, match=r"x\.parquet: the parquet data is damaged after row 0 \(.*\); fetch the file again$"):
        list(parquet_rows(path))
