"""Files whose cells are quoted are told from those whose texts hold quotes."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.classification.nli import read_file
from tasks.reading.quoting import cells_of, is_quoted

TEXT = st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=("Cs",)), max_size=12)


@given(st.lists(st.lists(TEXT, min_size=2, max_size=3), min_size=1, max_size=4),
       st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
def test_what_csv_has_quoted_comes_back(rows, quoting):
    rows = [["he said \"no\"", "b"], *rows]  # a quote that csv has to double
    stream = io.StringIO()
    csv.writer(stream, delimiter="\t", lineterminator="\n", quoting=quoting).writerows(rows)
    lines = stream.getvalue().split("\n")[:-1]
    assert is_quoted(lines)
    assert [cells_of(True)(line) for line in lines] == rows


@pytest.mark.parametrize("lines", [
    ['a\tb', '"yes," he said\tb'], ['"a "" b"\tc', 'it\'s 5" long\tb'], ['"all of it"\tb'], ['"\ta', 'b\t"'],
    ['""\tb'], ["a\tb"]])
def test_official_files_hold_quotes_as_they_stand(lines):
    assert not is_quoted(lines)
    assert [cells_of(is_quoted(lines))(line) for line in lines] == [line.split("\t") for line in lines]


def test_pairs_that_pandas_has_written(tmp_path, caplog):
    (tmp_path / "x.tsv").write_text('premise\thypothesis\tlabel\n"He said ""no""."\tplain\t0\n"a\tb"\tc\t1\n')
    assert [(one.text_a, one.text_b, one.label) for one in read_file(tmp_path / "x.tsv").examples] == [
        ('He said "no".', "plain", 0), ("a\tb", "c", 1)]
    assert "quotes around them go" in caplog.text
