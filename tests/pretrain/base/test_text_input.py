"""An input is what its content says; what is no text is one line that names the format."""

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile

import pytest

from pretrain.base import opening
from pretrain.base.errors import UserError
from pretrain.base.opening import LIMIT, TextInput, read_lines, read_text

LINES = ["Was bedeutet es?", "zweite Zeile ü", "", "третья строка"]
TEXT = "".join(line + "\n" for line in LINES).encode()


def write(path, data):
    path.write_bytes(data)
    return path


def refused(path):
    with pytest.raises(UserError) as caught:
        list(read_lines(path))
    message = str(caught.value)
    assert "\n" not in message and message.startswith(str(path))
    return message


def packed(data):
    """gzip data without the time of day in its header: the parameters of a test are the same in every process."""
    return gzip.compress(data, mtime=0)


def tar(form):
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=form) as archive:
        member = tarfile.TarInfo("corpus/de.txt")
        member.size = len(TEXT)
        archive.addfile(member, io.BytesIO(TEXT))
    return made.getvalue()


def zipped():
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("de.txt", TEXT)
    return made.getvalue()


@pytest.mark.parametrize("pack", [bytes, gzip.compress, lzma.compress, bz2.compress])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_lines(tmp_path, pack, mark):
    path = write(tmp_path / "text", pack(mark + TEXT))  # no suffix: the content decides
    assert list(read_lines(path)) == list(enumerate(LINES, 1))
    assert read_text(path) == TEXT.decode()


def test_carriage_returns_alone_end_lines(tmp_path):
    path = write(tmp_path / "mac.txt", TEXT.replace(b"\n", b"\r"))
    assert [line for _, line in read_lines(path)] == LINES


def test_a_carriage_return_within_lines_is_no_end(tmp_path):
    path = write(tmp_path / "t.txt", b"a\rb\nc\r\n")
    assert [line for _, line in read_lines(path)] == ["a\rb", "c"]


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("pack", [bytes, gzip.compress, lzma.compress, bz2.compress])
def test_tar(tmp_path, form, pack):
    message = refused(write(tmp_path / "de.txt", pack(tar(form))))
    assert "a tar archive, expected text; unpack it with `tar -xf`" in message


@pytest.mark.parametrize(("name", "data", "message"), [
    ("a.zip", zipped(), "a zip archive, expected text; unpack it with `unzip`"),
    ("a.7z", b"7z\xbc\xaf\x27\x1c rest", "a 7z archive"),
    ("a.gz", packed(packed(TEXT)), "gzip data with gzip data in it"),
    ("a.gz", zipped(), "a zip archive"),
    ("a.gz", TEXT, "expected gzip data as its name says, found something else"),
    ("a.bz2", packed(TEXT), "expected bzip2 data as its name says, found gzip"),
    ("a.txt", "ein Text".encode("utf-16"), "text in UTF-16, expected UTF-8; convert it with `iconv -f UTF-16"),
    ("a.txt", ("ein Text\n" * 9).encode("utf-16-le"), "text in UTF-16LE"),
    ("a.txt", ("ein Text\n" * 9).encode("utf-16-be"), "text in UTF-16BE"),
    ("a.txt", ("ein Text\n" * 9).encode("utf-32"), "text in UTF-32"),
    ("a.txt", b"one\ntw\0o\n", "a.txt:2: a NUL byte"),
    ("a.txt", b"<?xml version='1.0'?>\n<a/>", "XML or HTML markup"),
    ("a.txt", b'<mediawiki xml:lang="de">\n <page>\n</page>', "wikiextractor"),
    ("wiki_00", b'\n<doc id="1" url="u" title="T">\nT\n\nText.\n</doc>\n', "wikiextractor"),
    ("a.txt", b"<!DOCTYPE html><html>", "XML or HTML markup"),
    ("a.txt", b"<corpus>\n<s>ein Satz</s>\n</corpus>", "XML or HTML markup"),
    ("a.txt", b"%PDF-1.7\n", "pdftotext"),
    ("a.txt", b"PAR1....PAR1", "a parquet file"),
    ("a.txt", b"fine\ncaf\xe9\n", "a.txt:2: expected UTF-8 text, found byte 0xe9 at byte 4 of the line"),
    ("a.gz", packed(TEXT) + b"junk", "the gzip data is damaged or cut short after line 4 ("),
])
def test_what_is_no_text(tmp_path, name, data, message):
    assert message in refused(write(tmp_path / name, data))


@pytest.mark.parametrize("data", [b"<unk> is a token\n", b"<b>bold</b> and more\n", b"a < b\n", b"x" * 600, b"{ text"])
def test_text_that_only_looks_like_markup(tmp_path, data):
    assert "".join(line + "\n" for _, line in read_lines(write(tmp_path / "t.txt", data))).strip() == data.decode().strip()


def test_limit_of_what_is_unpacked(tmp_path, monkeypatch):
    path = write(tmp_path / "bomb.gz", gzip.compress(b"a line of text\n" * 200_000))
    monkeypatch.setenv(LIMIT, "1000000")
    message = refused(path)
    assert "unpacks to more than 1,000,000 bytes" in message and f"environment variable {LIMIT}" in message
    with pytest.raises(UserError, match="unpacks to more than 1,000,000 bytes"):
        read_text(path)
    monkeypatch.setenv(LIMIT, "3000000")
    assert sum(1 for _ in read_lines(path)) == 200_000
    for wrong in ("0", "-1", "1.5", "many"):
        monkeypatch.setenv(LIMIT, wrong)
        with pytest.raises(UserError, match="expected a number of bytes"):
            read_text(path)


def test_endless_line(tmp_path, monkeypatch):
    monkeypatch.setattr(opening, "LONGEST_LINE", 1 << 20)
    path = write(tmp_path / "t.gz", gzip.compress(b"x" * (4 << 20)))
    assert ":1: the line is longer than 1 MiB" in refused(path)


def test_position_and_hash_are_of_the_file(tmp_path):
    import hashlib

    path = write(tmp_path / "t.gz", gzip.compress(TEXT))
    with TextInput(path) as opened:
        assert sum(len(lines) for lines in opened.groups()) == opened.line == len(LINES)
        assert opened.position == path.stat().st_size
        assert opened.raw.hash.hexdigest() == hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_bomb_is_known_by_its_ratio(tmp_path, monkeypatch):
    monkeypatch.setattr(opening, "SURELY", 1 << 20)
    path = write(tmp_path / "bomb.gz", gzip.compress(b"a line of text\n" * 200_000))
    assert "unpacks to more than 1,048,576 bytes" in refused(path)
    path = write(tmp_path / "plain.txt", b"a line of text\n" * 200_000)
    assert sum(1 for _ in read_lines(path)) == 200_000
    path = write(tmp_path / "usual.gz", gzip.compress("".join(f"{n * 7919 % 100_003}\n" for n in range(400_000)).encode()))
    assert sum(1 for _ in read_lines(path)) == 400_000
