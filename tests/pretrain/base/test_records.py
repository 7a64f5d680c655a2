"""Foreign JSON within bounds, and records that name what they lack."""

import json
import pickle

import pytest

from pretrain.base.errors import UserError
from pretrain.base.files import read_json, read_object
from pretrain.base.records import Record, parse_json


@pytest.mark.parametrize("text", ["[" * 200 + "]" * 200, "[" * 200_000, '{"a":' * 5000 + "1" + "}" * 5000],
                         ids=["closed", "beyond the parser", "objects"])
def test_nesting_is_bounded(tmp_path, text):
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(UserError, match=r"x\.json: expected a plan, but its JSON is nested deeper than 100 levels"):
        read_json(tmp_path / "x.json", "a plan")


def test_as_many_levels_as_allowed_are_read():
    assert parse_json("[" * 100 + "]" * 100, "x") != []
    with pytest.raises(UserError, match="deeper"):
        parse_json("[" * 101 + "1" + "]" * 101, "x")


def test_an_integer_that_python_does_not_convert_is_the_files_fault(tmp_path):
    (tmp_path / "x.json").write_text('{"n": ' + "9" * 5000 + "}")
    with pytest.raises(UserError, match=r"x\.json: .*integer of thousands of digits"):
        read_json(tmp_path / "x.json")


def test_a_repeated_key_is_refused_where_it_would_hide_a_value():
    assert parse_json('{"a": 1, "a": 2}', "x") == {"a": 2}
    with pytest.raises(UserError, match=r"x: .*key 'a' stands twice"):
        parse_json('{"a": 1, "a": 2}', "x", unique=True)


def test_a_byte_order_mark_is_no_content(tmp_path):
    (tmp_path / "x.json").write_bytes(b"\xef\xbb\xbf{}")
    assert read_json(tmp_path / "x.json") == {}


def test_a_file_of_another_kind_of_size_is_not_parsed(tmp_path, monkeypatch):
    (tmp_path / "x.json").write_text("[1, 2, 3]")
    monkeypatch.setattr("pretrain.base.files.LARGEST_JSON", 8)
    with pytest.raises(UserError, match=r"x\.json: .*found 9 bytes, more than the 8"):
        read_json(tmp_path / "x.json")


@pytest.fixture
def record(tmp_path):
    (tmp_path / "r.json").write_text(json.dumps({
        "name": "x", "n": 3, "yes": True, "big": 10**400, "inner": {"list": [{"a": 1}], "empty": None}, "language": "../../x"}))
    return read_object(tmp_path / "r.json", "a record")


def test_a_missing_key_names_file_key_and_the_nearest(record):
    with pytest.raises(UserError, match=r"r\.json: 'nane' is missing, found 'name', .*did you mean 'name'"):
        record["nane"]


def test_a_missing_key_inside_names_the_way_to_it(record):
    with pytest.raises(UserError, match=r"r\.json: inner: list\[0\]: 'b' is missing, found 'a'"):
        record["inner"]["list"][0]["b"]


@pytest.mark.parametrize(("ask", "message"), [
    (lambda r: r.text("n"), r"'n' is 3 \(a whole number\); expected a text"),
    (lambda r: r.integer("yes"), r"'yes' is True \(true or false\); expected a whole number"),
    (lambda r: r.integer("n", 5), r"'n' is 3 .*from 5"),
    (lambda r: r.integer("big"), r"'big' is 1000.*…"),
    (lambda r: r.number("big"), r"'big' is 1000"),
    (lambda r: r.table("name"), r"'name' is 'x' \(a text\); expected an object"),
    (lambda r: r.optional_table("n"), r"'n' is 3 .*expected an object"),
    (lambda r: r.tables("inner"), r"'inner' is .* \(an object\); expected a list of objects"),
    (lambda r: r.texts("n"), r"'n' is 3 .*expected a list of texts"),
    (lambda r: r.language(), r"language '\.\./\.\./x': expected a BCP-47 code"),
])
def test_a_value_of_another_kind_names_file_and_key(record, ask, message):
    with pytest.raises(UserError, match=r"r\.json: " + message):
        ask(record)


def test_a_record_is_a_dict_for_everyone_else(record):
    assert record.optional_table("empty") == {} and record.table("inner").optional_table("empty") == {}
    assert json.loads(json.dumps(record)) == record and isinstance(record["inner"], Record)
    again = pickle.loads(pickle.dumps(record))
    assert again == record and again.place == record.place


def test_a_record_that_is_no_object(tmp_path):
    (tmp_path / "r.json").write_text("[]")
    with pytest.raises(UserError, match=r"r\.json: expected a record, a JSON object, got a list"):
        read_object(tmp_path / "r.json", "a record")
