"""A file of teachers' outputs: what is written is read, and nothing else is taken for one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pytest
from pyarrow import parquet

from pretrain.base.errors import UserError
from tasks.distillation.soft_labels import FORMAT, HEADER, SoftLabels, key_of, read, read_header, refuse_other, write

HEAD: dict[str, Any] = {
    "task": "xnli", "task_version": "1.0", "form": "classes", "labels": ["a", "b"], "temperature": 2.0,
    "average": "probabilities", "language": "en", "split": "train", "data": {"files": ["x"], "sha256": "0" * 64, "examples": 2},
    "read": {"language": "en", "files": ["x"], "sha256": "0" * 64}, "teachers": [{"fingerprint": "1" * 64}]}


def small(**changes: Any) -> SoftLabels:
    """Two rows of two classes."""
    columns = {"logits": [np.array([1.0, -1.0]), np.array([0.5, 2.0])],
               "probabilities": [np.array([0.75, 0.25]), np.array([0.5, 0.5])]}
    return SoftLabels({**HEAD, **changes}, ["7", "8"], [key_of("a"), key_of("b", None)], columns)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    write(small(), tmp_path / "t.parquet")
    found = read(tmp_path / "t.parquet")
    assert (found.ids, found.keys) == (["7", "8"], small().keys) and len(found) == 2
    assert {name: [row.tolist() for row in rows] for name, rows in found.columns.items()} == {
        "logits": [[1, -1], [0.5, 2]], "probabilities": [[0.75, 0.25], [0.5, 0.5]]}
    assert {**found.header} == {"format": FORMAT, "version": 1, **HEAD}
    first = (tmp_path / "t.parquet").read_bytes()
    write(small(), tmp_path / "t.parquet")
    assert (tmp_path / "t.parquet").read_bytes() == first and [p.name for p in tmp_path.iterdir()] == ["t.parquet"]


def test_rows_of_spans_have_lengths_of_their_own(tmp_path: Path) -> None:
    columns = {"start_at": [np.array([0, 5]), np.array([], dtype=int)], "start_logits": [np.array([0.5, 1.0]), np.array([])],
               "end_at": [np.array([4]), np.array([], dtype=int)], "end_logits": [np.array([-2.0]), np.array([])]}
    made = SoftLabels({**HEAD, "form": "spans", "labels": []}, ["1", "2"], ["k", "l"], columns)
    write(made, tmp_path / "s.parquet")
    found = read(tmp_path / "s.parquet")
    assert {name: [row.tolist() for row in rows] for name, rows in found.columns.items()} == {
        name: [row.tolist() for row in rows] for name, rows in columns.items()}
    assert found.columns["start_at"][0].dtype == np.int32
    columns["end_at"] = [np.array([4, 5]), np.array([], dtype=int)]
    write(made, tmp_path / "s.parquet")
    with pytest.raises(UserError, match=r"s.parquet: row 1: 2 end_at and 1 end_logits"):
        read(tmp_path / "s.parquet")


def test_a_key_tells_texts_apart() -> None:
    assert key_of("a", "b") == key_of("a", "b") != key_of("b", "a")
    assert len({key_of("a", None), key_of("a"), key_of("a", ""), key_of("a\0b"), key_of("a", "b"), key_of("ä")}) == 6


def test_other_files_are_refused(tmp_path: Path) -> None:
    text, table = tmp_path / "text.parquet", tmp_path / "table.parquet"
    text.write_text("no parquet")
    parquet.write_table(pyarrow.table({"x": [1]}), table)
    with pytest.raises(UserError, match=r"nowhere.parquet: expected a file of teachers' outputs .*found nothing"):
        read(tmp_path / "nowhere.parquet")
    with pytest.raises(UserError, match=r"text.parquet: expected a file of teachers' outputs in Parquet, which this is not"):
        read(text)
    with pytest.raises(UserError, match=r"table.parquet: is Parquet, but not of relexify teach"):
        read_header(table)
    for path in (text, table):
        with pytest.raises(UserError, match=r"--overwrite replaces files of teachers' outputs only"):
            refuse_other(path, overwrite=True)
    write(small(), tmp_path / "t.parquet")
    refuse_other(tmp_path / "t.parquet", overwrite=True)
    refuse_other(tmp_path / "new.parquet", overwrite=True)


@pytest.mark.parametrize(("changes", "message"), [
    ({"version": 9}, r"version 9, this relexify reads 1"),
    ({"format": "x"}, r"expected the header of a file of teachers' outputs"),
    ({"form": "trees"}, r"'form' is 'trees'.*one of classes, value, spans"),
    ({"temperature": 0}, r"'temperature' is 0 .*above 0"),
    ({"teachers": []}, r"'teachers' is"), ({"labels": ["a"]}, r"row 1: 2 logits, the header has 1 labels \(a\)"),
    ({"data": {"files": ["x"]}}, r"'sha256' is missing"),
])
def test_a_wrong_header_is_told(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    write(small(), tmp_path / "t.parquet")
    table = parquet.read_table(tmp_path / "t.parquet")
    header = {**json.loads(table.schema.metadata[HEADER]), **changes}
    parquet.write_table(table.replace_schema_metadata({HEADER: json.dumps(header)}), tmp_path / "t.parquet")
    with pytest.raises(UserError, match=message):
        read(tmp_path / "t.parquet")


@pytest.mark.parametrize(("column", "rows", "message"), [
    ("logits", [[1.0, float("nan")], [0.0, 0.0]], r"row 1: logits holds NaN"),
    ("probabilities", [[0.5, 0.5], [0.9, 0.9]], r"row 2: the probabilities sum to 1.8, not to 1"),
    ("probabilities", [[0.5, 0.5], [1.5, -0.5]], r"row 2: a probability is below 0"),
    ("logits", [[1.0, 0.0], None], r"damaged \(logits has empty cells"),
    ("logits", ["x", "y"], r"damaged"),
    ("logits", [[1.0, 0.0, 0.0, 0.0], [0.0, 0.0]], r"row 1: 4 logits, the header has 2 labels"),
])
def test_wrong_cells_are_told_with_their_row(tmp_path: Path, column: str, rows: Any, message: str) -> None:
    write(small(), tmp_path / "t.parquet")
    table = parquet.read_table(tmp_path / "t.parquet")
    made = table.set_column(table.column_names.index(column), column, pyarrow.array(rows))
    parquet.write_table(made.replace_schema_metadata(table.schema.metadata), tmp_path / "t.parquet")
    with pytest.raises(UserError, match=message):
        read(tmp_path / "t.parquet")


def test_a_file_cut_short_and_one_without_a_column_are_told(tmp_path: Path) -> None:
    write(small(), tmp_path / "t.parquet")
    whole = (tmp_path / "t.parquet").read_bytes()
    (tmp_path / "cut.parquet").write_bytes(whole[:len(whole) // 2])
    with pytest.raises(UserError, match=r"cut.parquet: expected a file of teachers' outputs in Parquet"):
        read(tmp_path / "cut.parquet")
    table = parquet.read_table(tmp_path / "t.parquet")
    parquet.write_table(table.drop_columns(["logits"]), tmp_path / "less.parquet")
    with pytest.raises(UserError, match=r"less.parquet: expected the columns id, key, logits, probabilities"):
        read(tmp_path / "less.parquet")
