"""Tables of labelled texts: every form of file, and every way in which one can be wrong."""

from __future__ import annotations

import gzip
import json
import logging
import sys
import types
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from pyarrow import parquet

from pretrain.base.errors import UserError
from tasks.classification.columns import Table, labels_as
from tasks.registry import get_task

PLAIN = Table("plain", ("text",), words=labels_as(("no", "yes")), headless=("text", "label"), folder="Plain", hub="plain")
PAIRS = Table("pairs", ("a",), ("b",), words=labels_as(("no", "yes"), ("nein", "ja")), groups=("kind",))
VALUES = Table("values", ("a",), ("b",), ("value",), span=(0.0, 5.0))


def write(path: Path, *lines: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def test_quotes_are_characters_and_lines_end_where_files_end_them(tmp_path: Path) -> None:
    path = write(tmp_path / "x.tsv", "index\ta\tb\tlabel", '7\t"He said\tshe\'s "gone"\t1', '9\tA ""quoted"" thing\t"\t0')
    assert [(e.id, e.text_a, e.text_b, e.label) for e in PAIRS.read_file(path).examples] == [
        ("7", '"He said', 'she\'s "gone"', 1), ("9", 'A ""quoted"" thing', '"', 0)]


def test_a_file_without_header_and_its_test_file_with_one(tmp_path: Path) -> None:
    headless = PLAIN.read_file(write(tmp_path / "train.tsv", "One.\t1", "Two.\t0"))
    assert [(e.id, e.text_a, e.label) for e in headless.examples] == [("0", "One.", 1), ("1", "Two.", 0)]
    headed = PLAIN.read_file(write(tmp_path / "test.tsv", "index\ttext", "5\tThree."))
    assert [(e.id, e.text_a, e.label) for e in headed.examples] == [("5", "Three.", None)]


def test_json_lines_parquet_and_gzip_hold_the_same(tmp_path: Path) -> None:
    rows = [{"idx": 0, "a": "One.", "b": "Two.", "label": 1}, {"idx": 1, "a": "Three.", "b": "Four.", "label": 0}]
    lines = write(tmp_path / "x.jsonl", *map(json.dumps, rows))
    table = write(tmp_path / "x.tsv", "idx\ta\tb\tlabel", *("\t".join(map(str, row.values())) for row in rows))
    packed = tmp_path / "x.tsv.gz"
    packed.write_bytes(gzip.compress(table.read_bytes()))
    parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "x.parquet")
    found = {tuple((e.id, e.text_a, e.text_b, e.label) for e in PAIRS.read_file(path).examples)
             for path in (lines, table, packed, tmp_path / "x.parquet")}
    assert found == {(("0", "One.", "Two.", 1), ("1", "Three.", "Four.", 0))}


def test_labels_by_name_number_and_other_name_and_none_without_agreement(tmp_path: Path, caplog: Any) -> None:
    with caplog.at_level(logging.WARNING):
        loaded = PAIRS.read_file(write(tmp_path / "x.tsv", "a\tb\tlabel", "A\tB\tyes", "C\tD\t-", "E\tF\tnein", "G\tH\t-1"))
    assert [(e.text_a, e.label) for e in loaded.examples] == [("A", 1), ("E", 0)] and loaded.dropped == 2
    assert "2 of 4 rows have no gold label" in caplog.text


def test_labels_that_were_never_published_are_none(tmp_path: Path) -> None:
    loaded = PAIRS.read_file(write(tmp_path / "x.tsv", "a\tb\tlabel", "A\tB\t-1", "C\tD\t-1"))
    assert [e.label for e in loaded.examples] == [None, None] and loaded.dropped == 0


def test_values_of_a_regression(tmp_path: Path) -> None:
    loaded = VALUES.read_file(write(tmp_path / "x.tsv", "a\tb\tvalue", "A\tB\t0.000", "C\tD\t4.75"))
    assert [(e.label, e.value) for e in loaded.examples] == [(None, 0.0), (None, 4.75)]
    other = VALUES.read_file(write(tmp_path / "y.tsv", "a\tb\tvalue", "A\tB\t0.000", "C\tD\t4.5"))
    assert loaded.sha256() != other.sha256()


def test_categories_hold_the_numbers_of_their_examples(tmp_path: Path) -> None:
    loaded = PAIRS.read_file(write(tmp_path / "x.tsv", "a\tb\tlabel\tkind", "A\tB\t1\t", "C\tD\t0\tx;y", "E\tF\t0\tx"))
    assert loaded.groups == {"kind": [1, 2], "kind: x": [1, 2], "kind: y": [1]}


@pytest.mark.parametrize(("table", "lines", "message"), [
    (PAIRS, ("a\tc\tlabel", "A\tB\t1"), r"x\.tsv:2: wrong columns: found 'a', 'c', 'label'; expected 'a' and 'b', and 'label'"),
    (PAIRS, ("a\tb\tlabel", "A\tB\t1", "A\tB"), r"x\.tsv:3: no 'label'; the line is cut short"),
    (PAIRS, ("a\tb\tlabel", "A\tB\t1\tmore"), r"x\.tsv:2: 4 columns, expected 3; a text holds a tab"),
    (PAIRS, ("a\tb\tlabel", "A\tB\tmaybe"), r"x\.tsv:2: unknown label 'maybe'; expected no, 0, nein, yes, 1, ja"),
    (PAIRS, ("a\tb\tlabel", "A\t \t1"), r"x\.tsv:2: b is ' '; expected a text"),
    (PAIRS, ("a\tb\tlabel", "A\tB\t-"), r"x\.tsv: none of the 1 rows has a gold label"),
    (PAIRS, ('{"a": "A", "b": "B", "label": 1}', "{"), r"x\.tsv:2: expected one JSON object a line"),
    (VALUES, ("a\tb\tvalue", "A\tB\t5.5"), r"x\.tsv:2: value is '5\.5'; expected a number from 0 to 5"),
    (VALUES, ("a\tb\tvalue", "A\tB\tnan"), r"x\.tsv:2: value is 'nan'; expected a number from 0 to 5")])
def test_what_is_wrong_is_named_with_its_line(table: Table, lines: tuple[str, ...], message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=message):
        table.read_file(write(tmp_path / "x.tsv", *lines))


def test_rows_that_the_published_file_cut_short_are_left_out_and_counted(tmp_path: Path, caplog: Any) -> None:
    path = write(tmp_path / "train.tsv", "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate", "1\t1\t2\tWho?\tWhy?\t0",
                 "2\t3\t4\tHow?", "3\t5\t6\tHow?\t\t1")
    with caplog.at_level(logging.WARNING):
        loaded = get_task("qqp").read(tmp_path, "train", "en", [path])
    assert [e.id for e in loaded.examples] == ["1"] and loaded.dropped == 2 and "2 of 3 rows have too few columns" in caplog.text


def test_where_files_are_looked_for(tmp_path: Path) -> None:
    official = write(tmp_path / "Plain" / "dev.tsv", "One.\t1")
    assert all(PLAIN.find(str(folder), "dev", "en") == [official] for folder in (tmp_path, tmp_path / "Plain"))
    own = write(tmp_path / "dev-sw.tsv", "Moja.\t1")
    assert PLAIN.find(str(tmp_path), "dev", "sw") == [own] and PLAIN.available(str(tmp_path), "dev") == ["en", "sw"]
    (tmp_path / "hub" / "plain").mkdir(parents=True)
    held = tmp_path / "hub" / "plain" / "validation-00000-of-00001.parquet"
    parquet.write_table(pyarrow.Table.from_pylist([{"text": "A", "label": 0}]), held)
    assert PLAIN.find(str(tmp_path / "hub"), "dev", "en") == [held] and PLAIN.available(str(tmp_path / "hub"), "dev") == ["en"]
    with pytest.raises(UserError, match=r"no dev data in 'de'.*there is dev data in: en, sw"):
        PLAIN.find(str(tmp_path), "dev", "de")


def test_the_hub_is_read_where_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def load_dataset(*args: Any, **kwargs: Any) -> list[dict[str, Any]]:
        asked.append((args, kwargs))
        return [{"sentence1": "a", "sentence2": "b", "label": 1, "idx": 4}]

    monkeypatch.setitem(sys.modules, "datasets", types.SimpleNamespace(load_dataset=load_dataset))
    loaded = get_task("mrpc").read("hf:nyu-mll/glue@main", "dev", "en")
    assert asked == [(("nyu-mll/glue", "mrpc"), {"split": "validation", "revision": "main"})]
    assert [(e.id, e.label) for e in loaded.examples] == [("4", 1)]
    get_task("rte").read("hf:nyu-mll/glue", "train", "en")
    assert asked[-1] == (("nyu-mll/glue", "rte"), {"split": "train", "revision": None})

    def fails(*args: Any, **kwargs: Any) -> None:
        raise ConnectionError("no network")

    monkeypatch.setitem(sys.modules, "datasets", types.SimpleNamespace(load_dataset=fails))
    with pytest.raises(UserError, match=r"hf:nyu-mll/glue: could not load 'validation' of 'cola' from the hub: no network"):
        get_task("cola").read("hf:nyu-mll/glue", "dev", "en")
