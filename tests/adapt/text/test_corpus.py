"""Readers: every format gives the same documents; each kind of bad input gets its line."""

import gzip
import hashlib
import json
import lzma
import sys

import pytest

from adapt.text import corpus as corpus_module
from adapt.text.corpus import Corpus
from pretrain.base import opening
from pretrain.base.errors import UserError

LINES = ["first line", "zweite Zeile ü", "третья строка", "第四行"]


def write_gz(path, data):
    path.write_bytes(gzip.compress(data))


def write_xz(path, data):
    path.write_bytes(lzma.compress(data))


def write_zst(path, data):
    path.write_bytes(pytest.importorskip("zstandard").ZstdCompressor().compress(data))


PACKERS = {"": lambda path, data: path.write_bytes(data), ".gz": write_gz, ".xz": write_xz, ".zst": write_zst}


def encoded(lines):
    return "".join(line + "\n" for line in lines).encode()


def refused(*texts, **settings):
    with pytest.raises(UserError) as caught:
        list(Corpus(texts, **settings))
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("suffix", PACKERS)
def test_plain_text(tmp_path, suffix):
    path = tmp_path / f"t.txt{suffix}"
    PACKERS[suffix](path, encoded(LINES))
    corpus = Corpus([path])
    assert list(corpus) == [[line] for line in LINES]
    assert corpus.total_bytes == corpus.position == path.stat().st_size
    assert corpus.sources == [{"name": path.name, "bytes": path.stat().st_size,
                               "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}]


@pytest.mark.parametrize("suffix", PACKERS)
def test_records(tmp_path, suffix):
    path = tmp_path / f"t.jsonl{suffix}"
    records = [{"body": "one\ntwo\n\nthree", "n": 1}, {"body": " "}, {"body": "ü"}]
    PACKERS[suffix](path, encoded(json.dumps(record) for record in records))
    assert list(Corpus([path], text_field="body")) == [["one", "two", "three"], ["ü"]]


def test_parquet(tmp_path):
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "t.parquet"
    parquet.write_table(pyarrow.table({"text": ["one\ntwo", "ü"], "other": [1, 2]}), path)
    corpus = Corpus([path])
    assert list(corpus) == [["one", "two"], ["ü"]]
    assert corpus.position == corpus.total_bytes
    assert "did you mean 'text'" in refused(path, text_field="txt")
    data = path.read_bytes()
    path.write_bytes(data[:40] + b"\xff" * 20 + data[60:])
    assert f"{path}: the parquet data is damaged" in refused(path)


def test_parquet_without_text(tmp_path):
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    parquet.write_table(pyarrow.table({"text": ["one", None]}), tmp_path / "t.parquet")
    assert "row 2: expected text in the field 'text', got null" in refused(tmp_path / "t.parquet")


def test_named_data_set(tmp_path):
    datasets = pytest.importorskip("datasets")
    folder = tmp_path / "set"
    folder.mkdir()
    (folder / "train.jsonl").write_bytes(encoded(['{"text": "one\\ntwo"}', '{"text": "three"}']))
    assert datasets
    corpus = Corpus([f"hf:{folder}"])
    assert corpus.total_bytes is None
    assert list(corpus) == [["one", "two"], ["three"]]


def test_named_data_set_that_is_not_there(tmp_path):
    pytest.importorskip("datasets")
    assert "check the name" in refused(f"hf:{tmp_path / 'none'}")
    assert "expected hf:NAME" in refused("hf:a:b:c:d")


def test_blank_lines_between_documents(tmp_path):
    path = tmp_path / "t.txt"
    path.write_text("\n\na\nb\n\n \t\nc\r\n\nd\n\n")
    assert list(Corpus([path])) == list(Corpus([path], documents="blank")) == [["a", "b"], ["c"], ["d"]]
    assert list(Corpus([path], documents="line")) == [["a"], ["b"], ["c"], ["d"]]


def test_blank_lines_at_the_ends_are_no_separators(tmp_path):
    path = tmp_path / "t.txt"
    path.write_text("\n\na\nb\n\n")
    assert list(Corpus([path])) == [["a"], ["b"]]


def test_auto_looks_at_the_first_block_only(tmp_path, monkeypatch):
    monkeypatch.setattr(opening, "BLOCK", 64)
    path = tmp_path / "t.txt"
    path.write_text("line\n" * 20 + "\n" + "line\n" * 3)
    assert len(list(Corpus([path]))) == 23


@pytest.mark.parametrize("suffix", PACKERS)
def test_lines_across_blocks(tmp_path, monkeypatch, suffix):
    monkeypatch.setattr(opening, "BLOCK", 16)
    lines = [f"ü{number} " + "字" * (number % 30) for number in range(200)]
    path = tmp_path / f"t.txt{suffix}"
    PACKERS[suffix](path, encoded(lines)[:-1])  # the last line has no end
    assert list(Corpus([path])) == [[line.strip()] for line in lines]


def test_only_newlines_end_a_line(tmp_path):
    path = tmp_path / "t.txt"
    path.write_bytes("\ufeffa\u2028b\x85c\r\nd".encode())
    assert list(Corpus([path])) == [["a\u2028b\x85c"], ["d"]]


def test_several_files_are_read_in_order(tmp_path):
    for number in range(3):
        write_gz(tmp_path / f"{number}.gz", encoded([f"line {number}"]))
    corpus = Corpus([tmp_path / f"{number}.gz" for number in (2, 0, 1)])
    assert list(corpus) == list(corpus) == [["line 2"], ["line 0"], ["line 1"]]
    assert [source["name"] for source in corpus.sources] == ["2.gz", "0.gz", "1.gz"]


def test_frames_of_zst_follow_one_another(tmp_path):
    zstandard = pytest.importorskip("zstandard")
    frames = [zstandard.ZstdCompressor().compress(encoded([line])) for line in LINES]
    (tmp_path / "t.zst").write_bytes(b"".join(frames))
    assert list(Corpus([tmp_path / "t.zst"])) == [[line] for line in LINES]


@pytest.mark.parametrize("mode", ["line", "blank"])
def test_endless_documents_are_cut(tmp_path, monkeypatch, mode):
    monkeypatch.setattr(corpus_module, "LONGEST_DOCUMENT", 25)
    (tmp_path / "t.txt").write_text("x" * 60 + "\n" + "abcdefghij\n" * 5 + "\nlast\n")
    documents = list(Corpus([tmp_path / "t.txt"], documents=mode))
    assert "".join(line for document in documents for line in document) == "x" * 60 + "abcdefghij" * 5 + "last"
    assert all(sum(map(len, document)) <= 25 for document in documents)


@pytest.mark.parametrize("suffix", [".gz", ".xz", ".zst"])
def test_cut_file_is_refused(tmp_path, suffix):
    path = tmp_path / f"t.txt{suffix}"
    text = "".join(f"{hashlib.sha256(str(number).encode()).hexdigest()}\n" for number in range(5000)).encode()
    PACKERS[suffix](path, text)
    path.write_bytes(path.read_bytes()[:-2000])
    assert f"{path}: the " in (message := refused(path)) and "damaged or cut short after line" in message


def test_name_and_content_must_agree(tmp_path):
    path = tmp_path / "t.txt.gz"
    path.write_text("plain")
    assert "expected gzip data as its name says, found something else" in refused(path)


def test_packed_file_without_suffix_is_read(tmp_path):
    write_xz(tmp_path / "text", encoded(LINES))
    assert list(Corpus([tmp_path / "text"])) == [[line] for line in LINES]


def test_bytes_that_are_not_utf8(tmp_path, monkeypatch):
    monkeypatch.setattr(opening, "BLOCK", 64)
    path = tmp_path / "t.txt"
    path.write_bytes(b"fine line\n" * 50 + b"caf\xe9 noir\n" + b"fine line\n" * 50)
    assert f"{path}:51: expected UTF-8 text, found byte 0xe9 at byte 4 of the line" in refused(path)


@pytest.mark.parametrize(("line", "message"), [
    ("{broken", "t.jsonl:2: expected one JSON record on each line, got '{broken'"),
    ('["list"]', "t.jsonl:2: expected a record like"),
    ('{"txt": "a"}', "t.jsonl:2: expected the field 'text', got 'txt', did you mean 'txt'?; name it with --text-field"),
    ('{"text": 3}', "t.jsonl:2: expected text in the field 'text', got a whole number"),
    ('{"text": "a\\ud800b"}', "t.jsonl:2: the field 'text' holds '\\ud800', half of a surrogate pair"),
])
def test_bad_records(tmp_path, line, message):
    path = tmp_path / "t.jsonl"
    path.write_bytes(encoded(['{"text": "fine"}', line]))
    assert message in refused(path)


@pytest.mark.parametrize("content", ["", "\n \n\t\n"])
def test_no_text(tmp_path, content):
    (tmp_path / "a.txt").write_text("text")
    (tmp_path / "t.txt").write_text(content)
    assert refused(tmp_path / "a.txt", tmp_path / "t.txt") == \
        f"{tmp_path / 't.txt'}: expected text, found none; the input is empty"


def test_wrong_arguments(tmp_path):
    path = tmp_path / "t.txt"
    path.write_text("text")
    assert "expected a text file, found nothing" in refused(tmp_path / "none.txt")
    (tmp_path / "empty").mkdir()
    assert "expected a text, or a folder of one, found no text" in refused(tmp_path / "empty")
    assert "the same input is given twice" in refused(path, tmp_path / "." / "t.txt")
    assert "known: auto, line, blank" in refused(path, documents="page")
    assert "no text was given" in refused()


def test_zst_without_its_package(tmp_path, monkeypatch):
    write_zst(tmp_path / "t.zst", b"text\n")
    monkeypatch.setitem(sys.modules, "zstandard", None)
    assert "pip install zstandard" in refused(tmp_path / "t.zst")


def test_json_lines_under_any_name(tmp_path):
    records = [json.dumps({"text": f"line {number}", "id": number}) for number in range(9)]
    for name in ("wiki_00", "RC_2010-01", "t.txt"):
        (tmp_path / name).write_bytes(encoded(records))
        write_gz(tmp_path / f"{name}.gz", encoded(records))
        for path in (tmp_path / name, tmp_path / f"{name}.gz"):
            assert list(Corpus([path])) == [[f"line {number}"] for number in range(9)]


@pytest.mark.parametrize("content", ['[\n  {"text": "a"}\n]\n', '[{"text": "a"},\n {"text": "b"}]\n', '{\n  "text": "a"\n}\n'])
@pytest.mark.parametrize("name", ["t.txt", "t.json"])
def test_json_over_several_lines_is_refused(tmp_path, name, content):
    (tmp_path / name).write_text(content)
    assert "make it JSON lines" in refused(tmp_path / name)


@pytest.mark.parametrize("content", ["{ not json\n} at all\n", "{}\ntext\n", "[1] first\n[2] second\n"])
def test_text_with_braces_stays_text(tmp_path, content):
    (tmp_path / "t.txt").write_text(content)
    assert list(Corpus([tmp_path / "t.txt"])) == [[line] for line in content.splitlines()]


def test_records_without_text_are_left_out_on_request(tmp_path):
    path = tmp_path / "t.jsonl"
    path.write_bytes(encoded(['{"text": "a"}', '{"text": null}', '{"text": "b"}', '{"text": " "}']))
    assert "t.jsonl:2: expected text in the field 'text', got null; leave such records out with --skip-empty" in refused(path)
    corpus = Corpus([path], skip_empty=True)
    assert list(corpus) == list(corpus) == [["a"], ["b"]]
    assert corpus.skipped == 2
    path.write_bytes(encoded(['{"text": null}']))
    assert "found none but 1 records without text" in refused(path, skip_empty=True)


def test_fields_of_inner_objects(tmp_path):
    path = tmp_path / "t.jsonl"
    path.write_bytes(encoded(['{"doc": {"text": "a"}}', '{"doc": {"text": "b"}}']))
    assert list(Corpus([path], text_field="doc.text")) == [["a"], ["b"]]
    assert "--text-field doc.text" in refused(path, text_field="doc")
    assert "expected the field 'txt' in 'doc', got 'text', did you mean 'text'?" in refused(path, text_field="doc.txt")
    path.write_bytes(encoded(['{"doc.text": "c", "doc": {"text": "a"}}', '{"doc": null}', '{"doc": {"text": null}}']))
    corpus = Corpus([path], text_field="doc.text", skip_empty=True)
    assert list(corpus) == [["c"]]
    assert corpus.skipped == 2


def test_fields_of_structs_in_parquet(tmp_path):
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "t.parquet"
    parquet.write_table(pyarrow.table({"doc": [{"text": "a"}, {"text": None}]}), path)
    assert list(Corpus([path], text_field="doc.text", skip_empty=True)) == [["a"]]


@pytest.mark.parametrize(("second", "message"), [
    ('{"content": "c"}\n', "its shards have different columns"), ('{"text": "c"}\n{"text": \x00 broken', "fetch it again")])
def test_a_bad_shard_of_a_data_set_is_named(tmp_path, capfd, second, message):
    pytest.importorskip("datasets")
    folder = tmp_path / "set"
    folder.mkdir()
    (folder / "train-0.jsonl").write_bytes(encoded(['{"text": "a"}', '{"text": "b"}']))
    (folder / "train-1.jsonl").write_text(second)
    found = refused(f"hf:{folder}")
    assert "could not read on after record 2, in shard 2 of 2" in found and "train-1.jsonl" in found and message in found
    assert "Failed to" not in capfd.readouterr().err


def test_damage_is_told_after_the_last_whole_line(tmp_path):
    path = tmp_path / "t.txt.xz"
    path.write_bytes(lzma.compress(encoded(LINES)) + b"junk")
    assert f"damaged or cut short after line {len(LINES)} (" in refused(path)


def test_a_folder_of_shards_is_one_input_in_their_order(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    (tmp_path / "wiki").mkdir()
    for name, rows in (("train-00000-of-00002", ["a", "b"]), ("train-00001-of-00002", ["c"]), ("test-00000-of-00001", ["z"])):
        parquet.write_table(pyarrow.table({"text": rows}), tmp_path / "wiki" / f"{name}.parquet")
    corpus = Corpus([tmp_path / "wiki"])
    assert [line for document in corpus for line in document] == ["a", "b", "c"]
    assert [source["name"] for source in corpus.sources] == ["train-00000-of-00002.parquet", "train-00001-of-00002.parquet"]
    with pytest.raises(UserError, match="the same input is given twice"):
        Corpus([tmp_path / "wiki", tmp_path / "wiki" / "train-00001-of-00002.parquet"])
